-- +goose Up
-- What every cycle was compared in after it had ended; the newest comparison counts.
CREATE TABLE cycle_tieouts (
    cycle_id    text PRIMARY KEY,
    environment text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('invoice', 'unwritten')),
    checks      jsonb NOT NULL, -- what, ours, theirs, equal
    breaks      integer NOT NULL CHECK (breaks >= 0),
    at          timestamptz NOT NULL,
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK (jsonb_typeof(checks) = 'array' AND jsonb_array_length(checks) > 0),
    CHECK (breaks = jsonb_array_length(jsonb_path_query_array(checks, '$[*] ? (@.equal == false)')))
);

-- A cycle that was priced while its account's live writing was closed is a shadow cycle and
-- stays one. The first outcome invoices of an account are approved by a person.
ALTER TABLE invoices
    ADD COLUMN writing_closed boolean NOT NULL DEFAULT false,
    ADD COLUMN requires_person boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT invoices_closed_is_shadow CHECK (NOT writing_closed OR (phase = 'shadow' AND total_minor = 0));

-- Whether the invoices of a live account may be written. No row is closed.
CREATE TABLE live_writing (
    account_id  text PRIMARY KEY,
    environment text NOT NULL CHECK (environment = 'live'),
    open        boolean NOT NULL,
    basis       text NOT NULL CHECK (basis IN ('checklist', 'override', 'before_switch')),
    reason      text NOT NULL CHECK (reason <> ''),
    checklist   jsonb NOT NULL CHECK (jsonb_typeof(checklist) = 'array'),
    changed_by  text NOT NULL CHECK (changed_by <> ''),
    changed_at  timestamptz NOT NULL,
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);
-- Accounts that were invoiced before there was a switch go on.
INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at)
    SELECT account_id, 'live', true, 'before_switch', 'invoiced before live writing had a switch', '[]', 'migration', min(created_at)
    FROM writeback_intents GROUP BY account_id;

-- It opens when the checklist holds, which the database looks at once more, or by an
-- override with its reason.
-- +goose StatementBegin
CREATE FUNCTION check_live_writing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT NEW.open OR NEW.basis = 'override' THEN
        RETURN NEW;
    END IF;
    IF NEW.basis = 'checklist'
        AND jsonb_array_length(NEW.checklist) = 5
        AND NOT jsonb_path_exists(NEW.checklist, '$[*] ? (!(@.met == true))')
        AND EXISTS (SELECT 1 FROM cycles c JOIN invoices i ON i.cycle_id = c.id JOIN cycle_tieouts t ON t.cycle_id = c.id
            WHERE c.account_id = NEW.account_id AND i.phase = 'shadow' AND t.kind = 'unwritten' AND t.breaks = 0)
        AND EXISTS (SELECT 1 FROM reward_events r JOIN accounts a ON a.source_connection = r.connection_id
            WHERE a.id = NEW.account_id AND r.is_reward AND r.kind = 'revenue_confirmation' AND r.amount_minor > 0) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the checklist of account % does not hold', NEW.account_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'live_writing_checklist', TABLE = 'live_writing';
END $$;
-- +goose StatementEnd
CREATE TRIGGER live_writing_checklist BEFORE INSERT OR UPDATE ON live_writing FOR EACH ROW EXECUTE FUNCTION check_live_writing();

-- Without it no invoice is begun, and none is finalized.
-- +goose StatementBegin
CREATE FUNCTION check_writing_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NOT (NEW.state = 'verified' OR (OLD.state = 'superseded' AND NEW.state <> 'superseded')) THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM live_writing w WHERE w.account_id = NEW.account_id AND w.open) THEN
        RAISE EXCEPTION 'live writing is closed for account %', NEW.account_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'writeback_intents_open', TABLE = 'writeback_intents';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER writeback_intents_open AFTER INSERT OR UPDATE OF state ON writeback_intents FOR EACH ROW EXECUTE FUNCTION check_writing_open();

-- +goose Down
DROP TRIGGER writeback_intents_open ON writeback_intents;
DROP FUNCTION check_writing_open();
DROP TABLE live_writing;
DROP FUNCTION check_live_writing();
ALTER TABLE invoices DROP CONSTRAINT invoices_closed_is_shadow, DROP COLUMN requires_person, DROP COLUMN writing_closed;
DROP TABLE cycle_tieouts;
