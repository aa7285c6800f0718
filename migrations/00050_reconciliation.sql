-- +goose Up
-- A run compares one account's period with Stripe. What it read is staged per run and
-- replaced by the next one.
CREATE TABLE recon_runs (
    id           bigserial PRIMARY KEY,
    account_id   text NOT NULL,
    environment  text NOT NULL,
    period       text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    state        text NOT NULL CHECK (state IN ('running', 'complete', 'failed')),
    requested_by text NOT NULL CHECK (requested_by <> ''),
    started_at   timestamptz NOT NULL,
    beat_at      timestamptz NOT NULL, -- when it was last known to work
    finished_at  timestamptz,
    reads        integer NOT NULL DEFAULT 0, -- requests that it sent
    objects      bigint NOT NULL DEFAULT 0,  -- objects that it staged
    found        integer NOT NULL DEFAULT 0, -- breaks that are there
    fresh        integer NOT NULL DEFAULT 0, -- of them those that were not there before
    code         text NOT NULL DEFAULT '',   -- why it failed
    message      text NOT NULL DEFAULT '',
    action       text NOT NULL DEFAULT '',
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX recon_runs_one ON recon_runs (account_id, period) WHERE state = 'running';
CREATE INDEX recon_runs_newest ON recon_runs (account_id, period, id DESC);

-- What both sides summed up to when a run was complete.
CREATE TABLE recon_sums (
    run_id        bigint NOT NULL REFERENCES recon_runs (id),
    line          text NOT NULL CHECK (line IN ('revenue', 'refunds', 'disputes', 'invoice')),
    currency      text NOT NULL,
    left_minor    bigint NOT NULL,
    right_minor   bigint NOT NULL,
    left_objects  bigint NOT NULL,
    right_objects bigint NOT NULL,
    PRIMARY KEY (run_id, line, currency)
);
CREATE TRIGGER recon_sums_append_only BEFORE UPDATE OR DELETE ON recon_sums FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Objects as Stripe showed them to a run. It is a working copy: what a crash takes away,
-- the next run reads again.
CREATE UNLOGGED TABLE recon_objects (
    run_id            bigint NOT NULL,
    kind              text NOT NULL,
    id                text NOT NULL,
    status            text NOT NULL,
    net_minor         bigint NOT NULL,
    cash_minor        bigint NOT NULL,
    out_of_band_minor bigint NOT NULL,
    tax_minor         bigint NOT NULL,
    balanced          boolean NOT NULL,
    currency          text NOT NULL,
    customer_id       text NOT NULL,
    charge_id         text NOT NULL,
    at                timestamptz NOT NULL,
    undone_at         timestamptz,
    taken_back        boolean NOT NULL,
    own               boolean NOT NULL,
    livemode          boolean NOT NULL,
    PRIMARY KEY (run_id, kind, id)
);
CREATE INDEX recon_objects_at ON recon_objects (run_id, kind, at);

-- The staged payments, digested as they are staged: by quarters of an hour and currency
-- their number, the exclusive or of a hash of each, and their sum. odd: one of them cannot
-- be judged by a digest.
CREATE UNLOGGED TABLE recon_digests (
    run_id   bigint NOT NULL,
    currency text NOT NULL,
    bucket   bigint NOT NULL,
    n        bigint NOT NULL,
    x        bigint NOT NULL,
    sum_minor bigint NOT NULL,
    odd      boolean NOT NULL,
    PRIMARY KEY (run_id, currency, bucket)
);

-- The differences, each once: an account's period, a type and a subject name it. The row
-- says where it stands; recon_break_changes says how it came there.
CREATE TABLE recon_breaks (
    id                text PRIMARY KEY CHECK (length(id) = 26),
    account_id        text NOT NULL,
    environment       text NOT NULL,
    period            text NOT NULL,
    type              text NOT NULL,
    subject           text NOT NULL,
    severity          text NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    line              text NOT NULL CHECK (line IN ('', 'revenue', 'refunds', 'disputes', 'invoice')),
    left_source       text NOT NULL,
    left_id           text NOT NULL,
    left_minor        bigint,
    left_currency     text NOT NULL,
    left_counted      bigint NOT NULL,
    right_source      text NOT NULL,
    right_id          text NOT NULL,
    right_minor       bigint,
    right_currency    text NOT NULL,
    right_counted     bigint NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    currency          text NOT NULL,
    customer_id       text NOT NULL,
    detail            text NOT NULL,
    target_connection text NOT NULL,
    target_object     text NOT NULL,
    target_id         text NOT NULL,
    state             text NOT NULL CHECK (state IN ('open', 'assigned', 'waiting', 'force_requested', 'resolved', 'forced', 'auto_repaired', 'gone')),
    owner             text NOT NULL,
    reason            text NOT NULL,
    first_seen        timestamptz NOT NULL,
    last_seen         timestamptz NOT NULL,
    fingerprint       text NOT NULL,
    requested_by      text NOT NULL,
    requested_person  text NOT NULL,
    forced_by         text NOT NULL,
    forced_person     text NOT NULL,
    updated_at        timestamptz NOT NULL,
    UNIQUE (account_id, period, type, subject),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    -- Forced is what two persons have done, and nothing else.
    CHECK ((state = 'forced') = (forced_by <> '')),
    CHECK (forced_by = '' OR (forced_person <> '' AND requested_by <> '' AND forced_by <> requested_by AND forced_person <> requested_person)),
    CHECK (state <> 'resolved' OR severity <> 'critical'),
    CHECK ((state IN ('resolved', 'forced', 'force_requested')) <= (reason <> ''))
);
CREATE INDEX recon_breaks_newest ON recon_breaks (first_seen DESC, id DESC);
CREATE INDEX recon_breaks_pending ON recon_breaks (account_id, period) WHERE state IN ('open', 'assigned', 'waiting', 'force_requested');

CREATE TABLE recon_break_changes (
    seq         bigserial PRIMARY KEY,
    break_id    text NOT NULL REFERENCES recon_breaks (id),
    action      text NOT NULL,
    from_state  text NOT NULL,
    to_state    text NOT NULL,
    actor       text NOT NULL CHECK (actor <> ''),
    person      text NOT NULL,
    at          timestamptz NOT NULL,
    reason      text NOT NULL,
    body        text NOT NULL,
    link        text NOT NULL,
    owner       text NOT NULL,
    left_minor  bigint,
    right_minor bigint
);
CREATE INDEX recon_break_changes_break ON recon_break_changes (break_id, seq);
CREATE TRIGGER recon_break_changes_append_only BEFORE UPDATE OR DELETE ON recon_break_changes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER recon_break_changes_no_truncate BEFORE TRUNCATE ON recon_break_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What an account's term allows to differ; the newest row counts.
CREATE TABLE recon_tolerances (
    seq              bigserial PRIMARY KEY,
    account_id       text NOT NULL REFERENCES accounts (id),
    per_object_minor bigint NOT NULL CHECK (per_object_minor >= 0),
    per_period_minor bigint NOT NULL CHECK (per_period_minor >= per_object_minor),
    cut_off_minutes  integer NOT NULL CHECK (cut_off_minutes BETWEEN 0 AND 4320),
    stated_by        text NOT NULL CHECK (stated_by <> ''),
    reason           text NOT NULL CHECK (reason <> ''),
    stated_at        timestamptz NOT NULL
);
CREATE INDEX recon_tolerances_newest ON recon_tolerances (account_id, seq DESC);
CREATE TRIGGER recon_tolerances_append_only BEFORE UPDATE OR DELETE ON recon_tolerances FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Money that goes back is a small part of all facts, and is looked at over long spans.
CREATE INDEX reward_events_returns ON reward_events (connection_id, effective_at)
    WHERE kind IN ('refund', 'dispute', 'dispute_won', 'dispute_lost');

-- +goose Down
DROP INDEX reward_events_returns;
DROP TABLE recon_tolerances, recon_break_changes, recon_breaks, recon_digests, recon_objects, recon_sums, recon_runs;
