package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
)

// Somebody removes the metadata of our own invoice, and the customer pays it with the very
// account whose revenue is measured: it is still nobody's revenue, nor is its refund.
func TestOwnInvoicesAreKnownByTheirID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	ours := w.finish(cy.ID).InvoiceID
	theirs := w.invoice("in_theirs", "cus_1", 2000, now)
	w.deliver("evt_1", "invoice.paid", now, w.invoice(ours, "cus_payer_acme", 30_000, now), nil)
	w.deliver("evt_2", "invoice.paid", now, theirs, nil)
	require.Equal(t, ingest.Booked{Events: 2, Facts: 1}, w.drain())
	require.Equal(t, "in_theirs", one[string](w, "SELECT string_agg(invoice_id, ',') FROM reward_events"))

	charge := func(id, invoice string) obj {
		return obj{"id": id, "object": "charge", "customer": "cus_payer_acme", "created": now.Unix(), "livemode": true,
			"invoice": obj{"id": invoice, "object": "invoice", "metadata": obj{}}}
	}
	w.observe(charge("ch_ours", ours), now)
	w.observe(charge("ch_theirs", "in_theirs"), now)
	require.Equal(t, "ch_ours", one[string](w, "SELECT string_agg(charge_id, ',') FROM charge_owners WHERE own_invoice"))

	known, err := w.db.OwnInvoices(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{ours: true}, known)
	known, err = w.db.OwnInvoices(t.Context(), "trial")
	require.NoError(t, err)
	require.Empty(t, known, "another Stripe account")
}
