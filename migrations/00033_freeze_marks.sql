-- +goose Up
-- Up to when the inputs of a connection ('c:ID') or of an account's decision log ('a:ID')
-- were frozen last. Whoever writes inputs takes the lock of its subjects shared, and dates
-- what it writes behind their marks; whoever freezes takes it alone for a moment. So every
-- row dated up to a watermark was committed when the watermark was read, and whoever reads
-- again up to that watermark reads the same rows.
CREATE TABLE freeze_marks (
    subject text PRIMARY KEY,
    mark    timestamptz NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION after_freeze(subjects text[], at timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('liftbill:freeze:' || s, 0)) FROM (SELECT DISTINCT s FROM unnest(subjects) AS s ORDER BY s) AS x;
    RETURN greatest(at, (SELECT max(mark) + interval '1 microsecond' FROM freeze_marks WHERE subject = ANY (subjects)));
END $$;

CREATE FUNCTION freeze(subjects text[], at timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    watermark timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('liftbill:freeze:' || s, 0)) FROM (SELECT DISTINCT s FROM unnest(subjects) AS s ORDER BY s) AS x;
    watermark := greatest(at, (SELECT max(mark) + interval '1 microsecond' FROM freeze_marks WHERE subject = ANY (subjects)));
    INSERT INTO freeze_marks (subject, mark) SELECT DISTINCT s, watermark FROM unnest(subjects) AS s
    ON CONFLICT (subject) DO UPDATE SET mark = EXCLUDED.mark;
    RETURN watermark;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION freeze(text[], timestamptz);
DROP FUNCTION after_freeze(text[], timestamptz);
DROP TABLE freeze_marks;
