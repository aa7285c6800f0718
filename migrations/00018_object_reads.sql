-- +goose Up
-- A read that fails is tried again later and later, and in the end handed to a person.
ALTER TABLE object_reads ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE object_reads ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE object_reads ADD COLUMN next_action text NOT NULL DEFAULT '';
DROP INDEX object_reads_pending;
CREATE INDEX object_reads_pending ON object_reads (connection_id, object, object_id) WHERE status = 'pending';
CREATE INDEX object_reads_failed ON object_reads (connection_id) WHERE status = 'failed';

-- +goose Down
DROP INDEX object_reads_failed;
DROP INDEX object_reads_pending;
CREATE INDEX object_reads_pending ON object_reads (connection_id) WHERE status = 'pending';
ALTER TABLE object_reads DROP COLUMN next_action;
ALTER TABLE object_reads DROP COLUMN next_attempt_at;
ALTER TABLE object_reads DROP COLUMN attempts;
