-- +goose Up
-- A statement that was read off an object says how things were at about valid_from, not
-- that they changed then.
ALTER TABLE mapping_statements ADD COLUMN seen boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE mapping_statements DROP COLUMN seen;
