package lift

import (
	"math"

	"github.com/liftbill/liftbill/domain/fault"
)

// Power describes a holdout before there is data: Units randomised units, of
// which the share Holdout keeps the baseline, a standard deviation SD of a
// unit's revenue that the features do not explain, and a lift of Lift per unit
// with the policy. Amounts are minor units; Z is the z of the bound.
//
// Every formula takes the variance of a difference of two means with equal
// spread, SE^2 = n1^2 SD^2 (1/n1 + 1/n0) = SD^2 Units (1-h)/h (docs/planner.md).
type Power struct {
	Units, SD, Lift, Holdout, Z float64
}

// Total is the lift that the treated units bring, N(1-h) tau.
func (p Power) Total() float64 { return p.Units * (1 - p.Holdout) * p.Lift }

// SE is the standard error of the total, sigma sqrt(N(1-h)/h).
func (p Power) SE() float64 { return p.SD * math.Sqrt(p.Units*(1-p.Holdout)/p.Holdout) }

// LCB is the bound to expect, N(1-h) tau - z sigma sqrt(N(1-h)/h).
func (p Power) LCB() float64 { return p.Total() - p.Z*p.SE() }

// Chance is the probability that the bound lies above zero, Phi(T/SE - z).
func (p Power) Chance() float64 { return normalCDF(p.Total()/p.SE() - p.Z) }

// MDE is the smallest lift per treated unit whose bound lies above zero with the
// given power: (z + z_power) sigma / sqrt(N h (1-h)).
func (p Power) MDE(power float64) float64 {
	return (p.Z + normalQuantile(power)) * p.SD / math.Sqrt(p.Units*p.Holdout*(1-p.Holdout))
}

// ProvenShare is the expected share of the true lift that the bound proves at
// one look, E max(0, LCB) / T. The bound is normal with mean mu = LCB and
// deviation SE, so that E max(0, LCB) = mu Phi(mu/SE) + SE phi(mu/SE). It is 0
// where there is no lift to prove.
func (p Power) ProvenShare() float64 {
	if p.Total() <= 0 {
		return 0
	}
	mu, se := p.LCB(), p.SE()
	density := math.Exp(-mu*mu/(2*se*se)) / math.Sqrt(2*math.Pi)
	return (mu*normalCDF(mu/se) + se*density) / p.Total()
}

// BestHoldout is the holdout share that makes the expected bound largest. Per
// sigma sqrt(N) the bound is (1-h) S - z sqrt((1-h)/h) with the signal-to-noise
// ratio S = tau sqrt(N)/sigma, so only S and z matter. It is 0 when no share up to
// one half has a bound above zero (S <= 2z): such a lift cannot be expected to be proven.
func (p Power) BestHoldout() float64 {
	s := p.Lift * math.Sqrt(p.Units) / p.SD
	if s <= 2*p.Z {
		return 0
	}
	value := func(h float64) float64 { return (1-h)*s - p.Z*math.Sqrt((1-h)/h) }
	best := 0.5
	// A grid of a thousandth is finer than any holdout needs to be and cannot miss.
	for i := 1; i < 500; i++ {
		if h := float64(i) / 1000; value(h) > value(best) {
			best = h
		}
	}
	return best
}

// LeastHoldout is the smallest holdout share with the given power to bring the
// bound above zero, from sqrt(h(1-h)) >= k = (z + z_power)/S. It is 0 when even
// one half does not.
func (p Power) LeastHoldout(power float64) float64 {
	k := (p.Z + normalQuantile(power)) * p.SD / (p.Lift * math.Sqrt(p.Units))
	if !(k <= 0.5) { // the negation also catches a lift of zero over zero units
		return 0
	}
	if k <= 0 {
		return math.SmallestNonzeroFloat64
	}
	// The smaller root of h(1-h) = k^2, in the form that does not cancel.
	return 2 * k * k / (1 + math.Sqrt(1-4*k*k))
}

