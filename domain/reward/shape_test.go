package reward_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

// The same month of the same subscription as ten years of API versions wrote it:
// a plan change, a scheduled cancellation, a renewal, a paid and a failed invoice.
type shape struct {
	version string
	sub     func(amount int64, fields obj) obj
	// was is the earlier plan as the version's previous_attributes name it.
	was     func(amount int64) obj
	renewal obj
	cancel  func() (now, before obj)
	invoice func(paid bool) obj
}

func planOf(amount int64) obj {
	return obj{"id": planID(amount), "object": "plan", "amount": amount, "currency": "usd", "interval": "month", "interval_count": 1}
}

func planID(amount int64) string {
	if amount == 2000 {
		return "price_a"
	}
	return "price_b"
}

func subPlan(amount int64, fields obj) obj {
	o := sub("active", with(obj{"plan": planOf(amount), "quantity": 1}, fields))
	delete(o, "items")
	return o
}

func subPlanItems(amount int64, fields obj) obj {
	return sub("active", with(obj{
		"plan": planOf(amount), "quantity": 1,
		"items": items(obj{"id": "si_1", "plan": planOf(amount), "quantity": 1}),
	}, fields))
}

func sub2023(amount int64, fields obj) obj {
	return sub("active", with(obj{"items": items(item(price(planID(amount), amount), 1))}, fields))
}

func basilItem(amount, start int64) obj {
	return with(item(price(planID(amount), amount), 1), obj{"current_period_start": start, "current_period_end": start + 31*day})
}

func subBasil(amount int64, fields obj) obj {
	o := sub("active", with(obj{"items": items(basilItem(amount, t0))}, fields))
	delete(o, "current_period_start")
	delete(o, "current_period_end")
	return o
}

func byFlag() (obj, obj) {
	return obj{"cancel_at_period_end": true, "canceled_at": t0 + day}, obj{"cancel_at_period_end": false, "canceled_at": nil}
}

func byDate() (obj, obj) {
	return obj{"cancel_at": t0 + 31*day, "canceled_at": t0 + day}, obj{"cancel_at": nil, "canceled_at": nil}
}

func wasPlan(amount int64) obj  { return obj{"plan": planOf(amount)} }
func wasItems(amount int64) obj { return obj{"items": obj{"data": []obj{basilItem(amount, t0)}}} }

func invoiceWith(fields obj, drop ...string) func(bool) obj {
	return func(paid bool) obj {
		o := invoiceObj(fields)
		if !paid {
			o["status"], o["paid"], o["amount_paid"], o["status_transitions"] = "open", false, 0, obj{}
		}
		for _, k := range drop {
			delete(o, k)
		}
		return o
	}
}

func basilInvoice(fields obj) func(bool) obj {
	return invoiceWith(with(obj{
		"parent":      obj{"type": "subscription_details", "subscription_details": obj{"subscription": "sub_1"}},
		"total":       2400,
		"total_taxes": []obj{{"amount": 400, "tax_behavior": "exclusive"}}, "amount_paid": 2400,
	}, fields), "subscription", "charge", "paid", "tax", "total_excluding_tax")
}

func shapes() []shape {
	taxed := obj{"paid": true, "amount_due": 2400, "amount_paid": 2400, "total": 2400, "tax": 400}
	newRenewal := obj{"items": obj{"data": []obj{basilItem(2000, t0-31*day)}}, "latest_invoice": "in_0"}
	oldRenewal := obj{"current_period_start": t0 - 31*day, "current_period_end": t0}
	return []shape{
		{"2015-04-07", subPlan, wasPlan, oldRenewal, byFlag, invoiceWith(taxed, "status", "amount_paid", "total_excluding_tax", "status_transitions")},
		{"2016-07-06", subPlanItems, wasPlan, oldRenewal, byFlag, invoiceWith(taxed, "status", "amount_paid", "total_excluding_tax", "status_transitions")},
		{"2020-08-27", sub2023, wasItems, oldRenewal, byFlag, invoiceWith(taxed, "total_excluding_tax")},
		{"2023-10-16", sub2023, wasItems, oldRenewal, byFlag, invoiceWith(with(taxed, obj{"total_excluding_tax": 2000}))},
		{"2024-12-18.acacia", sub2023, wasItems, oldRenewal, byDate, invoiceWith(with(taxed, obj{"total_excluding_tax": 2000, "tax": nil}))},
		{"2025-03-31.basil", subBasil, wasItems, newRenewal, byDate, basilInvoice(nil)},
		{"2026-08-26.dahlia", subBasil, wasItems, newRenewal, byDate, basilInvoice(obj{"amount_overpaid": 0, "customer": obj{"id": "cus_1"}})},
	}
}

