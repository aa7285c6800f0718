package pipelinetest

import (
	"encoding/json"
	"fmt"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// object is what the auditor reads of an invoice or an item.
type object struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Status      string            `json:"status"`
	Customer    string            `json:"customer"`
	Currency    string            `json:"currency"`
	Invoice     *string           `json:"invoice"`
	Amount      int64             `json:"amount"`
	Subtotal    int64             `json:"subtotal"`
	Total       int64             `json:"total"`
	AutoAdvance bool              `json:"auto_advance"`
	Livemode    bool              `json:"livemode"`
	Metadata    map[string]string `json:"metadata"`
	Lines       struct {
		Data []struct {
			Amount      int64  `json:"amount"`
			InvoiceItem string `json:"invoice_item"`
		} `json:"data"`
	} `json:"lines"`
}

// Objects are the payer's invoices and items at Stripe, as they stand.
func (b *Bill) Objects(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, raw := range b.raw(t, "invoices", "invoiceitems") {
		var o object
		require.NoError(t, json.Unmarshal(raw, &o))
		out[o.ID] = string(raw)
	}
	return out
}

func (b *Bill) raw(t testing.TB, kinds ...string) []json.RawMessage {
	t.Helper()
	state, err := b.Fake.State(stripeAccount, stripefake.Live)
	require.NoError(t, err)
	var out []json.RawMessage
	for _, kind := range kinds {
		out = append(out, state[kind]...)
	}
	return out
}

// Audit recomputes from Stripe's objects alone what the payer was billed, and says
// what is wrong with it. An empty answer is a clean bill.
func (b *Bill) Audit(t testing.TB) []string {
	t.Helper()
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	invoices, items := map[string]object{}, []object{}
	for _, raw := range b.raw(t, "invoices", "invoiceitems") {
		var o object
		require.NoError(t, json.Unmarshal(raw, &o))
		if before, ok := b.foreign[o.ID]; ok {
			if before != string(raw) {
				complain("%s %s, which is not ours, was changed", o.Object, o.ID)
			}
			continue
		}
		if o.Object == "invoice" {
			invoices[o.ID] = o
		} else {
			items = append(items, o)
		}
	}
	seen := b.Objects(t)
	for id := range b.foreign {
		if _, ok := seen[id]; !ok {
			complain("%s, which is not ours, is gone", id)
		}
	}
	final := b.auditInvoices(invoices, complain)
	b.auditItems(items, final, complain)
	sort.Strings(wrong)
	return wrong
}

// auditInvoices finds the one that counts.
func (b *Bill) auditInvoices(invoices map[string]object, complain func(string, ...any)) string {
	key, final := b.Plan.Key.StripeKey(), ""
	for id, in := range invoices {
		switch {
		case in.Status == "draft":
			complain("draft %s is left", id)
			continue
		case in.Status == "void":
			continue
		case final != "":
			complain("invoices %s and %s both count", final, id)
		}
		final = id
		var want int64
		for _, l := range b.Plan.Lines {
			want += l.AmountMinor
		}
		if in.Metadata["lb_key"] != key || in.Metadata["lb_plan_sha256"] != b.Plan.Hash() || in.Customer != b.Plan.Key.Customer || in.Currency != b.Plan.Key.Currency || !in.Livemode {
			complain("invoice %s is not the plan's: %v", id, in.Metadata)
		}
		if in.Total != want || in.Subtotal != want || len(in.Lines.Data) != len(b.Plan.Lines) {
			complain("invoice %s is over %d (%d before discounts) in %d lines, not over %d in %d", id, in.Total, in.Subtotal, len(in.Lines.Data), want, len(b.Plan.Lines))
		}
		if in.Status == "open" && !in.AutoAdvance {
			complain("invoice %s was never released", id)
		}
	}
	if final == "" {
		complain("there is no invoice")
	}
	return final
}

// auditItems compares the items of the invoice with the plan, and finds pending ones.
func (b *Bill) auditItems(items []object, final string, complain func(string, ...any)) {
	amounts := map[string]int64{}
	for _, it := range items {
		switch {
		case it.Invoice == nil:
			complain("item %s is pending and will be billed again", it.ID)
		case *it.Invoice == final:
			if it.Metadata["lb_key"] != b.Plan.Key.StripeKey() {
				complain("item %s on the invoice is not ours", it.ID)
			}
			if _, twice := amounts[it.Metadata["lb_line"]]; twice {
				complain("line %s was billed twice", it.Metadata["lb_line"])
			}
			amounts[it.Metadata["lb_line"]] += it.Amount
		}
	}
	for _, l := range b.Plan.Lines {
		if final != "" && amounts[l.Line] != l.AmountMinor {
			complain("line %s is over %d, not over %d", l.Line, amounts[l.Line], l.AmountMinor)
		}
	}
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
		FROM cycles c JOIN writeback_intents w ON w.cycle_id = c.id WHERE c.id = $1`, b.Plan.CycleID).
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
