-- +goose Up
-- Big tables are partitioned by month from the start. A partition is made when the
-- first row of its month arrives; whatever has a time outside every partition goes
-- to the default one and is still found.

-- +goose StatementBegin
CREATE FUNCTION ensure_month_partition(parent text, month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name  text := format('%s_%s', parent, to_char(first, 'YYYYMM'));
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass(name)) THEN
        RETURN;
    END IF;
    -- Two processes may meet a new month together: the second one waits here, and
    -- finds the table however early it looked.
    PERFORM pg_advisory_xact_lock(hashtext(name));
    BEGIN
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    EXCEPTION WHEN duplicate_table THEN
        NULL;
    END;
END $$;
-- +goose StatementEnd

CREATE TABLE stripe_events (
    connection_id text NOT NULL,
    environment   text NOT NULL CHECK (environment IN ('live', 'test')),
    event_id      text NOT NULL,
    created       timestamptz NOT NULL, -- Stripe's own
    type          text NOT NULL,
    object_id     text NOT NULL,
    api_version   text NOT NULL,
    livemode      boolean NOT NULL,
    sealed_body   bytea NOT NULL, -- the bytes as received, encrypted
    body_sha256   bytea NOT NULL CHECK (length(body_sha256) = 32),
    received_at   timestamptz NOT NULL,
    PRIMARY KEY (connection_id, event_id, created)
) PARTITION BY RANGE (created);
CREATE TABLE stripe_events_default PARTITION OF stripe_events DEFAULT;
CREATE INDEX stripe_events_newest ON stripe_events (connection_id, created DESC);

-- Processing status stands beside the raw rows, which are never updated.
CREATE TABLE event_processing (
    seq           bigserial PRIMARY KEY,
    connection_id text NOT NULL,
    event_id      text NOT NULL,
    created       timestamptz NOT NULL,
    status        text NOT NULL CHECK (status IN ('pending', 'processed', 'ignored', 'quarantined', 'dead')),
    reason        text NOT NULL DEFAULT '',
    processed_at  timestamptz,
    UNIQUE (connection_id, event_id, created)
);
CREATE INDEX event_processing_pending ON event_processing (seq) WHERE status = 'pending';
CREATE INDEX event_processing_attention ON event_processing (connection_id, seq) WHERE status IN ('dead', 'quarantined');

-- A fact is booked once per connection, however often and by whichever way it is told.
CREATE TABLE fact_keys (
    connection_id text NOT NULL,
    fact_key      text NOT NULL,
    PRIMARY KEY (connection_id, fact_key)
);

CREATE TABLE reward_events (
    connection_id   text NOT NULL,
    environment     text NOT NULL CHECK (environment IN ('live', 'test')),
    fact_key        text NOT NULL,
    kind            text NOT NULL,
    is_reward       boolean NOT NULL,
    object_id       text NOT NULL,
    customer_id     text NOT NULL DEFAULT '',
    subscription_id text NOT NULL DEFAULT '',
    invoice_id      text NOT NULL DEFAULT '',
    charge_id       text NOT NULL DEFAULT '',
    amount_minor    bigint,
    currency        text NOT NULL DEFAULT '',
    effective_at    timestamptz NOT NULL,
    event_id        text NOT NULL,
    detail          jsonb NOT NULL DEFAULT '{}',
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (connection_id, fact_key, effective_at),
    CHECK (amount_minor IS NULL OR currency <> '')
) PARTITION BY RANGE (effective_at);
CREATE TABLE reward_events_default PARTITION OF reward_events DEFAULT;
CREATE INDEX reward_events_newest ON reward_events (connection_id, effective_at DESC, fact_key);
CREATE INDEX reward_events_customer ON reward_events (connection_id, customer_id, effective_at);

-- customer.metadata.user_id over time. Facts keep their customer; the link says whose it was.
CREATE TABLE customer_links (
    connection_id text NOT NULL,
    customer_id   text NOT NULL,
    user_id       text NOT NULL, -- empty: the link was removed
    valid_from    timestamptz NOT NULL,
    event_id      text NOT NULL,
    PRIMARY KEY (connection_id, customer_id, valid_from)
);
CREATE INDEX customer_links_user ON customer_links (connection_id, user_id);

-- Objects that have to be read at Stripe before more can be said of a fact.
CREATE TABLE object_reads (
    connection_id text NOT NULL,
    object        text NOT NULL,
    object_id     text NOT NULL,
    reason        text NOT NULL,
    status        text NOT NULL CHECK (status IN ('pending', 'done', 'failed')),
    detail        text NOT NULL DEFAULT '',
    requested_at  timestamptz NOT NULL,
    done_at       timestamptz,
    PRIMARY KEY (connection_id, object, object_id)
);
CREATE INDEX object_reads_pending ON object_reads (connection_id) WHERE status = 'pending';

-- Whose money a charge was: what joins refunds and disputes to a customer.
CREATE TABLE charge_owners (
    connection_id text NOT NULL,
    charge_id     text NOT NULL,
    customer_id   text NOT NULL,
    invoice_id    text NOT NULL,
    own_invoice   boolean NOT NULL,
    PRIMARY KEY (connection_id, charge_id)
);

-- +goose Down
DROP TABLE charge_owners, object_reads, customer_links, reward_events, fact_keys, event_processing, stripe_events;
DROP FUNCTION ensure_month_partition(text, date);
