package onboard_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// The set-up of the source document, by hand: a restricted key that may read a few things,
// and an endpoint for customer.subscription.* and invoice.payment_succeeded whose secret
// somebody pastes. Every reward that these events tell is there; what they cannot tell is
// said, and waits where it can still come from.
func TestManualSetUpEndToEnd(t *testing.T) {
	t.Parallel()
	const reader, owner = "rk_test_reader_by_hand", "sk_test_owner_of_the_shop"
	start := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	d := pipelinetest.NewDeployment(t, start)
	d.Fake.MustAccount(stripefake.AccountSpec{ID: "acct_hand", Keys: []stripefake.KeySpec{
		{Mode: "test", Secret: reader, Permissions: map[string]string{"account": "read", "customer": "read", "subscription": "read"}}, {Mode: "test", Secret: owner},
	}})
	stripe := func(method, path string, form url.Values) map[string]any {
		return pipelinetest.AtStripe(t, d.Fake, owner, method, path, form)
	}
	d.Post(t, "/v1/connections", httpapi.ConnectionCreate{ID: "hand", Environment: "test", Roles: []string{"source"}, SecretKey: reader}, nil)
	d.Post(t, "/v1/accounts", httpapi.AccountCreate{ID: "hand", Environment: "test", Name: "By hand", SourceConnection: "hand"}, nil)
	var view httpapi.WebhookView
	d.Get(t, "/v1/connections/hand/webhook-endpoint", &view)
	made := stripe(http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {view.URL}, "enabled_events[]": {
		"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.paused",
		"customer.subscription.resumed", "customer.subscription.trial_will_end", "customer.subscription.pending_update_applied",
		"customer.subscription.pending_update_expired", "invoice.payment_succeeded",
	}})
	d.Post(t, "/v1/connections/hand/webhook-endpoint/secret", httpapi.WebhookSecretSet{Secret: made["secret"].(string) + "\n"}, nil)

	customer := stripe(http.MethodPost, "/v1/customers", url.Values{"payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"},
		"metadata[user_id]": {"u-1"}})["id"].(string)
	product := stripe(http.MethodPost, "/v1/products", url.Values{"name": {"Plan"}})["id"].(string)
	price := func(amount int) string {
		return stripe(http.MethodPost, "/v1/prices", url.Values{"product": {product}, "currency": {"usd"}, "unit_amount": {strconv.Itoa(amount)}, "recurring[interval]": {"month"}})["id"].(string)
	}
	sub := stripe(http.MethodPost, "/v1/subscriptions", url.Values{"customer": {customer}, "items[0][price]": {price(4900)}, "trial_period_days": {"7"}})
	id, item := sub["id"].(string), sub["items"].(map[string]any)["data"].([]any)[0].(map[string]any)["id"].(string)
	advance := func(days int) {
		// What is under way arrives before the clock moves: its signature is of its time.
		require.NoError(t, d.Fake.DeliverWebhooks(t.Context()))
		require.NoError(t, d.Fake.Advance(time.Duration(days)*24*time.Hour))
		require.NoError(t, d.Fake.DeliverWebhooks(t.Context()))
	}
	advance(8) // the trial ends and is paid
	stripe(http.MethodPost, "/v1/subscriptions/"+id, url.Values{"items[0][id]": {item}, "items[0][price]": {price(2900)}, "proration_behavior": {"none"}})
	advance(2)
	stripe(http.MethodDelete, "/v1/subscriptions/"+id, nil)
	advance(1)
	require.NoError(t, d.DrainAll(t.Context(), ""))

	var events httpapi.RewardEventList
	d.Get(t, "/v1/accounts/hand/reward-events?limit=100", &events)
	kinds := map[string]int{}
	for _, e := range events.Items {
		if e.IsReward {
			kinds[e.Kind]++
			require.Empty(t, e.UserID, "no event told whose the customer is")
		}
	}
	require.Equal(t, map[string]int{"trial_start": 1, "trial_will_end": 1, "trial_expired": 1, "conversion": 1, "revenue_confirmation": 1, "downgrade": 1, "churn": 1}, kinds)

	// What is missing is said: certainly nothing yet, because the key may not see endpoints.
	d.Post(t, "/v1/connections/hand/webhook-endpoint/check", nil, nil)
	d.Get(t, "/v1/connections/hand/webhook-endpoint", &view)
	var gaps []string
	for _, g := range view.Gaps {
		require.False(t, g.Certain)
		gaps = append(gaps, g.Events[0])
	}
	require.Equal(t, []string{"customer.updated", "invoice.payment_failed", "charge.refunded", "charge.dispute.created", "charge.dispute.closed", "credit_note.created"}, gaps)
	var q httpapi.Quarantine
	d.Get(t, "/v1/connections/hand/quarantine?period=2026-10", &q)
	require.Regexp(t, `^\d+ facts, 49\.00 USD unmapped$`, q.Summary)
	var report httpapi.KeyReport
	d.Post(t, "/v1/connections/hand/key-check", nil, &report)
	require.False(t, report.Ok)
	var missing []string
	for _, f := range report.Findings {
		if f.Severity == "missing" {
			missing = append(missing, f.Permission)
		}
	}
	require.Equal(t, []string{"Invoices: read", "Charges and Refunds: read", "Disputes: read", "Credit notes: read", "Events: read"}, missing)

	// The customer is queued to be read, once; a person can also say whose it is.
	n, err := d.DB.AskCustomers(t.Context(), 10, d.Clock.Now())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = d.DB.AskCustomers(t.Context(), 10, d.Clock.Now())
	require.NoError(t, err)
	require.Zero(t, n)
	d.Post(t, "/v1/connections/hand/links", httpapi.LinkCreate{CustomerID: customer, UserID: "u-1", Reason: "it is in the metadata"}, nil)
	d.Get(t, "/v1/accounts/hand/reward-events?kind=revenue_confirmation", &events)
	require.Equal(t, []string{"u-1", "manual"}, []string{events.Items[0].UserID, events.Items[0].MappedBy})
	d.Get(t, "/v1/connections/hand/quarantine?period=2026-10", &q)
	require.Equal(t, "nothing is unmapped", q.Summary)
}
