package postgres_test

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// projected tells the issuer's side of an invoice of ours: it was paid by one charge, after
// another one had failed, and that payment was disputed.
func (w *world) projected(cycleID, dispute string) {
	w.t.Helper()
	const kept = `undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple`
	const values = `false, 1, 1, false, 0, 0, 0, 0, true`
	issuer, payer := one[string](w, `SELECT issuer_connection FROM writeback_intents WHERE cycle_id = $1`, cycleID), one[string](w, `SELECT customer FROM writeback_intents WHERE cycle_id = $1`, cycleID)
	invoice, paid, failed := "in_"+cycleID, "ch_"+cycleID, "ch_failed_"+cycleID
	require.NoError(w.t, w.exec(`INSERT INTO stripe_invoices (connection_id, id, customer_id, subscription_id, charge_id, number, status, currency, billing_reason, collection_method, out_of_band_minor, attempts, paid, own, `+kept+`)
		VALUES ($1, $2, $3, '', $4, '', 'paid', 'usd', '', '', 0, 2, true, true, `+values+`)`, issuer, invoice, payer, paid))
	for _, c := range []struct{ id, invoice, status, code string }{{failed, invoice, "failed", "card_declined"}, {paid, "", "succeeded", ""}, {"ch_other_" + cycleID, "in_other", "succeeded", ""}} {
		require.NoError(w.t, w.exec(`INSERT INTO stripe_charges (connection_id, id, customer_id, invoice_id, status, currency, description, failure_code, payment_method, created_at, amount_minor, amount_refunded_minor, refunded, disputed, `+kept+`)
			VALUES ($1, $2, $3, $4, $5, 'usd', '', $6, 'card', $7, 100, 0, false, false, `+values+`)`, issuer, c.id, payer, c.invoice, c.status, c.code, now))
	}
	for charge, status := range map[string]string{paid: dispute, "ch_other_" + cycleID: "lost"} {
		require.NoError(w.t, w.exec(`INSERT INTO stripe_disputes (connection_id, id, charge_id, status, reason, currency, created_at, amount_minor, `+kept+`)
			VALUES ($1, $2, $3, $4, 'general', 'usd', $5, 100, `+values+`)`, issuer, "dp_"+charge, charge, status, now))
	}
}

// An invoice is found by a case ID that it bills, by an entry of its metadata, by the buyer's
// number and by a dispute of a charge of its own.
func TestInvoicesAreFoundByWhatTheyCarry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	months := []string{"acme.2026-01", "acme.2026-02", "acme.2026-03"}
	for i, c := range months {
		w.propose("acme", strings.TrimPrefix(c, "acme."), float64(50_000*(i+1)))
		w.finish(c)
	}
	w.projected(months[0], "lost")
	w.projected(months[1], "under_review")
	list := func(f reconcile.InvoicesFilter) []string {
		f.Scope = access.Everything()
		page, err := svc.Invoices(w.ctx, f)
		require.NoError(t, err)
		var out []string
		for _, i := range page.Items {
			require.Equal(t, one[string](w, `SELECT plan::jsonb -> 'Metadata' ->> 'lb_readouts_sha256' FROM invoices WHERE cycle_id = $1`, i.CycleID), i.EvidenceDigest)
			require.Len(t, i.EvidenceDigest, 64)
			out = append(out, i.CycleID)
		}
		return out
	}
	require.Equal(t, months[:1], list(reconcile.InvoicesFilter{Dispute: "lost"}), "a dispute of another charge of the payer is not the invoice's")
	require.Equal(t, months[1:2], list(reconcile.InvoicesFilter{Dispute: "open"}))
	require.Empty(t, list(reconcile.InvoicesFilter{Dispute: "won"}))
	for _, c := range months {
		d, err := svc.Invoice(w.ctx, c)
		require.NoError(t, err)
		require.Equal(t, []string{c}, list(reconcile.InvoicesFilter{Metadata: d.Lines[0].CaseID}))
		require.Equal(t, []string{c}, list(reconcile.InvoicesFilter{Metadata: "lb_cycle=" + d.Period}))
		require.Equal(t, []string{c}, list(reconcile.InvoicesFilter{Metadata: "lb_plan_sha256=" + d.PlanHash}))
	}
	withheld := one[string](w, `SELECT case_id FROM readouts r WHERE NOT EXISTS (SELECT 1 FROM invoices i WHERE i.cycle_id = r.cycle_id AND strpos(i.plan, r.case_id) > 0) LIMIT 1`)
	require.Empty(t, list(reconcile.InvoicesFilter{Metadata: withheld}), "a readout that is not billed stands on no invoice")
	require.Empty(t, list(reconcile.InvoicesFilter{Metadata: "lb_cycle=1999-01"}))
	require.Empty(t, list(reconcile.InvoicesFilter{Metadata: `lb_cycle="`}))
	require.Empty(t, list(reconcile.InvoicesFilter{PONumber: "PO-4711"}))
	require.NoError(t, w.exec(`ALTER TABLE all_invoices DISABLE TRIGGER USER`))
	require.NoError(t, w.exec(`UPDATE all_invoices SET plan = jsonb_set(plan::jsonb, '{Metadata,lb_po_number}', '"PO-4711"')::text WHERE cycle_id = $1`, months[2]))
	require.Equal(t, months[2:], list(reconcile.InvoicesFilter{PONumber: "PO-4711"}))
	for _, f := range []reconcile.InvoicesFilter{{Metadata: "x"}, {Metadata: "=x"}, {Dispute: "x"}} {
		_, err := svc.Invoices(w.ctx, f)
		require.True(t, fault.Is(err, fault.Invalid), "%+v", f)
	}
}

