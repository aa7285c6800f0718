package stripefake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func trial(days int64, missing string) func(*stripe.SubscriptionParams) {
	return func(p *stripe.SubscriptionParams) {
		p.TrialPeriodDays = &days
		if missing != "" {
			p.TrialSettings = &stripe.SubscriptionTrialSettingsParams{EndBehavior: &stripe.SubscriptionTrialSettingsEndBehaviorParams{MissingPaymentMethod: &missing}}
		}
	}
}

func TestTrialEndsWithoutPaymentMethod(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.price(1000, "month")
	canceled, paused, billed := f.subscribe(f.customer(""), p, trial(5, "cancel")), f.subscribe(f.customer(""), p, trial(5, "pause")), f.subscribe(f.customer(""), p, trial(5, ""))
	f.advance(6 * day)
	require.Equal(t, stripe.SubscriptionStatusCanceled, f.sub(canceled.ID).Status)
	require.Equal(t, start.Add(5*day).Unix(), f.sub(canceled.ID).EndedAt)
	require.Equal(t, stripe.SubscriptionStatusPaused, f.sub(paused.ID).Status)
	require.Len(t, f.events("customer.subscription.paused"), 1)
	require.Equal(t, stripe.SubscriptionStatusPastDue, f.sub(billed.ID).Status)
	_, err := f.api.Subscriptions.Resume(paused.ID, &stripe.SubscriptionResumeParams{})
	require.NoError(t, err)
	require.Equal(t, stripe.SubscriptionStatusActive, f.sub(paused.ID).Status)
}

func TestTrialIsCancelled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.price(1000, "month")
	now, end := f.subscribe(f.customer("pm_card_visa"), p, trial(5, "")), f.subscribe(f.customer("pm_card_visa"), p, trial(5, ""))
	_, err := f.api.Subscriptions.Update(end.ID, &stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)})
	require.NoError(t, err)
	prev := f.events("customer.subscription.updated")[0].Data.PreviousAttributes
	require.ElementsMatch(t, []string{"cancel_at_period_end", "cancel_at", "canceled_at", "cancellation_details"}, keys(prev))
	f.advance(day)
	_, err = f.api.Subscriptions.Cancel(now.ID, &stripe.SubscriptionCancelParams{})
	require.NoError(t, err)
	require.Equal(t, start.Add(day).Unix(), f.sub(now.ID).EndedAt)
	require.Equal(t, start.Add(5*day).Unix(), f.sub(now.ID).TrialEnd)
	f.advance(5 * day)
	require.Equal(t, stripe.SubscriptionStatusCanceled, f.sub(end.ID).Status)
	require.Empty(t, f.events("charge.succeeded"))
	_, err = f.api.Subscriptions.Cancel(now.ID, &stripe.SubscriptionCancelParams{})
	require.Equal(t, 404, stripeError(t, err).HTTPStatusCode)
}

func TestTrialEndMoves(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s := f.subscribe(f.customer("pm_card_visa"), f.price(1000, "month"), trial(5, ""))
	later := start.Add(9 * day).Unix()
	_, err := f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{TrialEnd: &later})
	require.NoError(t, err)
	f.advance(6 * day)
	require.Equal(t, stripe.SubscriptionStatusTrialing, f.sub(s.ID).Status)
	_, err = f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{TrialEndNow: stripe.Bool(true)})
	require.NoError(t, err)
	got := f.sub(s.ID)
	require.Equal(t, stripe.SubscriptionStatusActive, got.Status)
	require.Equal(t, start.Add(6*day).Unix(), got.TrialEnd)
}

func TestRenewalAndDunning(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]stripe.SubscriptionStatus{"cancel": "canceled", "unpaid": "unpaid", "past_due": "past_due"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(o *stripefake.Options) { o.Accounts[0].DunningEnd = end })
			cu := f.customer("pm_card_visa")
			s := f.subscribe(cu, f.price(1000, "month"))
			require.Equal(t, stripe.SubscriptionStatusActive, s.Status)
			require.Empty(t, f.events("customer.subscription.updated"))
			f.advance(31*day + 2*time.Hour)
			require.ElementsMatch(t, []string{"current_period_start", "current_period_end", "latest_invoice"}, keys(f.events("customer.subscription.updated")[0].Data.PreviousAttributes))
			f.post("/v1/customers/"+cu.ID, "invoice_settings[default_payment_method]=pm_card_chargeDeclined", "")
			f.advance(28 * day)
			require.Equal(t, stripe.SubscriptionStatusPastDue, f.sub(s.ID).Status)
			in := f.invoice(f.sub(s.ID).LatestInvoice.ID)
			require.Equal(t, int64(1), in.AttemptCount)
			require.Equal(t, f.Clock.Now().Add(3*day-time.Hour).Unix(), in.NextPaymentAttempt)
			f.advance(16 * day)
			got := f.sub(s.ID)
			require.Equal(t, want, got.Status)
			require.Equal(t, int64(4), f.invoice(in.ID).AttemptCount)
			if end == "cancel" {
				require.Equal(t, stripe.SubscriptionCancellationDetailsReasonPaymentFailed, got.CancellationDetails.Reason)
			}
		})
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_visa")
	s := f.subscribe(cu, f.price(1000, "month"))
	f.post("/v1/customers/"+cu.ID, "invoice_settings[default_payment_method]=pm_card_chargeDeclined", "")
	f.advance(31*day + 2*time.Hour)
	require.Equal(t, stripe.SubscriptionStatusPastDue, f.sub(s.ID).Status)
	f.post("/v1/customers/"+cu.ID, "invoice_settings[default_payment_method]=pm_card_visa", "")
	f.advance(3 * day)
	require.Equal(t, stripe.SubscriptionStatusActive, f.sub(s.ID).Status)
	up := f.events("customer.subscription.updated")
	require.Equal(t, map[string]any{"status": "past_due"}, up[len(up)-1].Data.PreviousAttributes)
}

