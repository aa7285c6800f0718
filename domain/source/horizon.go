package source

import (
	"time"

	"github.com/liftbill/liftbill/domain/reward"
)

// Horizon divides a source's past. From Start on, events tell what happened, without a
// hole but for the gaps; what lies before Start or in a gap is concluded from lists.
//
// The two never meet: an upgrade that was inferred from two invoices and the same
// upgrade as its event tells it have different keys, so booking both would count it
// twice. Facts that are keyed by an object may come from both sides, because there they
// are one.
type Horizon struct {
	// Start is the first instant that stored events cover; zero means all of it.
	Start time.Time
	// Listed is set once lists were read for what lies before Start.
	Listed bool
	Gaps   []Gap
}

// Gap is a stretch that no event tells any more: Stripe keeps them for 30 days.
type Gap struct {
	From, To time.Time
	// Listed is set once lists were read for it.
	Listed bool
	// Delivered: a webhook endpoint was there all along, or webhooks came in it. Then events may have come that
	// nobody can compare with Stripe's any more, and nothing is inferred beside them.
	Delivered bool
}

// concluded are the kinds that lists conclude under keys which no event shares.
var concluded = map[reward.Kind]bool{
	reward.Upgrade: true, reward.Downgrade: true, reward.PlanChangeNeutral: true, reward.PlanChangeUnknown: true,
}

// Judged reports whether any horizon could refuse a fact; all others pass everywhere.
func Judged(f reward.Fact, live bool) bool {
	if live {
		return concluded[f.Kind]
	}
	return f.Flags.Inferred
}

// Admits reports whether the ledger takes a fact. live is a fact of an event.
func (h Horizon) Admits(f reward.Fact, live bool) bool {
	if live {
		return !concluded[f.Kind] || !h.listed(f.EffectiveAt)
	}
	return !f.Flags.Inferred || h.Untold(f.EffectiveAt)
}

// Untold reports whether no event tells what happened at t.
func (h Horizon) Untold(t time.Time) bool {
	if t.Before(h.Start) {
		return true
	}
	for _, g := range h.Gaps {
		if !g.Delivered && g.holds(t) {
			return true
		}
	}
	return false
}

// listed reports whether lists have spoken for t, so that an event that turns up late
// comes too late for what they concluded.
func (h Horizon) listed(t time.Time) bool {
	if h.Listed && t.Before(h.Start) {
		return true
	}
	for _, g := range h.Gaps {
		if g.Listed && !g.Delivered && g.holds(t) {
			return true
		}
	}
	return false
}

func (g Gap) holds(t time.Time) bool { return !t.Before(g.From) && t.Before(g.To) }
