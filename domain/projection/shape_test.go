package projection_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
)

func js(t *testing.T, text string) obj {
	t.Helper()
	var o obj
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	return o
}

// TestSubscriptionsOfEveryVersion: what 2015 wrote at the top and basil on the items is
// one view.
func TestSubscriptionsOfEveryVersion(t *testing.T) {
	t.Parallel()
	const plan = `{"id":"a","object":"plan","amount":2000,"currency":"usd","interval":"month","interval_count":1,"name":"Basic"}`
	for version, body := range map[string]string{
		"2015-04-07": `{"id":"sub_1","object":"subscription","plan":` + plan + `,"quantity":2,"start":1704067200,"status":"trialing","customer":"cus_1",
			"current_period_start":1704067200,"current_period_end":1705276800,"trial_start":1704067200,"trial_end":1705276800,"cancel_at_period_end":true,"ended_at":null}`,
		"2020-03-02": `{"id":"sub_1","object":"subscription","items":{"data":[{"id":"si_1","plan":` + plan + `,"price":{"id":"a","unit_amount":2000,"currency":"usd","nickname":"Basic","recurring":{"interval":"month","interval_count":1}},"quantity":2}]},
			"start_date":1704067200,"created":1704067200,"status":"trialing","customer":"cus_1","current_period_start":1704067200,"current_period_end":1705276800,
			"trial_start":1704067200,"trial_end":1705276800,"cancel_at_period_end":true}`,
		"2023-10-16": `{"id":"sub_1","object":"subscription","currency":"usd","items":{"object":"list","data":[{"id":"si_1","price":{"id":"a","unit_amount":2000,"currency":"usd","nickname":"Basic","recurring":{"interval":"month","interval_count":1}},"quantity":2}]},
			"start_date":1704067200,"created":1704067200,"status":"trialing","customer":{"id":"cus_1","object":"customer"},"current_period_start":1704067200,"current_period_end":1705276800,
			"trial_start":1704067200,"trial_end":1705276800,"cancel_at_period_end":true,"trial_settings":{"end_behavior":{"missing_payment_method":"pause"}}}`,
		"2026-08-26.dahlia": `{"id":"sub_1","object":"subscription","currency":"usd","items":{"object":"list","data":[{"id":"si_1","current_period_start":1704067200,"current_period_end":1705276800,
			"price":{"id":"a","unit_amount_decimal":"2000","currency":"usd","nickname":"Basic","recurring":{"interval":"month","interval_count":1}},"quantity":2,"quantity_decimal":"2"}]},
			"start_date":1704067200,"created":1704067200,"status":"trialing","customer":"cus_1","trial_start":1704067200,"trial_end":1705276800,"cancel_at_period_end":true,"discounts":[],
			"trial_settings":{"end_behavior":{"missing_payment_method":"pause"}}}`,
	} {
		o := subscription(t, event(t, "customer.subscription.trial_will_end", t0+10*day, js(t, body), nil))
		got, _ := o.Now()
		got.CreatedAt = got.StartedAt // 2015 has no created
		require.Len(t, got.Items, 1)
		got.Items[0].ID, got.Items[0].ProductName = "si_1", "" // nor an item; its plan was its product
		want := projection.Subscription{
			Customer: "cus_1", Status: "trialing", Currency: "usd", CreatedAt: t0, StartedAt: t0, TrialStart: t0, TrialEnd: t0 + 14*day,
			TermStart: t0, TermEnd: t0 + 14*day, CancelAtTermEnd: true, PriceIDs: []string{"a"}, MRR: "0", NetMRR: "0", ListMRR: "4000",
			Items: []projection.Item{{ID: "si_1", Price: "a", Name: "Basic", UnitAmount: "2000", Currency: "usd", Interval: "month", IntervalCount: 1, Quantity: "2"}},
		}
		require.Empty(t, cmp.Diff(want, got), version)
		if version > "2023" {
			require.Equal(t, "pause", o.Value(projection.KeyTrialEndAction))
		}
	}
}

