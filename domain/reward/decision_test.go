package reward_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// decision is one row of the table of subscription events whose status did not change,
// began or ended.
type decision struct {
	name   string
	event  string
	now    obj
	prev   obj
	facts  []string
	signal []string
	key    string
	cause  string
}

func runDecisions(t *testing.T, rows []decision) {
	t.Helper()
	for _, d := range rows {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			got := classify(t, event("customer.subscription."+d.event, d.now, d.prev))
			require.Empty(t, got.Anomaly)
			require.Equal(t, orNone(d.facts), kinds(got))
			require.Equal(t, orNone(d.signal), signals(got))
			if d.key != "" {
				require.Contains(t, keys(got), d.key)
			}
			if d.cause != "" {
				require.Equal(t, d.cause, got.Facts[0].Flags.Cause)
			}
			if len(d.facts) == 0 {
				require.NotEmpty(t, got.Ignored)
			}
		})
	}
}

func orNone(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func TestSubscriptionBegins(t *testing.T) {
	t.Parallel()
	free := items(item(price("price_free", 0), 1))
	one := func(k string) []string { return []string{k} }
	runDecisions(t, []decision{
		{"trialing", "created", trialSub("trialing", nil), nil, one("trial_start"), one("trial_start"), "trial_start:sub_1:1704067200", ""},
		{"active", "created", sub("active", nil), nil, one("conversion"), one("conversion"), "conversion:sub_1:direct:1704067200", ""},
		{"past due", "created", sub("past_due", nil), nil, one("conversion"), one("conversion"), "", ""},
		{"free", "created", sub("active", obj{"items": free}), nil, []string{"free_start", "conversion"}, one("conversion"), "free_start:sub_1", ""},
		{"incomplete", "created", sub("incomplete", nil), nil, nil, nil, "", ""},
		{"paused", "created", sub("paused", nil), nil, nil, nil, "", ""},
		{"unpaid", "created", sub("unpaid", nil), nil, nil, nil, "", ""},
	})
}

func TestSubscriptionEnds(t *testing.T) {
	t.Parallel()
	ended := func(at int64, reason any) obj {
		return obj{"ended_at": at, "canceled_at": t0 + day, "cancellation_details": obj{"reason": reason}}
	}
	one := func(k string) []string { return []string{k} }
	runDecisions(t, []decision{
		{"in the trial", "deleted", trialSub("canceled", ended(t0+3*day, "cancellation_requested")), nil, one("trial_cancelled"), one("trial_cancelled"), "trial_cancelled:sub_1:1704326400", "voluntary"},
		{"61 s before the trial's end", "deleted", trialSub("canceled", ended(trialE-61, nil)), nil, one("trial_cancelled"), one("trial_cancelled"), "", "unknown"},
		{"60 s before the trial's end", "deleted", trialSub("canceled", ended(trialE-60, nil)), nil, one("trial_expired"), one("trial_expired"), "trial_expired:sub_1:1705276800", ""},
		{"at the trial's end", "deleted", trialSub("canceled", ended(trialE, nil)), nil, one("trial_expired"), one("trial_expired"), "", ""},
		{"60 s after the trial's end", "deleted", trialSub("canceled", ended(trialE+60, nil)), nil, one("trial_expired"), one("trial_expired"), "", ""},
		{"61 s after the trial's end", "deleted", trialSub("canceled", ended(trialE+61, nil)), nil, one("churn"), one("churn"), "", "unknown"},
		{"on request", "deleted", sub("canceled", ended(t0+31*day, "cancellation_requested")), nil, one("churn"), one("churn"), "churn:sub_1:1706745600", "voluntary"},
		{"for non-payment", "deleted", sub("canceled", ended(t0+31*day, "payment_failed")), nil, one("churn"), one("churn"), "", "involuntary"},
		{"for a dispute", "deleted", sub("canceled", ended(t0+31*day, "payment_disputed")), nil, one("churn"), one("churn"), "", "involuntary"},
		{"by retention policy", "deleted", sub("canceled", ended(t0+31*day, "canceled_by_retention_policy")), nil, one("churn"), one("churn"), "", "involuntary"},
		{"never activated", "deleted", sub("incomplete_expired", ended(t0+day, nil)), nil, one("activation_failed"), nil, "activation_failed:sub_1", ""},
	})
}

func TestSubscriptionChanges(t *testing.T) {
	t.Parallel()
	a, b := price("price_a", 2000), price("price_b", 5000)
	yearly := with(price("price_y", 24000), obj{"recurring": obj{"interval": "year", "interval_count": 1}})
	tiered := with(price("price_t", 0), obj{"billing_scheme": "tiered", "unit_amount": nil, "tiers_mode": "graduated"})
	plan := func(status string, p obj, q int) obj { return sub(status, obj{"items": items(item(p, q))}) }
	was := func(p obj, q int) obj { return obj{"items": obj{"data": []obj{item(p, q)}}} }
	one := func(k string) []string { return []string{k} }
	both := func(k string) ([]string, []string) { return one(k), one(k) }
	up, upS := both("upgrade")
	down, downS := both("downgrade")
	coupon := func(percent int) obj {
		return obj{"id": "di_1", "coupon": obj{"id": "c", "duration": "forever", "percent_off": percent}}
	}
	runDecisions(t, []decision{
		{"price up", "updated", plan("active", b, 1), was(a, 1), up, upS, "", ""},
		{"price down", "updated", plan("active", a, 1), was(b, 1), down, downS, "", ""},
		{"seats up while past due", "updated", plan("past_due", a, 8), was(a, 5), up, upS, "", ""},
		{"same worth", "updated", plan("active", yearly, 1), was(a, 1), one("plan_change_neutral"), nil, "", ""},
		{"worth unknown", "updated", plan("active", tiered, 1), was(a, 1), one("plan_change_unknown"), nil, "", ""},
		{"in the trial", "updated", trialSub("trialing", obj{"items": items(item(b, 1))}), was(a, 1), one("plan_change_no_mrr"), nil, "", ""},
		{"while unpaid", "updated", plan("unpaid", b, 1), was(a, 1), nil, nil, "", ""},
		{"renewal before basil", "updated", sub("active", nil), obj{"current_period_start": t0 - 31*day, "current_period_end": t0, "latest_invoice": "in_0"}, nil, nil, "", ""},
		{"cancel by flag", "updated", sub("active", obj{"cancel_at_period_end": true, "canceled_at": t0 + day}), obj{"cancel_at_period_end": false, "canceled_at": nil}, one("cancel_scheduled"), nil, "cancel_scheduled:sub_1:1704153600", ""},
		{"cancel by date only", "updated", sub("active", obj{"cancel_at": t0 + 31*day, "canceled_at": t0 + day}), obj{"cancel_at": nil, "canceled_at": nil}, one("cancel_scheduled"), nil, "cancel_scheduled:sub_1:1704153600", ""},
		{"cancel date moved", "updated", sub("active", obj{"cancel_at": t0 + 31*day}), obj{"cancel_at": t0 + 20*day}, nil, nil, "", ""},
		{"cancel in the trial", "updated", trialSub("trialing", obj{"cancel_at_period_end": true, "canceled_at": t0 + day}), obj{"cancel_at_period_end": false}, one("trial_cancel_scheduled"), nil, "", ""},
		{"cancel withdrawn", "updated", sub("active", nil), obj{"cancel_at_period_end": true, "canceled_at": t0 + day}, one("cancel_unscheduled"), nil, "cancel_unscheduled:sub_1:1704153600", ""},
		{"upgrade and cancel withdrawn", "updated", plan("active", b, 1), with(was(a, 1), obj{"cancel_at": t0 + 31*day}), []string{"upgrade", "cancel_unscheduled"}, upS, "", ""},
		{"collection paused", "updated", sub("active", obj{"pause_collection": obj{"behavior": "void"}}), obj{"pause_collection": nil}, one("collection_paused"), nil, "", ""},
		{"collection resumed", "updated", sub("active", nil), obj{"pause_collection": obj{"behavior": "void"}}, one("collection_resumed"), nil, "", ""},
		{"trial moved", "updated", trialSub("trialing", nil), obj{"trial_end": t0 + 7*day}, one("trial_rescheduled"), nil, "trial_rescheduled:sub_1:1704672000>1705276800", ""},
		{"discount added", "updated", sub("active", obj{"discount": coupon(20)}), obj{"discount": nil}, one("discount_changed"), nil, "", ""},
		{"metadata only", "updated", sub("active", nil), obj{"metadata": obj{"k": "v"}}, nil, nil, "", ""},
		{"nothing named", "updated", sub("active", nil), nil, nil, nil, "", ""},
	})
}

func TestPlanSignal(t *testing.T) {
	t.Parallel()
	s := func(list obj) obj { return sub("active", obj{"items": list}) }
	year := func(id string, amount int64) obj {
		return with(price(id, amount), obj{"recurring": obj{"interval": "year", "interval_count": 1}})
	}
	seats := updated(t, s(items(item(price("p", 2000), 8))), obj{"items": obj{"data": []obj{item(price("p", 2000), 5)}}}).Signals[0]
	require.Equal(t, []*int64{ptr(10000), ptr(16000), ptr(5), ptr(8)}, []*int64{seats.FromAmount, seats.ToAmount, seats.FromQuantity, seats.ToQuantity})
	annual := updated(t, s(items(item(year("q", 50000), 1))), obj{"items": obj{"data": []obj{item(year("p", 20000), 1)}}}).Signals[0]
	require.Equal(t, []*int64{ptr(20000), ptr(50000)}, []*int64{annual.FromAmount, annual.ToAmount}, "one interval: its own amounts")
	require.Nil(t, annual.FromQuantity)
	mixed := updated(t, s(items(item(price("q", 2000), 1))), obj{"items": obj{"data": []obj{item(year("p", 12000), 1)}}}).Signals[0]
	require.Equal(t, []*int64{ptr(1000), ptr(2000)}, []*int64{mixed.FromAmount, mixed.ToAmount}, "two intervals: monthly amounts")
}

func TestTwinsShareOneKey(t *testing.T) {
	t.Parallel()
	pause := classify(t, event("customer.subscription.paused", trialSub("paused", nil), nil))
	require.Equal(t, updated(t, trialSub("paused", nil), obj{"status": "trialing"}).Facts, pause.Facts)
	require.Equal(t, []string{"trial_expired"}, signals(pause))

	resume := classify(t, event("customer.subscription.resumed", trialSub("active", nil), nil))
	require.Equal(t, updated(t, trialSub("active", nil), obj{"status": "paused"}).Facts, resume.Facts)

	later := obj{"current_period_start": t0 + 20*day}
	resume = classify(t, event("customer.subscription.resumed", trialSub("active", later), nil))
	require.Equal(t, updated(t, trialSub("active", later), obj{"status": "paused"}).Facts, resume.Facts)
	require.Equal(t, at(t0+20*day), fact(t, resume, "conversion").EffectiveAt, "it converts when it resumes")

	failed := classify(t, event("invoice.payment_failed", invoiceObj(obj{"status": "open", "amount_paid": 0}), nil))
	require.Equal(t, updated(t, sub("past_due", nil), obj{"status": "active"}).Facts, failed.Facts)
	require.Equal(t, ptr(2000), failed.Signals[0].Amount)

	paid := classify(t, event("invoice.paid", invoiceObj(nil), nil))
	require.Equal(t, classify(t, event("invoice.payment_succeeded", invoiceObj(nil), nil)).Facts, paid.Facts)

	notice := classify(t, event("customer.subscription.trial_will_end", trialSub("trialing", nil), nil))
	require.Equal(t, []string{"trial_will_end:sub_1:1705276800"}, keys(notice))
}
