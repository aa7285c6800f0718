-- +goose Up
-- How an event came in. Rows are still never updated: the first way counts.
ALTER TABLE stripe_events ADD COLUMN source text NOT NULL DEFAULT 'webhook'
    CHECK (source IN ('webhook', 'pull', 'backfill', 'resend'));

-- Facts from before the date on which an integrator lets the rewards begin are state,
-- and never rewarded.
ALTER TABLE reward_events ADD COLUMN historic boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE reward_events DROP COLUMN historic;
ALTER TABLE stripe_events DROP COLUMN source;