func (s shape) event(t *testing.T, kind string, object, previous obj) reward.Classification {
	t.Helper()
	e := obj{
		"id": "evt_" + s.version, "object": "event", "type": kind, "created": t0 + 3600, "livemode": true,
		"api_version": s.version, "request": "req_1", "data": obj{"object": object, "previous_attributes": previous},
	}
	return classify(t, must(e))
}

func (s shape) month(t *testing.T) []reward.Classification {
	t.Helper()
	now, before := s.cancel()
	const updated = "customer.subscription.updated"
	return []reward.Classification{
		s.event(t, updated, s.sub(5000, nil), s.was(2000)),
		s.event(t, updated, s.sub(2000, nil), s.was(5000)),
		s.event(t, updated, s.sub(2000, now), before),
		s.event(t, updated, s.sub(2000, nil), s.renewal),
		s.event(t, "invoice.payment_succeeded", s.invoice(true), nil),
		s.event(t, "invoice.payment_failed", s.invoice(false), nil),
	}
}

func TestEveryVersionTellsTheSameFacts(t *testing.T) {
	t.Parallel()
	var want [][]reward.Fact
	for _, c := range shapes()[3].month(t) {
		want = append(want, withoutCharge(c.Facts))
	}
	require.Len(t, want[0], 1)
	require.Empty(t, want[3], "a renewal is no change")
	require.Equal(t, ptr(2000), want[4][0].Amount, "the cash without its tax")
	for _, s := range shapes() {
		t.Run(s.version, func(t *testing.T) {
			t.Parallel()
			for k, c := range s.month(t) {
				require.Empty(t, c.Anomaly)
				require.Empty(t, cmp.Diff(want[k], withoutCharge(c.Facts)))
			}
		})
	}
}

// withoutCharge drops the payment link, which newer versions no longer embed.
func withoutCharge(facts []reward.Fact) []reward.Fact {
	out := []reward.Fact{}
	for _, f := range facts {
		f.Charge = ""
		out = append(out, f)
	}
	return out
}

func TestQuantityAtTheTop(t *testing.T) {
	t.Parallel()
	got := updated(t, subPlanItems(2000, obj{"quantity": 3, "items": items(obj{"id": "si_1", "plan": planOf(2000), "quantity": 3})}), obj{"quantity": 1})
	require.Equal(t, []string{"upgrade"}, kinds(got))
	require.Equal(t, ptr(1), got.Signals[0].FromQuantity)
}

// TestPlanAtTheTopBesideAPrice: the item's price is the new one, so the earlier plan
// has to win over it.
func TestPlanAtTheTopBesideAPrice(t *testing.T) {
	t.Parallel()
	got := updated(t, sub2023(5000, obj{"plan": planOf(5000)}), wasPlan(2000))
	require.Equal(t, []string{"upgrade"}, kinds(got))
	require.Equal(t, []*int64{ptr(2000), ptr(5000)}, []*int64{got.Signals[0].FromAmount, got.Signals[0].ToAmount})
}

// TestPartialPreviousPlan: nested objects name only the fields that changed.
func TestPartialPreviousPlan(t *testing.T) {
	t.Parallel()
	got := updated(t, subPlan(5000, nil), obj{"plan": obj{"id": "price_a", "amount": 2000}})
	require.Equal(t, []string{"upgrade"}, kinds(got))
	require.Equal(t, ptr(2000), got.Signals[0].FromAmount)
	exact := subPlan(5000, obj{"plan": with(planOf(5000), obj{"amount_decimal": "5000"})})
	got = updated(t, exact, obj{"plan": obj{"id": "price_a", "amount": 2000}})
	require.Equal(t, []string{"upgrade"}, kinds(got))
	require.Equal(t, ptr(2000), got.Signals[0].FromAmount)
}

