package simulator

import (
	"math"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Truth is what really happened under one snapshot, contract year to date.
type Truth struct {
	SnapshotID string
	Name       string
	// Month is the last month that is counted.
	Month period.Month
	// PolicyUnits and HoldoutUnits were exposed so far.
	PolicyUnits  int
	HoldoutUnits int
	// ObservedMinor is the net revenue of all units of the snapshot, both arms, as
	// attributed: from the exposure to the end of the window.
	ObservedMinor int64
	// TrueLiftMinor is the realised lift: what the policy's units brought, less what
	// the very same units would have brought under the baseline.
	TrueLiftMinor int64
	// ExpectedLiftMinor is what the lift would be on average over the draws of the
	// outcomes, given these units in the policy's arm: the effect on conversion
	// times what each would bring as a payer.
	ExpectedLiftMinor int64
}

// Truth gives the truth at the end of a month, in the order of the snapshots.
func (b *Business) Truth(m period.Month) []Truth {
	year := period.Interval{Start: b.spec.yearStart(m).In(b.spec.zone()).Start, End: m.In(b.spec.zone()).End}
	out := make([]Truth, len(b.spec.Snapshots))
	expected := make([]float64, len(out))
	for i, sn := range b.spec.Snapshots {
		out[i] = Truth{SnapshotID: sn.ID, Name: sn.Name, Month: m}
	}
	for _, u := range b.units {
		if !year.Contains(u.shown[0].at) {
			continue
		}
		t, sn := &out[u.snapshot], b.spec.Snapshots[u.snapshot]
		worth := b.worth(u, year)
		if u.converts() {
			t.ObservedMinor += worth
		}
		if u.arm != lift.ArmPolicy {
			t.HoldoutUnits++
			continue
		}
		t.PolicyUnits++
		t.TrueLiftMinor += u.effect() * worth
		expected[u.snapshot] += float64((sn.PolicyConversion - sn.BaselineConversion) * float64(worth))
	}
	for i := range out {
		out[i].ExpectedLiftMinor = int64(math.Round(expected[i]))
	}
	return out
}

// worth is the unit's attributed net revenue as a payer: after its exposure, within
// the window, booked in the interval.
func (b *Business) worth(u *unit, in period.Interval) int64 {
	first := u.shown[0].at
	until := first.Add(time.Duration(b.spec.AttributionDays) * 24 * time.Hour)
	sum := int64(0)
	for _, e := range u.payer.ledger {
		if in.Contains(e.at) && !e.at.Before(first) && !e.at.After(until) {
			sum += e.amount
		}
	}
	return sum
}

// NetMinor is the net revenue of the whole business in a month, whoever paid:
// paid invoices less refunds and disputes, each booked when it happens.
func (b *Business) NetMinor(m period.Month) int64 {
	in, sum := m.In(b.spec.zone()), int64(0)
	for _, l := range b.lives {
		for _, e := range l.ledger {
			if in.Contains(e.at) {
				sum += e.amount
			}
		}
	}
	return sum
}
