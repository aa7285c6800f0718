package onboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/fault"
)

// stripe sends a request as somebody who works on the same Stripe account.
func (w *world) stripe(t *testing.T, method, path string, form url.Values) {
	t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, w.fake.URL+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk_live_setup_of_the_test")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := w.fake.Client.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, 300)
}

// endpoints are the URLs of the endpoints at Stripe.
func (w *world) endpoints(t *testing.T) map[string]string {
	t.Helper()
	conn, err := w.svc.Resume(w.ctx, by, "acme")
	require.NoError(t, err)
	require.False(t, conn.Paused)
	out := map[string]string{}
	for _, e := range w.listed(t) {
		out[e.ID] = e.URL
	}
	return out
}

func (w *world) listed(t *testing.T) []onboard.StripeEndpoint {
	t.Helper()
	all, err := w.svc.Registrar.Endpoints(w.ctx, secret(t, liveKey), "acme")
	require.NoError(t, err)
	return all
}

// Two calls at once make one endpoint, and both get it.
func TestRegisterWebhookOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	got, created, errs := make([]onboard.Endpoint, 6), make([]bool, 6), make([]error, 6)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], created[i], errs[i] = w.svc.RegisterWebhook(w.ctx, by, "acme") })
	}
	wg.Wait()
	n := 0
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0].StripeID, got[i].StripeID)
		if created[i] {
			n++
		}
	}
	require.Equal(t, 1, n)
	require.Len(t, w.listed(t), 1)
}

// While a secret is rotated both endpoints deliver and both secrets hold; afterwards the
// old ones are gone.
func TestRotateWebhookSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, err := w.svc.RotateWebhookSecret(w.ctx, named("anna"), "acme")
	require.Equal(t, "endpoint_not_registered", fault.CodeOf(err))
	first, _, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	rotated, err := w.svc.RotateWebhookSecret(w.ctx, named("anna"), "acme")
	require.NoError(t, err)
	require.NotEqual(t, first.StripeID, rotated.StripeID)
	require.Equal(t, first.SealedSecret, rotated.SealedPrevious)
	require.Equal(t, first.StripeID, rotated.RetiringID)
	require.Equal(t, now.Add(24*time.Hour), *rotated.PreviousUntil)
	require.Len(t, w.listed(t), 2)
	_, err = w.svc.RotateWebhookSecret(w.ctx, named("anna"), "acme")
	require.Equal(t, "rotation_running", fault.CodeOf(err))

	w.svc.Clock = clock.Fixed(now.Add(23 * time.Hour))
	e, err := w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, rotated.RetiringID, e.RetiringID)
	require.Len(t, w.listed(t), 2)
	w.svc.Clock = clock.Fixed(now.Add(24 * time.Hour))
	e, err = w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Nil(t, e.SealedPrevious)
	require.Empty(t, e.RetiringID)
	require.Len(t, w.listed(t), 1)
	require.Equal(t, onboard.StatusEnabled, e.Status)
	_, err = w.svc.RotateWebhookSecret(w.ctx, named("anna"), "acme")
	require.NoError(t, err)
}

// What happens to the endpoint at Stripe is seen, and what a lost answer left is removed.
func TestCheckWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, err := w.svc.CheckWebhook(w.ctx, by, "acme")
	require.True(t, fault.Is(err, fault.NotFound))
	e, _, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, onboard.StatusEnabled, e.Status)
	w.stripe(t, http.MethodPost, "/v1/webhook_endpoints/"+e.StripeID, url.Values{"disabled": {"true"}})
	w.stripe(t, http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {e.URL}, "enabled_events[]": {"invoice.paid"}, "metadata[lb_conn]": {"acme"}})
	w.stripe(t, http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {"https://other.example"}, "enabled_events[]": {"invoice.paid"}})
	e, err = w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, onboard.StatusDisabled, e.Status)
	require.Len(t, w.endpoints(t), 2, "what nobody knows the secret of is removed, what is not ours stays")
	log, err := w.svc.Log(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, "webhook_disabled", log[0].Action)

	require.NoError(t, w.svc.Registrar.Delete(w.ctx, secret(t, liveKey), "acme", e.StripeID))
	e, err = w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, onboard.StatusMissing, e.Status)
	again, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.True(t, created, "one that was deleted at Stripe is made again")
	require.Equal(t, onboard.StatusEnabled, again.Status)
}