// TestPartialPreviousItems: before 2017-04-06 previous attributes held of an array only
// what had changed in it.
func TestPartialPreviousItems(t *testing.T) {
	t.Parallel()
	planItem := func(amount int64, fields obj) obj {
		return with(obj{"id": "si_1", "object": "subscription_item", "plan": planOf(amount), "quantity": 3}, fields)
	}
	second := obj{"id": "si_2", "object": "subscription_item", "plan": planOf(2000), "quantity": 1}
	priced := func(amount int64, quantity int) obj {
		return with(item(price(planID(amount), amount), quantity), obj{"plan": planOf(amount)})
	}
	for _, c := range []struct {
		name     string
		now, was []any
		kind     string
		from, to int64
	}{
		{"a quantity", []any{planItem(2000, nil)}, []any{obj{"quantity": 1}}, "upgrade", 2000, 6000},
		{"a quantity by its item", []any{second, priced(2000, 2)}, []any{obj{"id": "si_1", "quantity": 4}, second}, "downgrade", 10000, 6000},
		{"part of a plan", []any{planItem(5000, nil)}, []any{obj{"plan": obj{"id": "price_a", "amount": 2000}}}, "upgrade", 6000, 15000},
		{"part of a dearer plan", []any{planItem(2000, nil)}, []any{obj{"plan": obj{"id": "price_b", "amount": 5000}}}, "downgrade", 15000, 6000},
		{"part of a plan beside a price", []any{priced(5000, 1)}, []any{obj{"plan": obj{"id": "price_a", "amount": 2000}}}, "upgrade", 2000, 5000},
		{"part of a price", []any{item(price("price_b", 5000), 1)}, []any{obj{"price": obj{"id": "price_a", "unit_amount": 2000}}}, "upgrade", 2000, 5000},
		{"an amount", []any{item(price("price_b", 5000), 1)}, []any{obj{"price": obj{"unit_amount": 2000, "unit_amount_decimal": "2000"}}}, "upgrade", 2000, 5000},
		{"an amount beside an exact one", []any{item(with(price("price_b", 5000), obj{"unit_amount_decimal": "5000"}), 1)}, []any{obj{"price": obj{"unit_amount": 2000}}}, "upgrade", 2000, 5000},
		{"a whole price without its quantity", []any{item(price("price_b", 5000), 3)}, []any{obj{"id": "si_1", "price": price("price_a", 2000)}}, "upgrade", 6000, 15000},
		{"a price's name", []any{item(price("price_b", 5000), 1)}, []any{obj{"price": obj{"id": "price_a"}}}, "plan_change_unknown", 0, 0},
		{"a plan's name", []any{planItem(2000, nil)}, []any{obj{"id": "si_1", "plan": obj{"id": "price_b"}}}, "plan_change_unknown", 0, 0},
		{"an item that stayed", []any{second, planItem(5000, nil)}, []any{nil, obj{"quantity": 1}}, "upgrade", 7000, 17000},
		{"a plan of another item", []any{planItem(5000, nil)}, []any{obj{"id": "si_9", "plan": obj{"id": "price_a", "amount": 2000}}}, "plan_change_unknown", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now := sub("active", obj{"items": obj{"object": "list", "has_more": false, "data": c.now}})
			got := updated(t, now, obj{"items": obj{"data": c.was}})
			require.Equal(t, []string{c.kind}, kinds(got))
			if c.kind == "plan_change_unknown" {
				require.Empty(t, got.Signals)
				return
			}
			require.Equal(t, []*int64{ptr(c.from), ptr(c.to)}, []*int64{got.Signals[0].FromAmount, got.Signals[0].ToAmount})
		})
	}
	more := updated(t, sub("active", obj{"items": obj{"has_more": true, "data": []obj{planItem(5000, nil)}}}), obj{"items": obj{"data": []obj{{"quantity": 1}}}})
	require.Equal(t, []string{"plan_change_unknown"}, kinds(more), "the second page may have changed too")
}

func TestStackedDiscountsAreAllListed(t *testing.T) {
	t.Parallel()
	s, err := reward.SubscriptionOf(must(sub("active", obj{
		"discount":  obj{"id": "di_2", "coupon": obj{"id": "half", "percent_off": 50, "duration": "forever"}},
		"discounts": []string{"di_1", "di_2"},
	})))
	require.NoError(t, err)
	require.Len(t, s.Discounts, 2)
	require.Equal(t, reward.Discount{ID: "di_1"}, s.Discounts[0])
	require.Equal(t, []string{"di_2", "half", "50"}, []string{s.Discounts[1].ID, s.Discounts[1].Coupon, s.Discounts[1].PercentOff})
}

func TestSubscriptionState(t *testing.T) {
	t.Parallel()
	second := with(basilItem(2000, t0+day), obj{"id": "si_2"})
	s, err := reward.SubscriptionOf(must(subBasil(2000, obj{
		"items":                  items(basilItem(2000, t0), second),
		"trial_settings":         obj{"end_behavior": obj{"missing_payment_method": "pause"}},
		"default_payment_method": "pm_1", "cancel_at": t0 + 90*day,
		"cancellation_details": obj{"reason": "cancellation_requested"},
	})))
	require.NoError(t, err)
	require.Equal(t, at(t0), s.PeriodStart)
	require.Equal(t, at(t0+32*day), s.PeriodEnd, "the hull of the items' periods")
	require.Equal(t, "pause", s.TrialEndAction)
	require.True(t, s.HasPaymentMethod)
	require.True(t, s.CancelScheduled())
	require.Equal(t, "48000", s.MRR.Annual().String())
	require.Equal(t, "prod_1", s.Items[0].ProductID)
	_, err = reward.SubscriptionOf([]byte("[]"))
	require.Error(t, err)
}
