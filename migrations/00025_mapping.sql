-- +goose Up
-- Whose a customer is: statements, append-only, and the spans that follow from them.
-- A statement says from when on a customer (or a subscription with a user of its own)
-- is a user's; '0001-01-01' stands for the beginning of time. The spans of a subject are
-- computed anew from all its statements whenever one is added (domain/mapping).
CREATE TABLE mapping_statements (
    connection_id    text NOT NULL,
    link_id          text NOT NULL CHECK (length(link_id) = 26), -- derived from what is said
    subject_id       text NOT NULL, -- cus_… or sub_…
    user_id          text NOT NULL, -- empty: nobody's from then on
    previous_user_id text NOT NULL DEFAULT '', -- whose it was before; empty: not said
    source           text NOT NULL CHECK (source IN ('metadata', 'email', 'domain', 'manual')),
    metadata_key     text NOT NULL DEFAULT '', -- the entry that said so
    valid_from       timestamptz NOT NULL,
    deleted          boolean NOT NULL DEFAULT false, -- the customer was deleted at Stripe
    event_id         text NOT NULL DEFAULT '',
    decided_by       text NOT NULL DEFAULT '',
    reason           text NOT NULL DEFAULT '',
    seq              bigserial,
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (connection_id, link_id),
    CHECK ((source = 'metadata') = (decided_by = '')),
    CHECK (source = 'metadata' OR reason <> '')
);
CREATE INDEX mapping_statements_subject ON mapping_statements (connection_id, subject_id);
CREATE INDEX mapping_statements_changes ON mapping_statements (connection_id, valid_from);
CREATE TRIGGER mapping_statements_append_only BEFORE UPDATE OR DELETE ON mapping_statements FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER mapping_statements_no_truncate BEFORE TRUNCATE ON mapping_statements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A person takes back what a person said; what Stripe said stays.
CREATE TABLE mapping_retractions (
    connection_id text NOT NULL,
    link_id       text NOT NULL,
    decided_by    text NOT NULL CHECK (decided_by <> ''),
    reason        text NOT NULL CHECK (reason <> ''),
    recorded_at   timestamptz NOT NULL,
    PRIMARY KEY (connection_id, link_id),
    FOREIGN KEY (connection_id, link_id) REFERENCES mapping_statements (connection_id, link_id)
);
CREATE TRIGGER mapping_retractions_append_only BEFORE UPDATE OR DELETE ON mapping_retractions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Half open: [valid_from, valid_to).
CREATE TABLE mapping_spans (
    connection_id text NOT NULL,
    subject_id    text NOT NULL,
    valid_from    timestamptz NOT NULL,
    valid_to      timestamptz NOT NULL,
    state         text NOT NULL CHECK (state IN ('linked', 'unlinked', 'conflict', 'closed')),
    user_id       text NOT NULL,
    link_id       text NOT NULL DEFAULT '', -- empty: contradictory statements
    source        text NOT NULL DEFAULT '',
    event_id      text NOT NULL DEFAULT '',
    former        boolean NOT NULL DEFAULT false, -- the time before its statement, which names the former user
    PRIMARY KEY (connection_id, subject_id, valid_from),
    CHECK (valid_from < valid_to),
    CHECK (state <> 'linked' OR user_id <> ''),
    CHECK (state NOT IN ('unlinked', 'conflict') OR user_id = '')
);
CREATE INDEX mapping_spans_user ON mapping_spans (connection_id, user_id);

-- The version of the link that a fact of a frozen month was attributed with. It keeps it,
-- whatever is said later.
CREATE TABLE fact_links (
    connection_id text NOT NULL,
    fact_key      text NOT NULL,
    user_id       text NOT NULL CHECK (user_id <> ''),
    link_id       text NOT NULL,
    source        text NOT NULL,
    cycle_id      text NOT NULL,
    PRIMARY KEY (connection_id, fact_key)
);
CREATE TRIGGER fact_links_append_only BEFORE UPDATE OR DELETE ON fact_links FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What may point at a user when the metadata does not: hashes, and only while the
-- connection has chosen the aid.
CREATE TABLE customer_aids (
    connection_id text NOT NULL,
    customer_id   text NOT NULL,
    email_hash    bytea CHECK (length(email_hash) = 32),
    domain_hash   bytea CHECK (length(domain_hash) = 32),
    seen_at       timestamptz NOT NULL, -- of the newest event that told it
    PRIMARY KEY (connection_id, customer_id)
);

CREATE TABLE user_aids (
    connection_id text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('email', 'domain')),
    hash          bytea NOT NULL CHECK (length(hash) = 32),
    user_id       text NOT NULL,
    uploaded_by   text NOT NULL,
    uploaded_at   timestamptz NOT NULL,
    PRIMARY KEY (connection_id, kind, hash, user_id)
);
CREATE INDEX user_aids_user ON user_aids (connection_id, user_id);

