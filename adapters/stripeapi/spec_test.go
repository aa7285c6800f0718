package stripeapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/reward"
)

// officialMock is Stripe's own mock of this API version, which checks every
// parameter's name, type and value against the published specification.
var officialMock = sync.OnceValues(func() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, true, false)
})

func TestRequestsFollowTheSpecification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("live")
	invoice, charge := w.paid("live", cus, 100, nil)
	p := plan(w.customer("live"))
	w.tap.take()

	ctx := t.Context()
	out := openWriter(t, w, p)
	done := sequence(t, out, p)
	_, err := out.Label(ctx, done.ID, 1)
	require.NoError(t, err)
	_, err = out.Void(ctx, done.ID)
	require.NoError(t, err)
	p.Key.Period = "2026-03"
	out = openWriter(t, w, p)
	draft, err := out.CreateDraft(ctx, 0)
	require.NoError(t, err)
	item, err := out.AddItem(ctx, draft.ID, p.Lines[0])
	require.NoError(t, err)
	require.NoError(t, out.DeleteItem(ctx, item.ID))
	require.NoError(t, out.DeleteDraft(ctx, draft.ID))
	credited(t, w, p)
	f := finder(t, w)
	made, err := f.Create(ctx, 0)
	require.NoError(t, err)
	_, err = f.ByEmail(ctx)
	require.NoError(t, err)
	_, err = f.MadeSince(ctx, start)
	require.NoError(t, err)
	su := setupFor(t, w, made.ID)
	checkout, err := su.CreateSession(ctx, 1, "https://vendor.example/done", "https://vendor.example/back")
	require.NoError(t, err)
	require.NoError(t, w.fake.CompleteCheckout("acct_1Vendor", "live", checkout.ID, "pm_card_visa"))
	_, err = su.Session(ctx, checkout.ID)
	require.NoError(t, err)
	method, err := su.PaymentMethodOf(ctx, checkout.Intent)
	require.NoError(t, err)
	_, err = su.SetDefault(ctx, 1, method)
	require.NoError(t, err)
	for range 2 {
		_, err = stripeapi.NewRegistrar(w.client).Register(ctx, secretKey(t, liveText), endpoint("issuer", "https://hooks.example.com/a"))
		require.NoError(t, err)
	}
	r := stripeapi.NewSourceReader(w.client)
	_, err = r.Charge(ctx, "issuer", charge)
	require.NoError(t, err)
	_, err = r.RefundsOf(ctx, "issuer", charge)
	require.NoError(t, err)
	_, err = r.Refunds(ctx, "issuer", start, start.AddDate(0, 1, 0))
	require.NoError(t, err)
	_, err = r.Disputes(ctx, "issuer", start, start.AddDate(0, 1, 0))
	require.NoError(t, err)
	require.NoError(t, r.PaidInvoices(ctx, "issuer", start, start.AddDate(0, 1, 0), func(stripeapi.PaidInvoice) error { return nil }))
	_, _, _, err = r.LatestEvent(ctx, "issuer", []string{"invoice.paid", "refund.updated"})
	require.NoError(t, err)
	page, err := r.Events(ctx, "issuer", start, start.AddDate(0, 1, 0), "")
	require.NoError(t, err)
	last, err := reward.ParseEnvelope(page.Events[0])
	require.NoError(t, err)
	_, err = r.Events(ctx, "issuer", start, start.AddDate(0, 1, 0), last.ID)
	require.NoError(t, err)
	for _, kind := range sourcesync.Resources()[1:8] {
		_, err = r.Objects(ctx, "issuer", kind, start, start.AddDate(0, 1, 0), "")
		require.NoError(t, err)
	}
	_, err = r.Lines(ctx, "issuer", invoice)
	require.NoError(t, err)
	_, err = r.Object(ctx, "issuer", "charge", charge)
	require.NoError(t, err)
	_, err = stripeapi.NewProber(w.client).CustomerExists(ctx, secretKey(t, liveText), cus)
	require.NoError(t, err)
	_, err = stripeapi.NewProber(w.client).Permissions(ctx, secretKey(t, liveText))
	require.NoError(t, err)

	mock, err := officialMock()
	require.NoError(t, err)
	all := w.tap.take()
	require.Greater(t, len(all), 38)
	calls := map[string]bool{}
	for _, s := range all {
		if strings.HasSuffix(s.Path, "/pay") {
			continue // the payer's
		}
		req := httptest.NewRequestWithContext(ctx, s.Method, s.Path, strings.NewReader(s.Body))
		req.Header = s.Header.Clone()
		// The mock knows test keys only; what it checks is the request.
		req.Header.Set("Authorization", "Bearer sk_test_123")
		res := httptest.NewRecorder()
		mock.HandleRequest(res, req)
		calls[s.Method+" "+callOf(s.Path)] = true
		want := http.StatusOK
		if strings.Contains(s.Body, "refund.failed") {
			want = http.StatusBadRequest // newer names, which the registrar tries and does without
		}
		require.Equal(t, want, res.Code, "%s %s %s: %s", s.Method, s.Path, s.Body, res.Body)
	}
	// Every write that an allow-list names was among them.
	require.Equal(t, []string{
		"DELETE /v1/invoiceitems/:id", "DELETE /v1/invoices/:id", "DELETE /v1/webhook_endpoints/:id", "POST /v1/checkout/sessions", "POST /v1/credit_notes",
		"POST /v1/customers", "POST /v1/customers/:id", "POST /v1/invoiceitems", "POST /v1/invoices", "POST /v1/invoices/:id", "POST /v1/invoices/:id/finalize",
		"POST /v1/invoices/:id/send", "POST /v1/invoices/:id/void", "POST /v1/webhook_endpoints",
	}, writesOf(calls))
}

