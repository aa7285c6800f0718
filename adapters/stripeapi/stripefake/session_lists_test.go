package stripefake_test

import (
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// sessionLists reads every list, with the filters that the product uses.
func sessionLists(f *fixture, cu *stripe.Customer, sub *stripe.Subscription) {
	two := stripe.ListParams{Limit: stripe.Int64(2)}
	since := &stripe.RangeQueryParams{GreaterThanOrEqual: 1}
	api := f.api
	for name, it := range map[string]interface {
		Next() bool
		Err() error
	}{
		"customers": api.Customers.List(&stripe.CustomerListParams{ListParams: two, Email: stripe.String("a@example.test"), CreatedRange: since}),
		"products":  api.Products.List(&stripe.ProductListParams{ListParams: two, Active: stripe.Bool(true)}),
		"prices":    api.Prices.List(&stripe.PriceListParams{ListParams: two, Currency: stripe.String("usd")}),
		"coupons":   api.Coupons.List(&stripe.CouponListParams{ListParams: two}),
		"methods":   api.PaymentMethods.List(&stripe.PaymentMethodListParams{ListParams: two, Customer: &cu.ID, Type: stripe.String("card")}),
		"subs":      api.Subscriptions.List(&stripe.SubscriptionListParams{ListParams: two, Status: stripe.String("all"), CreatedRange: since}),
		"sub items": api.SubscriptionItems.List(&stripe.SubscriptionItemListParams{ListParams: two, Subscription: &sub.ID}),
		"invoices":  api.Invoices.List(&stripe.InvoiceListParams{ListParams: two, Customer: &cu.ID, CreatedRange: since}),
		"open":      api.Invoices.List(&stripe.InvoiceListParams{ListParams: two, Status: stripe.String("open")}),
		"items":     api.InvoiceItems.List(&stripe.InvoiceItemListParams{ListParams: two, Customer: &cu.ID, Pending: stripe.Bool(true)}),
		"notes":     api.CreditNotes.List(&stripe.CreditNoteListParams{ListParams: two, Customer: &cu.ID}),
		"charges":   api.Charges.List(&stripe.ChargeListParams{ListParams: two, Customer: &cu.ID}),
		"refunds":   api.Refunds.List(&stripe.RefundListParams{ListParams: two}),
		"disputes":  api.Disputes.List(&stripe.DisputeListParams{ListParams: two}),
		"intents":   api.PaymentIntents.List(&stripe.PaymentIntentListParams{ListParams: two, Customer: &cu.ID}),
		"events":    api.Events.List(&stripe.EventListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(100)}, CreatedRange: since}),
		"some":      api.Events.List(&stripe.EventListParams{ListParams: two, Types: stripe.StringSlice([]string{"invoice.paid", "customer.created"})}),
		"hooks":     api.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{ListParams: two}),
	} {
		n := 0
		for it.Next() {
			n++
		}
		require.NoError(f.t, it.Err(), name)
		require.True(f.t, n > 0 || name == "open" || name == "methods", name)
	}
	e := f.events("invoice.paid")[0]
	_, err := api.Events.Get(e.ID, nil)
	require.NoError(f.t, err)
	in := f.events("invoice.finalized")[0].Data.Object["id"].(string)
	lines := api.Invoices.ListLines(&stripe.InvoiceListLinesParams{Invoice: &in})
	for lines.Next() {
		require.NotEmpty(f.t, lines.InvoiceLineItem().ID)
	}
	require.NoError(f.t, lines.Err())
	cn := f.events("credit_note.created")[0].Data.Object["id"].(string)
	parts := api.CreditNotes.ListLines(&stripe.CreditNoteListLinesParams{CreditNote: &cn})
	for parts.Next() {
		require.NotEmpty(f.t, parts.CreditNoteLineItem().ID)
	}
	require.NoError(f.t, parts.Err())
	expanded := &stripe.InvoiceParams{}
	expanded.AddExpand("customer")
	expanded.AddExpand("payment_intent.latest_charge")
	full, err := api.Invoices.Get(in, expanded)
	require.NoError(f.t, err)
	require.NotEmpty(f.t, full.Customer.Email)
}
