-- +goose Up
-- A cycle is computed again as another revision of itself. What the revisions before it
-- came to is kept as it was, and whether a row is superseded follows from the cycle's
-- revision: nothing is edited. The tables hold the rows of all revisions; the views with
-- the old names hold those of the present one, so that whoever asks for a cycle's lines
-- gets the lines that count.
ALTER TABLE cycles ADD COLUMN revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1);

-- Why a revision was begun, by whom, and where the one before it stood then. The first
-- revision has no row.
CREATE TABLE cycle_revisions (
    cycle_id                  text NOT NULL,
    environment               text NOT NULL,
    revision                  integer NOT NULL CHECK (revision > 1),
    decision_id               text NOT NULL REFERENCES cycle_decisions (id),
    reason                    text NOT NULL CHECK (reason <> ''),
    actor                     text NOT NULL CHECK (actor <> ''),
    at                        timestamptz NOT NULL,
    previous_state            text NOT NULL,
    previous_reason           text NOT NULL,
    previous_watermark        timestamptz NOT NULL,
    previous_source_watermark timestamptz,
    previous_input_digest     text NOT NULL,
    previous_paid_minor       bigint,
    previous_stripe_net_minor bigint,
    PRIMARY KEY (cycle_id, revision),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment)
);
CREATE TRIGGER cycle_revisions_append_only BEFORE UPDATE OR DELETE ON cycle_revisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cycle_revisions_no_truncate BEFORE TRUNCATE ON cycle_revisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE readouts RENAME TO all_readouts;
ALTER TABLE cycle_lines RENAME TO all_cycle_lines;
ALTER TABLE cycle_charges RENAME TO all_cycle_charges;
ALTER TABLE cycle_steps RENAME TO all_cycle_steps;
ALTER TABLE cycle_buckets RENAME TO all_cycle_buckets;
ALTER TABLE cycle_inputs RENAME TO all_cycle_inputs;
ALTER TABLE invoices RENAME TO all_invoices;

-- What is there belongs to the first revision; later rows get that of their cycle.
ALTER TABLE all_readouts ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_cycle_lines ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_cycle_charges ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_cycle_steps ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_cycle_buckets ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_cycle_inputs ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_invoices ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE cycle_units ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE cycle_moments ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE all_readouts ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_cycle_lines ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_cycle_charges ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_cycle_steps ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_cycle_buckets ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_cycle_inputs ALTER COLUMN revision DROP DEFAULT;
ALTER TABLE all_invoices ALTER COLUMN revision DROP DEFAULT;

ALTER TABLE cycle_moments DROP CONSTRAINT cycle_moments_cycle_id_snapshot_id_fkey, DROP CONSTRAINT cycle_moments_pkey;
ALTER TABLE all_readouts DROP CONSTRAINT readouts_cycle_id_snapshot_id_key, ADD CONSTRAINT readouts_cycle_id_snapshot_id_key UNIQUE (cycle_id, revision, snapshot_id);
ALTER TABLE all_cycle_lines DROP CONSTRAINT cycle_lines_pkey, ADD CONSTRAINT cycle_lines_pkey PRIMARY KEY (cycle_id, revision, snapshot_id);
ALTER TABLE all_cycle_charges DROP CONSTRAINT cycle_charges_pkey, DROP CONSTRAINT cycle_charges_cycle_id_position_key,
    ADD CONSTRAINT cycle_charges_pkey PRIMARY KEY (cycle_id, revision, line), ADD CONSTRAINT cycle_charges_cycle_id_position_key UNIQUE (cycle_id, revision, position);
