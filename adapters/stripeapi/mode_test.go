package stripeapi_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// everyWrite calls each method of a writer that changes something at Stripe.
func everyWrite(ctx context.Context, out invoicing.Writer, p billing.InvoicePlan) []error {
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	_, err := out.CreateDraft(ctx, 0)
	add(err)
	_, err = out.AddItem(ctx, "in_1", p.Lines[0])
	add(err)
	_, err = out.Finalize(ctx, "in_1", 0, start)
	add(err)
	_, err = out.Label(ctx, "in_1", 0)
	add(err)
	_, err = out.Release(ctx, "in_1", 0)
	add(err)
	_, err = out.Send(ctx, "in_1")
	add(err)
	_, err = out.Void(ctx, "in_1")
	add(err)
	add(out.DeleteItem(ctx, "ii_1"))
	add(out.DeleteDraft(ctx, "in_1"))
	return errs
}

// liar answers every request as if it were live.
var liar = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"id":"in_1","object":"invoice","livemode":true,"status":"draft","currency":"usd","subtotal":1,"total":1,"amount_due":1,"data":[{"id":"in_1","livemode":true}]}`))
})

func TestLayerOneNoWriterWithoutProof(t *testing.T) {
	t.Parallel()
	// Stripe itself seems to confirm live mode; the declared environment still refuses.
	w := worldOn(t, liar)
	writers := stripeapi.NewWriters(w.client)
	_, err := writers.Prove(t.Context(), "sandbox", "cus_1")
	requireFault(t, err, fault.Forbidden, "mode_violation")
	_, err = writers.Open(t.Context(), billing.WriteBack{})
	requireFault(t, err, fault.Forbidden, "mode_violation")

	// A live connection whose key was replaced by a test key after the authorisation.
	wb := authorized(t, plan("cus_1"))
	w.keys["issuer"] = secretKey(t, testText)
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Forbidden, "mode_violation")
	// … that became a test connection altogether.
	w.connect("issuer", account.Test, testText)
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, w.tap.take(), "nothing was sent at all")

	// … that lost the issuer role, or was paused.
	w.connect("issuer", account.Live, liveText)
	conn := w.conns["issuer"]
	conn.Roles.Issuer = false
	w.conns["issuer"] = conn
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Forbidden, "mode_violation")
	conn.Roles.Issuer, conn.Paused = true, true
	w.conns["issuer"] = conn
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Conflict, "connection_paused")
	// … or on which writing was switched off.
	conn.Paused, conn.WriteBackOff = false, true
	w.conns["issuer"] = conn
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Conflict, "write_back_off")
	conn.WriteBackOff = false
	// … or whose key now belongs to another Stripe account.
	conn.Paused, conn.StripeAccountID = false, "acct_other"
	w.conns["issuer"] = conn
	_, err = writers.Open(t.Context(), wb)
	requireFault(t, err, fault.Forbidden, "stripe_account_mismatch")
	require.Empty(t, writes(w.tap.take()))
}

func TestLayerOneStripeSaysTest(t *testing.T) {
	t.Parallel()
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
		_, _ = res.Write([]byte(`{"id":"acct_1","object":"account","livemode":false}`))
	}))
	_, err := stripeapi.NewWriters(w.client).Open(t.Context(), authorized(t, plan("cus_1")))
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, writes(w.tap.take()))
}

func TestLayerTwoTransportAlone(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	p := plan("cus_1")
	out := stripeapi.UnprovenWriter(w.client, secretKey(t, testText), p)
	for _, err := range everyWrite(t.Context(), out, p) {
		requireFault(t, err, fault.Forbidden, "mode_violation")
	}
	_, err := out.OurInvoices(t.Context())
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, w.tap.take(), "no byte left")
}

func TestLayerThreeAnswersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("test"))
	w.setup("test", http.MethodPost, "/v1/invoices", url.Values{"customer": {p.Key.Customer}})
	w.tap.take()
	out := stripeapi.UnguardedWriter(w.client, secretKey(t, testText), p)
	_, err := out.OurInvoices(t.Context())
	requireFault(t, err, fault.Forbidden, "mode_violation")
	for _, err := range everyWrite(t.Context(), out, p) {
		requireFault(t, err, fault.Forbidden, "mode_violation")
	}
	require.Len(t, w.tap.take(), 1, "the one read; after it the writer is dead")
}

func TestWriterDemandsLivemodeInEveryAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"absent":        `{"id":"cus_1","object":"customer"}`,
		"false":         `{"id":"cus_1","object":"customer","livemode":false}`,
		"false in list": `{"object":"list","has_more":false,"data":[{"id":"in_1","object":"invoice","livemode":true},{"id":"in_2","object":"invoice","livemode":false}]}`,
		"null":          `null`,
	} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) { _, _ = res.Write([]byte(body)) }))
		out := stripeapi.UnprovenWriter(w.client, secretKey(t, liveText), plan("cus_1"))
		_, err := out.OurInvoices(t.Context())
		require.Error(t, err, name)
		require.Equal(t, "mode_violation", fault.CodeOf(err), name)
	}
}

func TestAllowLists(t *testing.T) {
	t.Parallel()
	const post, del, get = http.MethodPost, http.MethodDelete, http.MethodGet
	cases := []struct {
		role, key, method, path string
		allowed                 bool
	}{
		{"reader", liveText, get, "/v1/invoices", true},
		{"reader", liveText, post, "/v1/invoices", false},
		{"reader", liveText, del, "/v1/invoices/in_1", false},
		{"reader", liveText, http.MethodPatch, "/v1/invoices", false},
		{"reader", liveText, http.MethodPut, "/v1/invoices", false},
		{"reader", testText, post, "/v1/webhook_endpoints", false},
		{"registrar", testText, post, "/v1/webhook_endpoints", true},
		{"registrar", testText, del, "/v1/webhook_endpoints/we_1", true},
		{"registrar", testText, post, "/v1/webhook_endpoints/we_1", false},
		{"registrar", testText, post, "/v1/invoices", false},
		{"registrar", liveText, del, "/v1/webhook_endpoints", false},
		{"registrar", liveText, del, "/v1/customers/cus_1", false},
		{"registrar", liveText, post, "/v1/webhook_endpoints/../invoices", false},
		{"prober", liveText, get, "/v1/invoices", true},
		{"prober", liveText, post, "/v1/invoices", false}, // not without the one body
		{"prober", liveText, post, "/v1/customers", false},
		{"prober", liveText, del, "/v1/invoices/in_1", false},
		{"prober", testText, post, "/v1/invoices", false},
		{"writer", liveText, post, "/v1/invoices", true},
		{"writer", liveText, post, "/v1/invoiceitems", true},
		{"writer", liveText, post, "/v1/credit_notes", false},
		{"writer", liveText, post, "/v1/invoices/in_1", true},
		{"writer", liveText, post, "/v1/invoices/in_1/finalize", true},
		{"writer", liveText, post, "/v1/invoices/in_1/void", true},
		{"writer", liveText, post, "/v1/invoices/in_1/send", true},
		{"writer", liveText, del, "/v1/invoices/in_1", true},
		{"writer", liveText, del, "/v1/invoiceitems/ii_1", true},
		{"writer", liveText, post, "/v1/invoices/in_1/pay", false},
		{"writer", liveText, post, "/v1/invoices/in_1/mark_uncollectible", false},
		{"writer", liveText, post, "/v1/invoices/in_1%2Fpay", false},
		{"writer", liveText, post, "/v1/invoices/", false},
		{"writer", liveText, post, "/v1/customers", false},
		{"writer", liveText, post, "/v1/customers/cus_1", false},
		{"writer", liveText, post, "/v1/refunds", false},
		{"writer", liveText, post, "/v1/webhook_endpoints", false},
		{"writer", liveText, del, "/v1/customers/cus_1", false},
		{"writer", liveText, post, "/v2/invoices", false},
		{"credit", liveText, post, "/v1/credit_notes", true},
		{"credit", liveText, get, "/v1/credit_notes", true},
		{"credit", liveText, post, "/v1/credit_notes/cn_1/void", false},
		{"credit", liveText, post, "/v1/refunds", false},
		{"credit", liveText, post, "/v1/invoices", false},
		{"credit", liveText, post, "/v1/invoices/in_1/void", false},
		{"credit", testText, post, "/v1/credit_notes", false},
		{"credit", testText, get, "/v1/credit_notes", false},
		{"payer", liveText, post, "/v1/customers", true},
		{"payer", liveText, get, "/v1/customers", true},
		{"payer", liveText, post, "/v1/customers/cus_1", false},
		{"payer", liveText, del, "/v1/customers/cus_1", false},
		{"payer", liveText, post, "/v1/invoices", false},
		{"payer", liveText, post, "/v1/checkout/sessions", false},
		{"payer", testText, post, "/v1/customers", false},
		{"payer", testText, get, "/v1/customers", false},
		{"setup", liveText, post, "/v1/checkout/sessions", true},
		{"setup", liveText, post, "/v1/customers/cus_1", true},
		{"setup", liveText, post, "/v1/customers", false},
		{"setup", liveText, post, "/v1/checkout/sessions/cs_1/expire", false},
		{"setup", liveText, del, "/v1/customers/cus_1", false},
		{"setup", liveText, post, "/v1/invoices", false},
		{"setup", liveText, post, "/v1/payment_methods/pm_1/attach", false},
		{"setup", testText, post, "/v1/checkout/sessions", false},
		{"witness", liveText, get, "/v1/customers/cus_1", true},
		{"witness", liveText, post, "/v1/customers/cus_1", false},
		{"witness", testText, get, "/v1/customers/cus_1", false},
		{"writer", testText, get, "/v1/invoices", false},
		{"writer", testText, post, "/v1/invoices", false},
		{"writer", "sk_test_4f8d2c1b9a7e_live_", post, "/v1/invoices", false},
	}
	live := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mode := "false"
		if strings.Contains(req.Header.Get("Authorization"), "_live_") {
			mode = "true"
		}
		_, _ = w.Write([]byte(`{"id":"x","livemode":` + mode + `}`))
	})
	w := worldOn(t, live)
	for _, c := range cases {
		name := c.role + " " + c.method + " " + c.path
		err := stripeapi.SendAs(t.Context(), w.client, c.role, secretKey(t, c.key), c.method, c.path, "lb:k")
		seen := w.tap.take()
		if c.allowed {
			require.NoError(t, err, name)
			require.Len(t, seen, 1, name)
			continue
		}
		require.Error(t, err, name)
		require.Equal(t, "mode_violation", fault.CodeOf(err), name)
		require.Empty(t, seen, name)
	}
}

func TestKeysStayWithStripe(t *testing.T) {
	t.Parallel()
	elsewhere := worldOn(t, liar)
	w := worldOn(t, http.RedirectHandler(elsewhere.url+"/v1/invoices", http.StatusTemporaryRedirect))
	err := stripeapi.SendAs(t.Context(), w.client, "writer", secretKey(t, liveText), http.MethodPost, "/v1/invoices", "lb:k")
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	require.Len(t, w.tap.take(), 1)
	require.Empty(t, elsewhere.tap.take(), "a redirect is not followed")
	requireFault(t, stripeapi.SendTo(t.Context(), w.client, secretKey(t, liveText), elsewhere.url+"/v1/invoices"), fault.Forbidden, "mode_violation")
	require.Empty(t, elsewhere.tap.take())
}

func TestWritesNeedADerivedKey(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	for _, k := range []string{"", "random"} {
		err := stripeapi.SendAs(t.Context(), w.client, "writer", secretKey(t, liveText), http.MethodPost, "/v1/invoices", k)
		requireFault(t, err, fault.Internal, "idempotency_key_missing")
	}
	require.Empty(t, w.tap.take())
}

// Bug 10: a search that had not seen the last write yet led to a second customer.
func TestBug10NothingIsSearchedFor(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	for _, role := range []string{"reader", "registrar", "prober", "writer"} {
		for _, path := range []string{"/v1/customers/search", "/v1/invoices/search?query=x", "/v1/charges/search/"} {
			err := stripeapi.SendAs(t.Context(), w.client, role, secretKey(t, liveText), http.MethodGet, path, "")
			requireFault(t, err, fault.Internal, "search_refused")
		}
	}
	require.Empty(t, w.tap.take())
}

func TestAPIBase(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	for _, bad := range []string{
		"https://evil.example", "http://api.stripe.com", "https://api.stripe.com.evil.example", "https://api.stripe.com@evil.example",
		"http://10.0.0.1:12111", "http://user:pw@127.0.0.1:1", "http://127.0.0.1:1/v1", "ftp://127.0.0.1", "127.0.0.1:80", "http://localhost.evil.example", "http://127.0.0.1:1?x=1",
	} {
		_, err := stripeapi.New(stripeapi.Config{APIBase: bad})
		require.Error(t, err, bad)
		require.Equal(t, "api_base_refused", fault.CodeOf(err), bad)
	}
	for _, good := range []string{"", "https://api.stripe.com", "http://127.0.0.1:12111", "http://localhost:12111/", "http://[::1]:12111", "http://127.8.8.8"} {
		newClient(t, w, good)
	}
	_, err := stripeapi.New(stripeapi.Config{})
	require.Error(t, err)
}
