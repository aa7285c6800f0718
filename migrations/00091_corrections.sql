-- +goose Up
-- What was wrong with a finalized invoice, who said so, who approved it, and what became of it.
CREATE TABLE corrections (
    id            text PRIMARY KEY,
    cycle_id      text NOT NULL,
    environment   text NOT NULL CHECK (environment = 'live'),
    number        integer NOT NULL CHECK (number >= 1),
    intent_id     text NOT NULL REFERENCES writeback_intents (id),
    invoice_id    text NOT NULL CHECK (invoice_id <> ''),
    kind          text NOT NULL CHECK (kind IN ('void', 'credit_before_payment', 'credit_after_payment', 'next_cycle')),
    line          text NOT NULL,
    amount_minor  bigint NOT NULL, -- too much is positive
    reason        text NOT NULL CHECK (reason <> ''),
    state         text NOT NULL CHECK (state IN ('proposed', 'approved', 'done', 'needs_human', 'withdrawn')),
    detail        text NOT NULL DEFAULT '',
    proposed_by   text NOT NULL,
    proposed_at   timestamptz NOT NULL,
    approved_by   text NOT NULL DEFAULT '',
    approved_at   timestamptz,
    stripe_id     text NOT NULL DEFAULT '',
    key_number    integer NOT NULL DEFAULT 0, -- counts fresh idempotency keys
    lost          integer NOT NULL DEFAULT 0, -- answers that never came, of this key
    lost_since    timestamptz,
    done_at       timestamptz,
    UNIQUE (cycle_id, number),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK (kind IN ('void', 'next_cycle') OR amount_minor > 0),
    CHECK ((kind = 'void') = (line = '')),
    CHECK (kind <> 'next_cycle' OR amount_minor <> 0),
    CHECK (state IN ('proposed', 'withdrawn') OR approved_by <> ''),
    CHECK (state <> 'done' OR kind NOT LIKE 'credit%' OR stripe_id <> '')
);
CREATE UNIQUE INDEX corrections_stripe ON corrections (stripe_id) WHERE stripe_id <> '';
CREATE INDEX corrections_approved ON corrections (approved_at) WHERE state = 'approved';

-- What is taken back of an invoice is never more than the invoice, and of a line never more
-- than the line. Whoever corrects an invoice holds its row, so that two at once wait for
-- each other and the second one counts the first.
-- +goose StatementBegin
CREATE FUNCTION check_corrections() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total bigint;
    billed bigint;
    whole bigint;
    online bigint;
    voids bigint;
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (NEW.cycle_id <> OLD.cycle_id OR NEW.number <> OLD.number OR NEW.line <> OLD.line
        OR NEW.amount_minor <> OLD.amount_minor OR NEW.reason <> OLD.reason OR NEW.proposed_by <> OLD.proposed_by OR OLD.state IN ('done', 'withdrawn'))) THEN
        RAISE EXCEPTION 'correction % is append-only', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'withdrawn' THEN
        RETURN NEW;
    END IF;
    SELECT total_minor INTO total FROM invoices WHERE cycle_id = NEW.cycle_id FOR UPDATE;
    SELECT amount_minor INTO billed FROM writeback_lines WHERE intent_id = NEW.intent_id AND line = NEW.line;
    SELECT coalesce(sum(amount_minor), 0), coalesce(sum(amount_minor) FILTER (WHERE line = NEW.line), 0) INTO whole, online
        FROM corrections WHERE cycle_id = NEW.cycle_id AND id <> NEW.id AND state <> 'withdrawn' AND amount_minor > 0 AND kind <> 'void';
    SELECT count(*) INTO voids FROM corrections WHERE cycle_id = NEW.cycle_id AND id <> NEW.id AND kind = 'void' AND state IN ('proposed', 'approved', 'needs_human');
    IF NEW.kind = 'void' AND (whole > 0 OR voids > 0) OR NEW.kind <> 'void' AND voids > 0 THEN
        RAISE EXCEPTION 'the invoice of cycle % is corrected in another way already', NEW.cycle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'corrections_one_way', TABLE = 'corrections';
    END IF;
    IF NEW.kind <> 'void' AND (billed IS NULL OR (NEW.amount_minor > 0 AND (whole + NEW.amount_minor > total OR online + NEW.amount_minor > billed))) THEN
        RAISE EXCEPTION 'more is taken back than was billed: % of %, line % of %', whole + NEW.amount_minor, total, online + NEW.amount_minor, billed
            USING ERRCODE = 'check_violation', CONSTRAINT = 'corrections_within_invoice', TABLE = 'corrections';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER corrections_limits BEFORE INSERT OR UPDATE OR DELETE ON corrections FOR EACH ROW EXECUTE FUNCTION check_corrections();
CREATE TRIGGER corrections_no_truncate BEFORE TRUNCATE ON corrections FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is due of a finished month, as a line of the next cycle that is priced.
CREATE TABLE adjustments (
    id           text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    account_id   text NOT NULL,
    environment  text NOT NULL,
    origin_cycle text NOT NULL REFERENCES cycles (id),
    line         text NOT NULL,
    reason       text NOT NULL CHECK (reason IN ('refund', 'dispute', 'late_event', 'correction')),
    happened_at  timestamptz NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    source       text NOT NULL, -- the correction or the fact that it stems from
    recorded_at  timestamptz NOT NULL,
    UNIQUE (account_id, reason, source, line),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);
CREATE INDEX adjustments_account ON adjustments (account_id, recorded_at);
CREATE TRIGGER adjustments_append_only BEFORE UPDATE OR DELETE ON adjustments FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER adjustments_no_truncate BEFORE TRUNCATE ON adjustments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE adjustments;
DROP TABLE corrections;
DROP FUNCTION check_corrections();