-- What persons said to suggestions; the newest row of a suggestion counts.
CREATE TABLE suggestion_decisions (
    seq           bigserial PRIMARY KEY,
    connection_id text NOT NULL,
    suggestion_id text NOT NULL,
    customer_id   text NOT NULL,
    user_id       text NOT NULL,
    source        text NOT NULL CHECK (source IN ('email', 'domain')),
    decision      text NOT NULL CHECK (decision IN ('accepted', 'rejected')),
    link_id       text NOT NULL DEFAULT '',
    decided_by    text NOT NULL CHECK (decided_by <> ''),
    reason        text NOT NULL CHECK (reason <> ''),
    decided_at    timestamptz NOT NULL
);
CREATE INDEX suggestion_decisions_newest ON suggestion_decisions (connection_id, suggestion_id, seq DESC);
CREATE TRIGGER suggestion_decisions_append_only BEFORE UPDATE OR DELETE ON suggestion_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What a connection maps by, beside the metadata entry; off until somebody chooses it.
ALTER TABLE connections
    ADD COLUMN map_by_email         boolean NOT NULL DEFAULT false,
    ADD COLUMN map_by_domain        boolean NOT NULL DEFAULT false,
    ADD COLUMN map_by_subscription  boolean NOT NULL DEFAULT false, -- a subscription's own metadata overrides its customer's
    ADD COLUMN leave_out_suggested  boolean NOT NULL DEFAULT false; -- links by e-mail or domain bring no revenue into a readout

CREATE TABLE mapping_changes (
    seq           bigserial PRIMARY KEY,
    connection_id text NOT NULL,
    settings      jsonb NOT NULL, -- as they were from then on
    events        bigint NOT NULL, -- stored events that were classified again
    decided_by    text NOT NULL CHECK (decided_by <> ''),
    reason        text NOT NULL CHECK (reason <> ''),
    decided_at    timestamptz NOT NULL
);
CREATE TRIGGER mapping_changes_append_only BEFORE UPDATE OR DELETE ON mapping_changes FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What was a link is a statement; the earliest one of a customer reached back to the
-- beginning already.
INSERT INTO mapping_statements (connection_id, link_id, subject_id, user_id, source, metadata_key, valid_from, event_id, recorded_at)
SELECT l.connection_id, left(encode(sha256(convert_to(concat_ws(E'\x1f', 'moved', l.connection_id, l.customer_id, l.user_id, l.valid_from), 'UTF8')), 'hex'), 26),
    l.customer_id, l.user_id, 'metadata', c.user_id_key, CASE WHEN l.valid_from <= 'epoch' THEN '0001-01-01 00:00:00Z' ELSE l.valid_from END,
    l.event_id, greatest(l.valid_from, c.created_at)
FROM customer_links l JOIN connections c ON c.id = l.connection_id ORDER BY l.connection_id, l.customer_id, l.valid_from;

INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source, event_id)
SELECT connection_id, subject_id,
    CASE WHEN row_number() OVER of_subject = 1 AND user_id <> '' THEN '0001-01-01 00:00:00Z' ELSE valid_from END,
    lead(valid_from, 1, 'infinity') OVER of_subject, CASE WHEN user_id = '' THEN 'unlinked' ELSE 'linked' END, user_id, link_id, source, event_id
FROM mapping_statements WINDOW of_subject AS (PARTITION BY connection_id, subject_id ORDER BY valid_from);

DROP TABLE customer_links;

-- +goose Down
CREATE TABLE customer_links (
    connection_id text NOT NULL,
    customer_id   text NOT NULL,
    user_id       text NOT NULL,
    valid_from    timestamptz NOT NULL,
    event_id      text NOT NULL,
    PRIMARY KEY (connection_id, customer_id, valid_from)
);
CREATE INDEX customer_links_user ON customer_links (connection_id, user_id);
INSERT INTO customer_links (connection_id, customer_id, user_id, valid_from, event_id)
SELECT connection_id, subject_id, user_id, greatest(valid_from, 'epoch'), event_id FROM mapping_spans WHERE state IN ('linked', 'unlinked')
ON CONFLICT DO NOTHING;
ALTER TABLE connections DROP COLUMN map_by_email, DROP COLUMN map_by_domain, DROP COLUMN map_by_subscription, DROP COLUMN leave_out_suggested;
DROP TABLE mapping_changes, suggestion_decisions, user_aids, customer_aids, fact_links, mapping_spans, mapping_retractions, mapping_statements;
