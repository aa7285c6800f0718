-- +goose Up
-- From when on a policy snapshot was out of use. It changes nothing that was measured:
-- decisions of it after that moment are counted and shown.
CREATE TABLE snapshot_retirements (
    account_id  text NOT NULL,
    snapshot_id text NOT NULL,
    environment text NOT NULL,
    retired_at  timestamptz NOT NULL,
    reason      text NOT NULL CHECK (reason <> ''),
    retired_by  text NOT NULL CHECK (retired_by <> ''),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, snapshot_id),
    FOREIGN KEY (account_id, snapshot_id) REFERENCES policy_snapshots (account_id, id),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);
CREATE TRIGGER snapshot_retirements_append_only BEFORE UPDATE OR DELETE ON snapshot_retirements FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER snapshot_retirements_no_truncate BEFORE TRUNCATE ON snapshot_retirements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a snapshot decided, newest first.
CREATE INDEX decisions_snapshot ON decisions (account_id, snapshot_id, ts);

-- +goose Down
DROP INDEX decisions_snapshot;
DROP TABLE snapshot_retirements;
