package stripeapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// kindOf is the object name and ID of a body.
func kindOf(t *testing.T, raw []byte) (object, id string) {
	t.Helper()
	var o struct{ Object, ID string }
	require.NoError(t, json.Unmarshal(raw, &o))
	return o.Object, o.ID
}

// TestEventPages: one page at a time, newest first, half-open, of all types at once; what
// nobody reads is left out and does not end the list.
func TestEventPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	w.customer("live") // in the second before the window
	from := start.Add(time.Hour)
	require.NoError(t, w.fake.SetTime(from))
	first := w.customer("live")
	for range 130 {
		w.setup("live", http.MethodPost, "/v1/products", url.Values{"name": {"x"}})
	}
	last := w.customer("live")
	require.NoError(t, w.fake.SetTime(from.Add(time.Second)))
	w.customer("live") // in the first second behind it
	r := stripeapi.NewSourceReader(w.client)
	w.tap.take()
	page, err := r.Events(t.Context(), "issuer", from, from.Add(time.Second), "")
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.Equal(t, 99, page.Others)
	require.Equal(t, from, page.Oldest)
	env, err := reward.ParseEnvelope(page.Events[0])
	require.NoError(t, err)
	require.Equal(t, last, env.ObjectID)
	require.NotEmpty(t, page.Next)
	page, err = r.Events(t.Context(), "issuer", from, from.Add(time.Second), page.Next)
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.Empty(t, page.Next)
	env, err = reward.ParseEnvelope(page.Events[0])
	require.NoError(t, err)
	require.Equal(t, first, env.ObjectID)
	sent := w.tap.take()
	require.Len(t, sent, 2)
	query, err := url.ParseRequestURI(sent[0].Path)
	require.NoError(t, err)
	require.Equal(t, url.Values{"created[gte]": {strconv.FormatInt(from.Unix(), 10)}, "created[lt]": {strconv.FormatInt(from.Unix()+1, 10)}, "limit": {"100"}}, query.Query())
	require.Equal(t, 2, r.TakeReads("issuer"))
	require.Zero(t, r.TakeReads("issuer"))
}

// TestWantedEvents: what an endpoint is sent and what the classifier reads, fetched or
// delivered, is the same.
func TestWantedEvents(t *testing.T) {
	t.Parallel()
	wanted := stripeapi.WantedEvents()
	for _, typ := range append(stripeapi.EnabledEvents(account.Roles{Source: true, Issuer: true}), reward.EventTypes()...) {
		require.Contains(t, wanted, typ)
	}
	require.NotContains(t, wanted, "payment_intent.succeeded")
	require.True(t, slices.IsSorted(wanted))
	require.Greater(t, len(wanted), 20, "more than one request can name")
}

// TestObjectPages lists every kind as it is needed: subscriptions of every status,
// charges with their invoices.
func TestObjectPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("live")
	_, charge := w.paid("live", cus, 5000, nil)
	own, ownCharge := w.paid("live", cus, 700, url.Values{"metadata[lb_key]": {"lb:1"}})
	w.setup("live", http.MethodPost, "/v1/refunds", url.Values{"charge": {charge}, "amount": {"100"}})
	_, err := w.fake.OpenDispute(stripefake.DisputeSpec{Account: "acct_1Vendor", Mode: "live", Charge: charge, Amount: 900})
	require.NoError(t, err)
	w.setup("live", http.MethodPost, "/v1/credit_notes", url.Values{"invoice": {own}, "amount": {"50"}, "out_of_band_amount": {"50"}})
	price := w.setup("live", http.MethodPost, "/v1/prices", url.Values{"currency": {"usd"}, "unit_amount": {"900"}, "recurring[interval]": {"month"}, "product_data[name]": {"Plan"}})["id"].(string)
	sub := w.setup("live", http.MethodPost, "/v1/subscriptions", url.Values{"customer": {cus}, "items[0][price]": {price}})["id"].(string)
	w.setup("live", http.MethodDelete, "/v1/subscriptions/"+sub, nil)
	r := stripeapi.NewSourceReader(w.client)
	list := func(kind sourcesync.Resource) sourcesync.ObjectPage {
		page, err := r.Objects(t.Context(), "issuer", kind, start, start.Add(time.Hour), "")
		require.NoError(t, err, kind)
		require.NotEmpty(t, page.Objects, kind)
		require.Equal(t, start, page.Oldest)
		require.Empty(t, page.Next)
		return page
	}
	for kind, object := range map[sourcesync.Resource]string{
		sourcesync.Customers: "customer", sourcesync.Subscriptions: "subscription", sourcesync.Invoices: "invoice", sourcesync.Charges: "charge",
		sourcesync.Refunds: "refund", sourcesync.Disputes: "dispute", sourcesync.CreditNotes: "credit_note",
	} {
		got, _ := kindOf(t, list(kind).Objects[0])
		require.Equal(t, object, got)
		none, err := r.Objects(t.Context(), "issuer", kind, start.Add(time.Hour), start.Add(2*time.Hour), "")
		require.NoError(t, err)
		require.Empty(t, none.Objects)
	}
	require.Contains(t, string(list(sourcesync.Subscriptions).Objects[0]), `"status":"canceled"`)
	owners := map[string]bool{}
	for _, raw := range list(sourcesync.Charges).Objects {
		o, err := reward.Observe(raw, start, reward.Config{})
		require.NoError(t, err)
		require.NotNil(t, o.Owner, "a charge comes with its invoice")
		owners[o.Owner.Charge] = o.Owner.OwnInvoice
	}
	require.False(t, owners[charge])
	require.True(t, owners[ownCharge])
	lines, err := r.Lines(t.Context(), "issuer", own)
	require.NoError(t, err)
	require.Len(t, lines, 1)

	_, err = r.Objects(t.Context(), "issuer", sourcesync.PlanChanges, start, start.Add(time.Hour), "")
	requireFault(t, err, fault.Invalid, "stripe_object_unknown")
	_, err = r.Objects(t.Context(), "issuer", sourcesync.Invoices, start, start.Add(time.Hour), "in_1&x=1")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
	_, err = r.Lines(t.Context(), "issuer", "")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
}

