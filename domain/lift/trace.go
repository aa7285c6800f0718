package lift

import (
	"fmt"
	"time"
)

// Traced is where one money event went and which decisions say so.
type Traced struct {
	Attribution
	// UnitID is the unit that the event was looked up under: the logged one, or the one that
	// it is part of. Empty where the customer belongs to no known unit.
	UnitID string
	// Decisions are the unit's decisions of the contract year that the rule reads, in its
	// order: by time, equal instants by their content.
	Decisions []Exposure
	// Latest is the index in Decisions of the latest one at or before the event, First that of
	// the first one for the same snapshot; -1 where the rule did not come to them.
	Latest, First int
	// Until is the last moment of the attribution window that began with First; zero without.
	Until time.Time
	// NextYearFrom is when the unit was first decided about in the next contract year, to
	// which its payments belong from then on; zero when it was not.
	NextYearFrom time.Time
}

// Trace tells of single events what Join says of all of them, by the same rule, with the
// decisions that it rests on. exposures and links are those of a whole join, or those of
// every unit that is tied to the events' units by a user or a customer: the others have no
// say in where these events went.
func Trace(plan Plan, exposures []Exposure, links []Link, events []Revenue) ([]Traced, error) {
	where, err := arrange(plan, exposures, links)
	if err != nil {
		return nil, err
	}
	out := make([]Traced, len(events))
	for i := range events {
		r := &events[i]
		unit := where.merged.root(r.UnitID)
		at := where.of(unit, r)
		t := Traced{Attribution: Attribution{Key: r.Key, SnapshotID: at.snapshot, Bucket: at.bucket}, UnitID: unit, Latest: at.latest, First: at.first, NextYearFrom: where.cuts[unit]}
		if u := where.units[unit]; u != nil {
			t.Decisions = u.exposures
		}
		if at.first >= 0 {
			t.Until = t.Decisions[at.first].At.Add(where.window)
		}
		out[i] = t
	}
	return out, nil
}

// FactRef names a stored fact: its natural key, and when it took effect.
type FactRef struct {
	Key string
	At  time.Time
}

// Uncounted is why no readout of the contract counts a fact, whatever its decisions.
type Uncounted string

// The reasons, in the order in which they are looked for.
const (
	// UncountedNoAgreement: no contract or plan holds at the time of the fact.
	UncountedNoAgreement Uncounted = "no_agreement"
	// UncountedHistoric: the fact lies before the start of the rewards.
	UncountedHistoric Uncounted = "historic"
	// UncountedNoMoney: the fact moves no money.
	UncountedNoMoney Uncounted = "no_money"
	// UncountedCurrency: the money is in another currency than the contract's.
	UncountedCurrency Uncounted = "other_currency"
	// UncountedSubscription: the plan counts subscriptions only, and the money is of none.
	UncountedSubscription Uncounted = "no_subscription"
)

// Placement is where a fact went in a contract year, as far as that year was measured. Of a
// fact that is Uncounted it is where it would have gone.
type Placement struct {
	Traced
	At        time.Time
	Uncounted Uncounted
	// CycleID and Period are the newest cycle of the year that froze the fact, as of Watermark,
	// in its Revision. Where none has (Frozen is false) they are the cycle that will, and the
	// placement is how it would join the fact now.
	CycleID, Period string
	Frozen          bool
	Revision        int
	Watermark       time.Time
	// PlanID and PlanHash are the sealed plan whose rule was applied; Unit and WindowDays are
	// its unit and its attribution window.
	PlanID, PlanHash, Unit string
	WindowDays             int
	// UserID, LinkID and LinkSource are how the customer was joined to a user; empty when it was not.
	UserID, LinkID, LinkSource string
	// Detail says more of UncountedNoAgreement.
	Detail string
}

// Joined reports whether a readout counts the fact for a snapshot.
func (p Placement) Joined() bool { return p.Uncounted == "" && p.SnapshotID != "" }

// Outcome is where the fact went in one word: "joined", a reason for not counting it, or a
// bucket.
func (p Placement) Outcome() string {
	switch {
	case p.Uncounted != "":
		return string(p.Uncounted)
	case p.SnapshotID != "":
		return "joined"
	}
	return string(p.Bucket)
}

// Decision is the decision that the fact was joined with, or that was the latest at or
// before it; nil when there was none.
func (p Placement) Decision() *Exposure {
	if p.Latest < 0 || p.Latest >= len(p.Decisions) {
		return nil
	}
	return &p.Decisions[p.Latest]
}

// Shown are the indexes of at most n decisions, in their order: the first one for the
// snapshot, the latest one, and those before and behind it that are nearest.
func (p Placement) Shown(n int) []int {
	if len(p.Decisions) <= n {
		n = len(p.Decisions)
	}
	from := 0
	if p.Latest >= 0 {
		from = max(0, min(p.Latest-n/2, len(p.Decisions)-n))
	}
	out := make([]int, 0, n)
	if p.First >= 0 && p.First < from {
		out, from = append(out, p.First), from+1
	}
	for i := from; len(out) < n; i++ {
		out = append(out, i)
	}
	return out
}

// Outcomes lists the words that Outcome has, "joined" first.
func Outcomes() []string {
	out := []string{"joined"}
	for _, b := range Buckets() {
		out = append(out, string(b))
	}
	for _, u := range []Uncounted{UncountedCurrency, UncountedSubscription} {
		out = append(out, string(u))
	}
	return out
}

// Why says in one or two sentences why the fact went where it went. Times are UTC.
func (p Placement) Why() string {
	switch p.Uncounted {
	case UncountedNoAgreement:
		return "No contract with a measurement plan holds at the time of the event: " + p.Detail + "."
	case UncountedHistoric:
		return "The event lies before the start of the rewards, so that no readout counts it."
	case UncountedNoMoney:
		return "The event moves no money, so that no readout counts it. By the same rule: " + p.rule()
	case UncountedCurrency:
		return "The money is in another currency than the contract's, so that no readout counts it."
	case UncountedSubscription:
		return "The plan counts the revenue of subscriptions only, and this is of none."
	}
	return p.rule()
}

// rule is what the rule of attribution found.
func (p Placement) rule() string {
	switch p.Bucket {
	case BucketOwnInvoice:
		return "It is our own outcome invoice, which never counts as revenue."
	case BucketUnmapped:
		return "The customer was joined to no user, so that no decision can be found."
	case BucketNextYear:
		return fmt.Sprintf("The unit %s was decided about again in the next contract year on %s; what it pays from then on is that year's.", p.UnitID, instant(p.NextYearFrom))
	case BucketNoDecision:
		return fmt.Sprintf("No decision of the contract year is about the unit %s.", p.UnitID)
	case BucketBeforeExposure:
		return fmt.Sprintf("The first decision about the unit %s came after the event, on %s.", p.UnitID, instant(p.Decisions[0].At))
	case BucketOutOfWindow:
		return p.window() + ", before the event."
	}
	return p.window() + ", not before the event. Policy and holdout follow the same rule."
}

// window says which decision the rule came to, and when its window ends.
func (p Placement) window() string {
	last, first := p.Decisions[p.Latest], p.Decisions[p.First]
	return fmt.Sprintf("The latest decision about the unit %s at or before the event is of %s, for the snapshot %s. The attribution window of %d days after the first decision for that snapshot, of %s, ends on %s",
		p.UnitID, instant(last.At), last.SnapshotID, p.WindowDays, instant(first.At), instant(p.Until))
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
