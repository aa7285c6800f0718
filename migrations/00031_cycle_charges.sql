-- +goose Up
-- A cycle's ledger: the lift lines stand in cycle_lines, every other line here. The
-- amounts of all lines sum to the invoice's total, and so do their billed parts, which
-- are what stands on the invoice after the reductions.
ALTER TABLE cycle_lines
    ADD COLUMN waived_minor bigint NOT NULL DEFAULT 0 CHECK (waived_minor >= 0), -- consumed and never billed
    ADD COLUMN billed_minor bigint;
UPDATE cycle_lines SET billed_minor = fee_minor;
ALTER TABLE cycle_lines
    ALTER COLUMN billed_minor SET NOT NULL,
    ADD CONSTRAINT cycle_lines_billed CHECK (billed_minor BETWEEN 0 AND fee_minor),
    DROP CONSTRAINT cycle_lines_check1, -- high_water_to = high_water_from + base_minor
    ADD CONSTRAINT cycle_lines_high_water CHECK (high_water_to = high_water_from + base_minor + waived_minor);

CREATE TABLE cycle_charges (
    cycle_id     text NOT NULL,
    environment  text NOT NULL,
    line         text NOT NULL CHECK (line LIKE 'fee:%'),
    position     integer NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('tier_adjustment', 'per_outcome', 'adjustment', 'settlement_credit', 'cap_excess', 'cap', 'floor',
        'platform_fee', 'minimum_top_up', 'holdback', 'holdback_release', 'carry_in', 'carry_out', 'shadow')), -- never lift
    description  text NOT NULL,
    amount_minor bigint NOT NULL,
    billed_minor bigint NOT NULL CHECK (billed_minor BETWEEN 0 AND greatest(0, amount_minor)),
    snapshot_id  text NOT NULL DEFAULT '',
    outcome      text NOT NULL DEFAULT '',
    quantity     bigint NOT NULL DEFAULT 0 CHECK (quantity >= 0),
    origin       text NOT NULL DEFAULT '',
    PRIMARY KEY (cycle_id, line),
    UNIQUE (cycle_id, position),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK ((kind = 'per_outcome') = (outcome <> ''))
);

-- A shadow month's invoice is empty.
ALTER TABLE invoices
    ADD COLUMN phase text NOT NULL DEFAULT 'full' CHECK (phase IN ('full', 'ramp', 'free', 'shadow')),
    ADD CONSTRAINT invoices_shadow CHECK (phase <> 'shadow' OR total_minor = 0);

-- At the end of a transaction the lines of every invoice that it touched sum to the total.
-- +goose StatementBegin
CREATE FUNCTION check_invoice_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    id     text := coalesce(NEW.cycle_id, OLD.cycle_id);
    wanted bigint;
    amount numeric;
    billed numeric;
BEGIN
    SELECT total_minor INTO wanted FROM invoices WHERE cycle_id = id;
    IF wanted IS NULL THEN
        RETURN NULL; -- not proposed yet
    END IF;
    SELECT sum(a), sum(b) INTO amount, billed FROM (
        SELECT 0 AS a, 0 AS b
        UNION ALL SELECT fee_minor, billed_minor FROM cycle_lines WHERE cycle_id = id
        UNION ALL SELECT amount_minor, billed_minor FROM cycle_charges WHERE cycle_id = id) l;
    IF amount <> wanted OR billed <> wanted THEN
        RAISE EXCEPTION 'the lines of cycle % sum to % and % billed, its invoice to %', id, amount, billed, wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_lines_sum', TABLE = 'invoices';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER invoices_sum AFTER INSERT OR UPDATE ON invoices DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_invoice_sum();
CREATE CONSTRAINT TRIGGER cycle_lines_sum AFTER INSERT OR UPDATE OR DELETE ON cycle_lines DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_invoice_sum();
CREATE CONSTRAINT TRIGGER cycle_charges_sum AFTER INSERT OR UPDATE OR DELETE ON cycle_charges DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_invoice_sum();

-- What is written to Stripe is the invoice's total; an empty invoice, as a shadow month's,
-- so has nothing that could be written.
-- +goose StatementBegin
CREATE FUNCTION check_intent_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM invoices i WHERE i.cycle_id = NEW.cycle_id AND i.total_minor <> NEW.total_minor) THEN
        RAISE EXCEPTION 'the intent of cycle % has another total than its invoice', NEW.cycle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'writeback_intents_total', TABLE = 'writeback_intents';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER writeback_intents_total AFTER INSERT OR UPDATE OF total_minor, cycle_id ON writeback_intents FOR EACH ROW EXECUTE FUNCTION check_intent_total();

-- +goose Down
DROP TRIGGER writeback_intents_total ON writeback_intents;
DROP FUNCTION check_intent_total();
DROP TRIGGER cycle_charges_sum ON cycle_charges;
DROP TRIGGER cycle_lines_sum ON cycle_lines;
DROP TRIGGER invoices_sum ON invoices;
DROP FUNCTION check_invoice_sum();
ALTER TABLE invoices DROP CONSTRAINT invoices_shadow, DROP COLUMN phase;
DROP TABLE cycle_charges;
ALTER TABLE cycle_lines DROP CONSTRAINT cycle_lines_high_water, DROP CONSTRAINT cycle_lines_billed, DROP COLUMN billed_minor, DROP COLUMN waived_minor,
    ADD CONSTRAINT cycle_lines_check1 CHECK (high_water_to = high_water_from + base_minor);