// A secret that is pasted by hand works without any right on webhook endpoints, and what the
// endpoint does not deliver is said.
func TestWebhookByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const reader = "rk_live_reader_of_the_test"
	_, err := w.fake.AddKey(stripefake.KeySpec{Account: "acct_1", Mode: "live", Secret: reader, Permissions: map[string]string{"*": "read", "webhook": "none"}})
	require.NoError(t, err)
	_, _, err = w.svc.Connect(w.ctx, by, onboard.ConnectionInput{ID: "acme", Environment: "live", Roles: []string{"source"}, SecretKey: reader})
	require.NoError(t, err)
	view, err := w.svc.Webhook(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1/v1/stripe/webhooks/we-acme", view.URL, "the address to enter is known before")
	require.Empty(t, view.Endpoint.ID)
	require.Empty(t, view.Gaps)

	_, err = w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", "rk_live_pasted_in_the_wrong_field")
	require.Equal(t, "secret_is_key", fault.CodeOf(err))
	e, err := w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", " whsec_4f8d2c1b9a7e6053 ")
	require.NoError(t, err)
	require.Equal(t, onboard.ByHand, e.SetUp)
	plain, err := w.svc.Box.Open(onboard.SecretContext("we-acme"), e.SealedSecret)
	require.NoError(t, err)
	require.Equal(t, "whsec_4f8d2c1b9a7e6053", string(plain))
	same, err := w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", "whsec_4f8d2c1b9a7e6053")
	require.NoError(t, err)
	require.Nil(t, same.SealedPrevious)
	rolled, err := w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", "whsec_aaaaaaaaaaaaaaaa")
	require.NoError(t, err)
	require.Equal(t, e.SealedSecret, rolled.SealedPrevious, "the one before stays valid for a day")
	e, err = w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, onboard.StatusUnknown, e.Status, "a key that may not look learns nothing, and that is fine")
	w.svc.Clock = clock.Fixed(now.Add(25 * time.Hour))
	e, err = w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Nil(t, e.SealedPrevious)

	view, err = w.svc.Webhook(w.ctx, "acme")
	require.NoError(t, err)
	require.Len(t, view.Gaps, 11, "nothing came so far")
	require.False(t, view.Gaps[0].Certain)
}

// When the endpoint can be found at Stripe, what it does not listen to is certain. Let us
// register afterwards, and what was set up by hand goes on beside it.
func TestWebhookByHandIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	w.stripe(t, http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {w.svc.EndpointURL("acme")},
		"enabled_events[]": {"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted", "invoice.payment_succeeded"}})
	hand, err := w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", "whsec_4f8d2c1b9a7e6053")
	require.NoError(t, err)
	e, err := w.svc.CheckWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, onboard.StatusEnabled, e.Status)
	view, err := w.svc.Webhook(w.ctx, "acme")
	require.NoError(t, err)
	var means []string
	for _, g := range view.Gaps {
		require.True(t, g.Certain)
		means = append(means, g.Events[0])
	}
	require.Equal(t, []string{"customer.updated", "customer.subscription.trial_will_end", "invoice.payment_failed", "charge.refunded",
		"charge.dispute.created", "charge.dispute.closed", "credit_note.created", "invoice.voided"}, means)

	reg, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, hand.SealedSecret, reg.SealedPrevious)
	require.Nil(t, reg.PreviousUntil, "as long as the other one is there")
	require.Len(t, w.listed(t), 2)
	_, err = w.svc.SetWebhookSecret(w.ctx, named("anna"), "acme", "whsec_4f8d2c1b9a7e6053")
	require.Equal(t, "endpoint_registered", fault.CodeOf(err))
	view, err = w.svc.Webhook(w.ctx, "acme")
	require.NoError(t, err)
	require.Empty(t, view.Gaps)
}
