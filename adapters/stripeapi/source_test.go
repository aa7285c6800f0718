package stripeapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/reward"
)

func key(t *testing.T, mode string) account.SecretKey {
	t.Helper()
	return secretKey(t, map[string]string{"live": liveText, "test": testText}[mode])
}

func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	prober := stripeapi.NewProber(w.client)
	seen, err := prober.Observe(t.Context(), key(t, "live"))
	require.NoError(t, err)
	require.Equal(t, "acct_1Vendor", seen.StripeAccountID)
	for _, mode := range []string{"live", "test"} {
		w.customer(mode)
		seen, err := prober.Observe(t.Context(), key(t, mode))
		require.NoError(t, err)
		require.Equal(t, account.Observation{StripeAccountID: "acct_1Vendor", Livemode: mode == "live", LivemodeSeen: true}, seen)
	}
	require.NoError(t, w.fake.RevokeKey(liveText))
	_, err = prober.Observe(t.Context(), key(t, "live"))
	requireFault(t, err, fault.Forbidden, "stripe_auth")
	require.NotContains(t, err.Error(), liveText)
}

func TestObserveWithFewPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"event": "read"})
	w.customer("live") // makes an event
	seen, err := stripeapi.NewProber(w.client).Observe(t.Context(), key(t, "live"))
	require.NoError(t, err)
	require.Equal(t, account.Observation{Livemode: true, LivemodeSeen: true}, seen)
}

func TestObservationIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	openWriter(t, w, p)
	w.tap.take()
	openWriter(t, w, p)
	require.Empty(t, w.tap.take(), "a key does not change its mode")
}

func TestCustomerExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	prober := stripeapi.NewProber(w.client)
	id, gone, other := w.customer("live"), w.customer("live"), w.customer("test")
	w.setup("live", http.MethodDelete, "/v1/customers/"+gone, nil)
	for customer, want := range map[string]bool{id: true, gone: false, "cus_unknown": false} {
		ok, err := prober.CustomerExists(t.Context(), key(t, "live"), customer)
		require.NoError(t, err)
		require.Equal(t, want, ok, customer)
	}
	_, err := prober.CustomerExists(t.Context(), key(t, "live"), other)
	requireFault(t, err, fault.Forbidden, "mode_violation")
	_, err = prober.CustomerExists(t.Context(), key(t, "live"), "")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
}

func TestRegister(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"live", "test"} {
		w := newWorld(t, everything())
		reg := stripeapi.NewRegistrar(w.client)
		const hook = "https://hooks.example.com/v1/stripe/webhooks/e1"
		first, err := reg.Register(t.Context(), key(t, mode), endpoint("acme", hook))
		require.NoError(t, err)
		require.Equal(t, mode == "live", first.Livemode)
		require.NotEmpty(t, first.Secret)
		_, err = reg.Register(t.Context(), key(t, mode), endpoint("other", hook))
		require.NoError(t, err)
		_, err = reg.Register(t.Context(), key(t, mode), endpoint("acme", hook+"2"))
		require.NoError(t, err)
		w.tap.take()
		again, err := reg.Register(t.Context(), key(t, mode), endpoint("acme", hook))
		require.NoError(t, err)
		require.NotEqual(t, first.ID, again.ID)
		require.NotEqual(t, first.Secret, again.Secret)
		made := writes(w.tap.take())
		require.Len(t, made, 3)
		require.Equal(t, "/v1/webhook_endpoints/"+first.ID, made[0].Path)
		require.Contains(t, made[1].Body, "refund.failed", "newer names are tried")
		require.NotContains(t, made[2].Body, "refund.failed", "and done without when Stripe refuses them")
		require.NotEqual(t, made[1].Key, made[2].Key)
		form, err := url.ParseQuery(made[2].Body)
		require.NoError(t, err)
		require.Equal(t, "2023-10-16", form.Get("api_version"))
		require.Equal(t, "acme", form.Get("metadata[lb_conn]"))
		all := w.setup(mode, http.MethodGet, "/v1/webhook_endpoints", nil)["data"].([]any)
		require.Len(t, all, 3, "the endpoints of others stay")
	}
}

func endpoint(connection, hook string) onboard.EndpointRequest {
	return onboard.EndpointRequest{ConnectionID: connection, URL: hook, Roles: account.Roles{Source: true, Issuer: true}}
}

