-- +goose Up
-- Whose bodies were erased, when and why. The digest of each body and its facts stay.
CREATE TABLE body_erasures (
    id            bigserial PRIMARY KEY,
    connection_id text NOT NULL,
    environment   text NOT NULL CHECK (environment IN ('live', 'test')),
    customer_id   text NOT NULL,
    reason        text NOT NULL,
    requested_at  timestamptz NOT NULL,
    FOREIGN KEY (connection_id, environment) REFERENCES connections (id, environment)
);
CREATE TABLE erased_bodies (
    connection_id text NOT NULL,
    event_id      text NOT NULL,
    created       timestamptz NOT NULL,
    erasure_id    bigint NOT NULL REFERENCES body_erasures (id),
    erased_at     timestamptz NOT NULL,
    PRIMARY KEY (connection_id, event_id, created)
);
CREATE INDEX erased_bodies_erasure ON erased_bodies (erasure_id);
CREATE TRIGGER body_erasures_append_only BEFORE UPDATE OR DELETE ON body_erasures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER body_erasures_no_truncate BEFORE TRUNCATE ON body_erasures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_bodies_append_only BEFORE UPDATE OR DELETE ON erased_bodies FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_bodies_no_truncate BEFORE TRUNCATE ON erased_bodies FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE erased_bodies, body_erasures;
