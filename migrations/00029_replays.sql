-- +goose Up
-- Months that were derived once more from their raw events, and what came out.
CREATE TABLE event_replays (
    seq        bigserial PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id),
    period     text NOT NULL,
    equal      boolean NOT NULL,
    report     jsonb NOT NULL,
    run_by     text NOT NULL CHECK (run_by <> ''),
    run_at     timestamptz NOT NULL
);
CREATE INDEX event_replays_account ON event_replays (account_id, seq DESC);
CREATE TRIGGER event_replays_append_only BEFORE UPDATE OR DELETE ON event_replays FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What a connection mapped by before a change: a replay reads a month as it was read then.
ALTER TABLE mapping_changes ADD COLUMN before jsonb NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE mapping_changes DROP COLUMN before;
DROP TABLE event_replays;
