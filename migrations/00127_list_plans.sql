-- +goose Up
-- The newest event of each connection, which the overview and the health of the ingest show
-- for all of them, and a connection's own log. By the order of the whole log a connection
-- with few events was found only after those of all others.
CREATE INDEX stripe_events_connection ON stripe_events (connection_id, created DESC, event_id DESC);

-- +goose Down
DROP INDEX stripe_events_connection;
