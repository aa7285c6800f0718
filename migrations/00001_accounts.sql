-- +goose Up
-- Every row belongs to one environment. Composite keys (id, environment) are what
-- other tables refer to, so that a test row can never point at a live one.

CREATE TABLE connections (
    id                text PRIMARY KEY,
    environment       text NOT NULL CHECK (environment IN ('live', 'test')),
    role_source       boolean NOT NULL,
    role_issuer       boolean NOT NULL,
    stripe_account_id text NOT NULL,
    sealed_key        bytea NOT NULL,
    key_mask          text NOT NULL CHECK (length(key_mask) <= 16),
    publishable_key   text NOT NULL DEFAULT '',
    user_id_key       text NOT NULL,
    paused            boolean NOT NULL DEFAULT false,
    created_at        timestamptz NOT NULL,
    UNIQUE (id, environment),
    CHECK (role_source OR role_issuer)
);

CREATE TABLE webhook_endpoints (
    id              text PRIMARY KEY,
    connection_id   text NOT NULL UNIQUE,
    environment     text NOT NULL,
    url             text NOT NULL,
    stripe_id       text NOT NULL,
    sealed_secret   bytea NOT NULL,
    sealed_previous bytea,
    created_at      timestamptz NOT NULL,
    FOREIGN KEY (connection_id, environment) REFERENCES connections (id, environment)
);

CREATE TABLE accounts (
    id                text PRIMARY KEY,
    environment       text NOT NULL CHECK (environment IN ('live', 'test')),
    name              text NOT NULL,
    source_connection text NOT NULL,
    issuer_connection text,
    payer_customer    text,
    created_at        timestamptz NOT NULL,
    UNIQUE (id, environment),
    FOREIGN KEY (source_connection, environment) REFERENCES connections (id, environment),
    FOREIGN KEY (issuer_connection, environment) REFERENCES connections (id, environment),
    CHECK (payer_customer IS NULL OR issuer_connection IS NOT NULL)
);
-- One Stripe account's revenue is measured for one account.
CREATE UNIQUE INDEX accounts_source ON accounts (source_connection);

CREATE TABLE contracts (
    id          text PRIMARY KEY,
    account_id  text NOT NULL,
    environment text NOT NULL,
    version     integer NOT NULL CHECK (version >= 1),
    terms       text NOT NULL, -- canonical JSON, byte for byte as hashed
    terms_hash  text NOT NULL,
    time_zone   text NOT NULL,
    close_lag_days integer NOT NULL CHECK (close_lag_days >= 3),
    first_period text NOT NULL CHECK (first_period ~ '^\d{4}-\d{2}$'),
    created_at  timestamptz NOT NULL,
    UNIQUE (account_id, version),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

CREATE TABLE measurement_plans (
    id          text PRIMARY KEY,
    account_id  text NOT NULL,
    environment text NOT NULL,
    version     integer NOT NULL CHECK (version >= 1),
    plan        text NOT NULL, -- canonical JSON, byte for byte as hashed
    plan_hash   text NOT NULL,
    sealed_at   timestamptz NOT NULL,
    sealed_salt bytea NOT NULL,
    UNIQUE (account_id, version),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

CREATE TABLE policy_snapshots (
    account_id  text NOT NULL,
    id          text NOT NULL,
    environment text NOT NULL,
    name        text NOT NULL,
    shipped_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

-- Agreements are evidence: what is stored is never changed or removed.
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd

CREATE TRIGGER contracts_append_only BEFORE UPDATE OR DELETE ON contracts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plans_append_only BEFORE UPDATE OR DELETE ON measurement_plans FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER snapshots_append_only BEFORE UPDATE OR DELETE ON policy_snapshots FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE policy_snapshots, measurement_plans, contracts, accounts, webhook_endpoints, connections;
DROP FUNCTION refuse_change();
