-- +goose Up
-- Whose raw bodies were erased, when and by whom. What stays of an event is its row, with
-- the digest of the body, and the facts.
CREATE TABLE retention_runs (
    seq        bigserial PRIMARY KEY,
    partition  text NOT NULL,
    events     bigint NOT NULL, -- whose bodies were erased
    kept       bigint NOT NULL, -- whose bodies somebody still has to look at
    bytes      bigint NOT NULL,
    older_than timestamptz NOT NULL,
    erased_by  text NOT NULL CHECK (erased_by <> ''),
    erased_at  timestamptz NOT NULL
);
CREATE TRIGGER retention_runs_append_only BEFORE UPDATE OR DELETE ON retention_runs FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE retention_runs;
