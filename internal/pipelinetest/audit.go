package pipelinetest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// Objects are the payer's invoices and items at Stripe, as they stand.
func (b *Bill) Objects(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, raw := range b.raw(t, "invoices", "invoiceitems") {
		var o struct {
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal(raw, &o))
		out[o.ID] = string(raw)
	}
	return out
}

func (b *Bill) raw(t testing.TB, kinds ...string) []json.RawMessage {
	t.Helper()
	state, err := b.Fake.State(stripeAccount, stripefake.Live, kinds...)
	require.NoError(t, err)
	var out []json.RawMessage
	for _, kind := range kinds {
		out = append(out, state[kind]...)
	}
	return out
}

// Audit lets the campaign's auditor recompute from Stripe's objects alone what the
// payer was billed. An empty answer is a clean bill.
func (b *Bill) Audit(t testing.TB) []audit.Finding {
	t.Helper()
	order := audit.Order{
		Customers: []string{b.Plan.Key.Customer}, Currency: b.Plan.Key.Currency, Mail: b.Plan.CollectionMethod == billing.SendInvoice,
		Lines: map[string]int64{}, Foreign: b.foreign,
	}
	for _, l := range b.Plan.Lines {
		order.Lines[l.Line] = l.AmountMinor
	}
	ev := audit.Evidence{Objects: b.raw(t, "invoices", "invoiceitems"), Events: b.raw(t, "events")}
	for _, r := range b.Requests() {
		ev.Requests = append(ev.Requests, audit.Request{Method: r.Method, Path: r.Path, Params: r.Params, Mode: r.Mode, Ours: true, Status: r.Status, At: r.Time})
	}
	return audit.Billed(order, ev)
}

// Books is what our own ledger says of the write-back.
type Books struct {
	Cycle, Reason, Intent, Invoice string
	StripeTotal                    *int64
	Generation, Lines              int
}

// Books reads them.
func (b *Bill) Books(t testing.TB) Books {
	t.Helper()
	var out Books
	err := b.Ledger.SQL.QueryRow(t.Context(), `SELECT c.state, c.reason, w.state, coalesce(w.invoice_id, ''), w.stripe_total, w.generation,
			(SELECT count(*) FROM writeback_lines l WHERE l.intent_id = w.id)
		FROM cycles c JOIN writeback_intents w ON w.cycle_id = c.id AND w.state <> 'superseded' WHERE c.id = $1`, b.Plan.CycleID).
		Scan(&out.Cycle, &out.Reason, &out.Intent, &out.Invoice, &out.StripeTotal, &out.Generation, &out.Lines)
	require.NoError(t, err)
	return out
}

// RequireBilled demands a clean audit and books that agree with it.
func (b *Bill) RequireBilled(t testing.TB) {
	t.Helper()
	require.Empty(t, b.Audit(t))
	books := b.Books(t)
	require.Equal(t, "invoiced", books.Cycle, books.Reason)
	require.Equal(t, "released", books.Intent)
	require.NotNil(t, books.StripeTotal)
	require.Equal(t, b.Plan.TotalMinor(), *books.StripeTotal)
	require.Contains(t, b.Objects(t), books.Invoice)
	require.Equal(t, len(b.Plan.Lines), books.Lines)
}