ALTER TABLE all_cycle_steps DROP CONSTRAINT cycle_steps_pkey, ADD CONSTRAINT cycle_steps_pkey PRIMARY KEY (cycle_id, revision, number);
ALTER TABLE all_cycle_buckets DROP CONSTRAINT cycle_buckets_pkey, ADD CONSTRAINT cycle_buckets_pkey PRIMARY KEY (cycle_id, revision, bucket, snapshot_id, currency);
ALTER TABLE all_cycle_inputs DROP CONSTRAINT cycle_inputs_pkey, ADD CONSTRAINT cycle_inputs_pkey PRIMARY KEY (cycle_id, revision, snapshot_id);
ALTER TABLE all_invoices DROP CONSTRAINT invoices_pkey, DROP CONSTRAINT invoices_cycle_id_environment_key, ADD CONSTRAINT invoices_pkey PRIMARY KEY (cycle_id, revision);
ALTER TABLE cycle_units DROP CONSTRAINT cycle_units_pkey, ADD CONSTRAINT cycle_units_pkey PRIMARY KEY (cycle_id, revision, snapshot_id, bucket, unit_id);
ALTER TABLE cycle_moments ADD CONSTRAINT cycle_moments_pkey PRIMARY KEY (cycle_id, revision, snapshot_id, bucket),
    ADD CONSTRAINT cycle_moments_inputs_fkey FOREIGN KEY (cycle_id, revision, snapshot_id) REFERENCES all_cycle_inputs (cycle_id, revision, snapshot_id);

CREATE VIEW readouts AS SELECT * FROM all_readouts x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW cycle_lines AS SELECT * FROM all_cycle_lines x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW cycle_charges AS SELECT * FROM all_cycle_charges x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW cycle_steps AS SELECT * FROM all_cycle_steps x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW cycle_buckets AS SELECT * FROM all_cycle_buckets x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW cycle_inputs AS SELECT * FROM all_cycle_inputs x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);
CREATE VIEW invoices AS SELECT * FROM all_invoices x WHERE x.revision = (SELECT c.revision FROM cycles c WHERE c.id = x.cycle_id);

-- A row is written for the present revision and for no other, whoever comes late with what
-- an earlier one came to; and what belongs to an earlier one stays as it is.
-- +goose StatementBegin
CREATE FUNCTION only_present_revision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    present integer;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT c.revision INTO present FROM cycles c WHERE c.id = NEW.cycle_id;
        NEW.revision := coalesce(NEW.revision, present);
        IF NEW.revision <> present THEN
            RAISE EXCEPTION 'cycle % is at revision %, not %', NEW.cycle_id, present, NEW.revision USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    SELECT c.revision INTO present FROM cycles c WHERE c.id = OLD.cycle_id;
    IF OLD.revision <> present OR (TG_OP = 'UPDATE' AND NEW.revision <> OLD.revision) THEN
        RAISE EXCEPTION 'revision % of cycle % is superseded and kept as it is', OLD.revision, OLD.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER readouts_revision BEFORE INSERT ON all_readouts FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER cycle_lines_revision BEFORE INSERT OR UPDATE OR DELETE ON all_cycle_lines FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER cycle_charges_revision BEFORE INSERT OR UPDATE OR DELETE ON all_cycle_charges FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER cycle_steps_revision BEFORE INSERT OR UPDATE OR DELETE ON all_cycle_steps FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER cycle_buckets_revision BEFORE INSERT OR UPDATE OR DELETE ON all_cycle_buckets FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER cycle_inputs_revision BEFORE INSERT OR UPDATE OR DELETE ON all_cycle_inputs FOR EACH ROW EXECUTE FUNCTION only_present_revision();
CREATE TRIGGER invoices_revision BEFORE INSERT OR UPDATE OR DELETE ON all_invoices FOR EACH ROW EXECUTE FUNCTION only_present_revision();

-- A revision follows the one before it, with its row, and only while nothing of the cycle
-- is in force or final at Stripe: then there is one invoice for a payer and a period.
-- +goose StatementBegin
CREATE FUNCTION check_next_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.revision <> OLD.revision + 1
        OR NEW.state <> 'collecting' OR NEW.watermark IS NOT NULL
        OR NOT EXISTS (SELECT 1 FROM cycle_revisions r WHERE r.cycle_id = NEW.id AND r.revision = NEW.revision)
        OR EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = NEW.id AND (w.state <> 'superseded' OR w.finalized_at IS NOT NULL)) THEN
        RAISE EXCEPTION 'cycle % cannot become revision %', NEW.id, NEW.revision USING ERRCODE = 'check_violation', CONSTRAINT = 'cycles_next_revision', TABLE = 'cycles';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cycles_next_revision BEFORE UPDATE OF revision ON cycles FOR EACH ROW WHEN (NEW.revision IS DISTINCT FROM OLD.revision) EXECUTE FUNCTION check_next_revision();

