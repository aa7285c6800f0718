-- +goose Up
-- Counts how often a backfill began again, so that a step that was under way then ends without
-- booking, moving or closing anything.
ALTER TABLE backfills ADD COLUMN epoch integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE backfills DROP COLUMN epoch;
