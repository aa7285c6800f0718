package validation

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/liftbill/liftbill/domain/lift"
)

// Years is what a billing rule does in contract years of one true lift. Amounts are
// in standard errors of one month's estimate.
type Years struct {
	Rule lift.Rule `json:"rule"`
	// Lift is the true lift of every month, Sticky whether the errors of adjacent
	// months correlate by 0.85 (the same subscribers pay again) or not at all.
	Lift   float64 `json:"lift"`
	Sticky bool    `json:"sticky"`
	Runs   int     `json:"runs"`
	// Billed counts years after whose settlement something stays billed, Ever years
	// in which anything was ever billed, Over years in which the total ever exceeded
	// the true lift so far.
	Billed int `json:"billed"`
	Ever   int `json:"ever_billed"`
	Over   int `json:"ever_over"`
	// Mean is the mean of what stays billed.
	Mean float64 `json:"mean_billed"`
}

// errors says how the errors of months hang together.
func (y Years) errors() string {
	if y.Sticky {
		return "sticky"
	}
	return "independent"
}

// stickiness is the correlation of adjacent months' errors of sticky subscribers
// (0.81 to 0.89 at the level of users).
const stickiness = 0.85

// yearLifts are the true lifts of a month in standard errors.
var yearLifts = [...]float64{0, 0.5, 1, 2, 4}

// cent is the size of a minor unit in standard errors of one month.
const cent = 1e-6

// rulesOfYear are every rule's running totals in one simulated year.
type yearOutcome struct {
	billed     int64 // after the settlement's credit
	ever, over bool
}

// yearsOf simulates contract years of normal errors for every rule at once.
func yearsOf(ctx context.Context, o Options, study uint64, runs int) ([]Years, error) {
	rules := lift.Rules()
	plans := map[lift.Settlement]lift.SealedPlan{}
	for _, r := range rules {
		s, err := sealWith(1, func(p *lift.Plan) { p.Settlement = r.Settlement })
		if err != nil {
			return nil, err
		}
		plans[r.Settlement] = s
	}
	var out []Years
	for i, sticky := range []bool{true, false} {
		for j, gain := range yearLifts {
			n := o.runs(runs)
			all, err := replicate(ctx, o.Workers, n, func(k int) ([]yearOutcome, error) {
				return normalYear(rules, plans, gain, sticky, stream(o.Seed, study+uint64(i*len(yearLifts)+j), k)) //nolint:gosec // both are small and positive
			})
			if err != nil {
				return nil, err
			}
			for r, rule := range rules {
				y := Years{Rule: rule, Lift: gain, Sticky: sticky, Runs: n}
				for _, year := range all {
					y.Billed += count(year[r].billed > 0)
					y.Ever += count(year[r].ever)
					y.Over += count(year[r].over)
					y.Mean += float64(year[r].billed) * cent / float64(n)
				}
				out = append(out, y)
			}
		}
	}
	return out, nil
}

// normalYear runs twelve looks at year-to-date estimates whose standard error is
// known, judged once per plan and settled by every rule.
func normalYear(rules []lift.Rule, plans map[lift.Settlement]lift.SealedPlan, gain float64, sticky bool, rng *rand.Rand) ([]yearOutcome, error) {
	out := make([]yearOutcome, len(rules))
	marks := make([]int64, len(rules))
	rho := 0.0
	if sticky {
		rho = stickiness
	}
	e, t, truth := rng.NormFloat64(), 0.0, 0.0
	for m := 1; m <= lift.PeriodsPerYear; m++ {
		if m > 1 {
			e = rho*e + math.Sqrt(1-rho*rho)*rng.NormFloat64()
		}
		t, truth = t+gain+e, truth+gain
		look := lift.LookMonth
		if m == lift.PeriodsPerYear {
			look = lift.LookSettlement
		}
		judged := map[lift.Settlement][2]lift.Verdict{}
		for r, rule := range rules {
			v, ok := judged[rule.Settlement]
			if !ok {
				se := yearError(m, rho)
				v = [2]lift.Verdict{lift.Judge(readout("a", t, se), clean(look), plans[rule.Settlement]),
					lift.Judge(readout(lift.SnapshotPooled, t, se), clean(look), plans[rule.Settlement])}
				judged[rule.Settlement] = v
			}
			b, _ := v[0].Billable()
			res, err := lift.Settle(lift.SettleInput{Basis: rule.Basis, Settlement: rule.Settlement, PortfolioCap: rule.Basis.DefaultPortfolioCap(),
				Look: look, SnapshotLimit: 1, Lines: []lift.SettleLine{{SnapshotID: "a", Verdict: v[0], Billable: b, HighWaterMinor: marks[r]}},
				Pooled: v[1], TotalHighWaterMinor: marks[r]})
			if err != nil {
				return nil, err
			}
			marks[r] = res.TotalAfter
			out[r].billed = res.TotalAfter - res.CreditMinor
			out[r].ever = out[r].ever || res.TotalAfter > 0
			out[r].over = out[r].over || float64(out[r].billed)*cent > truth
		}
	}
	return out, nil
}

// yearError is the standard error of the sum of m months of an AR(1) with unit variance.
func yearError(m int, rho float64) float64 {
	v := float64(m)
	for k := 1; k < m; k++ {
		v += 2 * float64(m-k) * math.Pow(rho, float64(k))
	}
	return math.Sqrt(v)
}
