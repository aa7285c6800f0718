package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// sighting draws what one payload says of one of a few objects, within a few seconds, so
// that every branch of the statements is met: new, plainly newer, the same, older, tied,
// partly known, deleted, read.
func sighting(t *rapid.T) projection.Observation {
	second := now.Unix() + rapid.Int64Range(0, 4).Draw(t, "second")
	n := rapid.IntRange(1, 2).Draw(t, "which")
	cus := fmt.Sprintf("cus_%d", rapid.IntRange(1, 3).Draw(t, "customer"))
	var object obj
	var prefix string
	switch rapid.IntRange(0, 4).Draw(t, "object") {
	case 0, 1:
		prefix = "customer.subscription"
		object = obj{"id": id("sub_%d", n), "object": "subscription", "customer": cus, "currency": "usd", "created": now.Unix(), "start_date": now.Unix(),
			"status":      rapid.SampledFrom([]string{"trialing", "active", "active", "active", "past_due", "canceled"}).Draw(t, "status"),
			"trial_end":   rapid.SampledFrom([]any{nil, nil, now.Unix() + 2}).Draw(t, "trial end"),
			"trial_start": rapid.SampledFrom([]any{nil, nil, now.Unix()}).Draw(t, "trial start"),
			"items":       obj{"data": []obj{{"id": "si_1", "quantity": rapid.IntRange(1, 2).Draw(t, "quantity"), "price": obj{"id": "p,1", "unit_amount": 100, "recurring": obj{"interval": "month"}}}}},
			"discounts":   rapid.SampledFrom([]any{nil, []string{"di_1"}}).Draw(t, "discounts")}
		if rapid.Bool().Draw(t, "states the trial's end action") {
			object["trial_settings"] = obj{"end_behavior": obj{"missing_payment_method": rapid.SampledFrom([]string{"cancel", "pause"}).Draw(t, "action")}}
		}
	case 2:
		prefix = "invoice"
		object = obj{"id": id("in_%d", n), "object": "invoice", "customer": cus, "currency": "usd", "created": now.Unix(), "total": 5,
			"status": rapid.SampledFrom([]string{"draft", "open", "paid"}).Draw(t, "status"), "attempt_count": rapid.IntRange(0, 1).Draw(t, "attempts")}
		if rapid.Bool().Draw(t, "states the charge") {
			object["charge"] = rapid.SampledFrom([]any{nil, "ch_1", "ch_2"}).Draw(t, "charge")
		}
	case 3:
		prefix = "customer"
		object = obj{"id": cus, "object": "customer", "created": rapid.SampledFrom([]any{nil, now.Unix()}).Draw(t, "created"), "balance": rapid.IntRange(0, 1).Draw(t, "balance")}
		if rapid.Bool().Draw(t, "states the cash") {
			object["cash_balance"] = obj{"available": obj{"usd": rapid.IntRange(0, 1).Draw(t, "cash")}}
		}
	default:
		prefix = "charge"
		object = obj{"id": id("ch_%d", n), "object": "charge", "customer": rapid.SampledFrom([]any{nil, cus}).Draw(t, "payer"), "currency": "usd", "created": now.Unix(), "amount": 5,
			"status": "succeeded", "amount_refunded": rapid.IntRange(0, 1).Draw(t, "refunded"), "description": "a\x1fb"}
	}
	if rapid.IntRange(0, 3).Draw(t, "how") == 0 {
		raw, err := json.Marshal(object)
		require.NoError(t, err)
		c, err := reward.ClassifyObject(raw, time.Unix(second, int64(rapid.IntRange(0, 1).Draw(t, "fraction"))*1e6).UTC(), reward.Config{})
		require.NoError(t, err)
		return projection.Observe(c)
	}
	data := obj{"object": object}
	if rapid.Bool().Draw(t, "tells before") {
		data["previous_attributes"] = obj{"status": rapid.SampledFrom([]string{"trialing", "active", "past_due", "draft", "open"}).Draw(t, "was")}
	}
	raw, err := json.Marshal(obj{"id": "evt", "object": "event", "created": second, "data": data,
		"type": prefix + "." + rapid.SampledFrom([]string{"created", "updated", "updated", "updated", "deleted"}).Draw(t, "type")})
	require.NoError(t, err)
	c, err := reward.Classify(raw, reward.Config{})
	require.NoError(t, err)
	return projection.Observe(c)
}

