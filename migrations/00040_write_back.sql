-- +goose Up
-- Writing can be switched off on a connection without pausing what else it does.
ALTER TABLE connections ADD COLUMN write_back boolean NOT NULL DEFAULT true;

-- What a person decided about an account, a connection or a cycle, and why.
CREATE TABLE interventions (
    id          bigserial PRIMARY KEY,
    at          timestamptz NOT NULL,
    who         text NOT NULL CHECK (who <> ''),
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    subject     text NOT NULL, -- "account acme", "connection vendor", "cycle acme.2026-10"
    action      text NOT NULL,
    before      text NOT NULL,
    after       text NOT NULL,
    reason      text NOT NULL CHECK (reason <> '')
);
CREATE INDEX interventions_subject ON interventions (subject, id);
CREATE TRIGGER interventions_append_only BEFORE UPDATE OR DELETE ON interventions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER interventions_no_truncate BEFORE TRUNCATE ON interventions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How the payer of an account is to be found at its issuer, and how far that got.
CREATE TABLE payer_wishes (
    account_id    text PRIMARY KEY,
    environment   text NOT NULL,
    name          text NOT NULL,
    sealed_email  bytea NOT NULL,
    generation    integer NOT NULL DEFAULT 0,
    indeterminate integer NOT NULL DEFAULT 0, -- creates in a row whose answer was lost
    lost_since    timestamptz,                -- the first of them
    first_tried   timestamptz,                -- before the first create was sent
    created_at    timestamptz NOT NULL,
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

-- Pages of Stripe's on which a payer enters a payment method; live only.
CREATE TABLE payer_setups (
    account_id  text NOT NULL,
    environment text NOT NULL CHECK (environment = 'live'),
    customer    text NOT NULL,
    number      integer NOT NULL,
    session_id  text NOT NULL DEFAULT '',
    done        boolean NOT NULL DEFAULT false,
    who         text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, customer, number),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

CREATE TABLE payer_attempts (
    id         bigserial PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id),
    at         timestamptz NOT NULL,
    operation  text NOT NULL,
    outcome    text NOT NULL,
    request_id text NOT NULL DEFAULT ''
);
CREATE INDEX payer_attempts_account ON payer_attempts (account_id, id);

-- A cycle has one intent that counts; those that were addressed to another payer before
-- are superseded, with the plan that they had, and retired when nothing of them is left
-- at Stripe.
ALTER TABLE writeback_intents
    DROP CONSTRAINT writeback_intents_cycle_id_key,
    DROP CONSTRAINT writeback_intents_state_check,
    DROP CONSTRAINT writeback_intents_check,
    ADD CONSTRAINT writeback_intents_state_check
        CHECK (state IN ('planned', 'pinned', 'verified', 'finalized', 'released', 'needs_human', 'superseded')),
    ADD CONSTRAINT writeback_intents_pinned_check CHECK (state IN ('planned', 'needs_human', 'superseded') OR invoice_id IS NOT NULL),
    ADD COLUMN verified_at timestamptz, -- since when a worker may be finalizing the draft
    ADD COLUMN lost_since timestamptz, -- the first of the creates in a row whose answer was lost
    ADD COLUMN superseded_plan text,
    ADD COLUMN retired_at timestamptz,
    ADD CONSTRAINT writeback_intents_superseded_check CHECK ((state = 'superseded') = (superseded_plan IS NOT NULL));
CREATE UNIQUE INDEX writeback_intents_cycle ON writeback_intents (cycle_id) WHERE state <> 'superseded';
-- Never two invoices for one payer and period.
CREATE UNIQUE INDEX writeback_intents_payer ON writeback_intents (issuer_connection, customer, period) WHERE state <> 'superseded';

-- Invoices that were pinned once and of which it is not yet known that they count for nothing.
CREATE TABLE writeback_given_up (
    intent_id  text NOT NULL REFERENCES writeback_intents (id),
    invoice_id text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (intent_id, invoice_id)
);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.total_minor <> OLD.total_minor OR NEW.currency <> OLD.currency
        OR EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = OLD.cycle_id AND w.state <> 'superseded') THEN
        RAISE EXCEPTION 'invoice of cycle % is append-only', OLD.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.total_minor <> OLD.total_minor OR NEW.currency <> OLD.currency
        OR EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = OLD.cycle_id) THEN
        RAISE EXCEPTION 'invoice of cycle % is append-only', OLD.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
DROP TABLE writeback_given_up;
DELETE FROM writeback_lines WHERE intent_id IN (SELECT id FROM writeback_intents WHERE state = 'superseded');
DELETE FROM writeback_attempts WHERE intent_id IN (SELECT id FROM writeback_intents WHERE state = 'superseded');
DELETE FROM writeback_intents WHERE state = 'superseded';
DROP INDEX writeback_intents_payer, writeback_intents_cycle;
ALTER TABLE writeback_intents
    DROP CONSTRAINT writeback_intents_superseded_check,
    DROP CONSTRAINT writeback_intents_pinned_check,
    DROP CONSTRAINT writeback_intents_state_check,
    DROP COLUMN retired_at,
    DROP COLUMN superseded_plan,
    DROP COLUMN lost_since,
    DROP COLUMN verified_at,
    ADD CONSTRAINT writeback_intents_state_check CHECK (state IN ('planned', 'pinned', 'verified', 'finalized', 'released', 'needs_human')),
    ADD CONSTRAINT writeback_intents_check CHECK (state = 'planned' OR state = 'needs_human' OR invoice_id IS NOT NULL),
    ADD CONSTRAINT writeback_intents_cycle_id_key UNIQUE (cycle_id);
DROP TABLE payer_attempts, payer_setups, payer_wishes, interventions;
ALTER TABLE connections DROP COLUMN write_back;
