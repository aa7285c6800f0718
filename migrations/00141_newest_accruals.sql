-- +goose Up
-- The newest accrual of each month. Every night adds one to each open month, and a list of
-- months would look at all of them to find the newest.
CREATE TABLE accrual_newest (
    account_id  text NOT NULL,
    period      text NOT NULL,
    environment text NOT NULL,
    as_of       timestamptz NOT NULL,
    PRIMARY KEY (account_id, period),
    FOREIGN KEY (account_id, period, as_of) REFERENCES accruals (account_id, period, as_of)
);
CREATE INDEX accrual_newest_as_of ON accrual_newest (as_of DESC, account_id, period);

INSERT INTO accrual_newest SELECT account_id, period, min(environment), max(as_of) FROM accruals GROUP BY account_id, period;

-- +goose StatementBegin
CREATE FUNCTION point_at_newest_accrual() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO accrual_newest AS n (account_id, period, environment, as_of) VALUES (NEW.account_id, NEW.period, NEW.environment, NEW.as_of)
    ON CONFLICT (account_id, period) DO UPDATE SET as_of = excluded.as_of WHERE n.as_of < excluded.as_of;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER accruals_newest AFTER INSERT ON accruals FOR EACH ROW EXECUTE FUNCTION point_at_newest_accrual();

-- +goose Down
DROP TRIGGER accruals_newest ON accruals;
DROP FUNCTION point_at_newest_accrual();
DROP TABLE accrual_newest;
