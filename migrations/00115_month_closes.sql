-- +goose Up
-- That a month was closed, on which comparison, and that it was opened again. The newest row
-- of a month counts.
CREATE TABLE month_closes (
    seq         bigserial PRIMARY KEY,
    account_id  text NOT NULL,
    environment text NOT NULL,
    period      text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    action      text NOT NULL CHECK (action IN ('closed', 'reopened')),
    run_id      bigint REFERENCES recon_runs (id),
    actor       text NOT NULL CHECK (actor <> ''),
    person      text NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL,
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    CHECK ((action = 'closed') = (run_id IS NOT NULL)),
    CHECK (action <> 'reopened' OR reason <> '')
);
CREATE INDEX month_closes_newest ON month_closes (account_id, period, seq DESC);
CREATE TRIGGER month_closes_append_only BEFORE UPDATE OR DELETE ON month_closes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER month_closes_no_truncate BEFORE TRUNCATE ON month_closes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Asked again, whoever writes: no month is closed with a break that blocks, before its cycle
-- is over, or on anything but its own newest complete comparison.
-- +goose StatementBegin
CREATE FUNCTION refuse_untimely_close() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last text;
BEGIN
    SELECT action INTO last FROM month_closes WHERE account_id = NEW.account_id AND period = NEW.period ORDER BY seq DESC LIMIT 1;
    IF (coalesce(last, 'reopened') = 'closed') = (NEW.action = 'closed') THEN
        RAISE EXCEPTION '% of account % is % already', NEW.period, NEW.account_id, coalesce(last, 'open') USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.action = 'reopened' THEN
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT 1 FROM recon_breaks WHERE account_id = NEW.account_id AND period = NEW.period
            AND state IN ('open', 'assigned', 'waiting', 'force_requested') AND severity IN ('error', 'critical')) THEN
        RAISE EXCEPTION 'breaks keep % of account % from being closed', NEW.period, NEW.account_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM cycles WHERE account_id = NEW.account_id AND period = NEW.period AND state IN ('invoiced', 'withheld', 'dry_run', 'skipped')) THEN
        RAISE EXCEPTION 'the cycle of % of account % is not over', NEW.period, NEW.account_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.run_id IS DISTINCT FROM (SELECT id FROM recon_runs WHERE account_id = NEW.account_id AND period = NEW.period AND state = 'complete' ORDER BY id DESC LIMIT 1) THEN
        RAISE EXCEPTION 'run % is not the newest comparison of % of account %', NEW.run_id, NEW.period, NEW.account_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER month_closes_timely BEFORE INSERT ON month_closes FOR EACH ROW EXECUTE FUNCTION refuse_untimely_close();

-- +goose Down
DROP TABLE month_closes;
DROP FUNCTION refuse_untimely_close();
