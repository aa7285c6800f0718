-- +goose Up
-- Who may do what. Secrets are stored as SHA-256 of 256 random bits, passwords as
-- argon2id; neither can be read back.

CREATE TABLE users (
    id            text PRIMARY KEY,
    email         text NOT NULL UNIQUE CHECK (email = lower(email)),
    name          text NOT NULL,
    roles         text[] NOT NULL CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['viewer', 'finance', 'approver', 'admin']),
    all_accounts  boolean NOT NULL,
    accounts      text[] NOT NULL,
    environments  text[] NOT NULL CHECK (cardinality(environments) > 0 AND environments <@ ARRAY['live', 'test']),
    password_hash text NOT NULL DEFAULT '' CHECK (password_hash = '' OR password_hash LIKE '$argon2id$%'),
    oidc_issuer   text NOT NULL DEFAULT '',
    oidc_subject  text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    CHECK (all_accounts = (cardinality(accounts) = 0)),
    CHECK ((oidc_issuer = '') = (oidc_subject = '')),
    -- An administrator of less than everything could give themselves the rest.
    CHECK (NOT 'admin' = ANY (roles) OR (all_accounts AND environments @> ARRAY['live', 'test']))
);
CREATE UNIQUE INDEX users_identity ON users (oidc_issuer, oidc_subject) WHERE oidc_subject <> '';

CREATE TABLE api_tokens (
    id                text PRIMARY KEY,
    environment       text NOT NULL CHECK (environment IN ('live', 'test')),
    name              text NOT NULL,
    roles             text[] NOT NULL CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['viewer', 'finance', 'approver', 'admin', 'ingest']),
    accounts          text[] NOT NULL, -- empty: every account of the environment
    secret_hash       bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at        timestamptz NOT NULL,
    created_by_kind   text NOT NULL,
    created_by        text NOT NULL,
    created_by_name   text NOT NULL,
    created_by_person text NOT NULL,
    expires_at        timestamptz,
    last_used_at      timestamptz,
    revoked_at        timestamptz,
    replaced_by       text REFERENCES api_tokens (id)
);

CREATE TABLE sessions (
    secret_hash bytea PRIMARY KEY CHECK (length(secret_hash) = 32),
    user_id     text NOT NULL REFERENCES users (id),
    created_at  timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    by_link     boolean NOT NULL,
    client      text NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expired ON sessions (expires_at);

CREATE TABLE sign_in_links (
    secret_hash bytea PRIMARY KEY CHECK (length(secret_hash) = 32),
    user_id     text NOT NULL REFERENCES users (id),
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX sign_in_links_user ON sign_in_links (user_id) WHERE used_at IS NULL;

-- Attempts to sign in, under a hash of the e-mail address or of the client's address.
CREATE TABLE sign_in_locks (
    key          bytea PRIMARY KEY CHECK (length(key) = 32),
    failures     integer NOT NULL CHECK (failures >= 0),
    last_at      timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX sign_in_locks_last ON sign_in_locks (last_at);

-- +goose Down
DROP TABLE sign_in_locks, sign_in_links, sessions, api_tokens, users;
