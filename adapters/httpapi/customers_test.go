package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// book stands in for the projections, behind the real use case.
type book struct{ filter customers.Filter }

func amount(v int64) *int64 { return &v }

var anInvoice = customers.Invoice{ID: "in_1", ChargeID: "ch_1", DeletedAt: &at, Invoice: projection.Invoice{
	Customer: "cus_1", Subscription: "sub_1", Number: "A-1", Status: "paid", Currency: "usd", BillingReason: "subscription_cycle", CollectionMethod: "charge_automatically",
	CreatedAt: at.Unix(), PeriodStart: 1, PeriodEnd: 2, DueAt: 3, NextAttemptAt: 4, FinalizedAt: 5, PaidAt: 6, VoidedAt: 7, UncollectibleAt: 8,
	Total: amount(2380), Subtotal: amount(2000), TotalExcludingTax: amount(2000), AmountDue: amount(2380), AmountPaid: amount(2380), AmountRemains: amount(0), OutOfBand: 5, Attempts: 1, Paid: true, Own: true,
}}

func (b *book) Customers(_ context.Context, _ string, f customers.Filter) (customers.Page[customers.Summary], error) {
	b.filter = f
	return customers.Page[customers.Summary]{NextCursor: "x~y", Items: []customers.Summary{{ID: "cus_1", UserID: "u-1", Seen: true, CreatedAt: &at, Currency: "usd", Country: "DE",
		BalanceMinor: amount(-500), HasPaymentMethod: true, PaymentMethod: "card", Status: "active", PriceIDs: []string{"p"}, TrialEnd: &at, Subscriptions: 2,
		Worth: []customers.Worth{{Currency: "usd", MRR: decimal.RequireFromString("83.333333333333"), NetMRR: decimal.NewFromInt(50), Unknown: 1}}}, {ID: "cus_2"}}}, nil
}

func (b *book) Customer(_ context.Context, _, id string, _ time.Time, _ int) (customers.Detail, error) {
	if id != "cus_1" {
		return customers.Detail{}, fault.New(fault.NotFound, "customer_not_found", "no")
	}
	return customers.Detail{Summary: customers.Summary{ID: id}, CashBalance: map[string]int64{"usd": 1000, "eur": 5},
		Revenue: []customers.Revenue{{Currency: "usd", ConfirmedMinor: 2000, ReturnedMinor: -500, Facts: 2}},
		Subscriptions: []customers.Subscription{{ID: "sub_1", TrialEndAction: "cancel", StatusAt: "trialing", ProductNames: []string{"Basic"},
			Conversion: &reward.ConversionOutcome{At: at, State: reward.ConversionConfirmed, SettledAt: at.Add(time.Minute), Resubscribed: true},
			Intervals:  []projection.Interval{{Status: "trialing", From: at.Unix(), Until: at.Unix() + 60}, {Status: "active", From: at.Unix() + 60, Inferred: true}},
			Subscription: projection.Subscription{Status: "active", Currency: "usd", MRR: "83.333333333333", ListMRR: "83.333333333333", DaysUntilDue: amount(0),
				Items:     []projection.Item{{ID: "si_1", Price: "p", ProductName: "Basic", UnitAmount: "1000", Quantity: "1"}},
				Discounts: []projection.Discount{{ID: "di_1", PercentOff: "25"}, {ID: "di_2", AmountOff: amount(100), Currency: "usd"}}}}},
		Invoices: []customers.Invoice{anInvoice}}, nil
}

func (b *book) Invoices(context.Context, string, string, customers.ListFilter) (customers.Page[customers.Invoice], error) {
	return customers.Page[customers.Invoice]{Items: []customers.Invoice{anInvoice}}, nil
}

func (b *book) Charges(context.Context, string, string, customers.ListFilter) (customers.Page[customers.Charge], error) {
	return customers.Page[customers.Charge]{Items: []customers.Charge{{ID: "ch_1", InvoiceID: "in_1", Charge: projection.Charge{Status: "succeeded", Currency: "jpy", Amount: amount(2000), Description: "Subscription update"}}}}, nil
}

func (b *book) Disputes(context.Context, string, string, customers.ListFilter) (customers.Page[customers.Dispute], error) {
	return customers.Page[customers.Dispute]{Items: []customers.Dispute{{ID: "dp_1", Dispute: projection.Dispute{Charge: "ch_1", Status: "lost", Currency: "usd", Amount: amount(7), EvidenceDueAt: at.Unix()}}}}, nil
}

func (b *book) Counts(context.Context, string, time.Time) (customers.Counts, error) {
	return customers.Counts{Customers: 3, Segments: []customers.SegmentCount{{Rule: customers.Rules()[0], Customers: 1}}, Plans: []customers.PlanCount{{PriceID: "p", Customers: 2}}}, nil
}

