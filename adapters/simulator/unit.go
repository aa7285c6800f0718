package simulator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// unit is one randomised user.
type unit struct {
	id       string
	snapshot int
	cohort   period.Month
	arm      lift.Arm
	// u is the uniform number of the potential outcomes.
	u                     float64
	tenureDays, visits    float64
	mobileShare           float64
	shown                 []exposure
	underBase, underOffer bool
	// payer is the life of the unit as a payer: it is the actual life when the
	// unit converts in its arm, and otherwise what the other world holds.
	payer *life
}

// exposure is one decision point of a unit.
type exposure struct {
	unit    *unit
	at      time.Time
	surface int
	seq     int64
}

// surfaces are the streams of the decision log; each has its own SDK.
var surfaces = [...]struct{ name, sdk string }{{"web", "web/2.4.1"}, {"mobile", "mobile/1.9.0"}}

const (
	// exposureDays is how long after the month's start units are first exposed, so
	// that a week of trial and a retried payment still end within the month.
	exposureDays = 10
	// seenTwice is the share of units with a second decision before their payment.
	seenTwice = 0.1
)

// converts says whether the unit pays in the world that happened.
func (u *unit) converts() bool {
	if u.arm == lift.ArmPolicy {
		return u.underOffer
	}
	return u.underBase
}

// effect is the causal effect of the unit's arm on whether it pays.
func (u *unit) effect() int64 {
	switch {
	case u.arm != lift.ArmPolicy || u.underOffer == u.underBase:
		return 0
	case u.underOffer:
		return 1
	default:
		return -1
	}
}

// newUnit draws a unit. The arm is looked up, never drawn.
func (b *Business) newUnit(snapshot int, m period.Month, index int) *unit {
	s, sn := b.spec, b.spec.Snapshots[snapshot]
	id := identity(s.Seed, "user", snapshot, m, index)
	u := &unit{id: id, snapshot: snapshot, cohort: m, arm: lift.ArmOf(s.Salt, id, b.holdout)}
	u.u = draws(s.Seed, id, "outcome").Float64()
	u.underBase, u.underOffer = u.u < sn.BaselineConversion, u.u < sn.PolicyConversion

	rng := draws(s.Seed, id, "features")
	// Likely payers come more often: the features predict, as weakly as real ones.
	v := rng.Float64()
	u.visits = float64(1 + int(14*v*v*(1.6-u.u)))
	u.tenureDays = float64(int(rng.Float64() * 60 * (1.3 - 0.5*u.u)))
	u.mobileShare = float64(rng.IntN(9)) / 8 // eighths survive quantisation unchanged

	rng = draws(s.Seed, id, "exposure")
	first := m.In(s.zone()).Start.Add(days(rng, exposureDays))
	surface := 0
	if rng.Float64() < u.mobileShare {
		surface = 1
	}
	u.shown = append(u.shown, exposure{unit: u, at: first, surface: surface})
	if rng.Float64() < seenTwice {
		again := first.Add(5*time.Minute + days(rng, 0.25))
		u.shown = append(u.shown, exposure{unit: u, at: again, surface: 1 - surface})
	}
	u.payer = b.payerLife(id, u.shown[len(u.shown)-1].at)
	return u
}

// number gives every decision its place in its stream. Streams run on from month
// to month without a gap.
func number(units []*unit) {
	var all []*exposure
	for _, u := range units {
		for i := range u.shown {
			all = append(all, &u.shown[i])
		}
	}
	slices.SortFunc(all, inLogOrder)
	var next [len(surfaces)]int64
	for _, e := range all {
		next[e.surface]++
		e.seq = next[e.surface]
	}
}

func inLogOrder(a, b *exposure) int {
	return cmp.Or(a.at.Compare(b.at), strings.Compare(a.unit.id, b.unit.id), cmp.Compare(a.surface, b.surface))
}
