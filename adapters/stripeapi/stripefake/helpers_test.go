package stripefake_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

const (
	liveKey = "sk_live_one"
	testKey = "sk_test_one"
	acct    = "acct_one"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fixture is a server with one account and a client of its live mode.
type fixture struct {
	*stripefake.Server
	t   *testing.T
	api *client.API
}

func setup(t *testing.T, change ...func(*stripefake.Options)) *fixture {
	t.Helper()
	o := stripefake.Options{Seed: 7, Start: start, Accounts: []stripefake.AccountSpec{{
		ID: acct, Name: "One", Keys: []stripefake.KeySpec{
			{Mode: stripefake.Live, Secret: liveKey}, {Mode: stripefake.Test, Secret: testKey},
		},
	}}}
	for _, c := range change {
		c(&o)
	}
	srv := stripefake.Start(t, o)
	return &fixture{Server: srv, t: t, api: apiOf(srv.Client, srv.URL, liveKey)}
}

// apiOf is stripe-go as the product uses it: no retries, no telemetry.
func apiOf(web *http.Client, url, key string) *client.API {
	b := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		HTTPClient: web, URL: stripe.String(url), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return client.New(key, &stripe.Backends{API: b, Connect: b, Uploads: b})
}

func (f *fixture) customer(token string) *stripe.Customer {
	f.t.Helper()
	p := &stripe.CustomerParams{Email: stripe.String("a@example.test"), Name: stripe.String("A")}
	if token != "" {
		p.PaymentMethod = stripe.String(token)
		p.InvoiceSettings = &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: stripe.String(token)}
	}
	cu, err := f.api.Customers.New(p)
	require.NoError(f.t, err)
	return cu
}

func (f *fixture) price(amount int64, interval string) *stripe.Price {
	f.t.Helper()
	p, err := f.api.Prices.New(&stripe.PriceParams{
		Currency: stripe.String("usd"), UnitAmount: stripe.Int64(amount),
		ProductData: &stripe.PriceProductDataParams{Name: stripe.String("Plan")},
		Recurring:   &stripe.PriceRecurringParams{Interval: stripe.String(interval)},
	})
	require.NoError(f.t, err)
	return p
}

func (f *fixture) subscribe(cu *stripe.Customer, p *stripe.Price, change ...func(*stripe.SubscriptionParams)) *stripe.Subscription {
	f.t.Helper()
	params := &stripe.SubscriptionParams{Customer: &cu.ID, Items: []*stripe.SubscriptionItemsParams{{Price: &p.ID}}}
	for _, c := range change {
		c(params)
	}
	s, err := f.api.Subscriptions.New(params)
	require.NoError(f.t, err)
	return s
}

// draft is an invoice as the write-back makes it.
func (f *fixture) draft(cu *stripe.Customer, amounts ...int64) *stripe.Invoice {
	f.t.Helper()
	in, err := f.api.Invoices.New(&stripe.InvoiceParams{
		Customer: &cu.ID, Currency: stripe.String("usd"), AutoAdvance: stripe.Bool(false), PendingInvoiceItemsBehavior: stripe.String("exclude"),
		CollectionMethod: stripe.String("send_invoice"), DaysUntilDue: stripe.Int64(30), Discounts: []*stripe.InvoiceDiscountParams{},
	})
	require.NoError(f.t, err)
	for _, a := range amounts {
		_, err := f.api.InvoiceItems.New(&stripe.InvoiceItemParams{
			Customer: &cu.ID, Invoice: &in.ID, Amount: stripe.Int64(a), Currency: stripe.String("usd"), Discountable: stripe.Bool(false),
			Description: stripe.String("line"),
		})
		require.NoError(f.t, err)
	}
	return in
}

func (f *fixture) invoice(id string) *stripe.Invoice {
	f.t.Helper()
	in, err := f.api.Invoices.Get(id, nil)
	require.NoError(f.t, err)
	return in
}

func (f *fixture) sub(id string) *stripe.Subscription {
	f.t.Helper()
	s, err := f.api.Subscriptions.Get(id, nil)
	require.NoError(f.t, err)
	return s
}

// events returns the events of the given types (all if none), oldest first.
func (f *fixture) events(types ...string) []*stripe.Event {
	f.t.Helper()
	p := &stripe.EventListParams{}
	p.Limit = stripe.Int64(100)
	for _, typ := range types {
		p.Types = append(p.Types, stripe.String(typ))
	}
	var out []*stripe.Event
	it := f.api.Events.List(p)
	for it.Next() {
		out = append([]*stripe.Event{it.Event()}, out...)
	}
	require.NoError(f.t, it.Err())
	return out
}

func names(events []*stripe.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, string(e.Type))
	}
	return out
}

func (f *fixture) advance(d time.Duration) {
	f.t.Helper()
	require.NoError(f.t, f.Advance(d))
}

func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var se *stripe.Error
	require.ErrorAs(t, err, &se)
	return se
}

// hook is a webhook receiver that keeps what it got.
type hook struct {
	URL string

	mu     sync.Mutex
	status int
	got    []delivered
}

type delivered struct {
	body   []byte
	header string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{status: http.StatusOK}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}
