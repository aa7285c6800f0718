-- +goose Up
-- A contract year is settled by a cycle of its own, when the attribution window of its last
-- exposures has passed: 2026-12-settlement. It is measured by the plan of its year.
ALTER TABLE cycles DROP CONSTRAINT cycles_period_check;
ALTER TABLE cycles ADD CONSTRAINT cycles_period_check CHECK (period ~ '^\d{4}-\d{2}(-settlement)?$');

ALTER TABLE measurement_plans
    ADD COLUMN first_period text GENERATED ALWAYS AS (plan::jsonb ->> 'first_period') STORED,
    ADD COLUMN attribution_days integer GENERATED ALWAYS AS ((plan::jsonb ->> 'attribution_days')::integer) STORED,
    ADD CONSTRAINT plans_one_per_year UNIQUE (account_id, first_period);

-- The plan of a cycle is that of the contract year that its period lies in.
-- +goose StatementBegin
CREATE FUNCTION check_cycle_plan() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first text;
    months integer;
BEGIN
    SELECT first_period INTO first FROM measurement_plans WHERE id = NEW.plan_id AND account_id = NEW.account_id;
    months := (substr(NEW.period, 1, 4)::int - substr(first, 1, 4)::int) * 12 + substr(NEW.period, 6, 2)::int - substr(first, 6, 2)::int;
    IF months IS NULL OR months < 0 OR months > 11 OR (NEW.period LIKE '%-settlement' AND months <> 11) THEN
        RAISE EXCEPTION 'plan % does not cover %', NEW.plan_id, NEW.period
            USING ERRCODE = 'check_violation', CONSTRAINT = 'cycles_plan_covers', TABLE = 'cycles';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cycles_plan BEFORE INSERT ON cycles FOR EACH ROW EXECUTE FUNCTION check_cycle_plan();

-- +goose Down
DROP TRIGGER cycles_plan ON cycles;
DROP FUNCTION check_cycle_plan();
ALTER TABLE measurement_plans DROP CONSTRAINT plans_one_per_year, DROP COLUMN first_period, DROP COLUMN attribution_days;
ALTER TABLE cycles DROP CONSTRAINT cycles_period_check;
ALTER TABLE cycles ADD CONSTRAINT cycles_period_check CHECK (period ~ '^\d{4}-\d{2}$');
