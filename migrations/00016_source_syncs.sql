-- +goose Up
-- Where each source connection stands: what a person decided, what was read, what is next.
CREATE TABLE source_syncs (
    connection_id    text PRIMARY KEY,
    environment      text NOT NULL,
    enabled          boolean NOT NULL,
    pull             text NOT NULL CHECK (pull IN ('auto', 'always')),
    interval_seconds integer NOT NULL CHECK (interval_seconds BETWEEN 60 AND 86400),
    connected_at     timestamptz NOT NULL,
    sync_start       timestamptz, -- facts before it are historic; null: nobody asked for history
    events_horizon   timestamptz NOT NULL, -- events tell everything from here on, but for source_gaps
    listed           boolean NOT NULL DEFAULT false, -- lists were read for what lies before the horizon
    high_water       timestamptz NOT NULL, -- Stripe's events were read up to here without a hole
    idle             integer NOT NULL DEFAULT 0,
    failures         integer NOT NULL DEFAULT 0,
    retry_at         timestamptz,
    problem          jsonb, -- code, message, action, at
    next_pull        timestamptz NOT NULL,
    next_hourly      timestamptz NOT NULL,
    next_daily       timestamptz NOT NULL,
    resume_at        timestamptz,
    resume_task      text NOT NULL DEFAULT '',
    next_at          timestamptz, -- the earliest of the above; null: never
    last_pull        jsonb, -- the newest run that ended well: task, at, seen, new, missed
    last_check       jsonb,
    updated_at       timestamptz NOT NULL,
    FOREIGN KEY (connection_id, environment) REFERENCES connections (id, environment)
);
CREATE INDEX source_syncs_due ON source_syncs (environment, connection_id) WHERE next_at IS NOT NULL;

-- Stretches that no event tells: the source was not read for longer than Stripe keeps events.
CREATE TABLE source_gaps (
    connection_id text NOT NULL REFERENCES source_syncs (connection_id),
    starts        timestamptz NOT NULL,
    ends          timestamptz NOT NULL,
    delivered     boolean NOT NULL, -- a webhook endpoint was there all along
    listed        boolean NOT NULL DEFAULT false,
    found_at      timestamptz NOT NULL,
    PRIMARY KEY (connection_id, starts),
    CHECK (starts < ends)
);

-- Events that a check found and that should have come before.
CREATE TABLE missed_events (
    connection_id text NOT NULL,
    event_id      text NOT NULL,
    type          text NOT NULL,
    created       timestamptz NOT NULL,
    found_at      timestamptz NOT NULL,
    PRIMARY KEY (connection_id, event_id)
);
CREATE INDEX missed_events_newest ON missed_events (connection_id, found_at DESC);

-- GET requests by day, for Stripe's read allowance over a rolling 30 days.
CREATE TABLE source_reads (
    connection_id text NOT NULL,
    day           date NOT NULL,
    reads         bigint NOT NULL CHECK (reads >= 0),
    PRIMARY KEY (connection_id, day)
);

-- +goose Down
DROP TABLE source_reads, missed_events, source_gaps, source_syncs;
