-- +goose Up
-- What is too much to be counted while a person waits: the decisions of an account, and what all
-- its customers pay a month. It is counted once a day, with a comparison; nothing rests on it.
CREATE TABLE account_figures (
    account_id text PRIMARY KEY REFERENCES accounts (id),
    at         timestamptz NOT NULL,
    decisions  bigint NOT NULL CHECK (decisions >= 0),
    worth      jsonb NOT NULL
);

-- +goose Down
DROP TABLE account_figures;
