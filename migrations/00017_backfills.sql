-- +goose Up
CREATE TABLE backfills (
    id            text PRIMARY KEY,
    connection_id text NOT NULL REFERENCES source_syncs (connection_id),
    environment   text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('requested', 'gap')),
    state         text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    starts        timestamptz NOT NULL,
    until         timestamptz NOT NULL,
    resource      text NOT NULL, -- the one that is being read
    reason        jsonb,
    requested_at  timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    done_at       timestamptz
);
-- One at a time; a failed one waits to be asked for again.
CREATE UNIQUE INDEX backfills_open ON backfills (connection_id) WHERE state <> 'done';
CREATE INDEX backfills_running ON backfills (environment, connection_id) WHERE state = 'running';

-- How far each stretch of a resource was read. It is written with what was booked, so
-- that a reader that dies goes on behind its last page.
CREATE TABLE backfill_windows (
    backfill_id  text NOT NULL REFERENCES backfills (id) ON DELETE CASCADE,
    resource     text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end   timestamptz NOT NULL,
    after_id     text NOT NULL DEFAULT '',
    pages        integer NOT NULL DEFAULT 0,
    objects      integer NOT NULL DEFAULT 0,
    facts        integer NOT NULL DEFAULT 0,
    done         boolean NOT NULL DEFAULT false,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (backfill_id, resource, window_start)
);

-- The plan that each regular invoice billed: what upgrades and downgrades before the
-- events are concluded from.
CREATE TABLE billed_plans (
    connection_id   text NOT NULL,
    subscription_id text NOT NULL,
    invoice_id      text NOT NULL,
    customer_id     text NOT NULL,
    currency        text NOT NULL,
    billed_from     timestamptz NOT NULL,
    signature       text NOT NULL,
    monthly_minor   numeric NOT NULL,
    known           boolean NOT NULL,
    trial           boolean NOT NULL,
    PRIMARY KEY (connection_id, subscription_id, invoice_id)
);

-- +goose Down
DROP TABLE billed_plans, backfill_windows, backfills;
