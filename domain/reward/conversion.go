package reward

import (
	"slices"
	"time"
)

// ConversionState is what became of a conversion. A status says that a subscription
// converts; only money says that it has.
type ConversionState string

// The states of a conversion.
const (
	ConversionUnconfirmed ConversionState = "unconfirmed" // no money yet
	ConversionConfirmed   ConversionState = "confirmed"   // the first cash came
	ConversionFailed      ConversionState = "failed"      // it ended, or stayed unpaid, before any cash
)

// History is what a subscription's facts say about its conversion, each as the earliest
// or latest time of such a fact; a zero time is none.
type History struct {
	Subscription string
	// ConvertedAt is the conversion's; PaidAt the first confirmed cash and EndedAt the first
	// churn, final or not, that did not come before it; LeftAt the last churn.
	ConvertedAt, PaidAt, EndedAt, LeftAt time.Time
}

// ConversionOutcome is a conversion with its consequence.
type ConversionOutcome struct {
	At    time.Time
	State ConversionState
	// SettledAt is when it was confirmed or failed.
	SettledAt time.Time
	// Resubscribed: the customer had paid for another subscription and left it before;
	// GapDays are the whole days since.
	Resubscribed bool
	GapDays      int
}

// Conversions judges the conversions of one customer's subscriptions; those that have not
// converted are left out. Cash of the same moment as the end confirms.
func Conversions(of []History) map[string]ConversionOutcome {
	out := map[string]ConversionOutcome{}
	for _, h := range of {
		if h.ConvertedAt.IsZero() {
			continue
		}
		c := ConversionOutcome{At: h.ConvertedAt, State: ConversionUnconfirmed}
		switch {
		case !h.PaidAt.IsZero() && (h.EndedAt.IsZero() || !h.EndedAt.Before(h.PaidAt)):
			c.State, c.SettledAt = ConversionConfirmed, h.PaidAt
		case !h.EndedAt.IsZero():
			c.State, c.SettledAt = ConversionFailed, h.EndedAt
		}
		if left := lastLeft(h, of); !left.IsZero() {
			c.Resubscribed, c.GapDays = true, int(h.ConvertedAt.Sub(left)/(24*time.Hour))
		}
		out[h.Subscription] = c
	}
	return out
}

// lastLeft is when the customer last left a subscription that they had paid for, before
// this one converted.
func lastLeft(h History, of []History) time.Time {
	var ends []time.Time
	for _, o := range of {
		if o.Subscription != h.Subscription && !o.PaidAt.IsZero() && !o.LeftAt.IsZero() && o.PaidAt.Before(o.LeftAt) && !o.LeftAt.After(h.ConvertedAt) {
			ends = append(ends, o.LeftAt)
		}
	}
	if len(ends) == 0 {
		return time.Time{}
	}
	return slices.MaxFunc(ends, time.Time.Compare)
}