func TestRegisteredEvents(t *testing.T) {
	t.Parallel()
	source, issuer := stripeapi.EnabledEvents(account.Roles{Source: true}), stripeapi.EnabledEvents(account.Roles{Issuer: true})
	both := stripeapi.EnabledEvents(account.Roles{Source: true, Issuer: true})
	require.Contains(t, source, "refund.updated")
	require.NotContains(t, source, "invoice.updated", "it is about our own invoices")
	require.NotContains(t, issuer, "customer.subscription.created")
	seen := map[string]bool{}
	for _, e := range both {
		require.False(t, seen[e], e)
		seen[e] = true
	}
	for _, e := range append(source, issuer...) {
		require.True(t, seen[e], e)
	}
	for _, list := range [][]string{source, issuer, both} {
		require.NotContains(t, list, "invoice.created", "it would hold the customer's own invoices back")
		require.Contains(t, list, "invoice.paid")
	}
}

// Whatever is lost on the way, Stripe ends with one endpoint whose secret is known.
func TestRegisterSurvivesLostAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []stripefake.FaultKind{"drop_before", "drop_after", "500_before", "500_after", "truncate"} {
		w := newWorld(t, everything())
		require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: kind, Method: http.MethodPost, Path: "^/v1/webhook_endpoints$", Skip: 1}))
		made, err := stripeapi.NewRegistrar(w.client).Register(t.Context(), key(t, "live"), endpoint("acme", "https://hooks.example.com/a"))
		require.NoError(t, err, kind)
		require.NotEmpty(t, made.Secret)
		all, err := stripeapi.NewRegistrar(w.client).Endpoints(t.Context(), key(t, "live"), "acme")
		require.NoError(t, err)
		require.Len(t, all, 1, kind)
		require.Equal(t, made.StripeEndpoint, all[0])
		require.True(t, all[0].Enabled)
		require.Equal(t, "2023-10-16", all[0].APIVersion)
	}
}

func TestEndpointsAreKeptAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	reg := stripeapi.NewRegistrar(w.client)
	in := endpoint("acme", "https://hooks.example.com/a")
	first, err := reg.Register(t.Context(), key(t, "test"), in)
	require.NoError(t, err)
	in.Keep = []string{first.ID}
	_, err = reg.Register(t.Context(), key(t, "test"), in)
	require.NoError(t, err)
	all, err := reg.Endpoints(t.Context(), key(t, "test"), "acme")
	require.NoError(t, err)
	require.Len(t, all, 2)
	for range 2 {
		require.NoError(t, reg.Delete(t.Context(), key(t, "test"), "acme", first.ID), "one that is gone is no error")
	}
	requireFault(t, reg.Delete(t.Context(), key(t, "test"), "acme", ""), fault.Invalid, "stripe_id_malformed")
}

func TestRegisterAtTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	for i := range 16 {
		w.setup("live", http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {"https://a.example/" + strconv.Itoa(i)}, "enabled_events[]": {"invoice.paid"}})
	}
	_, err := stripeapi.NewRegistrar(w.client).Register(t.Context(), key(t, "live"), endpoint("acme", "https://a.example/new"))
	requireFault(t, err, fault.Conflict, "webhook_endpoint_limit")
	require.Contains(t, err.Error(), "Delete endpoints")
}

// paid makes an invoice that is paid at once and returns its ID and charge.
func (w *world) paid(mode, customer string, amount int, extra url.Values) (invoice, charge string) {
	w.t.Helper()
	form := url.Values{"customer": {customer}, "currency": {"usd"}, "pending_invoice_items_behavior": {"exclude"}}
	for k, v := range extra {
		form[k] = v
	}
	invoice = w.setup(mode, http.MethodPost, "/v1/invoices", form)["id"].(string)
	w.setup(mode, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {invoice}, "currency": {"usd"}, "amount": {strconv.Itoa(amount)}})
	w.setup(mode, http.MethodPost, "/v1/invoices/"+invoice+"/finalize", url.Values{"auto_advance": {"false"}})
	charge, _ = w.setup(mode, http.MethodPost, "/v1/invoices/"+invoice+"/pay", nil)["charge"].(string)
	return invoice, charge
}

func (w *world) subscriber(mode string) string {
	w.t.Helper()
	return w.setup(mode, http.MethodPost, "/v1/customers", url.Values{"payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"}})["id"].(string)
}

