-- +goose Up
-- A contract's versions hold from effective_from (a month) up to that of the next one:
-- version 1 from the first period, later ones from a later month each. So they cannot
-- overlap, and every month has exactly one. The application refuses more; this is the
-- second check.
ALTER TABLE contracts ADD COLUMN effective_from text CHECK (effective_from ~ '^\d{4}-(0[1-9]|1[0-2])$');
ALTER TABLE contracts DISABLE TRIGGER contracts_append_only;
UPDATE contracts SET effective_from = first_period;
ALTER TABLE contracts ENABLE TRIGGER contracts_append_only;
ALTER TABLE contracts ALTER COLUMN effective_from SET NOT NULL;
ALTER TABLE contracts ADD CONSTRAINT contracts_no_overlap UNIQUE (account_id, effective_from);

-- A new version follows the last one, changes nothing that a contract is for life, and
-- leaves alone every month that has a cycle. Who adds a version and who opens a cycle of
-- one account wait for each other.
-- +goose StatementBegin
CREATE FUNCTION check_contract_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last contracts%ROWTYPE;
BEGIN
    PERFORM 1 FROM accounts WHERE id = NEW.account_id FOR NO KEY UPDATE;
    SELECT * INTO last FROM contracts WHERE account_id = NEW.account_id ORDER BY version DESC LIMIT 1;
    IF last.id IS NULL THEN
        NEW.effective_from := coalesce(NEW.effective_from, NEW.first_period);
        IF NEW.version <> 1 OR NEW.effective_from <> NEW.first_period THEN
            RAISE EXCEPTION 'the first version of a contract is 1 and holds from its first period'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'contracts_first_version', TABLE = 'contracts';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.version = last.version OR NEW.id = last.id THEN
        RETURN NEW; -- the unique constraints say it
    END IF;
    IF NEW.version <> last.version + 1 OR NEW.effective_from <= last.effective_from THEN
        RAISE EXCEPTION 'version % from % does not follow version % from %', NEW.version, NEW.effective_from, last.version, last.effective_from
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contracts_no_overlap', TABLE = 'contracts';
    END IF;
    IF NEW.first_period <> last.first_period OR NEW.time_zone <> last.time_zone OR NEW.environment <> last.environment THEN
        RAISE EXCEPTION 'a contract keeps its first period, its time zone and its environment'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contracts_for_life', TABLE = 'contracts';
    END IF;
    IF EXISTS (SELECT 1 FROM cycles c WHERE c.account_id = NEW.account_id AND c.period >= NEW.effective_from) THEN
        RAISE EXCEPTION 'a month from % on has a cycle already', NEW.effective_from
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contracts_not_retroactive', TABLE = 'contracts';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contracts_version BEFORE INSERT ON contracts FOR EACH ROW EXECUTE FUNCTION check_contract_version();

-- +goose StatementBegin
CREATE FUNCTION check_cycle_contract() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    holds text;
BEGIN
    PERFORM 1 FROM accounts WHERE id = NEW.account_id FOR SHARE;
    SELECT id INTO holds FROM contracts WHERE account_id = NEW.account_id AND effective_from <= NEW.period ORDER BY version DESC LIMIT 1;
    IF holds IS DISTINCT FROM NEW.contract_id THEN
        RAISE EXCEPTION 'contract % does not hold in %', NEW.contract_id, NEW.period
            USING ERRCODE = 'check_violation', CONSTRAINT = 'cycles_contract_holds', TABLE = 'cycles';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cycles_contract BEFORE INSERT ON cycles FOR EACH ROW EXECUTE FUNCTION check_cycle_contract();

-- +goose Down
DROP TRIGGER cycles_contract ON cycles;
DROP FUNCTION check_cycle_contract();
DROP TRIGGER contracts_version ON contracts;
DROP FUNCTION check_contract_version();
ALTER TABLE contracts DROP CONSTRAINT contracts_no_overlap, DROP COLUMN effective_from;
