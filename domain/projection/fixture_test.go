package projection_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// obj is a JSON object under construction.
type obj = map[string]any

const (
	t0  = 1704067200 // 2024-01-01
	day = 86400
)

func with(o obj, fields obj) obj {
	out := maps.Clone(o)
	maps.Copy(out, fields)
	return out
}

func price(id string, amount int) obj {
	return obj{"id": id, "object": "price", "currency": "usd", "product": "prod_" + id, "unit_amount": amount,
		"recurring": obj{"interval": "month", "interval_count": 1, "usage_type": "licensed"}}
}

// sub is a monthly 20.00 USD subscription of the 2023 shape.
func sub(status string, fields obj) obj {
	return with(obj{
		"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status, "currency": "usd", "created": t0, "start_date": t0,
		"current_period_start": t0, "current_period_end": t0 + 31*day, "latest_invoice": "in_1", "collection_method": "charge_automatically",
		"items":                obj{"data": []obj{{"id": "si_1", "price": price("a", 2000), "quantity": 1}}},
		"cancel_at_period_end": false, "trial_settings": obj{"end_behavior": obj{"missing_payment_method": "pause"}}, "default_payment_method": "pm_1",
	}, fields)
}

func invoice(status string, fields obj) obj {
	return with(obj{
		"id": "in_1", "object": "invoice", "customer": "cus_1", "subscription": "sub_1", "currency": "usd", "status": status, "created": t0,
		"total": 2000, "subtotal": 2000, "amount_due": 2000, "amount_paid": 0, "amount_remaining": 2000, "charge": nil, "number": "A-1",
		"attempt_count": 0, "collection_method": "charge_automatically", "metadata": obj{}, "status_transitions": obj{},
	}, fields)
}

func charge(fields obj) obj {
	return with(obj{"id": "ch_1", "object": "charge", "customer": "cus_1", "invoice": "in_1", "status": "succeeded", "currency": "usd", "amount": 2000,
		"amount_refunded": 0, "refunded": false, "disputed": false, "created": t0, "payment_method_details": obj{"type": "card"}}, fields)
}

func dispute(status string) obj {
	return obj{"id": "dp_1", "object": "dispute", "charge": "ch_1", "status": status, "reason": "fraudulent", "amount": 2000, "currency": "usd", "created": t0 + day}
}

func customer(fields obj) obj {
	return with(obj{"id": "cus_1", "object": "customer", "created": t0, "currency": "usd", "balance": 0, "delinquent": false, "metadata": obj{}}, fields)
}

// event is a delivered event.
func event(t require.TestingT, kind string, at int64, object, previous obj) projection.Observation {
	data := obj{"object": object}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	c, err := reward.Classify(marshal(t, obj{"id": "evt_1", "object": "event", "type": kind, "created": at, "livemode": true, "data": data}), reward.Config{})
	require.NoError(t, err)
	return projection.Observe(c)
}

// read is an object that was read at a time with a fraction.
func read(t require.TestingT, at time.Time, object obj) projection.Observation {
	c, err := reward.ClassifyObject(marshal(t, object), at, reward.Config{})
	require.NoError(t, err)
	return projection.Observe(c)
}

func marshal(t require.TestingT, v any) []byte {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

func sec(s int64) time.Time { return time.Unix(s, 0).UTC() }

// fold joins observations in the given order.
func fold(all ...projection.Observation) *projection.Set {
	s := projection.NewSet()
	for _, o := range all {
		s.Add(o)
	}
	return s
}

// bytes are everything that a set knows, its timelines included.
func bytes(t require.TestingT, s *projection.Set) string {
	out := marshal(t, s)
	for _, id := range slices.Sorted(maps.Keys(s.Subscriptions)) {
		out = append(out, marshal(t, projection.Timeline(s.Subscriptions[id]))...)
	}
	return string(out)
}

func subscription(t *testing.T, all ...projection.Observation) *projection.Object[projection.Subscription] {
	t.Helper()
	s := fold(all...)
	require.Len(t, s.Subscriptions, 1)
	return s.Subscriptions["sub_1"]
}

// statuses writes a timeline as "trialing@0 active@14?", in days from t0; ? is inferred.
func statuses(o *projection.Object[projection.Subscription]) string {
	var out []string
	for _, i := range projection.Intervals(projection.Timeline(o)) {
		s := i.Status + "@" + days(i.From)
		if i.Inferred {
			s += "?"
		}
		if i.Gap {
			s += "…"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func days(at int64) string {
	raw, _ := json.Marshal(float64(at-t0) / day)
	return string(raw)
}

// permute visits every order of a list.
func permute[T any](list []T, visit func([]T)) {
	if len(list) == 0 {
		visit(nil)
		return
	}
	for k := range list {
		rest := append(append([]T{}, list[:k]...), list[k+1:]...)
		permute(rest, func(tail []T) { visit(append([]T{list[k]}, tail...)) })
	}
}