// UpperTail is the probability that a standard normal lies above z.
func UpperTail(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

func normalCDF(x float64) float64 { return UpperTail(-x) }

func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

// PowerTerms are the questions of a planner; see [Power] for the amounts.
type PowerTerms struct {
	UnitsPerMonth, SD, Lift, Holdout float64
	// Months is the horizon, 1 to 12; the twelfth is the settlement of the year.
	Months int
	// Snapshots is m, over which the error budget is split.
	Snapshots int
	// Power is the wanted probability of proof.
	Power float64
}

// PowerRow is the state of knowledge after some months.
type PowerRow struct {
	Month       int     `json:"month"`
	Look        Look    `json:"look"`
	Units       float64 `json:"units"`
	Z           string  `json:"z"`
	MDEMinor    float64 `json:"minimum_detectable_lift_minor"`
	Chance      float64 `json:"probability_of_proof"`
	ProvenShare float64 `json:"expected_proven_share"`
	TotalMinor  float64 `json:"total_lift_minor"`
	BoundMinor  float64 `json:"expected_bound_minor"`
}

// PowerPlan answers them.
type PowerPlan struct {
	Rows []PowerRow `json:"rows"`
	// MonthsNeeded is the first month with the wanted power, 0 when there is none within the horizon.
	MonthsNeeded int `json:"months_needed"`
	// LeastHoldout and BestHoldout are those of the last month, 0 where no share up to one half will do.
	LeastHoldout float64 `json:"least_holdout"`
	BestHoldout  float64 `json:"best_holdout"`
}

// maxPower bounds every number of a question, so that no product leaves the range of float64.
const maxPower = 1e15

func (t PowerTerms) validate() error {
	for _, r := range []struct {
		field string
		v, lo float64
	}{{"units-per-month", t.UnitsPerMonth, 1}, {"sd-minor", t.SD, 1e-6}, {"lift-minor", t.Lift, 1e-6}} {
		if !(r.v >= r.lo && r.v <= maxPower) {
			return fault.InvalidField(r.field, "power_range", "%v is not between %g and %g", r.v, r.lo, float64(maxPower))
		}
	}
	switch {
	case !(t.Holdout >= 0.001 && t.Holdout <= 0.5):
		return fault.InvalidField("holdout", "power_holdout", "%v is not between 0.001 and 0.5", t.Holdout).
			Fix("Name the share of units that keep the baseline, such as 0.1")
	case t.Months < 1 || t.Months > PeriodsPerYear:
		return fault.InvalidField("months", "power_months", "%d is not between 1 and %d, the length of a contract year", t.Months, PeriodsPerYear)
	case t.Snapshots < 1 || t.Snapshots > MaxSnapshots:
		return fault.InvalidField("snapshots", "power_snapshots", "%d is not between 1 and %d", t.Snapshots, MaxSnapshots)
	case !(t.Power >= 0.5 && t.Power <= 0.999):
		return fault.InvalidField("power", "power_power", "%v is not between 0.5 and 0.999", t.Power)
	}
	return nil
}

// PlanPower computes what a holdout can prove month by month, with the z of the
// default error budget: that of a month in months 1-11, that of the settlement in
// month 12.
func PlanPower(t PowerTerms) (PowerPlan, error) {
	if err := t.validate(); err != nil {
		return PowerPlan{}, err
	}
	budget, err := DefaultErrorBudget(t.Snapshots)
	if err != nil {
		return PowerPlan{}, err
	}
	var out PowerPlan
	for m := 1; m <= t.Months; m++ {
		look := LookMonth
		if m == PeriodsPerYear {
			look = LookSettlement
		}
		z := budget.Z(look, false)
		p := Power{Units: t.UnitsPerMonth * float64(m), SD: t.SD, Lift: t.Lift, Holdout: t.Holdout, Z: limit(z)}
		out.Rows = append(out.Rows, PowerRow{Month: m, Look: look, Units: p.Units, Z: z, MDEMinor: p.MDE(t.Power), Chance: p.Chance(),
			ProvenShare: p.ProvenShare(), TotalMinor: p.Total(), BoundMinor: p.LCB()})
		if out.MonthsNeeded == 0 && p.MDE(t.Power) <= t.Lift {
			out.MonthsNeeded = m
		}
		out.LeastHoldout, out.BestHoldout = p.LeastHoldout(t.Power), p.BestHoldout()
	}
	return out, nil
}
