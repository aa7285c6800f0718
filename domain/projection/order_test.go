package projection_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/projection"
)

// life is one customer from the first trial to the end, with the money in between.
func life(t require.TestingT) []projection.Observation {
	trial := obj{"trial_start": t0, "trial_end": t0 + 14*day}
	return []projection.Observation{
		event(t, "customer.subscription.created", t0, sub("trialing", trial), nil),
		event(t, "customer.subscription.updated", t0+14*day, sub("active", trial), obj{"status": "trialing"}),
		event(t, "invoice.paid", t0+14*day, invoice("paid", obj{"amount_paid": 2000, "charge": "ch_1", "status_transitions": obj{"paid_at": t0 + 14*day}}), nil),
		event(t, "customer.subscription.updated", t0+45*day, sub("past_due", trial), obj{"status": "active"}),
		event(t, "invoice.payment_failed", t0+14*day, invoice("open", obj{"attempt_count": 1}), nil),
		event(t, "customer.subscription.deleted", t0+60*day, sub("canceled", with(trial, obj{"ended_at": t0 + 60*day})), nil),
	}
}

// TestEveryOrderOfALifeEndsTheSame: all 720 orders, each with one event delivered again,
// end in the same bytes.
func TestEveryOrderOfALifeEndsTheSame(t *testing.T) {
	t.Parallel()
	events := life(t)
	want, orders := bytes(t, fold(events...)), 0
	permute(events, func(order []projection.Observation) {
		orders++
		again := append(append([]projection.Observation{}, order...), order[orders%len(order)])
		if got := bytes(t, fold(again...)); got != want {
			t.Fatalf("order %d:\n%s\n%s", orders, want, got)
		}
	})
	require.Equal(t, 720, orders)
	s := fold(events...)
	require.Equal(t, "trialing@0 active@14 past_due@45 canceled@60", statuses(s.Subscriptions["sub_1"]))
	now, ok := s.Invoices["in_1"].Now()
	require.True(t, ok)
	require.Equal(t, "paid", now.Status, "a failed attempt of the same second is older than the payment")
}

// TestBug11CreatedAfterUpdated: the announcement comes last and changes nothing, also
// when both are of one second and the change does not say what it replaced.
func TestBug11CreatedAfterUpdated(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 1, 60} {
		for kind, previous := range map[string]obj{"updated": {"status": "incomplete"}, "resumed": nil} {
			created := event(t, "customer.subscription.created", t0, sub("incomplete", nil), nil)
			changed := event(t, "customer.subscription."+kind, t0+after, sub("active", nil), previous)
			for _, o := range []*projection.Object[projection.Subscription]{subscription(t, created, changed), subscription(t, changed, created)} {
				now, _ := o.Now()
				require.Equal(t, "active", now.Status)
				require.False(t, o.Undecided)
			}
		}
	}
}

// TestBug12ALateUpdateRevivesNothing: whatever comes after the end, and whatever time it
// claims, the end stays.
func TestBug12ALateUpdateRevivesNothing(t *testing.T) {
	t.Parallel()
	deleted := event(t, "customer.subscription.deleted", t0+60*day, sub("canceled", obj{"ended_at": t0 + 60*day}), nil)
	for _, at := range []int64{t0 + 59*day, t0 + 60*day, t0 + 61*day} {
		stale := event(t, "customer.subscription.updated", at, sub("active", nil), obj{"status": "past_due"})
		for _, o := range []*projection.Object[projection.Subscription]{subscription(t, deleted, stale), subscription(t, stale, deleted)} {
			now, _ := o.Now()
			require.Equal(t, "canceled", now.Status)
			intervals := projection.Intervals(projection.Timeline(o))
			require.Equal(t, "canceled", intervals[len(intervals)-1].Status)
			require.Zero(t, intervals[len(intervals)-1].Until)
		}
	}
}