func TestEveryAttributeOfASubscription(t *testing.T) {
	t.Parallel()
	o := subscription(t, event(t, "customer.subscription.updated", t0+day, js(t, `{"id":"sub_1","object":"subscription","customer":"cus_1","status":"active","currency":"eur",
		"created":1704067200,"start_date":1704067100,"current_period_start":1704067200,"current_period_end":1706745600,"cancel_at":1706745600,"canceled_at":1704100000,
		"cancellation_details":{"reason":"cancellation_requested","comment":"my name is Jane Roe"},"collection_method":"send_invoice","days_until_due":30,
		"next_pending_invoice_item_invoice":1704500000,"pause_collection":{"behavior":"void"},"latest_invoice":{"id":"in_9"},
		"default_payment_method":{"id":"pm_1","type":"sepa_debit"},"trial_settings":{"end_behavior":{"missing_payment_method":"cancel"}},
		"discounts":[{"id":"di_1","end":1709251200,"coupon":{"id":"co_1","percent_off":25.5,"duration":"repeating"}},"di_2"],
		"items":{"data":[{"id":"si_1","quantity":3,"price":{"id":"p1","product":{"id":"prod_1","name":"Seats"},"nickname":"Seat, monthly","unit_amount_decimal":"999.5","currency":"eur","recurring":{"interval":"month","interval_count":1}}},
			{"id":"si_2","price":{"id":"p2","product":"prod_2","billing_scheme":"tiered","currency":"eur","recurring":{"interval":"year","interval_count":1,"usage_type":"licensed"}},"quantity":1},
			{"id":"si_3","price":{"id":"p3","product":"prod_2","unit_amount":5,"currency":"eur","recurring":{"interval":"month","interval_count":1,"usage_type":"metered"}}}]}}`), nil))
	got, _ := o.Now()
	want := projection.Subscription{
		Customer: "cus_1", Status: "active", Currency: "eur", CreatedAt: t0, StartedAt: t0 - 100, TermStart: t0, TermEnd: t0 + 31*day, CancelAt: t0 + 31*day,
		CanceledAt: 1704100000, CancelReason: "cancellation_requested", CollectionMethod: "send_invoice", DaysUntilDue: is(int64(30)), NextPendingInvoiceAt: 1704500000,
		CollectionPaused: "void", LatestInvoice: "in_9", HasPaymentMethod: true, PaymentMethod: "sepa_debit",
		PriceIDs: []string{"p1", "p2", "p3"}, ProductIDs: []string{"prod_1", "prod_2"},
		Items: []projection.Item{
			{ID: "si_1", Price: "p1", Product: "prod_1", ProductName: "Seats", Name: "Seat, monthly", UnitAmount: "999.5", Currency: "eur", Interval: "month", IntervalCount: 1, Quantity: "3"},
			{ID: "si_2", Price: "p2", Product: "prod_2", Currency: "eur", Interval: "year", IntervalCount: 1, Quantity: "1"},
			{ID: "si_3", Price: "p3", Product: "prod_2", UnitAmount: "5", Currency: "eur", Interval: "month", IntervalCount: 1, Quantity: "1", Metered: true},
		},
		Discounts: []projection.Discount{{ID: "di_1", Coupon: "co_1", Duration: "repeating", PercentOff: "25.5", EndsAt: 1709251200}, {ID: "di_2"}},
	}
	require.Empty(t, cmp.Diff(want, got), "a price with tiers makes the worth unknown, not zero")
	require.Equal(t, "cancel", o.Value(projection.KeyTrialEndAction))
}

// TestInvoicesOfEveryVersion: the flags of 2015, the fields of 2023 and the parents of basil.
func TestInvoicesOfEveryVersion(t *testing.T) {
	t.Parallel()
	for version, body := range map[string]string{
		"2015-04-07": `{"id":"in_1","object":"invoice","date":1704067200,"customer":"cus_1","subscription":"sub_1","currency":"usd","paid":true,"closed":true,"attempted":true,
			"attempt_count":1,"charge":"ch_1","total":2380,"subtotal":2000,"tax":380,"amount_due":2380,"period_start":1701388800,"period_end":1704067200,"number":"A-1","billing":"charge_automatically",
			"billing_reason":"subscription_cycle","amount_paid":2380,"amount_remaining":0,"status_transitions":{"paid_at":1704070800,"finalized_at":1704070000}}`,
		"2023-10-16": `{"id":"in_1","object":"invoice","created":1704067200,"customer":"cus_1","subscription":"sub_1","currency":"usd","status":"paid","paid":true,"attempt_count":1,"charge":{"id":"ch_1","object":"charge"},
			"total":2380,"subtotal":2000,"total_excluding_tax":2000,"tax":380,"amount_due":2380,"amount_paid":2380,"amount_remaining":0,"period_start":1701388800,"period_end":1704067200,"number":"A-1",
			"collection_method":"charge_automatically","billing_reason":"subscription_cycle","status_transitions":{"paid_at":1704070800,"finalized_at":1704070000}}`,
		"2025-03-31.basil": `{"id":"in_1","object":"invoice","created":1704067200,"customer":"cus_1","currency":"usd","status":"paid","attempt_count":1,
			"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}},"payments":{"data":[{"status":"paid","payment":{"type":"charge","charge":"ch_1"}}]},
			"total":2380,"subtotal":2000,"total_excluding_tax":2000,"total_taxes":[{"amount":380}],"amount_due":2380,"amount_paid":2380,"amount_remaining":0,"amount_paid_off_stripe":0,
			"period_start":1701388800,"period_end":1704067200,"number":"A-1","collection_method":"charge_automatically","billing_reason":"subscription_cycle","status_transitions":{"paid_at":1704070800,"finalized_at":1704070000}}`,
	} {
		o := fold(event(t, "invoice.paid", t0+3600, js(t, body), nil)).Invoices["in_1"]
		got, _ := o.Now()
		require.Empty(t, cmp.Diff(projection.Invoice{
			Customer: "cus_1", Subscription: "sub_1", Number: "A-1", Status: "paid", Currency: "usd", BillingReason: "subscription_cycle", CollectionMethod: "charge_automatically",
			CreatedAt: t0, PeriodStart: t0 - 31*day, PeriodEnd: t0, FinalizedAt: t0 + 2800, PaidAt: t0 + 3600, Total: is(int64(2380)), Subtotal: is(int64(2000)),
			TotalExcludingTax: is(int64(2000)), AmountDue: is(int64(2380)), AmountPaid: is(int64(2380)), AmountRemains: is(int64(0)), Attempts: 1, Paid: true,
		}, got), version)
		require.Equal(t, "ch_1", o.Value(projection.KeyCharge), version)
	}
	for flags, want := range map[string]string{`"forgiven":true,"paid":false`: "uncollectible", `"closed":false,"paid":false`: "open"} {
		s := fold(event(t, "invoice.updated", t0, js(t, `{"id":"in_1","object":"invoice",`+flags+`}`), nil))
		require.Equal(t, want, status(s))
	}
}

