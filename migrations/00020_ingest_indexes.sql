-- +goose Up
-- Every index costs at every event. A key whose second column is the time serves both
-- uniqueness and the newest-first pages, and grows at its end.
ALTER TABLE stripe_events DROP CONSTRAINT stripe_events_pkey;
ALTER TABLE stripe_events ADD PRIMARY KEY (connection_id, created, event_id);
DROP INDEX stripe_events_newest;
ALTER TABLE reward_events DROP CONSTRAINT reward_events_pkey;
ALTER TABLE reward_events ADD PRIMARY KEY (connection_id, effective_at, fact_key);
DROP INDEX reward_events_newest;

-- A sealed body cannot be compressed any more; trying to costs more than storing it.
ALTER TABLE stripe_events ALTER COLUMN sealed_body SET STORAGE EXTERNAL;

-- +goose Down
ALTER TABLE stripe_events ALTER COLUMN sealed_body SET STORAGE EXTENDED;
CREATE INDEX reward_events_newest ON reward_events (connection_id, effective_at DESC, fact_key);
ALTER TABLE reward_events DROP CONSTRAINT reward_events_pkey;
ALTER TABLE reward_events ADD PRIMARY KEY (connection_id, fact_key, effective_at);
CREATE INDEX stripe_events_newest ON stripe_events (connection_id, created DESC);
ALTER TABLE stripe_events DROP CONSTRAINT stripe_events_pkey;
ALTER TABLE stripe_events ADD PRIMARY KEY (connection_id, event_id, created);
