package reward_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/reward"
)

func unmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}

// booked is what a ledger with a unique index on the key keeps: the first of each.
func booked(all ...reward.Classification) []reward.Fact {
	seen, out := map[string]bool{}, []reward.Fact{}
	for _, c := range all {
		for _, f := range c.Facts {
			if !seen[f.Key] {
				seen[f.Key] = true
				out = append(out, f)
			}
		}
	}
	return out
}

func byKey(facts []reward.Fact) map[string]reward.Fact {
	out := map[string]reward.Fact{}
	for _, f := range facts {
		out[f.Key] = f
	}
	return out
}

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

// life is one subscription from its trial to its end, with the money in between.
func life(t require.TestingT) []reward.Classification {
	events := [][]byte{
		event("customer.subscription.created", trialSub("trialing", nil), nil),
		event("customer.subscription.updated", trialSub("active", nil), obj{"status": "trialing"}),
		event("invoice.paid", invoiceObj(nil), nil),
		event("customer.subscription.updated", trialSub("past_due", nil), obj{"status": "active"}),
		event("invoice.payment_failed", invoiceObj(obj{"status": "open", "amount_paid": 0}), nil),
		event("customer.subscription.deleted", trialSub("canceled", obj{"ended_at": t0 + 60*day}), nil),
	}
	out := make([]reward.Classification, len(events))
	for k, e := range events {
		c, err := reward.Classify(e, reward.Config{})
		require.NoError(t, err)
		require.NotEmpty(t, c.Facts)
		out[k] = c
	}
	return out
}

// TestEveryOrderOfALifeBooksTheSame is bug 11 and 12: order decides nothing.
func TestEveryOrderOfALifeBooksTheSame(t *testing.T) {
	t.Parallel()
	events := life(t)
	want := byKey(booked(events...))
	orders := 0
	permute(events, func(order []reward.Classification) {
		orders++
		if diff := cmp.Diff(want, byKey(booked(order...))); diff != "" {
			t.Fatal(diff)
		}
	})
	require.Equal(t, 720, orders)
}

// TestDuplicatesChangeNothing is bug 14, with any interleaving of repeats.
func TestDuplicatesChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := life(t)
		stream := append([]reward.Classification{}, events...)
		for range rapid.IntRange(0, 12).Draw(t, "repeats") {
			stream = append(stream, rapid.SampledFrom(events).Draw(t, "again"))
		}
		stream = rapid.Permutation(stream).Draw(t, "order")
		require.Empty(t, cmp.Diff(byKey(booked(events...)), byKey(booked(stream...))))
	})
}

// TestClassifyIsAFunction: the same bytes always give the same answer, and what it
// says is well-formed.
func TestClassifyIsAFunction(t *testing.T) {
	t.Parallel()
	statuses := []string{"incomplete", "incomplete_expired", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "odd"}
	rapid.Check(t, func(t *rapid.T) {
		now := trialSub(rapid.SampledFrom(statuses).Draw(t, "now"), obj{
			"items":     items(item(price("price_a", rapid.Int64Range(0, 1<<40).Draw(t, "amount")), rapid.IntRange(0, 1000).Draw(t, "quantity"))),
			"cancel_at": rapid.SampledFrom([]any{nil, t0, t0 + day}).Draw(t, "cancel"),
		})
		before := obj{"status": rapid.SampledFrom(statuses).Draw(t, "before"), "quantity": rapid.IntRange(0, 5).Draw(t, "was")}
		raw := event("customer.subscription.updated", now, before)
		a, errA := reward.Classify(raw, reward.Config{})
		b, errB := reward.Classify(raw, reward.Config{})
		require.NoError(t, errA)
		require.NoError(t, errB)
		require.Empty(t, cmp.Diff(a, b, cmp.AllowUnexported(reward.Item{})))
		wellFormed(t, a)
	})
}

func wellFormed(t require.TestingT, c reward.Classification) {
	seen := map[string]bool{}
	for _, f := range c.Facts {
		require.NotEmpty(t, f.Key)
		require.False(t, f.EffectiveAt.IsZero())
		require.False(t, seen[f.Key], "one payload says a thing once")
		seen[f.Key] = true
		require.Equal(t, f.Kind.IsReward(), f.IsReward)
	}
	for _, s := range c.Signals {
		require.True(t, s.Kind.IsReward())
		require.True(t, s.Amount == nil || *s.Amount >= 0 || s.Kind == reward.PaymentFailed)
	}
	if c.Anomaly != "" {
		require.Empty(t, c.Facts)
		require.Empty(t, c.Signals)
	}
}
