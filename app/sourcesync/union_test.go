package sourcesync_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// drawn are the dice of a property.
type drawn struct{ *rapid.T }

func (d drawn) Pick(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.T, what) }

// told is one statement on its way into the ledger: an event, or an object that was read.
type told struct {
	facts []reward.Fact
	live  bool
	at    time.Time
}

func eventTold(t require.TestingT, raw json.RawMessage) told {
	c, err := reward.Classify(raw, reward.Config{})
	require.NoError(t, err)
	return told{c.Facts, true, c.Envelope.Created}
}

// listed reads every object of the company as lists show it now.
func listed(t require.TestingT, c *company) []told {
	var out []told
	all := c.state()
	for _, kind := range []string{"customers", "subscriptions", "invoices", "charges", "refunds", "disputes", "credit_notes"} {
		for _, raw := range all[kind] {
			o, err := reward.Observe(raw, c.now(), reward.Config{})
			require.NoError(t, err)
			require.Empty(t, o.Anomaly, string(raw))
			out = append(out, told{o.Facts, false, c.now()})
		}
	}
	return out
}

// ledger keeps the first fact under each key that the horizon admits.
func ledger(h source.Horizon, all []told) map[string]reward.Fact {
	out := map[string]reward.Fact{}
	for _, s := range all {
		for _, f := range s.facts {
			if _, there := out[f.Key]; !there && h.Admits(f, s.live) {
				out[f.Key] = f
			}
		}
	}
	return out
}

// besides are what depends on who was first to tell: recurring revenue around a moment
// that is past is not on an object any more, and only the subscription of a twin knows
// that a payment was the first after a trial.
var besides = cmp.Options{cmpopts.IgnoreFields(reward.Fact{}, "MRRBefore", "MRRAfter"), cmpopts.IgnoreFields(reward.Flags{}, "AtTrialEnd", "Inferred")}

// TestWebhookPullAndBackfillAgree: whatever part of the events comes by webhook, how
// often, and in which order; whatever is fetched later; and whenever lists and single
// objects are read in between: the facts are those of the webhooks alone.
func TestWebhookPullAndBackfillAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fake := stripefake.New(stripefake.Options{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), HoldWebhooks: true})
		defer fake.Close()
		c := found(t, fake, "acct_life", drawn{t})
		start := c.now()
		var stream []told
		for range rapid.IntRange(5, 30).Draw(t, "turns") {
			c.turn()
			if rapid.IntRange(0, 5).Draw(t, "look") == 0 {
				stream = append(stream, listed(t, c)...)
			}
		}
		var webhook []told
		for _, e := range c.events {
			webhook = append(webhook, eventTold(t, e))
		}
		want := ledger(source.Horizon{Start: start}, webhook)
		for _, e := range webhook {
			switch rapid.IntRange(0, 3).Draw(t, "delivery") {
			case 0: // lost, then polled
			case 1:
				stream = append(stream, e, e)
			default:
				stream = append(stream, e)
			}
		}
		stream = append(stream, listed(t, c)...)
		stream = rapid.Permutation(stream).Draw(t, "order")
		stream = append(stream, webhook...) // what was lost is polled in the end
		got := ledger(source.Horizon{Start: start}, stream)
		if diff := cmp.Diff(want, got, besides); diff != "" {
			t.Fatalf("(-webhook +union)\n%s", diff)
		}
	})
}

// moneyKinds are what a bill rests on. (A dispute that was lost takes no more money than
// it holds already, and one that is won in the end does not show that it was lost.)
var moneyKinds = []reward.Kind{reward.RevenueConfirmation, reward.RevenueOutOfBand, reward.Refund, reward.Dispute, reward.DisputeWon}

func money(facts map[string]reward.Fact) map[string]int64 {
	out := map[string]int64{}
	for k, f := range facts {
		if slices.Contains(moneyKinds, f.Kind) {
			out[k] = *f.Amount
		}
	}
	return out
}

// TestHistoryBeforeTheEvents: of a company that connects in the middle of its life,
// lists tell the money of all of it, to the cent, and events the rest from then on.
func TestHistoryBeforeTheEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fake := stripefake.New(stripefake.Options{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), HoldWebhooks: true})
		defer fake.Close()
		c := found(t, fake, "acct_life", drawn{t})
		for range rapid.IntRange(5, 25).Draw(t, "turns before") {
			c.turn()
		}
		c.advance(time.Hour)
		c.collect()
		before := len(c.events)
		h := source.Horizon{Start: c.now(), Listed: true}
		for range rapid.IntRange(0, 10).Draw(t, "turns after") {
			c.turn()
		}
		var all, union []told
		for i, e := range c.events {
			all = append(all, eventTold(t, e))
			if i >= before || rapid.IntRange(0, 9).Draw(t, "resent") == 0 {
				union = append(union, eventTold(t, e))
			}
		}
		union = rapid.Permutation(append(union, listed(t, c)...)).Draw(t, "order")
		want, got := ledger(source.Horizon{}, all), ledger(h, union)
		if diff := cmp.Diff(money(want), money(got)); diff != "" {
			t.Fatalf("money (-webhook +union)\n%s", diff)
		}
		for _, k := range slices.Sorted(maps.Keys(got)) {
			f := got[k]
			if f.Kind == reward.Upgrade || f.Kind == reward.Downgrade {
				require.False(t, f.EffectiveAt.Before(h.Start), "an event told of a change that lists have concluded")
			}
			if !f.Flags.Inferred {
				require.Contains(t, want, k, "nothing is made up")
			}
		}
	})
}
