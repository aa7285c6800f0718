-- +goose Up
-- What the facts of a large connection come to, by whether they are joined to users, as it stood at
-- a moment. Summing a million facts takes seconds; a page takes what is here and says of when it
-- is. Nothing is billed, compared or closed by these figures, each of them can be computed again, and
-- connections with few facts have none: theirs are summed when somebody asks.
CREATE TABLE coverage_runs (
    connection_id text PRIMARY KEY REFERENCES connections (id),
    as_of         timestamptz NOT NULL,
    facts         bigint NOT NULL CHECK (facts >= 0), -- how many there were
    changed_at    timestamptz                         -- when a person last changed whose the customers are
);

-- The figures of a run, one row for each month and one for all time, whose period is empty.
CREATE TABLE coverage_figures (
    connection_id text NOT NULL REFERENCES connections (id),
    period        text NOT NULL,
    starts        timestamptz NOT NULL,
    ends          timestamptz NOT NULL,
    coverage      jsonb NOT NULL,
    reasons       jsonb NOT NULL,
    gaps          jsonb NOT NULL,
    PRIMARY KEY (connection_id, period)
);

-- The customers behind the reasons.
CREATE TABLE coverage_customers (
    connection_id text NOT NULL REFERENCES connections (id),
    period        text NOT NULL,
    customer_id   text NOT NULL,
    reason        text NOT NULL,
    facts         bigint NOT NULL,
    amounts       text NOT NULL,
    PRIMARY KEY (connection_id, period, customer_id, reason)
);

-- The payments of the days before a moment, by connection.
CREATE TABLE payment_figures (
    connection_id text NOT NULL REFERENCES connections (id),
    currency      text NOT NULL,
    as_of         timestamptz NOT NULL,
    paid          bigint NOT NULL,
    paid_minor    bigint NOT NULL,
    failed        bigint NOT NULL,
    recovered     bigint NOT NULL,
    PRIMARY KEY (connection_id, currency)
);

-- +goose Down
DROP TABLE payment_figures, coverage_customers, coverage_figures, coverage_runs;
