-- +goose Up
-- The status of a subscription at a moment (Unix seconds), by its timeline; null before
-- the first one.
-- +goose StatementBegin
CREATE FUNCTION stripe_status_at(timeline json, at bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT e.step ->> 'is' FROM json_array_elements(timeline) WITH ORDINALITY AS e (step, n)
    WHERE (e.step ->> 'at')::bigint <= at AND e.step ->> 'void' IS NULL ORDER BY e.n DESC LIMIT 1
$$;
-- +goose StatementEnd

-- Whether it had been paying at some time up to that moment.
-- +goose StatementBegin
CREATE FUNCTION stripe_paying_until(timeline json, at bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM json_array_elements(timeline) AS e (step)
        WHERE (e.step ->> 'at')::bigint <= at AND e.step ->> 'void' IS NULL AND e.step ->> 'is' IN ('active', 'past_due'))
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION stripe_status_at(json, bigint);
DROP FUNCTION stripe_paying_until(json, bigint);