func TestChargeAndRefunds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("test")
	invoice, charge := w.paid("test", cus, 5000, nil)
	own, ownCharge := w.paid("test", cus, 700, url.Values{"metadata[lb_key]": {"lb:1"}})
	for range 3 {
		w.setup("test", http.MethodPost, "/v1/refunds", url.Values{"charge": {charge}, "amount": {"100"}})
	}
	r := stripeapi.NewSourceReader(w.client)
	w.tap.take()
	got, err := r.Charge(t.Context(), "sandbox", charge)
	require.NoError(t, err)
	require.Equal(t, reward.Owner{Charge: charge, Customer: cus, Invoice: invoice}, got)
	got, err = r.Charge(t.Context(), "sandbox", ownCharge)
	require.NoError(t, err)
	require.Equal(t, reward.Owner{Charge: ownCharge, Customer: cus, Invoice: own, OwnInvoice: true}, got)
	refunds, err := r.RefundsOf(t.Context(), "sandbox", charge)
	require.NoError(t, err)
	require.Len(t, refunds, 3)
	require.Contains(t, string(refunds[0]), `"object":"refund"`)
	require.Empty(t, writes(w.tap.take()))

	_, err = r.Charge(t.Context(), "issuer", charge)
	require.Error(t, err, "a test charge is not there in live mode")
	_, err = r.Charge(t.Context(), "nobody", charge)
	requireFault(t, err, fault.NotFound, "connection_unknown")
	_, err = r.Charge(t.Context(), "", charge)
	requireFault(t, err, fault.Invalid, "connection_missing")
	_, err = r.Charge(t.Context(), "sandbox", "")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
	_, err = r.RefundsOf(t.Context(), "sandbox", "")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
}

func TestReaderRefusesTheOtherMode(t *testing.T) {
	t.Parallel()
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
		_, _ = res.Write([]byte(`{"object":"list","has_more":false,"data":[{"id":"in_1","object":"invoice","livemode":true}]}`))
	}))
	err := stripeapi.NewSourceReader(w.client).PaidInvoices(t.Context(), "sandbox", start, start.AddDate(0, 1, 0), func(stripeapi.PaidInvoice) error { return nil })
	requireFault(t, err, fault.Forbidden, "mode_violation")
	// A live key under a connection that is declared a test one.
	w.keys["sandbox"] = secretKey(t, liveText)
	w.tap.take()
	_, _, _, err = stripeapi.NewSourceReader(w.client).LatestEvent(t.Context(), "sandbox", []string{"invoice.paid"})
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, w.tap.take())
}

func TestPaidInvoicesByTimeOfPayment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("live")
	w.paid("live", cus, 100, nil) // before the period
	from := start.Add(24 * time.Hour)
	require.NoError(t, w.fake.SetTime(from))
	first, charge := w.paid("live", cus, 5000, nil) // in its first second
	own, _ := w.paid("live", cus, 700, url.Values{"metadata[lb_key]": {"lb:1"}})
	w.setup("live", http.MethodPost, "/v1/refunds", url.Values{"charge": {charge}, "amount": {"100"}})
	dispute, err := w.fake.OpenDispute(stripefake.DisputeSpec{Account: "acct_1Vendor", Mode: "live", Charge: charge, Amount: 900})
	require.NoError(t, err)
	unpaid := w.setup("live", http.MethodPost, "/v1/invoices", url.Values{"customer": {cus}, "currency": {"usd"}, "pending_invoice_items_behavior": {"exclude"}})["id"].(string)
	w.setup("live", http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {cus}, "invoice": {unpaid}, "currency": {"usd"}, "amount": {"300"}})
	to := from.Add(48 * time.Hour)
	require.NoError(t, w.fake.SetTime(to))
	w.setup("live", http.MethodPost, "/v1/invoices/"+unpaid+"/finalize", url.Values{"auto_advance": {"false"}})
	w.setup("live", http.MethodPost, "/v1/invoices/"+unpaid+"/pay", nil) // created inside, paid after
	_, late := w.paid("live", cus, 200, nil)                             // in the first second after it
	w.setup("live", http.MethodPost, "/v1/refunds", url.Values{"charge": {late}, "amount": {"50"}})

	r := stripeapi.NewSourceReader(w.client)
	var got []stripeapi.PaidInvoice
	w.tap.take()
	require.NoError(t, r.PaidInvoices(t.Context(), "issuer", from, to, func(i stripeapi.PaidInvoice) error {
		got = append(got, i)
		return nil
	}))
	require.Empty(t, cmp.Diff([]stripeapi.PaidInvoice{
		{ID: own, Customer: cus, PaidAt: from, CashNetMinor: 700, Currency: "usd", OwnInvoice: true},
		{ID: first, Customer: cus, PaidAt: from, CashNetMinor: 5000, Currency: "usd"},
	}, got))
	query, err := url.ParseRequestURI(w.tap.take()[0].Path)
	require.NoError(t, err)
	net, err := r.NetPaid(t.Context(), "issuer", period.Interval{Start: from, End: to})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"usd": 5000 - 100 - 900}, net)
	require.Equal(t, strconv.FormatInt(from.AddDate(0, 0, -400).Unix(), 10), query.Query().Get("created[gte]"))

	refunds, err := r.Refunds(t.Context(), "issuer", from, to)
	require.NoError(t, err)
	require.Len(t, refunds, 1)
	require.Equal(t, charge, refunds[0].Charge)
	require.Equal(t, int64(100), refunds[0].AmountMinor)
	require.Equal(t, from, refunds[0].Created)
	disputes, err := r.Disputes(t.Context(), "issuer", from, to)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]stripeapi.Dispute{{ID: dispute, Charge: charge, AmountMinor: 900, Currency: "usd", Status: "needs_response", Created: from}}, disputes))

	stop := errors.New("enough")
	err = r.PaidInvoices(t.Context(), "issuer", from, to, func(stripeapi.PaidInvoice) error { return stop })
	require.ErrorIs(t, err, stop)
}

