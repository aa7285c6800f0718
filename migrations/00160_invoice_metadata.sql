-- +goose Up
-- Our invoices are found by what stands in their metadata at Stripe: a PO number, or any other
-- entry. Without an index every plan would be read for it.
CREATE INDEX invoices_metadata ON all_invoices USING gin (((plan::jsonb) -> 'Metadata') jsonb_path_ops);

-- +goose Down
DROP INDEX invoices_metadata;
