-- +goose Up
-- The audit log: append-only, and each row holds the hash of the row before it in its
-- chain. The hash itself is computed and verified outside (domain/audit); the database
-- keeps every chain dense and linked, and nobody can change a row with SQL.

CREATE TABLE audit_log (
    chain       text NOT NULL CHECK (chain IN ('live', 'test', 'installation')),
    seq         bigint NOT NULL CHECK (seq >= 1),
    at          timestamptz NOT NULL,
    actor_kind  text NOT NULL CHECK (actor_kind IN ('user', 'token', 'cli', 'system', 'nobody')),
    actor_id    text NOT NULL,
    actor_name  text NOT NULL,
    person      text NOT NULL,
    action      text NOT NULL CHECK (action <> ''),
    outcome     text NOT NULL CHECK (outcome IN ('done', 'refused')),
    object      text NOT NULL,
    object_id   text NOT NULL,
    account_id  text NOT NULL,
    environment text NOT NULL,
    request_id  text NOT NULL,
    reason      text NOT NULL,
    before      text NOT NULL,
    after       text NOT NULL,
    previous    bytea NOT NULL CHECK (length(previous) = 32),
    hash        bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (chain, seq),
    CHECK (environment = CASE chain WHEN 'installation' THEN '' ELSE chain END),
    CHECK (account_id = '' OR environment <> '')
);
CREATE INDEX audit_log_newest ON audit_log (at DESC, chain DESC, seq DESC);
CREATE INDEX audit_log_account ON audit_log (account_id, at DESC, chain DESC, seq DESC) WHERE account_id <> '';
CREATE INDEX audit_log_object ON audit_log (object, object_id, at DESC);
CREATE INDEX audit_log_actor ON audit_log (actor_id, at DESC);

-- +goose StatementBegin
CREATE FUNCTION link_audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    SELECT seq, hash INTO last FROM audit_log WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1;
    IF NOT FOUND THEN
        IF NEW.seq <> 1 OR NEW.previous <> decode(repeat('00', 32), 'hex') THEN
            RAISE EXCEPTION 'the first row of chain % follows nothing', NEW.chain USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NEW.seq <> last.seq + 1 OR NEW.previous <> last.hash THEN
        RAISE EXCEPTION 'row % of chain % does not follow row %', NEW.seq, NEW.chain, last.seq USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_linked BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION link_audit_row();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE audit_log;
DROP FUNCTION link_audit_row();
