package stripefake_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func TestSignedDelivery(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	e := f.endpoint(h, "customer.created")
	require.True(t, strings.HasPrefix(e.Secret, "whsec_"))
	again, err := f.api.WebhookEndpoints.Get(e.ID, nil)
	require.NoError(t, err)
	require.Empty(t, again.Secret, "the secret is shown once")
	f.customer("pm_card_visa")
	require.NoError(t, f.DeliverPending())
	got := h.received()
	require.Len(t, got, 1)
	require.Contains(t, got[0].header, "t=1767225600,v1=", "signed at the time of the clock")
	require.NoError(t, webhook.ValidatePayloadIgnoringTolerance(got[0].body, got[0].header, e.Secret))
	require.Error(t, webhook.ValidatePayloadIgnoringTolerance(got[0].body, got[0].header, "whsec_other"))
	var ev stripe.Event
	require.NoError(t, json.Unmarshal(got[0].body, &ev))
	require.Equal(t, int64(1), ev.PendingWebhooks)
	require.Equal(t, stripe.APIVersion, ev.APIVersion)
	require.NotEmpty(t, ev.Request.ID)
	require.Equal(t, int64(0), f.events("customer.created")[0].PendingWebhooks)
}

func TestSecretRoll(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	e := f.endpoint(h)
	fresh, err := f.RollSecret(acct, stripefake.Live, e.ID, time.Hour)
	require.NoError(t, err)
	last := func() delivered {
		f.customer("")
		require.NoError(t, f.DeliverPending())
		got := h.received()
		return got[len(got)-1]
	}
	d := last()
	require.Equal(t, 2, strings.Count(d.header, "v1="))
	for _, secret := range []string{fresh, e.Secret} {
		require.NoError(t, webhook.ValidatePayloadIgnoringTolerance(d.body, d.header, secret))
	}
	f.advance(time.Hour)
	d = last()
	require.Equal(t, 1, strings.Count(d.header, "v1="))
	require.NoError(t, webhook.ValidatePayloadIgnoringTolerance(d.body, d.header, fresh))
}

func TestRetries(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	f.endpoint(h)
	h.answer(http.StatusFound) // a redirect is a failure
	f.customer("")
	require.NoError(t, f.DeliverPending())
	require.Equal(t, stripefake.WebhookStats{Waiting: 1, Failed: 1}, f.Webhooks())
	p := &stripe.EventListParams{DeliverySuccess: stripe.Bool(false)}
	require.True(t, f.api.Events.List(p).Next())
	h.answer(http.StatusOK)
	f.advance(30 * time.Second)
	require.NoError(t, f.DeliverPending())
	require.Len(t, h.received(), 1, "not due yet")
	f.advance(30 * time.Second)
	require.NoError(t, f.DeliverPending())
	require.Len(t, h.received(), 2)
	require.False(t, f.api.Events.List(p).Next())
	require.Equal(t, uint64(1), f.Webhooks().Sent)
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	f.api = apiOf(f.Client, f.URL, testKey)
	f.endpoint(h)
	h.answer(http.StatusInternalServerError)
	f.customer("")
	for range 100 {
		require.NoError(t, f.DeliverPending())
		f.advance(time.Hour)
	}
	require.Len(t, h.received(), 4, "test mode: three more times over a few hours")
	require.Zero(t, f.Webhooks().Waiting)
}

func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	f.endpoint(h, "customer.created", "product.created", "price.created", "coupon.created")
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookReorder, Event: `^customer\.`}))
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookDuplicate, Event: `^product\.`}))
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLost, Event: `^price\.`}))
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLate, Event: `^coupon\.`, Delay: time.Hour}))
	f.customer("")
	f.post("/v1/products", "name=A", "")
	f.price(100, "month")
	f.post("/v1/coupons", "percent_off=5", "")
	require.NoError(t, f.DeliverPending())
	got := h.types(t)
	require.ElementsMatch(t, []string{"product.created", "product.created", "customer.created"}, got)
	require.Contains(t, got[:slices.Index(got, "customer.created")], "product.created", "overtaken by the next one")
	require.Len(t, f.events("price.created"), 1, "lost, but listed")
	f.advance(time.Hour)
	require.NoError(t, f.DeliverPending())
	require.Equal(t, "coupon.created", h.types(t)[3])
}

func TestHeldBackEventsAreFlushed(t *testing.T) {
	t.Parallel()
	f, h := setup(t, func(o *stripefake.Options) { o.HoldWebhooks = true }), newHook(t)
	f.endpoint(h)
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookReorder}))
	f.customer("")
	f.customer("")
	require.Empty(t, h.received())
	require.Equal(t, 2, f.Webhooks().Due)
	require.NoError(t, f.DeliverWebhooks(context.Background()))
	require.Len(t, h.received(), 2)
}

func TestEndpointRules(t *testing.T) {
	t.Parallel()
	f, h := setup(t), newHook(t)
	e := f.endpoint(h, "customer.created")
	f.price(1, "month") // not asked for
	_, err := f.api.WebhookEndpoints.Update(e.ID, &stripe.WebhookEndpointParams{Disabled: stripe.Bool(true)})
	require.NoError(t, err)
	f.customer("")
	_, err = f.api.WebhookEndpoints.Update(e.ID, &stripe.WebhookEndpointParams{Disabled: stripe.Bool(false)})
	require.NoError(t, err)
	require.NoError(t, f.DeliverPending())
	require.Empty(t, h.received())
	for _, form := range []string{"url=nonsense&enabled_events[]=*", "url=" + h.URL + "&enabled_events[]=customer.exploded", "url=" + h.URL} {
		require.Equal(t, 400, f.post("/v1/webhook_endpoints", form, "").status, form)
	}
	for range 15 {
		f.endpoint(h)
	}
	require.Contains(t, f.post("/v1/webhook_endpoints", "url="+h.URL+"&enabled_events[]=*", "").errorField("message"), "maximum of 16")
	_, err = f.api.WebhookEndpoints.Del(e.ID, nil)
	require.NoError(t, err)
	_, err = f.api.WebhookEndpoints.Get(e.ID, nil)
	require.Equal(t, 404, stripeError(t, err).HTTPStatusCode)
}

func TestDeliverWebhooksObeysItsContext(t *testing.T) {
	t.Parallel()
	f := setup(t)
	release := make(chan struct{})
	slow := &hook{}
	srv := newSlowHook(t, release)
	slow.URL = srv
	f.endpoint(slow)
	f.customer("")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.DeliverWebhooks(ctx), context.DeadlineExceeded)
	close(release)
	require.NoError(t, f.DeliverPending())
}