// One invoice with its lines as they stand at Stripe, what was sent, and what the payer did.
func TestInvoiceDetail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	w.propose("acme", "2026-01", 50_000)
	in := w.finish("acme.2026-01")
	w.projected("acme.2026-01", "lost")
	d, err := svc.Invoice(w.ctx, "acme.2026-01")
	require.NoError(t, err)
	require.Equal(t, in.ID, d.ID)
	require.Equal(t, in.Plan, d.Plan)
	require.Equal(t, account.Live, d.Environment)
	require.Len(t, d.Lines, len(in.Plan.Lines))
	var sum int64
	for _, l := range d.Lines {
		sum += l.AmountMinor
		require.Equal(t, "ii_"+l.Line, l.StripeID)
		require.Equal(t, l.AmountMinor, *l.StripeMinor)
		if l.CaseID != "" {
			digest, err := hex.DecodeString(l.ReadoutDigest)
			require.NoError(t, err)
			require.Equal(t, l.CaseID, strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(digest[:16])), "the case ID is the digest's beginning")
		}
	}
	require.Equal(t, d.EngineMinor, sum)
	require.NotEmpty(t, d.Attempts)
	require.Equal(t, []string{"ch_acme.2026-01", "ch_failed_acme.2026-01"}, []string{d.Charges[0].ID, d.Charges[1].ID})
	require.Len(t, d.Charges, 2, "another charge of the payer is not shown")
	require.Equal(t, "card_declined", d.Charges[1].FailureCode)
	require.Len(t, d.Disputes, 1)
	require.Equal(t, []string{"lost", "ch_acme.2026-01"}, []string{d.Disputes[0].Status, d.Disputes[0].ChargeID})
	require.Equal(t, "inputs", d.InputDigest)
	entries := d.Metadata()
	require.Len(t, entries, len(in.Plan.Metadata))
	require.IsIncreasing(t, []string{entries[0].Key, entries[1].Key, entries[2].Key})
	w.propose("acme", "2026-02", 80_000)
	second := w.finish("acme.2026-02")
	lines, err := svc.InvoiceLines(w.ctx, []string{"acme.2026-01", "acme.2026-02", "acme.1999-01"})
	require.NoError(t, err)
	require.Len(t, lines, 2, "what has no invoice has no lines")
	require.Equal(t, d.Lines, lines["acme.2026-01"], "as on the invoice's own page")
	require.Len(t, lines["acme.2026-02"], len(second.Plan.Lines))
	for _, l := range lines["acme.2026-02"] {
		require.Equal(t, l.AmountMinor, *l.StripeMinor, "the same line of another month is not this one")
	}
	_, err = svc.Invoice(w.ctx, "acme.1999-01")
	require.True(t, fault.Is(err, fault.NotFound))
}
