-- +goose Up
-- How often an event was classified, and when for the first time: a later reading of it
-- does not change what a frozen month knew.
ALTER TABLE event_processing
    ADD COLUMN attempts           integer NOT NULL DEFAULT 0,
    ADD COLUMN first_processed_at timestamptz;
-- Rows are written in about the order of their time, so that a block range index is enough
-- to find the last hour's, and costs next to nothing.
CREATE INDEX event_processing_recent ON event_processing USING brin (processed_at) WITH (autosummarize = on, pages_per_range = 32);

-- How an event came here: webhook, pull, backfill or resend.
ALTER TABLE stripe_events ADD COLUMN IF NOT EXISTS source text NOT NULL DEFAULT 'webhook';

-- Who had what classified again, and why.
CREATE TABLE reprocess_requests (
    seq          bigserial PRIMARY KEY,
    selection    jsonb NOT NULL,
    events       bigint NOT NULL,
    requested_by text NOT NULL CHECK (requested_by <> ''),
    reason       text NOT NULL CHECK (reason <> ''),
    requested_at timestamptz NOT NULL
);
CREATE TRIGGER reprocess_requests_append_only BEFORE UPDATE OR DELETE ON reprocess_requests FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE reprocess_requests;
DROP INDEX event_processing_recent;
ALTER TABLE event_processing DROP COLUMN attempts, DROP COLUMN first_processed_at;