// Our own invoices are told by their IDs when their metadata is gone.
func TestOwnInvoicesWithoutMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("live")
	w.paid("live", cus, 5000, nil)
	own, charge := w.paid("live", cus, 700, nil)
	w.own = map[string]bool{own: true}
	r := stripeapi.NewSourceReader(w.client)
	owner, err := r.Charge(t.Context(), "issuer", charge)
	require.NoError(t, err)
	require.True(t, owner.OwnInvoice)
	w.setup("live", http.MethodPost, "/v1/refunds", url.Values{"charge": {charge}, "amount": {"100"}})
	net, err := r.NetPaid(t.Context(), "issuer", period.Interval{Start: start, End: start.Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"usd": 5000}, net)
	page, err := r.ReconPage(t.Context(), "issuer", recon.Payment, start, start.Add(time.Hour), "")
	require.NoError(t, err)
	require.Len(t, page.Objects, 2)
	for _, o := range page.Objects {
		require.Equal(t, o.ID == own, o.Own)
	}
}

func TestCashNet(t *testing.T) {
	t.Parallel()
	const shape = `{"object":"list","has_more":false,"data":[{"id":"in_1","object":"invoice","livemode":true,"status":"paid","currency":"usd",%s,"status_transitions":{"paid_at":%d}}]}`
	for fields, want := range map[string]int64{
		`"amount_paid":1190,"total":1190,"total_excluding_tax":1000`:                         1000,
		`"amount_paid":595,"total":1190,"total_excluding_tax":1000`:                          500,
		`"amount_paid":1,"total":2,"total_excluding_tax":1`:                                  0, // 0.5 to even
		`"amount_paid":3,"total":2,"total_excluding_tax":1`:                                  2, // 1.5 to even
		`"amount_paid":1190,"total":1190,"total_excluding_tax":null,"tax":190`:               1000,
		`"amount_paid":1190,"total":1190,"total_excluding_tax":null,"tax":null`:              1190,
		`"amount_paid":0,"total":0,"total_excluding_tax":0`:                                  0,
		`"amount_paid":1190,"total":1190,"total_excluding_tax":1000,"paid_out_of_band":true`: 0,
		`"amount_paid":9007199254740993,"total":9007199254740993`:                            9007199254740993, // beyond a float
	} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(res, shape, fields, start.Unix())
		}))
		var got int64 = -1
		require.NoError(t, stripeapi.NewSourceReader(w.client).PaidInvoices(t.Context(), "issuer", start, start.Add(time.Second), func(i stripeapi.PaidInvoice) error {
			got = i.CashNetMinor
			return nil
		}))
		require.Equal(t, want, got, fields)
	}
	for _, bad := range []string{`"amount_paid":10.5,"total":11`, `"total":11`, `"amount_paid":"10","total":11`} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(res, shape, bad, start.Unix())
		}))
		err := stripeapi.NewSourceReader(w.client).PaidInvoices(t.Context(), "issuer", start, start.Add(time.Second), func(stripeapi.PaidInvoice) error { return nil })
		requireFault(t, err, fault.Unavailable, "stripe_bad_answer")
	}
}

func TestLatestEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	r := stripeapi.NewSourceReader(w.client)
	_, _, ok, err := r.LatestEvent(t.Context(), "issuer", []string{"customer.created", "customer.updated"})
	require.NoError(t, err)
	require.False(t, ok)
	w.customer("live")
	require.NoError(t, w.fake.Advance(time.Hour))
	w.customer("live")
	require.NoError(t, w.fake.Advance(time.Hour))
	w.setup("live", http.MethodPost, "/v1/products", url.Values{"name": {"x"}})
	w.tap.take()
	id, at, ok, err := r.LatestEvent(t.Context(), "issuer", []string{"customer.created", "customer.updated"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Regexp(t, `^evt_`, id)
	require.Equal(t, start.Add(time.Hour), at)
	require.Len(t, w.tap.take(), 1)
}