// renewals are versions of one subscription with few changes, one after the other, so
// that most replace the one before unseen. They are drawn evenly, which rapid does not.
func renewals(t require.TestingT, draw *rand.Rand) []projection.Observation {
	rare := func(usual any, others ...any) any {
		if draw.IntN(6) > 0 {
			return usual
		}
		return others[draw.IntN(len(others))]
	}
	status, trial, created := []string{"active", "active", "canceled"}[draw.IntN(3)], draw.IntN(2) == 0, now.Unix()
	var out []projection.Observation
	for second := range int64(2 + draw.IntN(10)) {
		object := obj{"id": "sub_1", "object": "subscription", "customer": rare("cus_1", "cus_2"), "currency": "usd", "created": rare(created, created+1),
			"status": rare(status, "trialing", "past_due", "canceled"), "ended_at": created + 6 + draw.Int64N(2),
			"items": obj{"data": []obj{{"id": "si_1", "price": obj{"id": id("p%d", second)}}}}}
		if trial {
			object["trial_start"], object["trial_end"] = created+draw.Int64N(2), created+1+draw.Int64N(2)
		}
		data := obj{"object": object}
		if draw.IntN(9) == 0 {
			data["previous_attributes"] = obj{"status": rare("past_due", "trialing", "active")}
		}
		raw, err := json.Marshal(obj{"id": "evt", "object": "event", "created": created + 3 + second, "data": data, "type": "customer.subscription.updated"})
		require.NoError(t, err)
		c, err := reward.Classify(raw, reward.Config{})
		require.NoError(t, err)
		out = append(out, projection.Observe(c))
	}
	return out
}

// joinsAlike books a stream in one batch, which the domain joins before any statement
// runs, and in many.
func (w *world) joinsAlike(t require.TestingT, run int64, whole []projection.Observation, batches [][]projection.Observation) {
	a, b := id("whole-%d", run), id("parts-%d", run)
	w.book(a, whole...)
	for _, batch := range batches {
		w.book(b, batch...)
	}
	want, got := w.rows(a), w.rows(b)
	for key, row := range want {
		if got[key] != row {
			requireSameColumns(t, row, got[key], key)
			require.Equal(t, row, got[key], key)
		}
	}
	require.Len(t, got, len(want))
}

// requireSameColumns names the first column that differs.
func requireSameColumns(t require.TestingT, want, got, key string) {
	var a, b map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(want), &a))
	require.NoError(t, json.Unmarshal([]byte(got), &b), "%s is missing", key)
	for column, v := range a {
		require.Equal(t, string(v), string(b[column]), "%s of %s", column, key)
	}
}

// TestStatementsJoinAsTheDomainDoes: whatever is written in whichever batches, the rows
// are those of one batch, which the domain has joined before any statement ran.
func TestStatementsJoinAsTheDomainDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var run atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		seen := rapid.SliceOfN(rapid.Custom(sighting), 1, 14).Draw(t, "seen")
		rest := append(rapid.Permutation(seen).Draw(t, "order"), rapid.SliceOfN(rapid.SampledFrom(seen), 0, 3).Draw(t, "again")...)
		var batches [][]projection.Observation
		for len(rest) > 0 {
			k := rapid.IntRange(1, min(4, len(rest))).Draw(t, "batch")
			batches, rest = append(batches, rest[:k]), rest[k:]
		}
		w.joinsAlike(t, run.Add(1), seen, batches)
	})
	for seed := range uint64(60) {
		stream := renewals(t, rand.New(rand.NewPCG(seed, 0)))
		var batches [][]projection.Observation
		for _, o := range stream {
			batches = append(batches, []projection.Observation{o})
		}
		w.joinsAlike(t, run.Add(1), stream, batches)
	}
}
