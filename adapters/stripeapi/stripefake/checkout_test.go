package stripefake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// A set-up page is open for a day, is completed once, and gives the customer a method
// that nobody made the default.
func TestSetupPage(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	page := func() *stripe.CheckoutSession {
		cs, err := f.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{
			Mode: stripe.String("setup"), Customer: &cu.ID, Currency: stripe.String("usd"), SuccessURL: stripe.String("https://example.com"),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.CheckoutSessionStatusOpen, cs.Status)
		require.NotEmpty(t, cs.URL)
		require.Contains(t, cs.ID, "cs_live_")
		return cs
	}
	first, second := page(), page()
	require.NoError(t, f.CompleteCheckout(acct, stripefake.Live, first.ID, "pm_card_visa"))
	require.Error(t, f.CompleteCheckout(acct, stripefake.Live, first.ID, "pm_card_visa"), "once")
	require.Error(t, f.CompleteCheckout(acct, stripefake.Live, second.ID, "pm_nowhere"))
	done, err := f.api.CheckoutSessions.Get(first.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.CheckoutSessionStatusComplete, done.Status)
	require.Empty(t, done.URL)
	si, err := f.api.SetupIntents.Get(done.SetupIntent.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.SetupIntentStatusSucceeded, si.Status)
	require.Equal(t, cu.ID, si.Customer.ID)
	pm, err := f.api.PaymentMethods.Get(si.PaymentMethod.ID, nil)
	require.NoError(t, err)
	require.Equal(t, cu.ID, pm.Customer.ID)
	now, err := f.api.Customers.Get(cu.ID, nil)
	require.NoError(t, err)
	require.Nil(t, now.InvoiceSettings.DefaultPaymentMethod)

	f.advance(25 * time.Hour)
	gone, err := f.api.CheckoutSessions.Get(second.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.CheckoutSessionStatusExpired, gone.Status)
	require.Error(t, f.CompleteCheckout(acct, stripefake.Live, second.ID, "pm_card_visa"))
	_, err = f.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("setup"), Customer: &cu.ID, SuccessURL: stripe.String("https://example.com")})
	require.ErrorContains(t, err, "currency")
}
