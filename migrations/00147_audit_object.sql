-- +goose Up
-- An object's entries are asked for by its ID alone, too.
CREATE INDEX audit_log_object_id ON audit_log (object_id, at DESC, chain DESC, seq DESC);

-- +goose Down
DROP INDEX audit_log_object_id;
