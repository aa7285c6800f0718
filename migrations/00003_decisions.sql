-- +goose Up
CREATE TABLE decision_keys (
    account_id  text NOT NULL,
    decision_id text NOT NULL,
    PRIMARY KEY (account_id, decision_id)
);

CREATE TABLE decisions (
    account_id       text NOT NULL,
    environment      text NOT NULL CHECK (environment IN ('live', 'test')),
    decision_id      text NOT NULL,
    unit_id          text NOT NULL,
    user_id          text NOT NULL,
    snapshot_id      text NOT NULL,
    ts               timestamptz NOT NULL,
    arm              text NOT NULL CHECK (arm IN ('policy', 'holdout')),
    arm_prob         double precision NOT NULL CHECK (arm_prob > 0 AND arm_prob < 1),
    action           text NOT NULL,
    baseline_action  text NOT NULL,
    eligible_actions text[] NOT NULL,
    propensity       double precision[] NOT NULL CHECK (cardinality(propensity) = cardinality(eligible_actions)),
    features         jsonb NOT NULL,
    salt_commitment  text NOT NULL DEFAULT '',
    surface          text NOT NULL DEFAULT '',
    sdk_version      text NOT NULL DEFAULT '',
    seq_no           bigint,
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (account_id, decision_id, ts)
) PARTITION BY RANGE (ts);
CREATE TABLE decisions_default PARTITION OF decisions DEFAULT;
CREATE INDEX decisions_unit ON decisions (account_id, unit_id, ts);
CREATE INDEX decisions_user ON decisions (account_id, user_id);

-- +goose Down
DROP TABLE decisions, decision_keys;
