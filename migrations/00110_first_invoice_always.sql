-- +goose Up
-- The outcome invoices of an account that have cleared reconciliation: released, tied out
-- with Stripe without a break, and not voided since.
-- +goose StatementBegin
CREATE FUNCTION cleared_invoices(account text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM cycles c JOIN cycle_tieouts t ON t.cycle_id = c.id
        JOIN writeback_intents w ON w.cycle_id = c.id AND w.state = 'released'
        LEFT JOIN stripe_invoices p ON p.connection_id = w.issuer_connection AND p.id = w.invoice_id
    WHERE c.account_id = account AND c.state = 'invoiced' AND t.kind = 'invoice' AND t.breaks = 0 AND coalesce(p.status, '') <> 'void'
$$;
-- +goose StatementEnd

-- No rule begins an invoice of an account of which none has cleared, however the account
-- went live and whatever was stored with the invoice.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION refuse_rule_for_first_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'planned'
        AND (SELECT d.actor_kind = 'system' FROM cycle_decisions d WHERE d.cycle_id = NEW.cycle_id ORDER BY d.number DESC LIMIT 1)
        AND ((SELECT requires_person FROM invoices WHERE cycle_id = NEW.cycle_id) OR cleared_invoices(NEW.account_id) = 0) THEN
        RAISE EXCEPTION 'the invoice of cycle % requires a person', NEW.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION refuse_rule_for_first_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'planned' AND (SELECT requires_person FROM invoices WHERE cycle_id = NEW.cycle_id)
        AND (SELECT d.actor_kind = 'system' FROM cycle_decisions d WHERE d.cycle_id = NEW.cycle_id ORDER BY d.number DESC LIMIT 1) THEN
        RAISE EXCEPTION 'the invoice of cycle % requires a person', NEW.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DROP FUNCTION cleared_invoices(text);
