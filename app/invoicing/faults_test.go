package invoicing_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// ourInvoices are the payer's invoices with our key in one of the states.
func ourInvoices(t *testing.T, b *pipelinetest.Bill, states ...string) []string {
	t.Helper()
	var out []string
	for _, in := range b.Operator(t, http.MethodGet, "/v1/invoices?limit=100&customer="+b.Plan.Key.Customer, nil)["data"].([]any) {
		in := in.(map[string]any)
		label, _ := in["metadata"].(map[string]any)["lb_key"].(string)
		for _, s := range states {
			if label == b.Plan.Key.StripeKey() && in["status"] == s {
				out = append(out, in["id"].(string))
			}
		}
	}
	return out
}

// shape is a request without the identifiers in it.
func shape(r stripefake.Request) string {
	segs := strings.Split(r.Path, "/")
	for i, s := range segs {
		if strings.HasPrefix(s, "in_") || strings.HasPrefix(s, "cus_") {
			segs[i] = ":id"
		}
	}
	return r.Method + " " + strings.Join(segs, "/")
}

// TestWriteBackRequestBudget counts every request on the wire of a cold process: N + 12
// for an invoice that is mailed, N + 11 for one that is charged, one page per list.
func TestWriteBackRequestBudget(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, lines := range []int{1, 2, 3, 100} {
		for _, charge := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d lines, charged %v", lines, charge), func(t *testing.T) {
				t.Parallel()
				b := pipelinetest.NewBill(t, l, pipelinetest.Lines(lines), pipelinetest.Charged(t, charge))
				out, err := b.Drive(t, nil)
				require.NoError(t, err)
				require.Equal(t, billing.Invoiced, out.State)
				b.RequireBilled(t)
				want := lines + 12
				if charge {
					want = lines + 11
				}
				require.Len(t, b.Requests(), want)
			})
		}
	}
}

func TestWriteBackSequence(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	var got []string
	for _, r := range b.Requests() {
		got = append(got, shape(r))
		if r.Method == http.MethodPost {
			require.True(t, strings.HasPrefix(r.IdempotencyKey, "lb:"), r.Path)
		}
	}
	require.Equal(t, []string{
		"GET /v1/customers/:id", "GET /v1/invoices", "POST /v1/invoices",
		"GET /v1/invoiceitems", "POST /v1/invoiceitems", "POST /v1/invoiceitems",
		"GET /v1/invoiceitems", "GET /v1/invoices/:id", "POST /v1/invoices/:id/finalize",
		"GET /v1/invoiceitems", "GET /v1/invoices", "POST /v1/invoices/:id", "POST /v1/invoices/:id/send", "GET /v1/invoiceitems",
	}, got)
}

// TestWriteBackFaultsOnTheWire breaks every request of the sequence in every way on a
// real connection, with the ledger in PostgreSQL. The campaign does far more of it, in
// one process.
func TestWriteBackFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for i := range 14 {
		kinds := campaign.Kinds()
		for _, kind := range []stripefake.FaultKind{kinds[i%len(kinds)], kinds[(i+3)%len(kinds)], kinds[(i+6)%len(kinds)]} {
			t.Run(fmt.Sprintf("%02d %s", i, kind), func(t *testing.T) {
				t.Parallel()
				b := pipelinetest.NewBill(t, l)
				require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, KeyKind: "restricted", Skip: i, Count: times(kind)}))
				_, err := b.Drive(t, nil)
				require.NoError(t, err)
				b.RequireBilled(t)
			})
		}
	}
}

// times is how often a fault must happen to be seen: net/http itself repeats a
// request once whose kept-alive connection died.
func times(kind stripefake.FaultKind) int {
	if kind == stripefake.FaultDropBefore || kind == stripefake.FaultDropAfter {
		return 2
	}
	return 1
}

// TestLateTwinIsSwept lets Stripe carry out a create that it had answered with a 500
// when all is over: the twin is a draft that nobody will ever send or charge, and the
// next sweep of that payer removes it.
func TestLateTwinIsSwept(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Late, Method: http.MethodPost, Path: "^/v1/invoices$", Delay: 6 * time.Hour}))
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	require.NoError(t, b.Fake.Advance(90*24*time.Hour))
	twins := ourInvoices(t, b, "draft")
	require.Len(t, twins, 1)
	twin := b.Operator(t, http.MethodGet, "/v1/invoices/"+twins[0], nil)
	require.Equal(t, false, twin["auto_advance"])
	require.EqualValues(t, 0, twin["total"])

	swept, err := b.NewProcess(t).Sweep(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	require.Equal(t, 1, swept.Drafts)
	require.Empty(t, ourInvoices(t, b, "draft"))
	require.Equal(t, []string{out.InvoiceID}, ourInvoices(t, b, "open", "paid", "uncollectible"))
	b.RequireBilled(t)
}

// TestNextCycleSweepsLateTwins: what came late to a payer is removed by the next cycle
// that writes to it, with the requests that it makes anyway; what belongs to a cycle that
// is not finished, to a program of somebody else's or to nobody, is not touched.
func TestNextCycleSweepsLateTwins(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Late, Method: http.MethodPost, Path: "^/v1/invoices$", Delay: 6 * time.Hour}))
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.NoError(t, b.Fake.Advance(30*24*time.Hour))
	twin := ourInvoices(t, b, "draft")
	require.Len(t, twin, 1)
	cus := b.Plan.Key.Customer
	item := func(form url.Values) string {
		form.Set("customer", cus)
		form.Set("currency", "usd")
		form.Set("amount", "77")
		return b.Operator(t, http.MethodPost, "/v1/invoiceitems", form)["id"].(string)
	}
	gone := []string{twin[0], item(url.Values{"invoice": {twin[0]}, "metadata[lb_key]": {b.Plan.Key.StripeKey()}}), item(url.Values{"metadata[lb_key]": {b.Plan.Key.StripeKey()}})}
	unknown := billing.IntentKey{IssuerConnection: "elsewhere", Customer: cus, Currency: "usd", Period: "2026-09", Part: "1/1"}.StripeKey()
	draft := func(key string) string {
		return b.Operator(t, http.MethodPost, "/v1/invoices", url.Values{"customer": {cus}, "metadata[lb_key]": {key}, "pending_invoice_items_behavior": {"exclude"}})["id"].(string)
	}
	mixed := draft(b.Plan.Key.StripeKey())
	stays := []string{draft(unknown), item(url.Values{"metadata[lb_key]": {unknown}}), mixed, item(url.Values{"invoice": {mixed}})}

	next := b.NextMonth(t)
	b.Fake.ResetRequests()
	_, err = next.Drive(t, nil)
	require.NoError(t, err)
	require.Len(t, next.Requests(), 14+6, "three looks at the two drafts, two items and the twin deleted")
	objects := next.Objects(t)
	for _, id := range gone {
		require.NotContains(t, objects, id)
	}
	for _, id := range stays {
		require.Contains(t, objects, id)
	}
}
