-- +goose Up
-- The close board shows beside each month what was found to be due of it since.
CREATE INDEX adjustments_origin ON adjustments (origin_cycle);
-- A readout that was measured again is looked up by its case ID.
CREATE INDEX true_up_readouts_case ON true_up_readouts (case_id);

-- +goose Down
DROP INDEX true_up_readouts_case;
DROP INDEX adjustments_origin;
