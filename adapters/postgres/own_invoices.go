package postgres

import (
	"context"

	"gorm.io/gorm"
)

// OwnInvoices are the IDs of our outcome invoices in the Stripe account that a connection
// reaches, whoever wrote them: a customer's own key reads both them and its revenue.
func (d *DB) OwnInvoices(ctx context.Context, connectionID string) (map[string]bool, error) {
	var ids []string
	err := d.gorm.WithContext(ctx).Raw(`
		SELECT w.invoice_id FROM writeback_intents w JOIN connections i ON i.id = w.issuer_connection
		JOIN connections s ON s.environment = i.environment AND s.stripe_account_id = i.stripe_account_id
		WHERE s.id = ? AND w.invoice_id IS NOT NULL`, connectionID).Scan(&ids).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make(map[string]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}

// othersOnly leaves out the facts of our own invoices. Their metadata says so to whoever
// classifies them; somebody may have removed it, but an invoice is pinned before it can be
// paid, and Stripe's IDs are unique.
func othersOnly(ctx context.Context, tx *gorm.DB, rows []factRow) ([]factRow, error) {
	asked := map[string]bool{}
	var ids []string
	for _, r := range rows {
		if r.InvoiceID != "" && !asked[r.InvoiceID] {
			asked[r.InvoiceID] = true
			ids = append(ids, r.InvoiceID)
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	found, err := tx.Statement.ConnPool.QueryContext(ctx, `SELECT invoice_id FROM writeback_intents WHERE invoice_id = ANY($1::text[])`, ids)
	if err != nil {
		return nil, wrap(err)
	}
	defer found.Close() //nolint:errcheck // its Err tells
	ours := map[string]bool{}
	for found.Next() {
		var id string
		if err := found.Scan(&id); err != nil {
			return nil, wrap(err)
		}
		ours[id] = true
	}
	if err := found.Err(); err != nil || len(ours) == 0 {
		return rows, wrap(err)
	}
	out := make([]factRow, 0, len(rows))
	for _, r := range rows {
		if !ours[r.InvoiceID] {
			out = append(out, r)
		}
	}
	return out, nil
}
