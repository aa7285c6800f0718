package sourcesync_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/sourcesync"
)

// touched makes a draft of a customer and changes it, which Stripe tells as invoice.updated.
func (c *company) touched(customer string) {
	in, ok := c.call(http.MethodPost, "/v1/invoices", url.Values{"customer": {customer}, "auto_advance": {"false"}})
	require.True(c.t, ok)
	_, ok = c.call(http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {in["id"].(string)}, "amount": {"100"}, "currency": {"usd"}})
	require.True(c.t, ok)
}

// TestTypesThatAreNotSentAreNotMissed: the check fetches and stores what an endpoint does not
// listen to, and only what it should have brought is a loss that somebody is told of.
func TestTypesThatAreNotSentAreNotMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("hooked", "acct_life", true)
	c.advance(20 * time.Minute)
	customer := c.user("u")
	c.touched(customer)
	require.NoError(t, w.Fake.DeliverPending())
	hour := func() sourcesync.Outcome {
		c.advance(61 * time.Minute)
		return w.sync("hooked")
	}
	verdict := func() sourcesync.Verdict {
		st, err := w.service(nil).Status(t.Context(), "hooked")
		require.NoError(t, err)
		return st.Verdict
	}
	out := hour()
	require.Equal(t, 1, one[int](w, `SELECT count(*) FROM stripe_events WHERE type = 'invoice.updated' AND source = 'pull'`))
	require.Equal(t, []int{1, 0}, []int{out.New, out.Missed}, "an endpoint of a source is not sent invoice.updated")
	require.Equal(t, sourcesync.OK, verdict())

	// The set-up by hand: a few types, and a key that may not see which.
	w.exec(`UPDATE webhook_endpoints SET set_up = 'manual', enabled_events = NULL`)
	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLost, Event: `^(customer|invoice)\.(created|updated|paid|finalized)$`, Count: -1}))
	w.exec(`DELETE FROM event_processing`)
	w.exec(`DELETE FROM stripe_events`)
	c.advance(3 * time.Hour)
	c.subscribe(c.user("v"), 1)
	require.NoError(t, w.Fake.DeliverPending())
	sent := one[int](w, `SELECT count(*) FROM stripe_events WHERE source = 'webhook'`)
	require.Positive(t, sent)
	out = hour()
	require.Positive(t, out.New)
	require.Zero(t, out.Missed, "what it was never seen to bring, it is not sent")
	require.Equal(t, sourcesync.OK, verdict())

	// What the check fetched says nothing of what the endpoint delivers.
	var view httpapi.WebhookView
	w.Get(t, "/v1/connections/hooked/webhook-endpoint", &view)
	require.NotContains(t, view.Received, "customer.created")
	require.Contains(t, view.Received, "customer.subscription.created")
	var silent []string
	for _, g := range view.Gaps {
		silent = append(silent, g.Events[0])
	}
	require.Contains(t, silent, "customer.updated")
	require.NotContains(t, silent, "customer.subscription.created")

	// A type that it brought before and now loses is a loss; so is all of it where nothing ever came.
	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLost, Count: -1}))
	c.subscribe(c.user("w"), 1)
	require.NoError(t, w.Fake.DeliverPending())
	out = hour()
	require.Positive(t, out.Missed)
	require.Less(t, out.Missed, out.New)
	require.Equal(t, sourcesync.Warning, verdict())
	w.exec(`DELETE FROM event_processing`)
	w.exec(`DELETE FROM stripe_events`)
	c.user("x")
	out = hour()
	require.Equal(t, out.New, out.Missed)
}
