-- +goose Up
CREATE TABLE cycles (
    id               text PRIMARY KEY,
    account_id       text NOT NULL,
    environment      text NOT NULL,
    period           text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    period_start     timestamptz NOT NULL,
    period_end       timestamptz NOT NULL,
    contract_id      text NOT NULL REFERENCES contracts (id),
    plan_id          text NOT NULL REFERENCES measurement_plans (id),
    state            text NOT NULL CHECK (state IN ('collecting', 'computing', 'proposed', 'writing', 'invoiced', 'withheld', 'dry_run', 'blocked', 'needs_human')),
    reason           text NOT NULL DEFAULT '',
    workflow_id      text NOT NULL DEFAULT '',
    watermark        timestamptz,          -- inputs are frozen up to here
    source_watermark timestamptz,          -- up to here the source is known to be complete
    input_digest     text NOT NULL DEFAULT '',
    paid_minor       bigint,               -- net paid revenue of the contract year to date, our facts
    stripe_net_minor bigint,               -- the same, re-read from Stripe's lists
    opened_at        timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    UNIQUE (account_id, period),
    UNIQUE (id, environment),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    CHECK (period_start < period_end),
    CHECK (environment = 'live' OR state NOT IN ('writing', 'invoiced')),
    CHECK (environment = 'test' OR state <> 'dry_run')
);
CREATE INDEX cycles_period ON cycles (period DESC, id);

-- Where every cent of the year's paid revenue ended: on one snapshot or in a named bucket.
CREATE TABLE cycle_buckets (
    cycle_id     text NOT NULL REFERENCES cycles (id),
    bucket       text NOT NULL,
    snapshot_id  text NOT NULL DEFAULT '',
    currency     text NOT NULL,
    amount_minor bigint NOT NULL,
    events       bigint NOT NULL,
    PRIMARY KEY (cycle_id, bucket, snapshot_id, currency)
);

-- The unit table of each readout, as it was estimated.
CREATE TABLE cycle_units (
    cycle_id    text NOT NULL,
    snapshot_id text NOT NULL,
    unit_id     text NOT NULL,
    holdout       boolean NOT NULL,
    baseline_prob double precision NOT NULL CHECK (baseline_prob > 0 AND baseline_prob < 1),
    y_minor       bigint NOT NULL,
    features      double precision[] NOT NULL,
    first_exposure timestamptz NOT NULL,
    PRIMARY KEY (cycle_id, snapshot_id, unit_id)
);

-- What the collection knew about each unit table: the inputs and the evidence for the guardrail.
CREATE TABLE cycle_inputs (
    cycle_id    text NOT NULL REFERENCES cycles (id),
    snapshot_id text NOT NULL,
    inputs      text NOT NULL,
    evidence    text NOT NULL,
    PRIMARY KEY (cycle_id, snapshot_id)
);

CREATE TABLE readouts (
    case_id          text PRIMARY KEY CHECK (length(case_id) = 26),
    previous_case_id text NOT NULL DEFAULT '',
    cycle_id         text NOT NULL,
    environment      text NOT NULL,
    account_id       text NOT NULL,
    snapshot_id      text NOT NULL, -- "pooled" for the portfolio
    period           text NOT NULL,
    currency         text NOT NULL,
    units            bigint NOT NULL,
    holdout_units    bigint NOT NULL,
    observed_minor   bigint NOT NULL,
    lift             double precision NOT NULL,
    counterfactual   double precision NOT NULL,
    se               double precision NOT NULL,
    variance_cr      double precision NOT NULL,
    variance_b       double precision NOT NULL,
    variance_0       double precision NOT NULL,
    interval_low     double precision NOT NULL,
    interval_high    double precision NOT NULL,
    bound            double precision NOT NULL,
    z                text NOT NULL,
    ess              double precision NOT NULL,
    verdict          text NOT NULL CHECK (verdict IN ('passed', 'withheld')),
    headline         text NOT NULL DEFAULT '',
    explanation      text NOT NULL,
    checks           jsonb NOT NULL,
    plan_hash        text NOT NULL,
    estimator        text NOT NULL,
    manifest         text NOT NULL,
    build            jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    UNIQUE (cycle_id, snapshot_id),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK ((verdict = 'passed') = (headline = ''))
);
CREATE INDEX readouts_account ON readouts (account_id, period DESC, snapshot_id);
CREATE TRIGGER readouts_append_only BEFORE UPDATE OR DELETE ON readouts FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What was settled for each snapshot. Only a passed readout can carry a fee.
CREATE TABLE cycle_lines (
    cycle_id         text NOT NULL,
    environment      text NOT NULL,
    snapshot_id      text NOT NULL,
    case_id          text NOT NULL REFERENCES readouts (case_id),
    verdict          text NOT NULL,
    measured_minor   bigint NOT NULL,
    bound_minor      bigint NOT NULL,
    high_water_from  bigint NOT NULL CHECK (high_water_from >= 0),
    high_water_to    bigint NOT NULL,
    base_minor       bigint NOT NULL CHECK (base_minor >= 0),
    deferred_minor   bigint NOT NULL CHECK (deferred_minor >= 0),
    fee_minor        bigint NOT NULL CHECK (fee_minor >= 0),
    reason           text NOT NULL DEFAULT '',
    PRIMARY KEY (cycle_id, snapshot_id),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK (verdict = 'passed' OR (base_minor = 0 AND fee_minor = 0)),
    CHECK (high_water_to = high_water_from + base_minor)
);

