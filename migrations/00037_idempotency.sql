-- +goose Up
-- Answers to requests that carried an Idempotency-Key, kept for a day. A row without
-- an answer is a request under way; whoever finds it again after its lease takes it over.
CREATE TABLE idempotency_keys (
    principal   text NOT NULL,
    key         text NOT NULL,
    route       text NOT NULL,
    lease       text NOT NULL, -- which attempt may write the answer
    lease_until timestamptz NOT NULL,
    body_sha256 bytea CHECK (length(body_sha256) = 32),
    answer      bytea, -- status, headers and body, sealed: a new token's text may be in it
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (principal, key),
    CHECK ((body_sha256 IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
