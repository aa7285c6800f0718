-- +goose Up
-- What an open month was expected to come to, as of a moment: numbers that nothing is
-- invoiced from. Amounts are minor units; the parts of low and expected are what they would
-- be booked as. Rows are never changed; a run of the Schedule has one per month.
CREATE TABLE accruals (
    account_id           text NOT NULL,
    environment          text NOT NULL,
    period               text NOT NULL CHECK (period ~ '^\d{4}-\d{2}(-settlement)?$'),
    as_of                timestamptz NOT NULL,
    run                  text NOT NULL CHECK (run ~ '^(night|demand)/.'),
    period_start         timestamptz NOT NULL,
    period_end           timestamptz NOT NULL,
    time_zone            text NOT NULL CHECK (time_zone <> ''),
    contract_id          text NOT NULL REFERENCES contracts (id),
    computed_by          text NOT NULL CHECK (computed_by <> ''),
    over                 boolean NOT NULL, -- the month had ended; otherwise the figures are to date
    currency             text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    phase                text NOT NULL,
    held                 text NOT NULL,
    low_performance      bigint NOT NULL CHECK (low_performance >= 0),
    low_fixed            bigint NOT NULL CHECK (low_fixed >= 0),
    low_balance          bigint NOT NULL CHECK (low_balance >= 0),
    expected_performance bigint NOT NULL CHECK (expected_performance >= 0),
    expected_fixed       bigint NOT NULL CHECK (expected_fixed >= 0),
    expected_balance     bigint NOT NULL CHECK (expected_balance >= 0),
    high                 bigint NOT NULL,
    lines                jsonb NOT NULL,
    waits_for            jsonb NOT NULL,
    input_digest         text NOT NULL CHECK (input_digest <> ''),
    digest               text NOT NULL CHECK (digest <> ''),
    PRIMARY KEY (account_id, period, as_of),
    UNIQUE (account_id, period, run),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    CHECK (period_start < period_end),
    CHECK (low_performance + low_fixed + low_balance <= expected_performance + expected_fixed + expected_balance),
    CHECK (expected_performance + expected_fixed + expected_balance <= high)
);
CREATE INDEX accruals_as_of ON accruals (as_of DESC, account_id, period);
CREATE TRIGGER accruals_append_only BEFORE UPDATE OR DELETE ON accruals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER accruals_no_truncate BEFORE TRUNCATE ON accruals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A month whose inputs are frozen has a cycle that says what it comes to.
-- +goose StatementBegin
CREATE FUNCTION refuse_accrual_of_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM cycles c WHERE c.account_id = NEW.account_id AND c.period = NEW.period AND c.watermark <= NEW.as_of) THEN
        RAISE EXCEPTION '% of account % is frozen', NEW.period, NEW.account_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER accruals_open_only BEFORE INSERT ON accruals FOR EACH ROW EXECUTE FUNCTION refuse_accrual_of_closed();

-- +goose Down
DROP TABLE accruals;
DROP FUNCTION refuse_accrual_of_closed();