func TestCustomersAreServed(t *testing.T) {
	t.Parallel()
	b := &book{}
	e := newServer(t, &fakes{customers: &customers.Service{Reader: b, Clock: clock.Fixed(at)}})
	get := func(path string) map[string]any {
		t.Helper()
		w, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme"+path, ""))
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		return body
	}
	list := get("/customers?segment=churned&plan=p&status=active&currency=usd&country=DE&mapped=yes&q=u-1&as_of=2026-10-01T00:00:00%2B02:00&limit=7&cursor=a~b")
	require.Equal(t, customers.Filter{Segment: "churned", Plan: "p", Status: "active", Currency: "usd", Country: "DE", Mapped: "yes", Search: "u-1",
		AsOf: time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC), Limit: 7, Cursor: "a~b"}, b.filter)
	require.Equal(t, "x~y", list["next_cursor"])
	first, second := list["items"].([]any)[0].(map[string]any), list["items"].([]any)[1].(map[string]any)
	require.Equal(t, map[string]any{"currency": "usd", "mrr": "83.333333333333", "net_mrr": "50", "arr": "1000", "net_arr": "600", "unknown": 1.0, "undiscounted": 0.0}, first["worth"].([]any)[0])
	require.Equal(t, "-5.00 USD", first["balance"].(map[string]any)["formatted"])
	require.Equal(t, map[string]any{"id": "cus_2", "seen": false, "delinquent": false, "has_payment_method": false, "price_ids": []any{}, "subscriptions": 0.0, "worth": []any{}}, second, "what is not known is left out")

	one := get("/customers/cus_1")
	require.Equal(t, "2026-11-04T09:00:00Z", one["as_of"])
	require.Equal(t, "15.00 USD", one["revenue"].([]any)[0].(map[string]any)["net"].(map[string]any)["formatted"])
	require.Len(t, one["cash_balance"], 2)
	sub := one["subscriptions"].([]any)[0].(map[string]any)
	require.Equal(t, []any{true, "1000", 0.0, "2026-11-04T09:01:00Z"}, []any{sub["is_trial"], sub["arr"], sub["days_until_due"], sub["activated_at"]})
	require.Equal(t, map[string]any{"at": "2026-11-04T09:00:00Z", "state": "confirmed", "settled_at": "2026-11-04T09:01:00Z", "resubscribed": true, "gap_days": 0.0}, sub["conversion"])
	require.NotContains(t, sub, "net_mrr", "unknown is left out, not zero")
	require.Equal(t, []any{
		map[string]any{"status": "trialing", "from": "2026-11-04T09:00:00Z", "until": "2026-11-04T09:01:00Z", "inferred": false, "gap": false},
		map[string]any{"status": "active", "from": "2026-11-04T09:01:00Z", "inferred": true, "gap": false},
	}, sub["timeline"])
	invoice := get("/customers/cus_1/invoices")["items"].([]any)[0].(map[string]any)
	require.Len(t, invoice, 27, "every field of the schema")
	require.Equal(t, "23.80 USD", invoice["total"].(map[string]any)["formatted"])
	require.Equal(t, "2,000 JPY", get("/customers/cus_1/charges")["items"].([]any)[0].(map[string]any)["amount"].(map[string]any)["formatted"])
	require.Equal(t, "lost", get("/customers/cus_1/disputes")["items"].([]any)[0].(map[string]any)["status"])
	require.Equal(t, 1.0, get("/segments")["segments"].([]any)[0].(map[string]any)["customers"])
}

// TestCustomerErrorsNameTheField of the query.
func TestCustomerErrorsNameTheField(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{customers: &customers.Service{Reader: &book{}, Clock: clock.Fixed(at)}})
	for query, field := range map[string]string{
		"customers?segment=x": "segment", "customers?as_of=yesterday": "as_of", "customers?as_of=2030-01-01T00:00:00Z": "as_of", "customers?limit=0x": "limit",
		"customers?country=Germany": "country", "customers?currency=us": "currency", "customers?status=x": "status", "customers?mapped=x": "mapped",
		"segments?as_of=2030-01-01T00:00:00Z": "as_of", "customers/cus_1?as_of=1": "as_of",
	} {
		w, p := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/"+query, ""))
		require.Equal(t, http.StatusBadRequest, w.Code, query)
		require.Equal(t, field, p["field"], query)
		require.True(t, strings.HasPrefix(p["type"].(string), "urn:liftbill:problem:"))
	}
	w, p := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/customers/cus_9", ""))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "customer_not_found", p["code"])
}
