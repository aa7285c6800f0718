-- +goose Up
-- How often a read was asked for: one that was asked again while it was under way is
-- not finished by the answer that was on its way.
ALTER TABLE object_reads ADD COLUMN asked integer NOT NULL DEFAULT 1;

-- TRUNCATE passes row triggers by; evidence is not removed that way either.
CREATE TRIGGER contracts_no_truncate BEFORE TRUNCATE ON contracts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plans_no_truncate BEFORE TRUNCATE ON measurement_plans FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER snapshots_no_truncate BEFORE TRUNCATE ON policy_snapshots FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER readouts_no_truncate BEFORE TRUNCATE ON readouts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_no_truncate BEFORE TRUNCATE ON invoices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TRIGGER contracts_no_truncate ON contracts;
DROP TRIGGER plans_no_truncate ON measurement_plans;
DROP TRIGGER snapshots_no_truncate ON policy_snapshots;
DROP TRIGGER readouts_no_truncate ON readouts;
DROP TRIGGER invoices_no_truncate ON invoices;
ALTER TABLE object_reads DROP COLUMN asked;