// TestObjectsByID reads each kind in the pinned version.
func TestObjectsByID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	cus := w.subscriber("live")
	invoice, charge := w.paid("live", cus, 5000, nil)
	r := stripeapi.NewSourceReader(w.client)
	w.tap.take()
	for object, id := range map[string]string{"customer": cus, "invoice": invoice, "charge": charge} {
		raw, err := r.Object(t.Context(), "issuer", object, id)
		require.NoError(t, err)
		got, gotID := kindOf(t, raw)
		require.Equal(t, []string{object, id}, []string{got, gotID})
	}
	for _, s := range w.tap.take() {
		require.Equal(t, "2023-10-16", s.Header.Get("Stripe-Version"))
	}
	_, err := r.Object(t.Context(), "issuer", "payout", "po_1")
	requireFault(t, err, fault.Invalid, "stripe_object_unknown")
	_, err = r.Object(t.Context(), "issuer", "invoice", "in_nowhere")
	requireFault(t, err, fault.NotFound, "stripe_not_found")
	_, err = r.Object(t.Context(), "issuer", "invoice", "")
	requireFault(t, err, fault.Invalid, "stripe_id_malformed")
}

// TestNestedObjectsHaveTheirMode: what comes inside another object is checked like it.
func TestNestedObjectsHaveTheirMode(t *testing.T) {
	t.Parallel()
	const charge = `{"id":"ch_1","object":"charge","created":1,"livemode":true,"invoice":{"id":"in_1","object":"invoice","livemode":false}}`
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v1/charges" {
			_, _ = res.Write([]byte(`{"object":"list","has_more":false,"data":[` + charge + `]}`))
			return
		}
		_, _ = res.Write([]byte(charge))
	}))
	r := stripeapi.NewSourceReader(w.client)
	_, err := r.Object(t.Context(), "issuer", "charge", "ch_1")
	requireFault(t, err, fault.Forbidden, "mode_violation")
	_, err = r.Objects(t.Context(), "issuer", sourcesync.Charges, start, start.Add(time.Hour), "")
	requireFault(t, err, fault.Forbidden, "mode_violation")
}

// TestThrottleSaysHowLongAndWhy: a refusal carries Stripe's wait, and up to a second more,
// and the name of the limit, and nothing else that the answer says.
func TestThrottleSaysHowLongAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	ask := func(f stripefake.FaultRule) *stripeapi.Throttle {
		w.fake.ClearFaults()
		f.Kind = stripefake.FaultRateLimit
		require.NoError(t, w.fake.AddFault(f))
		_, err := stripeapi.NewSourceReader(w.client).Events(t.Context(), "issuer", start, start.Add(time.Hour), "")
		requireFault(t, err, fault.RateLimited, "stripe_throttled")
		var th *stripeapi.Throttle
		require.ErrorAs(t, err, &th)
		return th
	}
	for _, c := range []struct {
		rule   stripefake.FaultRule
		after  time.Duration
		reason string
	}{
		{stripefake.FaultRule{RetryAfter: 7, Reason: "endpoint-concurrency"}, 7 * time.Second, "endpoint-concurrency"},
		{stripefake.FaultRule{}, time.Second, "global-rate"},
		{stripefake.FaultRule{Reason: "Injected <text>"}, time.Second, ""},
	} {
		th := ask(c.rule)
		require.Equal(t, c.reason, th.Reason)
		require.GreaterOrEqual(t, th.After, c.after)
		require.Less(t, th.After, c.after+time.Second)
	}
}

// TestHold: a limiter that is held lets nothing begin until the hold is over, and gives
// up with the context; without a limit there is no hold.
func TestHold(t *testing.T) {
	t.Parallel()
	wait, hold := stripeapi.Hold(5, time.Millisecond)
	hold(time.Hour)
	hold(time.Nanosecond) // a hold that is under way stays
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, wait(ctx), context.DeadlineExceeded)
	wait, hold = stripeapi.Hold(5, time.Millisecond)
	hold(time.Millisecond)
	require.NoError(t, wait(t.Context()))
	wait, hold = stripeapi.Hold(stripeapi.Unlimited, 0)
	hold(time.Hour)
	require.NoError(t, wait(t.Context()))
}