// anything draws an observation of one of a few objects within a few seconds, so that
// ties, contradictions and repeats are common.
func anything(t *rapid.T) projection.Observation {
	at := t0 + rapid.Int64Range(0, 3).Draw(t, "second")
	statuses := []string{"incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"}
	status := rapid.SampledFrom(statuses).Draw(t, "status")
	var object obj
	kind := rapid.SampledFrom([]string{"subscription", "invoice", "charge", "dispute", "customer", "product"}).Draw(t, "object")
	var prefix string
	switch kind {
	case "subscription":
		prefix = "customer.subscription"
		object = sub(status, obj{"cancel_at_period_end": rapid.Bool().Draw(t, "cancel"), "trial_end": rapid.SampledFrom([]any{nil, t0 + 1, t0 + 2}).Draw(t, "trial end"),
			"trial_start": rapid.SampledFrom([]any{nil, t0}).Draw(t, "trial"), "ended_at": rapid.SampledFrom([]any{nil, t0 + 1, t0 + 3}).Draw(t, "ended")})
		if rapid.Bool().Draw(t, "old shape") {
			delete(object, "trial_settings")
		}
	case "invoice":
		prefix = "invoice"
		object = invoice(rapid.SampledFrom([]string{"draft", "open", "paid", "void", "uncollectible"}).Draw(t, "invoice"), obj{
			"attempt_count": rapid.IntRange(0, 1).Draw(t, "attempts"), "charge": rapid.SampledFrom([]any{nil, "ch_1", "ch_2"}).Draw(t, "charge")})
		if rapid.Bool().Draw(t, "basil") {
			delete(object, "charge")
		}
	case "charge":
		prefix = "charge"
		object = charge(obj{"status": rapid.SampledFrom([]string{"pending", "failed", "succeeded"}).Draw(t, "charge"), "amount_refunded": rapid.IntRange(0, 2).Draw(t, "refunded")})
	case "dispute":
		prefix = "charge.dispute"
		object = dispute(rapid.SampledFrom([]string{"warning_closed", "needs_response", "under_review", "lost", "won"}).Draw(t, "dispute"))
	case "customer":
		prefix = "customer"
		object = customer(obj{"balance": rapid.IntRange(0, 2).Draw(t, "balance"), "cash_balance": rapid.SampledFrom([]any{nil, obj{"available": obj{"usd": 5}}}).Draw(t, "cash")})
	default:
		prefix = "product"
		object = obj{"id": "prod_1", "object": "product", "name": rapid.SampledFrom([]string{"A", "B"}).Draw(t, "name"), "active": true, "created": t0}
	}
	if rapid.IntRange(0, 4).Draw(t, "how") == 0 {
		if kind == "customer" && rapid.Bool().Draw(t, "gone") {
			object = obj{"id": "cus_1", "object": "customer", "deleted": true}
		}
		return read(t, sec(at).Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "fraction"))*time.Millisecond), object)
	}
	type_ := prefix + "." + rapid.SampledFrom([]string{"created", "updated", "updated", "deleted"}).Draw(t, "type")
	var previous obj
	if rapid.Bool().Draw(t, "tells before") {
		previous = obj{"status": rapid.SampledFrom(append(statuses, "open", "pending")).Draw(t, "was")}
	}
	return event(t, type_, at, object, previous)
}

// TestJoinIsASemilattice: commutative, associative and idempotent, for any observations
// at all, so that order, repeats and batches decide nothing.
func TestJoinIsASemilattice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(anything), 1, 9).Draw(t, "observations")
		want := bytes(t, fold(all...))
		stream := append([]projection.Observation{}, all...)
		for range rapid.IntRange(0, 4).Draw(t, "repeats") {
			stream = append(stream, rapid.SampledFrom(all).Draw(t, "again"))
		}
		stream = rapid.Permutation(stream).Draw(t, "order")
		require.Equal(t, want, bytes(t, fold(stream...)), "any order, any repeats")

		// Batches are joined among themselves first, and then with what is stored.
		cut := rapid.IntRange(0, len(stream)).Draw(t, "cut")
		left, right := fold(stream[:cut]...), fold(stream[cut:]...)
		require.Equal(t, want, bytes(t, joined(right, left)), "any grouping")
		require.Equal(t, want, bytes(t, joined(joined(left, right), left)), "again changes nothing")
	})
}

// joined is a new set of what two sets know; both stay what they were.
func joined(a, b *projection.Set) *projection.Set {
	out := projection.NewSet()
	for _, s := range []*projection.Set{a, b} {
		for _, o := range s.Customers {
			out.Add(projection.Observation{Customer: o})
		}
		for _, o := range s.Subscriptions {
			out.Add(projection.Observation{Subscription: o})
		}
		for _, o := range s.Invoices {
			out.Add(projection.Observation{Invoice: o})
		}
		for _, o := range s.Charges {
			out.Add(projection.Observation{Charge: o})
		}
		for _, o := range s.Disputes {
			out.Add(projection.Observation{Dispute: o})
		}
		for _, o := range s.Products {
			out.Add(projection.Observation{Product: o})
		}
		for id := range s.Referred {
			out.Referred[id] = true
		}
	}
	return out
}

// TestJoinSaysWhetherItChanged, because only what changed is written.
func TestJoinSaysWhetherItChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(anything), 1, 6).Draw(t, "observations")
		o := &projection.Object[projection.Subscription]{ID: "sub_1"}
		for _, next := range all {
			if next.Subscription == nil {
				continue
			}
			before := string(marshal(t, o))
			changed := o.Join(next.Subscription)
			require.Equal(t, before != string(marshal(t, o)), changed)
			require.False(t, o.Join(next.Subscription), "twice is once")
		}
	})
}
