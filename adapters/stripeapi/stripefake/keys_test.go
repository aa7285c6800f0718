package stripefake_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	try := func(key string) answer {
		a, err := do(f.URL, key, http.MethodGet, "/v1/customers", "", "")
		require.NoError(t, err)
		return a
	}
	require.Equal(t, 401, try("").status)
	require.Contains(t, try("sk_live_unknown_key").errorField("message"), "Invalid API Key provided: sk_live_")
	require.NotContains(t, try("sk_live_unknown_key").raw, "unknown_key")
	require.Equal(t, "secret_key_required", try("pk_live_x").errorField("code"))
	require.NoError(t, f.RevokeKey(liveKey))
	require.Equal(t, "api_key_expired", try(liveKey).errorField("code"))
	require.Error(t, f.RevokeKey("sk_live_nobody"))
}

func TestRestrictedKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	k, err := f.AddKey(stripefake.KeySpec{Account: acct, Mode: stripefake.Live, Permissions: map[string]string{"customer": "write", "invoice": "read"}})
	require.NoError(t, err)
	require.Equal(t, "restricted", k.Kind)
	api := apiOf(f.Client, f.URL, k.Secret)
	cu, err := api.Customers.New(&stripe.CustomerParams{})
	require.NoError(t, err)
	require.True(t, cu.Livemode)
	it := api.Invoices.List(&stripe.InvoiceListParams{})
	require.False(t, it.Next())
	require.NoError(t, it.Err())

	_, err = api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID})
	se := stripeError(t, err)
	require.Equal(t, http.StatusForbidden, se.HTTPStatusCode)
	require.Contains(t, se.Msg, "rak_invoice_write")
	_, err = api.Events.Get("evt_1", nil)
	require.Contains(t, stripeError(t, err).Msg, "rak_event_read")

	all, err := f.AddKey(stripefake.KeySpec{Account: acct, Mode: stripefake.Live, Permissions: map[string]string{"*": "read"}})
	require.NoError(t, err)
	_, err = apiOf(f.Client, f.URL, all.Secret).Customers.New(&stripe.CustomerParams{})
	require.Contains(t, stripeError(t, err).Msg, "rak_customer_write")
	require.Len(t, f.Requests(stripefake.RequestFilter{Method: "write", Status: 403}), 2)
}

func TestWrongKeySpecs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, spec := range []stripefake.KeySpec{
		{Account: acct, Mode: "prod"},
		{Account: "acct_nobody", Mode: stripefake.Live},
		{Account: acct, Mode: stripefake.Live, Secret: "sk_test_x"},
		{Account: acct, Mode: stripefake.Live, Secret: liveKey},
		{Account: acct, Mode: stripefake.Live, Permissions: map[string]string{"unicorn": "read"}},
		{Account: acct, Mode: stripefake.Live, Permissions: map[string]string{"invoice": "all"}},
	} {
		_, err := f.AddKey(spec)
		require.Error(t, err, "%+v", spec)
	}
	_, err := f.AddAccount(stripefake.AccountSpec{ID: acct})
	require.Error(t, err)
}

func TestNothingCrossesAccountOrMode(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := f.MustAccount(stripefake.AccountSpec{ID: "acct_two", Keys: []stripefake.KeySpec{{Mode: stripefake.Live}}})
	cu := f.customer("")
	test, foreign := apiOf(f.Client, f.URL, testKey), apiOf(f.Client, f.URL, other.Keys[0].Secret)
	_, err := test.Customers.Get(cu.ID, nil)
	se := stripeError(t, err)
	require.Equal(t, stripe.ErrorCodeResourceMissing, se.Code)
	require.Contains(t, se.Msg, "a similar object exists in live mode, but a test mode key was used")
	_, err = foreign.Customers.Get(cu.ID, nil)
	require.NotContains(t, stripeError(t, err).Msg, "similar")
	mine, err := test.Customers.New(&stripe.CustomerParams{})
	require.NoError(t, err)
	require.False(t, mine.Livemode)
	it := test.Events.List(&stripe.EventListParams{})
	require.True(t, it.Next())
	require.False(t, it.Event().Livemode)
	require.False(t, it.Next())
	a, err := test.Accounts.Get()
	require.NoError(t, err)
	require.Equal(t, acct, a.ID)
}
