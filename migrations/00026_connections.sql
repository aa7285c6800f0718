-- +goose Up
-- Why a connection does not run, and since when. Events are stored meanwhile.
ALTER TABLE connections
    ADD COLUMN paused_reason text NOT NULL DEFAULT '',
    ADD COLUMN paused_by     text NOT NULL DEFAULT '',
    ADD COLUMN paused_at     timestamptz;

-- What Stripe said of a connection's key when it was last asked.
CREATE TABLE connection_checks (
    connection_id text PRIMARY KEY REFERENCES connections (id),
    key_mask      text NOT NULL, -- of the key that was checked
    report        jsonb NOT NULL,
    checked_by    text NOT NULL,
    checked_at    timestamptz NOT NULL
);

-- What was done to a connection, by whom and why.
CREATE TABLE connection_log (
    seq           bigserial PRIMARY KEY,
    connection_id text NOT NULL REFERENCES connections (id),
    action        text NOT NULL,
    detail        text NOT NULL DEFAULT '',
    done_by       text NOT NULL CHECK (done_by <> ''),
    done_at       timestamptz NOT NULL
);
CREATE INDEX connection_log_newest ON connection_log (connection_id, seq DESC);
CREATE TRIGGER connection_log_append_only BEFORE UPDATE OR DELETE ON connection_log FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- An endpoint is registered by us or set up by hand. While a secret is rotated the
-- previous one stays valid, and the endpoint that signs with it stays at Stripe.
ALTER TABLE webhook_endpoints
    ADD COLUMN set_up         text NOT NULL DEFAULT 'registered' CHECK (set_up IN ('registered', 'manual')),
    ADD COLUMN status         text NOT NULL DEFAULT 'unknown' CHECK (status IN ('unknown', 'enabled', 'disabled', 'missing')),
    ADD COLUMN api_version    text NOT NULL DEFAULT '',
    ADD COLUMN enabled_events jsonb, -- null: not known
    ADD COLUMN checked_at     timestamptz,
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN retiring_id    text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE webhook_endpoints DROP COLUMN set_up, DROP COLUMN status, DROP COLUMN api_version, DROP COLUMN enabled_events,
    DROP COLUMN checked_at, DROP COLUMN previous_until, DROP COLUMN retiring_id;
DROP TABLE connection_log, connection_checks;
ALTER TABLE connections DROP COLUMN paused_reason, DROP COLUMN paused_by, DROP COLUMN paused_at;