func TestChargesAndDisputesOfEveryVersion(t *testing.T) {
	t.Parallel()
	for version, body := range map[string]string{
		"2015-04-07": `"paid":true,"status":"paid","refunded":false,"source":{"id":"card_1","object":"card","last4":"4242"},"invoice":"in_1"`,
		"2020-03-02": `"status":"succeeded","payment_method_details":{"type":"card","card":{"fingerprint":"f"}},"invoice":{"id":"in_1"}`,
		"basil":      `"status":"succeeded","payment_method_details":{"type":"card"}`,
	} {
		o := fold(event(t, "charge.succeeded", t0, js(t, `{"id":"ch_1","object":"charge","customer":"cus_1","amount":2000,"amount_refunded":0,"currency":"jpy","created":1704067200,
			"description":"Subscription update",`+body+`}`), nil)).Charges["ch_1"]
		got, _ := o.Now()
		require.Empty(t, cmp.Diff(projection.Charge{Customer: "cus_1", Status: "succeeded", Currency: "jpy", Description: "Subscription update", PaymentMethod: "card",
			CreatedAt: t0, Amount: is(int64(2000)), AmountRefunded: is(int64(0))}, got), version)
		if version != "basil" {
			require.Equal(t, "in_1", o.Value(projection.KeyInvoice), version)
		}
	}
	for flags, want := range map[string]string{`"failure_code":"card_declined"`: "failed", `"paid":true`: "succeeded", `"paid":false`: "pending"} {
		require.Equal(t, want, status(fold(event(t, "charge.updated", t0, js(t, `{"id":"ch_1","object":"charge",`+flags+`}`), nil))))
	}
	d := fold(event(t, "charge.dispute.created", t0, js(t, `{"id":"dp_1","object":"dispute","charge":{"id":"ch_1"},"status":"needs_response","reason":"fraudulent","currency":"usd","amount":7,
		"created":1704067200,"evidence_details":{"due_by":1704672000}}`), nil)).Disputes["dp_1"]
	got, _ := d.Now()
	require.Empty(t, cmp.Diff(projection.Dispute{Charge: "ch_1", Status: "needs_response", Reason: "fraudulent", Currency: "usd", CreatedAt: t0, EvidenceDueAt: t0 + 7*day, Amount: is(int64(7))}, got))
}

// TestPaymentMethodOnFile: whether there is one, and its type where the payload tells.
func TestPaymentMethodOnFile(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		has  bool
		kind string
	}{
		`"default_source":null`:                                {false, ""},
		`"default_source":"card_1"`:                            {true, "card"},
		`"default_source":"ba_1"`:                              {true, "bank_account"},
		`"default_source":{"id":"src_1","object":"source"}`:    {true, "source"},
		`"invoice_settings":{"default_payment_method":"pm_1"}`: {true, ""},
		`"invoice_settings":{"default_payment_method":{"id":"pm_1","type":"us_bank_account"}}`: {true, "us_bank_account"},
	} {
		o := fold(event(t, "customer.updated", t0, js(t, `{"id":"cus_1","object":"customer","created":1,`+body+`}`), nil)).Customers["cus_1"]
		got, _ := o.Now()
		require.Equal(t, want.has, got.HasPaymentMethod, body)
		require.Equal(t, want.kind, got.PaymentMethod, body)
	}
}

// TestWhatIsNoObject: previews, unknown kinds and broken payloads are no observations.
func TestWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, o := range []projection.Observation{
		event(t, "invoice.upcoming", t0, invoice("draft", obj{"id": nil}), nil),
		event(t, "invoice.upcoming", t0, invoice("draft", nil), nil),
		event(t, "invoice.updated", t0, invoice("open", obj{"id": nil}), nil),
		event(t, "payout.paid", t0, obj{"id": "po_1", "object": "payout"}, nil),
		event(t, "customer.discount.created", t0, obj{"id": "di_1", "object": "discount", "customer": "cus_1"}, nil),
		event(t, "cash_balance.funds_available", t0, obj{"object": "cash_balance", "available": obj{"usd": 1}}, nil),
		event(t, "customer.created", t0, nil, nil),
		{},
	} {
		require.Equal(t, bytes(t, projection.NewSet()), bytes(t, fold(o)))
	}
}
