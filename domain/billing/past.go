package billing

import (
	"regexp"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Past is what an earlier, finished cycle of the contract came to.
type Past struct {
	Period period.Month
	// Settlement is the 13th invoice of a contract year, after its last month.
	Settlement bool
	Phase      PhaseKind
	// BaseMinor is the lift that was billed, or consumed by a shadow or free month.
	BaseMinor int64
	// Lines are the sums of the cycle's lines by kind.
	Lines map[LineKind]int64
	// Outcomes are the outcomes that were counted, by kind.
	Outcomes map[string]int64
}

// PastOf is what a priced cycle is to the cycles after it.
func PastOf(m period.Month, settlement bool, p Priced) Past {
	out := Past{Period: m, Settlement: settlement, Phase: p.Phase, Lines: map[LineKind]int64{}, Outcomes: map[string]int64{}}
	for _, r := range p.Rows {
		out.BaseMinor += r.DeltaMinor
	}
	for _, l := range p.Lines {
		out.Lines[l.Kind] += l.AmountMinor
		if l.Kind == LineOutcome {
			out.Outcomes[l.Outcome] += l.Quantity
		}
	}
	return out
}

// AdjustmentReason is why a finished month is priced again.
type AdjustmentReason string

// The reasons of true-ups.
const (
	AdjustRefund     AdjustmentReason = "refund"
	AdjustDispute    AdjustmentReason = "dispute"
	AdjustLateEvent  AdjustmentReason = "late_event"
	AdjustCorrection AdjustmentReason = "correction"
)

// Adjustment is a true-up of an earlier month: a fee, not a base, in minor units.
type Adjustment struct {
	ID string
	// Origin is the month whose fee is trued up, SnapshotID its line, if it is one.
	Origin     period.Month
	SnapshotID string
	Reason     AdjustmentReason
	// At is when the refund, dispute or event happened.
	At          time.Time
	AmountMinor int64
}

// Context is what a month's price depends on besides its own readouts.
type Context struct {
	// Settlement asks for the 13th invoice of the contract year: lift.LookSettlement,
	// after its last month, without the monthly fees. Period is that last month.
	Settlement bool
	// ClosesYear makes this the invoice that trues the contract year up.
	ClosesYear bool
	// Past are the finished cycles of the contract before this one, ascending. At a
	// settlement they may hold months of the following year, which began meanwhile.
	Past []Past
	// Outcomes are the outcomes of the contract year up to now, by kind.
	Outcomes map[string]int64
	// Adjustments are the true-ups that are due.
	Adjustments []Adjustment
	// WritingClosed: the account is not live yet, so that the cycle is a shadow one whatever
	// its contract says.
	WritingClosed bool
}

// maxMinor keeps every sum of a contract inside 64 bits.
const maxMinor = 1 << 53

func overflow(what string, minor int64) error {
	return fault.New(fault.Invalid, "amount_overflow", "%s of %d minor units exceeds what is billed", what, minor)
}

// adjustmentID keeps a true-up's ID to what a line's key can carry to Stripe.
var adjustmentID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (c Context) check(m period.Month) error {
	for i, p := range c.Past {
		switch {
		case p.Period == m && (p.Settlement || !c.Settlement), m.Before(p.Period) && !c.Settlement, i > 0 && p.Period.Before(c.Past[i-1].Period):
			return fault.New(fault.Internal, "past_order", "cycle %s is not before %s", p.Period, m)
		}
		for kind, minor := range p.Lines {
			if minor > maxMinor || minor < -maxMinor {
				return overflow(string(kind), minor)
			}
		}
		if p.BaseMinor < 0 || p.BaseMinor > maxMinor {
			return overflow("base", p.BaseMinor)
		}
	}
	for _, a := range c.Adjustments {
		if a.AmountMinor > maxMinor || a.AmountMinor < -maxMinor {
			return overflow("true-up "+a.ID, a.AmountMinor)
		}
		if !adjustmentID.MatchString(a.ID) || m.Before(a.Origin) {
			return fault.New(fault.Invalid, "adjustment_malformed", "true-up %q of %s cannot be in %s", a.ID, a.Origin, m)
		}
	}
	return nil
}

// timeline sums the past of one contract from its first period.
type timeline struct {
	first, month period.Month
	past         []Past
}

// since is the first month of a window that holds the timeline's month.
func (t timeline) since(w Window) period.Month {
	n := t.month.Sub(t.first)
	switch w {
	case PerQuarter:
		return t.first.Add(n / 3 * 3)
	case PerYear:
		return t.first.Add(n / lift.PeriodsPerYear * lift.PeriodsPerYear)
	default:
		return t.month
	}
}

// ends reports whether the timeline's month is the last one of a window.
func (t timeline) ends(w Window) bool {
	n := t.month.Sub(t.first) + 1
	switch w {
	case PerQuarter:
		return n%3 == 0
	case PerYear:
		return n%lift.PeriodsPerYear == 0
	default:
		return true
	}
}

// charged are the cycles that were not shadow ones.
func (t timeline) charged() []Past {
	var out []Past
	for _, p := range t.past {
		if p.Phase != PhaseShadow {
			out = append(out, p)
		}
	}
	return out
}

// in reports whether a cycle lies in the window that holds the timeline's month.
func (t timeline) in(w Window, p Past) bool {
	return !p.Period.Before(t.since(w)) && !t.month.Before(p.Period)
}

// sum adds the charged lines of some kinds within a window.
func (t timeline) sum(w Window, kinds ...LineKind) int64 {
	var sum int64
	for _, p := range t.charged() {
		if t.in(w, p) {
			sum += p.of(kinds)
		}
	}
	return sum
}

// ever adds the charged lines of some kinds since the contract's first period.
func (t timeline) ever(kinds ...LineKind) int64 {
	var sum int64
	for _, p := range t.charged() {
		sum += p.of(kinds)
	}
	return sum
}

func (p Past) of(kinds []LineKind) int64 {
	var sum int64
	for _, k := range kinds {
		sum += p.Lines[k]
	}
	return sum
}

// base is the lift of a window that bore a fee.
func (t timeline) base(w Window) int64 {
	var sum int64
	for _, p := range t.charged() {
		if p.Phase != PhaseFree && t.in(w, p) {
			sum += p.BaseMinor
		}
	}
	return sum
}

// outcomes of the contract year counted before, in shadow months too: they are never
// priced later.
func (t timeline) outcomes(kind string) int64 {
	var sum int64
	for _, p := range t.past {
		if t.in(PerYear, p) {
			sum += p.Outcomes[kind]
		}
	}
	return sum
}
