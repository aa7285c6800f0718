-- +goose Up
-- The newest decisions about cycles are a page of the approvals.
CREATE INDEX cycle_decisions_newest ON cycle_decisions (at DESC);

-- +goose Down
DROP INDEX cycle_decisions_newest;
