package stripefake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

const day = 24 * time.Hour

func TestTrialConvertsAndIsPaid(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s := f.subscribe(f.customer("pm_card_visa"), f.price(2000, "month"), func(p *stripe.SubscriptionParams) { p.TrialPeriodDays = stripe.Int64(14) })
	require.Equal(t, stripe.SubscriptionStatusTrialing, s.Status)
	require.Equal(t, start.Add(14*day).Unix(), s.TrialEnd)

	f.advance(11 * day)
	require.Contains(t, names(f.events()), "customer.subscription.trial_will_end")
	f.advance(3*day + 2*time.Hour)

	s = f.sub(s.ID)
	require.Equal(t, stripe.SubscriptionStatusActive, s.Status)
	require.Equal(t, start.Add(14*day).Unix(), s.CurrentPeriodStart)
	require.Equal(t, start.Add(14*day).AddDate(0, 1, 0).Unix(), s.CurrentPeriodEnd)
	in := f.invoice(s.LatestInvoice.ID)
	require.Equal(t, stripe.InvoiceStatusPaid, in.Status)
	require.Equal(t, int64(2000), in.AmountPaid)
	require.Equal(t, start.Add(14*day+time.Hour).Unix(), in.StatusTransitions.PaidAt)

	up := f.events("customer.subscription.updated")
	require.Len(t, up, 1)
	require.Equal(t, start.Add(14*day).Unix(), up[0].Created)
	prev := up[0].Data.PreviousAttributes
	require.Equal(t, "trialing", prev["status"])
	require.ElementsMatch(t, []string{"status", "current_period_start", "current_period_end", "latest_invoice"}, keys(prev))
	require.Len(t, f.events("invoice.paid"), 2) // the trial's zero invoice and the first period
}

func keys(m map[string]any) []string {
	out := []string{}
	for k := range m {
		out = append(out, k)
	}
	return out
}
