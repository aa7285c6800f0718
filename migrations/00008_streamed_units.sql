-- +goose Up
-- A unit table is read in its canonical order, bucket by bucket, by as many workers as
-- there are: the order is the primary key, in byte order whatever the database's locale.
ALTER TABLE cycle_units DROP CONSTRAINT cycle_units_pkey;
ALTER TABLE cycle_units ALTER COLUMN unit_id TYPE text COLLATE "C";
ALTER TABLE cycle_units ADD COLUMN bucket smallint NOT NULL DEFAULT 0 CHECK (bucket BETWEEN 0 AND 255);
UPDATE cycle_units SET bucket = get_byte(sha256(convert_to(unit_id, 'UTF8')), 0);
ALTER TABLE cycle_units ALTER COLUMN bucket DROP DEFAULT;
ALTER TABLE cycle_units ADD PRIMARY KEY (cycle_id, snapshot_id, bucket, unit_id);

-- How the moments of a table are laid out: fixed with the table.
ALTER TABLE cycle_inputs ADD COLUMN layout text NOT NULL DEFAULT '';
ALTER TABLE cycle_inputs ALTER COLUMN layout DROP DEFAULT;

-- The moments of the buckets that were read, until the readouts are stored: what a
-- large table's workers leave for one another, and what a retry need not read again.
CREATE TABLE cycle_moments (
    cycle_id    text NOT NULL,
    snapshot_id text NOT NULL,
    bucket      smallint NOT NULL CHECK (bucket BETWEEN 0 AND 255),
    leaf        bytea NOT NULL CHECK (length(leaf) = 32),
    moments     bytea NOT NULL, -- empty: the bucket has no units
    PRIMARY KEY (cycle_id, snapshot_id, bucket),
    FOREIGN KEY (cycle_id, snapshot_id) REFERENCES cycle_inputs (cycle_id, snapshot_id)
);

-- +goose Down
DROP TABLE cycle_moments;
ALTER TABLE cycle_inputs DROP COLUMN layout;
ALTER TABLE cycle_units DROP CONSTRAINT cycle_units_pkey;
ALTER TABLE cycle_units DROP COLUMN bucket;
ALTER TABLE cycle_units ALTER COLUMN unit_id TYPE text;
ALTER TABLE cycle_units ADD PRIMARY KEY (cycle_id, snapshot_id, unit_id);