// credited makes a credit note on a released invoice, before and after it is paid.
func credited(t *testing.T, w *world, p billing.InvoicePlan) {
	t.Helper()
	ctx := t.Context()
	p.Key.Customer = w.customer("live")
	out := openWriter(t, w, p)
	done := sequence(t, out, p)
	items, err := out.Items(ctx, done.ID)
	require.NoError(t, err)
	item := items[slices.IndexFunc(items, func(i invoicing.StripeItem) bool { return i.Metadata["lb_line"] == "snap-a" })].ID
	for n, after := range []bool{false, true} {
		order := billing.CreditOrder{ID: billing.CorrectionID(p.CycleID, n+1), InvoiceID: done.ID, Line: "snap-a", StripeItem: item, AmountMinor: 100, Memo: "counted twice", After: after}
		permit, err := billing.AuthorizeCredit(proven(t), account.Live, p, opened(t, p.AccountID), order)
		require.NoError(t, err)
		credit, err := stripeapi.NewCredits(w.client).OpenCredit(ctx, permit)
		require.NoError(t, err)
		if after {
			w.setup("live", http.MethodPost, "/v1/invoices/"+done.ID+"/pay", url.Values{"paid_out_of_band": {"true"}})
		}
		note, err := credit.Create(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, []any{int64(100), done.ID, order.ID, true}, []any{note.NetMinor, note.Invoice, note.Metadata["lb_adj"], note.Livemode})
		again, err := credit.Create(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, note.ID, again.ID, "the same key, the same bytes")
		all, err := credit.CreditNotes(ctx)
		require.NoError(t, err)
		require.Len(t, all, n+1)
	}
}

// callOf is a path without query and identifiers.
func callOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	segs := strings.Split(path, "/")
	for i, s := range segs {
		if prefix, _, ok := strings.Cut(s, "_"); ok && slices.Contains([]string{"in", "ii", "cus", "we", "ch", "cs", "seti"}, prefix) {
			segs[i] = ":id"
		}
	}
	return strings.Join(segs, "/")
}

func writesOf(calls map[string]bool) []string {
	var out []string
	for c := range calls {
		if !strings.HasPrefix(c, http.MethodGet+" ") {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}