func TestIncomplete(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.price(1000, "month")
	s := f.subscribe(f.customer("pm_card_chargeDeclined"), p)
	require.Equal(t, stripe.SubscriptionStatusIncomplete, s.Status)
	saved := f.subscribe(f.customer("pm_card_chargeDeclined"), p)
	_, err := f.api.Invoices.Pay(saved.LatestInvoice.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")})
	require.NoError(t, err)
	require.Equal(t, stripe.SubscriptionStatusActive, f.sub(saved.ID).Status)
	require.Equal(t, "incomplete", f.events("customer.subscription.updated")[0].Data.PreviousAttributes["status"])
	f.advance(23 * time.Hour)
	require.Equal(t, stripe.SubscriptionStatusIncompleteExpired, f.sub(s.ID).Status)
	nobody := f.customer("")
	_, err = f.api.Subscriptions.New(&stripe.SubscriptionParams{Customer: &nobody.ID, Items: []*stripe.SubscriptionItemsParams{{Price: &p.ID}}})
	require.Contains(t, stripeError(t, err).Msg, "no attached payment source")
}

func TestPlanChange(t *testing.T) {
	t.Parallel()
	f := setup(t)
	small, big, year := f.price(1000, "month"), f.price(3100, "month"), f.price(30000, "year")
	s := f.subscribe(f.customer("pm_card_visa"), small)
	item := s.Items.Data[0].ID
	f.advance(15*day + 12*time.Hour) // half of January
	_, err := f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: &item, Price: &big.ID, Quantity: stripe.Int64(2)}}})
	require.NoError(t, err)
	prev := f.events("customer.subscription.updated")[0].Data.PreviousAttributes
	require.Equal(t, []string{"items"}, keys(prev))
	old := prev["items"].(map[string]any)["data"].([]any)[0].(map[string]any)
	require.Equal(t, small.ID, old["price"].(map[string]any)["id"])
	require.Equal(t, item, old["id"], "arrays are complete")
	require.NotContains(t, prev["items"], "url")

	f.advance(16 * day)
	in := f.invoice(f.sub(s.ID).LatestInvoice.ID)
	require.Equal(t, int64(6200-500+3100), in.Total, "the period plus both prorations")

	_, err = f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: &item, Price: &year.ID, Quantity: stripe.Int64(1)}}, ProrationBehavior: stripe.String("none")})
	require.NoError(t, err)
	got := f.sub(s.ID)
	require.Equal(t, f.Clock.Now().Unix(), got.CurrentPeriodStart, "another interval starts a new cycle")
	now := f.invoice(got.LatestInvoice.ID)
	require.Equal(t, stripe.InvoiceBillingReasonSubscriptionUpdate, now.BillingReason)
	require.Equal(t, stripe.InvoiceStatusPaid, now.Status)
	require.Equal(t, int64(30000), now.Total)
	_, err = f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: &item, Deleted: stripe.Bool(true)}}})
	require.Contains(t, stripeError(t, err).Msg, "at least one active plan")
}

func TestPauseCollectionAndMonthEnds(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, f.SetTime(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)))
	s := f.subscribe(f.customer("pm_card_visa"), f.price(1000, "month"))
	require.Equal(t, time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC).Unix(), s.CurrentPeriodEnd)
	_, err := f.api.Subscriptions.Update(s.ID, &stripe.SubscriptionParams{PauseCollection: &stripe.SubscriptionPauseCollectionParams{Behavior: stripe.String("void")}})
	require.NoError(t, err)
	f.advance(29 * day)
	got := f.sub(s.ID)
	require.Equal(t, stripe.SubscriptionStatusActive, got.Status)
	require.Equal(t, time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC).Unix(), got.CurrentPeriodEnd, "back to the anchor's day")
	require.Equal(t, stripe.InvoiceStatusVoid, f.invoice(got.LatestInvoice.ID).Status)
	f.post("/v1/subscriptions/"+s.ID, "pause_collection=", "")
	f.advance(31 * day)
	require.Equal(t, stripe.InvoiceStatusPaid, f.invoice(f.sub(s.ID).LatestInvoice.ID).Status)
}

func TestSubscriptionLists(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.price(1000, "month")
	s := f.subscribe(f.customer("pm_card_visa"), p)
	f.subscribe(f.customer("pm_card_visa"), p, trial(5, ""))
	_, err := f.api.Subscriptions.Cancel(s.ID, &stripe.SubscriptionCancelParams{})
	require.NoError(t, err)
	for query, want := range map[string]int{"": 1, "status=all": 2, "status=canceled": 1, "status=ended": 1, "status=trialing": 1, "status=active": 0, "price=" + p.ID: 1, "status=all&customer=" + s.Customer.ID: 1} {
		require.Len(t, f.get("/v1/subscriptions", query).body["data"], want, query)
	}
}

func TestAdvanceHappensInOrder(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.price(1000, "month")
	for i := range int64(5) {
		f.subscribe(f.customer("pm_card_visa"), p, trial(9-i, ""))
	}
	f.advance(90 * day)
	last := int64(0)
	for _, e := range f.events() {
		require.GreaterOrEqual(t, e.Created, last)
		last = e.Created
	}
	require.Error(t, f.SetTime(start), "the clock only moves forward")
	require.Equal(t, start.Add(90*day), f.Clock.Now())
}
