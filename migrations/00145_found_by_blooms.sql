-- +goose Up
-- What an event is about, which type it has and which fact it told is asked of the log by hand
-- only, and a sorted index of any of them costs at every event. A block range index costs
-- nothing when a row is written: a range is summarized once it is full. Its Bloom filters say
-- of 64 pages of the table whether a value may be in them; one in thousands says so wrongly. A range without a summary is read; the worker summarizes what filled up, because
-- autovacuum drops the requests that it gets more of than it keeps.
CREATE INDEX stripe_events_found ON stripe_events USING brin (
    object_id text_bloom_ops (n_distinct_per_range = 2900, false_positive_rate = 0.0001),
    type text_bloom_ops (n_distinct_per_range = 64, false_positive_rate = 0.001),
    created
) WITH (pages_per_range = 64);
CREATE INDEX reward_events_found ON reward_events USING brin (
    object_id text_bloom_ops (n_distinct_per_range = 2080, false_positive_rate = 0.001),
    event_id text_bloom_ops (n_distinct_per_range = 2080, false_positive_rate = 0.001)
) WITH (pages_per_range = 64);

-- The planner takes a Bloom filter for one that every range passes. Each function asks for
-- one value by it, and plans once for a session.
-- +goose StatementBegin
CREATE FUNCTION stripe_events_about(object text, since timestamptz, until timestamptz)
    RETURNS TABLE (connection_id text, created timestamptz, event_id text) LANGUAGE plpgsql STABLE STRICT ROWS 20
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.connection_id, e.created, e.event_id FROM stripe_events e WHERE e.object_id = object AND e.created >= since AND e.created < until;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION stripe_events_of_type(sought text, since timestamptz, until timestamptz)
    RETURNS TABLE (connection_id text, created timestamptz, event_id text) LANGUAGE plpgsql STABLE STRICT ROWS 200
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.connection_id, e.created, e.event_id FROM stripe_events e WHERE e.type = sought AND e.created >= since AND e.created < until;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION stripe_events_have_type(sought text, since timestamptz, until timestamptz)
    RETURNS boolean LANGUAGE plpgsql STABLE STRICT
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM stripe_events e WHERE e.type = sought AND e.created >= since AND e.created < until);
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION reward_events_about(object text)
    RETURNS TABLE (connection_id text, effective_at timestamptz, fact_key text) LANGUAGE plpgsql STABLE STRICT ROWS 20
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.connection_id, e.effective_at, e.fact_key FROM reward_events e WHERE e.object_id = object;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION reward_events_told_by(event text)
    RETURNS TABLE (connection_id text, effective_at timestamptz, fact_key text) LANGUAGE plpgsql STABLE STRICT ROWS 20
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.connection_id, e.effective_at, e.fact_key FROM reward_events e WHERE e.event_id = event;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION reward_events_told_by(text), reward_events_about(text), stripe_events_have_type(text, timestamptz, timestamptz), stripe_events_of_type(text, timestamptz, timestamptz), stripe_events_about(text, timestamptz, timestamptz);
DROP INDEX reward_events_found, stripe_events_found;
