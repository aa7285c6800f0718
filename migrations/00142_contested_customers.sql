-- +goose Up
-- Whose customers are contested is asked with every cycle; they are few of all.
CREATE INDEX mapping_spans_contested ON mapping_spans (connection_id, subject_id) WHERE state = 'conflict';

-- +goose Down
DROP INDEX mapping_spans_contested;
