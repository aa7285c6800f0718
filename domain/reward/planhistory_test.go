package reward_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

// planLine is a line over a whole month of a price.
func planLine(p obj, quantity int, from int64, fields obj) obj {
	return with(obj{
		"object": "line_item", "type": "subscription", "price": p, "quantity": quantity, "proration": false, "amount": 1,
		"period": obj{"start": from, "end": from + 31*day},
	}, fields)
}

// bill is a regular invoice with lines.
func bill(id string, fields obj, lines ...obj) []byte {
	return must(with(invoiceObj(obj{"id": id, "billing_reason": "subscription_cycle", "lines": items(lines...)}), fields))
}

func billedPlan(t *testing.T, raw []byte, all ...[]byte) reward.BilledPlan {
	t.Helper()
	p, ok := reward.BilledPlanOf(raw, all...)
	require.True(t, ok)
	return p
}

// TestBilledPlan reads the plan of a period off its regular lines, and no other one.
func TestBilledPlan(t *testing.T) {
	t.Parallel()
	base, addOn := price("price_a", 2000), price("price_b", 500)
	proration := planLine(price("price_old", 9000), 1, t0, obj{"proration": true})
	oneOff := obj{"type": "invoiceitem", "amount": 700, "period": obj{"start": t0 + 99*day, "end": t0 + 99*day}}
	p := billedPlan(t, bill("in_1", nil, proration, planLine(base, 1, t0, nil), oneOff, planLine(addOn, 3, t0, nil)))
	require.Equal(t, "3500", p.MonthlyMinor.String())
	require.True(t, p.Known)
	require.False(t, p.Trial)
	require.Equal(t, at(t0), p.From)
	require.Equal(t, "price_a×1,price_b×3", p.Signature, "as the subscription itself would say it")
	require.Equal(t, []string{"sub_1", "cus_1", "in_1", "usd"}, []string{p.Subscription, p.Customer, p.Invoice, p.Currency})

	for name, fields := range map[string]obj{
		"a change in between": {"billing_reason": "subscription_update"}, "a manual one": {"billing_reason": "manual"},
		"a draft": {"status": "draft"}, "a voided one": {"status": "void"}, "none of a subscription": {"subscription": nil},
	} {
		_, ok := reward.BilledPlanOf(bill("in_1", fields, planLine(base, 1, t0, nil)))
		require.False(t, ok, name)
	}
	_, ok := reward.BilledPlanOf(bill("in_1", nil, proration, oneOff))
	require.False(t, ok)
	_, ok = reward.BilledPlanOf([]byte("x"))
	require.False(t, ok)

	require.True(t, billedPlan(t, bill("in_1", nil, planLine(base, 1, t0, obj{"amount": 0}))).Trial)
	require.True(t, billedPlan(t, bill("in_1", nil, planLine(price("price_0", 0), 1, t0, obj{"amount": 0, "period": obj{"start": t0, "end": t0 + 7*day}}))).Trial)
	require.False(t, billedPlan(t, bill("in_1", nil, planLine(base, 1, t0, obj{"amount": 0, "discount_amounts": []any{obj{"amount": 2000}}}))).Trial, "a coupon took it off")
	require.False(t, billedPlan(t, bill("in_1", nil, planLine(base, 1, t0, obj{"period": obj{"start": t0, "end": t0 + 28*day - 3600}}))).Trial, "February, when clocks change")
	tiered := with(base, obj{"billing_scheme": "tiered", "unit_amount": nil})
	require.False(t, billedPlan(t, bill("in_1", nil, planLine(tiered, 1, t0, nil))).Known)
}

// TestMoreLinesThanFit: an invoice shows ten lines; the others are read for it.
func TestMoreLinesThanFit(t *testing.T) {
	t.Parallel()
	first, second := planLine(price("price_a", 2000), 1, t0, nil), planLine(price("price_b", 500), 1, t0, nil)
	whole := bill("in_1", nil, first)
	require.False(t, reward.LinesMissing(whole))
	cut := bill("in_1", obj{"lines": obj{"object": "list", "has_more": true, "data": []any{first}}})
	require.True(t, reward.LinesMissing(cut))
	require.Equal(t, "2500", billedPlan(t, cut, must(first), must(second)).MonthlyMinor.String(), "all lines, each once")
}

// TestInferPlanChanges: between two regular invoices the plan went up or down; it took
// effect with the later one.
func TestInferPlanChanges(t *testing.T) {
	t.Parallel()
	month := func(n int, amount int64, fields obj) reward.BilledPlan {
		from := int64(t0 + n*31*day)
		return billedPlan(t, bill("in_"+string(rune('a'+n)), fields, planLine(price("price_"+string(rune('a'+amount/1000)), amount), 1, from, obj{"amount": amount})))
	}
	trial := billedPlan(t, bill("in_trial", nil, planLine(price("price_b", 1000), 1, t0-7*day, obj{"amount": 0})))
	history := []reward.BilledPlan{month(3, 1000, nil), trial, month(0, 1000, nil), month(2, 3000, nil), month(1, 1000, nil)}
	facts := reward.InferPlanChanges(history)
	require.Len(t, facts, 2)
	up, down := facts[0], facts[1]
	require.Equal(t, []reward.Kind{reward.Upgrade, reward.Downgrade}, []reward.Kind{up.Kind, down.Kind})
	require.Equal(t, []string{"1000", "3000", "3000", "1000"}, []string{up.MRRBefore, up.MRRAfter, down.MRRBefore, down.MRRAfter})
	require.Equal(t, at(t0+62*day), up.EffectiveAt)
	require.True(t, up.Flags.Inferred)
	require.True(t, up.IsReward)
	require.Equal(t, "sub_1", up.Subscription)
	require.Nil(t, up.Amount)
	require.Equal(t, facts, reward.InferPlanChanges(append(history, month(3, 1000, nil))), "an invoice that is read twice changes nothing")

	require.Empty(t, reward.InferPlanChanges(nil))
	require.Empty(t, reward.InferPlanChanges([]reward.BilledPlan{trial, month(0, 3000, nil)}), "what a trial would have cost was never paid")
	other := month(1, 3000, nil)
	other.Currency = "eur"
	require.Empty(t, reward.InferPlanChanges([]reward.BilledPlan{month(0, 1000, nil), other}))
	unknown := month(1, 3000, nil)
	unknown.Known = false
	require.Empty(t, reward.InferPlanChanges([]reward.BilledPlan{month(0, 1000, nil), unknown, month(2, 3000, nil)}))
}