-- The order of operations, each step one row, so that a person can recompute it.
CREATE TABLE cycle_steps (
    cycle_id    text NOT NULL REFERENCES cycles (id),
    number      integer NOT NULL,
    name        text NOT NULL,
    snapshot_id text NOT NULL DEFAULT '',
    formula     text NOT NULL,
    inputs      text NOT NULL,
    result      text NOT NULL,
    PRIMARY KEY (cycle_id, number)
);

CREATE TABLE invoices (
    cycle_id    text PRIMARY KEY,
    environment text NOT NULL,
    currency    text NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    plan        text NOT NULL, -- canonical JSON of the invoice plan
    plan_hash   text NOT NULL,
    created_at  timestamptz NOT NULL,
    UNIQUE (cycle_id, environment),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment)
);

-- The one row that drives one Stripe invoice. livemode can only be true, and the
-- composite keys make a test account or a test connection unreachable from here.
CREATE TABLE writeback_intents (
    id                text PRIMARY KEY, -- UUIDv5 of the natural key below
    cycle_id          text NOT NULL UNIQUE,
    environment       text NOT NULL CHECK (environment = 'live'),
    livemode          boolean NOT NULL CHECK (livemode),
    account_id        text NOT NULL,
    issuer_connection text NOT NULL,
    customer          text NOT NULL,
    currency          text NOT NULL,
    period            text NOT NULL,
    part              text NOT NULL,
    plan_hash         text NOT NULL,
    total_minor       bigint NOT NULL CHECK (total_minor > 0),
    state             text NOT NULL CHECK (state IN ('planned', 'pinned', 'verified', 'finalized', 'released', 'needs_human')),
    generation        integer NOT NULL DEFAULT 0,
    indeterminate     integer NOT NULL DEFAULT 0, -- creates in a row whose answer was lost
    finalize_attempt  integer NOT NULL DEFAULT 0,
    invoice_id        text UNIQUE,
    number            text NOT NULL DEFAULT '',
    hosted_url        text NOT NULL DEFAULT '',
    pdf_url           text NOT NULL DEFAULT '',
    stripe_status     text NOT NULL DEFAULT '',
    stripe_total      bigint,
    finalized_at      timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    UNIQUE (issuer_connection, customer, currency, period, part),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    FOREIGN KEY (issuer_connection, environment) REFERENCES connections (id, environment),
    CHECK (state = 'planned' OR state = 'needs_human' OR invoice_id IS NOT NULL)
);

-- An invoice whose write-back has begun is evidence. Before that (a blocked cycle) only the
-- addressee may still change, never the total.
-- +goose StatementBegin
CREATE FUNCTION refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.total_minor <> OLD.total_minor OR NEW.currency <> OLD.currency
        OR EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = OLD.cycle_id) THEN
        RAISE EXCEPTION 'invoice of cycle % is append-only', OLD.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER invoices_append_only BEFORE UPDATE OR DELETE ON invoices FOR EACH ROW EXECUTE FUNCTION refuse_invoice_change();

CREATE TABLE writeback_lines (
    intent_id    text NOT NULL REFERENCES writeback_intents (id),
    line         text NOT NULL,
    stripe_id    text NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (intent_id, line)
);

CREATE TABLE writeback_attempts (
    id         bigserial PRIMARY KEY,
    intent_id  text NOT NULL REFERENCES writeback_intents (id),
    at         timestamptz NOT NULL,
    operation  text NOT NULL,
    outcome    text NOT NULL,
    request_id text NOT NULL DEFAULT ''
);
CREATE INDEX writeback_attempts_intent ON writeback_attempts (intent_id, id);

-- +goose Down
DROP TABLE writeback_attempts, writeback_lines, writeback_intents, invoices, cycle_steps, cycle_lines, readouts, cycle_inputs, cycle_units, cycle_buckets, cycles;
DROP FUNCTION refuse_invoice_change();
