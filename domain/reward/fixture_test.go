package reward_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

// obj is a JSON object under construction.
type obj = map[string]any

const (
	t0     = 1704067200 // 2024-01-01
	day    = 86400
	trialE = t0 + 14*day
)

// with is a copy of o with fields replaced.
func with(o obj, fields obj) obj {
	out := maps.Clone(o)
	maps.Copy(out, fields)
	return out
}

func price(id string, amount int64) obj {
	return obj{
		"id": id, "object": "price", "currency": "usd", "type": "recurring", "billing_scheme": "per_unit",
		"product": "prod_1", "unit_amount": amount,
		"recurring": obj{"interval": "month", "interval_count": 1, "usage_type": "licensed"},
	}
}

func items(list ...obj) obj { return obj{"object": "list", "has_more": false, "data": list} }

func item(p obj, quantity int) obj {
	return obj{"id": "si_1", "object": "subscription_item", "price": p, "quantity": quantity}
}

// sub is a monthly 20.00 USD subscription of the 2023 shape.
func sub(status string, fields obj) obj {
	return with(obj{
		"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status, "currency": "usd",
		"start_date": t0, "created": t0, "current_period_start": t0, "current_period_end": t0 + 31*day,
		"items": items(item(price("price_a", 2000), 1)), "latest_invoice": "in_1",
		"cancel_at_period_end": false, "cancel_at": nil, "canceled_at": nil, "ended_at": nil,
		"trial_start": nil, "trial_end": nil, "pause_collection": nil,
	}, fields)
}

func trialSub(status string, fields obj) obj {
	return with(sub(status, obj{"trial_start": t0, "trial_end": trialE}), fields)
}

func invoiceObj(fields obj) obj {
	return with(obj{
		"id": "in_1", "object": "invoice", "customer": "cus_1", "subscription": "sub_1", "currency": "usd",
		"status": "paid", "amount_due": 2000, "amount_paid": 2000, "total": 2000, "total_excluding_tax": 2000,
		"charge": "ch_1", "period_end": t0, "metadata": obj{}, "status_transitions": obj{"paid_at": t0 + 3600},
	}, fields)
}

// event wraps an object; previous nil means none.
func event(kind string, object, previous obj) []byte {
	data := obj{"object": object}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	return must(obj{
		"id": "evt_1", "object": "event", "type": kind, "created": t0 + 40*day, "livemode": false,
		"api_version": "2023-10-16", "request": obj{"id": "req_1", "idempotency_key": nil}, "data": data,
	})
}

func must(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

func classify(t *testing.T, raw []byte) reward.Classification {
	t.Helper()
	c, err := reward.Classify(raw, reward.Config{})
	require.NoError(t, err)
	return c
}

func updated(t *testing.T, now, previous obj) reward.Classification {
	t.Helper()
	return classify(t, event("customer.subscription.updated", now, previous))
}

func kinds(c reward.Classification) []string {
	out := []string{}
	for _, f := range c.Facts {
		out = append(out, string(f.Kind))
	}
	return out
}

func keys(c reward.Classification) []string {
	out := []string{}
	for _, f := range c.Facts {
		out = append(out, f.Key)
	}
	return out
}

func signals(c reward.Classification) []string {
	out := []string{}
	for _, s := range c.Signals {
		out = append(out, string(s.Kind))
	}
	return out
}

func fact(t *testing.T, c reward.Classification, kind reward.Kind) reward.Fact {
	t.Helper()
	for _, f := range c.Facts {
		if f.Kind == kind {
			return f
		}
	}
	require.Failf(t, "fact missing", "%s is not among %v (anomaly %q, ignored %q)", kind, kinds(c), c.Anomaly, c.Ignored)
	return reward.Fact{}
}

func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

func ptr(v int64) *int64 { return &v }