-- A person releases what was computed again.
-- +goose StatementBegin
CREATE FUNCTION revision_requires_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.revision > 1 AND NEW.total_minor > 0 AND NOT NEW.requires_person THEN
        RAISE EXCEPTION 'revision % of cycle % requires a person', NEW.revision, NEW.cycle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_revision_person', TABLE = 'invoices';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER invoices_revision_person BEFORE INSERT OR UPDATE ON all_invoices FOR EACH ROW WHEN (NEW.revision > 1) EXECUTE FUNCTION revision_requires_person();

-- No invoice of ours is begun at Stripe while something of an earlier revision, or of a draft
-- that was voided, may be there.
-- +goose StatementBegin
CREATE FUNCTION refuse_before_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.invoice_id IS NOT NULL AND EXISTS (SELECT 1 FROM writeback_intents w
            WHERE w.cycle_id = NEW.cycle_id AND w.id <> NEW.id AND w.state = 'superseded' AND w.retired_at IS NULL) THEN
        RAISE EXCEPTION 'something of an earlier invoice of cycle % may be at Stripe', NEW.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER writeback_intents_retired_first BEFORE UPDATE OF invoice_id ON writeback_intents FOR EACH ROW
    WHEN (NEW.invoice_id IS NOT NULL AND OLD.invoice_id IS NULL) EXECUTE FUNCTION refuse_before_retired();

-- A fact that only a superseded revision attributed is free again: what was said of its
-- customer since may count. The link that it had is kept beside.
CREATE TABLE superseded_fact_links (
    connection_id text NOT NULL,
    fact_key      text NOT NULL,
    user_id       text NOT NULL,
    link_id       text NOT NULL,
    source        text NOT NULL,
    cycle_id      text NOT NULL,
    revision      integer NOT NULL,
    PRIMARY KEY (cycle_id, revision, connection_id, fact_key)
);
CREATE TRIGGER superseded_fact_links_append_only BEFORE UPDATE OR DELETE ON superseded_fact_links FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- +goose StatementBegin
CREATE FUNCTION fact_link_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR NOT EXISTS (SELECT 1 FROM superseded_fact_links s JOIN cycles c ON c.id = s.cycle_id AND s.revision = c.revision
            WHERE s.cycle_id = OLD.cycle_id AND s.connection_id = OLD.connection_id AND s.fact_key = OLD.fact_key AND s.user_id = OLD.user_id AND s.link_id = OLD.link_id) THEN
        RAISE EXCEPTION 'fact_links is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
-- +goose StatementEnd
DROP TRIGGER fact_links_append_only ON fact_links;
CREATE TRIGGER fact_links_append_only BEFORE UPDATE OR DELETE ON fact_links FOR EACH ROW EXECUTE FUNCTION fact_link_is_kept();
CREATE INDEX fact_links_cycle ON fact_links (cycle_id);

-- Two more things can be decided: to compute a month again, and to take its draft back.
ALTER TABLE cycle_decisions
    DROP CONSTRAINT cycle_decisions_action_check, DROP CONSTRAINT cycle_decisions_check1,
    ADD CONSTRAINT cycle_decisions_action_check CHECK (action IN ('approve', 'hold', 'release', 'return', 'skip', 'expire', 'recompute', 'void_draft')),
    ADD CONSTRAINT cycle_decisions_reason_check CHECK (action NOT IN ('hold', 'return', 'skip', 'recompute', 'void_draft') OR reason <> '');

-- +goose Down
-- Without revisions there is one invoice for a cycle; those that were superseded cannot be
-- told from those that count, so that a ledger which has some stays as it is.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM cycle_revisions) OR EXISTS (SELECT 1 FROM cycle_decisions WHERE action IN ('recompute', 'void_draft')) THEN
        RAISE EXCEPTION 'a month was computed again: this schema cannot be taken back';
    END IF;
