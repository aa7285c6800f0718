-- +goose Up
-- The plan that a decision says it was made under; empty where the log does not say.
ALTER TABLE decisions ADD COLUMN plan_hash text NOT NULL DEFAULT '' CHECK (plan_hash = '' OR plan_hash ~ '^[0-9a-f]{64}$');

-- Refused rows of the decision log that are known by their ID. What is missing from the
-- log may be missing for a reason; a decision that is uploaded whole later counts again.
CREATE TABLE decision_refusals (
    account_id  text NOT NULL,
    environment text NOT NULL,
    decision_id text NOT NULL,
    unit_id     text NOT NULL,
    ts          timestamptz,
    field       text NOT NULL,
    code        text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, decision_id),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

-- With per-decision randomisation the probability of the baseline is a product that can
-- reach 0 or 1. Such a unit is stored, and the guardrail withholds (NOT_IDENTIFIED).
ALTER TABLE cycle_units DROP CONSTRAINT cycle_units_baseline_prob_check;
ALTER TABLE cycle_units ADD CONSTRAINT cycle_units_baseline_prob_check CHECK (baseline_prob >= 0 AND baseline_prob <= 1);

-- +goose Down
ALTER TABLE cycle_units DROP CONSTRAINT cycle_units_baseline_prob_check;
ALTER TABLE cycle_units ADD CONSTRAINT cycle_units_baseline_prob_check CHECK (baseline_prob > 0 AND baseline_prob < 1);
DROP TABLE decision_refusals;
ALTER TABLE decisions DROP COLUMN plan_hash;
