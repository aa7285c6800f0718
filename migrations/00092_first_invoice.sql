-- +goose Up
-- What requires a person is begun by the approval of one: a rule's does not count.
-- +goose StatementBegin
CREATE FUNCTION refuse_rule_for_first_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'planned' AND (SELECT requires_person FROM invoices WHERE cycle_id = NEW.cycle_id)
        AND (SELECT d.actor_kind = 'system' FROM cycle_decisions d WHERE d.cycle_id = NEW.cycle_id ORDER BY d.number DESC LIMIT 1) THEN
        RAISE EXCEPTION 'the invoice of cycle % requires a person', NEW.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER writeback_intents_person AFTER INSERT ON writeback_intents FOR EACH ROW EXECUTE FUNCTION refuse_rule_for_first_invoice();

-- +goose Down
DROP TRIGGER writeback_intents_person ON writeback_intents;
DROP FUNCTION refuse_rule_for_first_invoice();