END $$;
-- +goose StatementEnd
ALTER TABLE cycle_decisions DROP CONSTRAINT cycle_decisions_reason_check, DROP CONSTRAINT cycle_decisions_action_check,
    ADD CONSTRAINT cycle_decisions_action_check CHECK (action IN ('approve', 'hold', 'release', 'return', 'skip', 'expire')),
    ADD CONSTRAINT cycle_decisions_check1 CHECK (action NOT IN ('hold', 'return', 'skip') OR reason <> '');
DROP INDEX fact_links_cycle;
DROP TRIGGER fact_links_append_only ON fact_links;
CREATE TRIGGER fact_links_append_only BEFORE UPDATE OR DELETE ON fact_links FOR EACH ROW EXECUTE FUNCTION refuse_change();
DROP FUNCTION fact_link_is_kept();
DROP TABLE superseded_fact_links;
DROP TRIGGER writeback_intents_retired_first ON writeback_intents;
DROP FUNCTION refuse_before_retired();
DROP TRIGGER invoices_revision_person ON all_invoices;
DROP FUNCTION revision_requires_person();
DROP TRIGGER cycles_next_revision ON cycles;
DROP FUNCTION check_next_revision();
DROP TRIGGER readouts_revision ON all_readouts;
DROP TRIGGER cycle_lines_revision ON all_cycle_lines;
DROP TRIGGER cycle_charges_revision ON all_cycle_charges;
DROP TRIGGER cycle_steps_revision ON all_cycle_steps;
DROP TRIGGER cycle_buckets_revision ON all_cycle_buckets;
DROP TRIGGER cycle_inputs_revision ON all_cycle_inputs;
DROP TRIGGER invoices_revision ON all_invoices;
DROP FUNCTION only_present_revision();
DROP VIEW readouts, cycle_lines, cycle_charges, cycle_steps, cycle_buckets, cycle_inputs, invoices;
ALTER TABLE cycle_moments DROP CONSTRAINT cycle_moments_inputs_fkey, DROP COLUMN revision;
ALTER TABLE cycle_units DROP COLUMN revision;
ALTER TABLE all_readouts DROP COLUMN revision;
ALTER TABLE all_cycle_lines DROP COLUMN revision;
ALTER TABLE all_cycle_charges DROP COLUMN revision;
ALTER TABLE all_cycle_steps DROP COLUMN revision;
ALTER TABLE all_cycle_buckets DROP COLUMN revision;
ALTER TABLE all_cycle_inputs DROP COLUMN revision;
ALTER TABLE all_invoices DROP COLUMN revision;
ALTER TABLE all_readouts RENAME TO readouts;
ALTER TABLE all_cycle_lines RENAME TO cycle_lines;
ALTER TABLE all_cycle_charges RENAME TO cycle_charges;
ALTER TABLE all_cycle_steps RENAME TO cycle_steps;
ALTER TABLE all_cycle_buckets RENAME TO cycle_buckets;
ALTER TABLE all_cycle_inputs RENAME TO cycle_inputs;
ALTER TABLE all_invoices RENAME TO invoices;
ALTER TABLE readouts ADD CONSTRAINT readouts_cycle_id_snapshot_id_key UNIQUE (cycle_id, snapshot_id);
ALTER TABLE cycle_lines ADD PRIMARY KEY (cycle_id, snapshot_id);
ALTER TABLE cycle_charges ADD PRIMARY KEY (cycle_id, line), ADD UNIQUE (cycle_id, position);
ALTER TABLE cycle_steps ADD PRIMARY KEY (cycle_id, number);
ALTER TABLE cycle_buckets ADD PRIMARY KEY (cycle_id, bucket, snapshot_id, currency);
ALTER TABLE cycle_inputs ADD PRIMARY KEY (cycle_id, snapshot_id);
ALTER TABLE invoices ADD PRIMARY KEY (cycle_id), ADD UNIQUE (cycle_id, environment);
ALTER TABLE cycle_units ADD PRIMARY KEY (cycle_id, snapshot_id, bucket, unit_id);
ALTER TABLE cycle_moments ADD PRIMARY KEY (cycle_id, snapshot_id, bucket), ADD FOREIGN KEY (cycle_id, snapshot_id) REFERENCES cycle_inputs (cycle_id, snapshot_id);
DROP TABLE cycle_revisions;
ALTER TABLE cycles DROP COLUMN revision;
