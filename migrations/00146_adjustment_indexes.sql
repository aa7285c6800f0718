-- +goose Up
-- The newest looks at settled years, corrections and adjustments are what a page of
-- adjustments begins with; the charge that has one as its line says what became of it.
CREATE INDEX true_ups_newest ON true_ups (recorded_at DESC);
CREATE INDEX true_ups_account ON true_ups (account_id, recorded_at DESC);
CREATE INDEX corrections_newest ON corrections (proposed_at DESC);
CREATE INDEX adjustments_corrections ON adjustments (recorded_at DESC) WHERE reason = 'correction';
CREATE INDEX cycle_charges_adjustment ON all_cycle_charges (line) WHERE line LIKE 'fee:adjustment:%';

-- +goose Down
DROP INDEX cycle_charges_adjustment, adjustments_corrections, corrections_newest, true_ups_account, true_ups_newest;
