package validation

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
)

// Exploration is a world without a holdout: every decision draws its action anew, and
// a unit weighs by the product over its decisions.
type Exploration struct {
	// Probability is that of the baseline in one decision, Decisions how many a unit makes.
	Probability float64 `json:"probability"`
	Decisions   int     `json:"decisions"`
	Units       int     `json:"units"`
	Runs        int     `json:"runs"`
	// ESSRatio is the mean of effective sample size / units, Bias |mean error| / sd,
	// Over the runs whose 5 % bound lay above the truth, Withheld those that the
	// guardrail refused for their weights.
	ESSRatio float64 `json:"ess_ratio"`
	Bias     float64 `json:"bias_per_sd"`
	Over     int     `json:"over"`
	Withheld int     `json:"withheld_for_weights"`
}

// explorations are the designs that are simulated, with fewer units in short runs.
func explorations(scale float64) []Exploration {
	units := 6000
	if scale < fullGrid {
		units = 2500
	}
	var out []Exploration
	for _, c := range []struct {
		p    float64
		most int
	}{{0.5, 4}, {0.2, 3}} {
		for d := 1; d <= c.most; d++ {
			out = append(out, Exploration{Probability: c.p, Decisions: d, Units: units, Runs: 200})
		}
	}
	return out
}

// weightCodes are the checks that speak about weights.
var weightCodes = []lift.Code{lift.CodePropensityFloor, lift.CodeESSTooSmall, lift.CodeESSRatioLow, lift.CodeWeightDominance}

// Run simulates the design through the product's own join. Each decision for the
// policy multiplies the chance to pay by 1.2, so that the truth is known per unit.
func (x Exploration) Run(ctx context.Context, o Options, study uint64) (Exploration, error) {
	plan, err := sealWith(1, func(p *lift.Plan) {
		p.Randomisation, p.HoldoutProbability, p.SaltCommitment, p.Features = lift.RandomisedPerDecision, "", "", []string{"taste"}
	})
	if err != nil {
		return x, err
	}
	x.Runs = o.runs(x.Runs)
	type run struct {
		ess, err       float64
		over, withheld bool
	}
	all, err := replicate(ctx, o.Workers, x.Runs, func(i int) (run, error) {
		exposures, revenue, truth := x.world(stream(o.Seed, study, i))
		j, err := lift.Join(plan.Plan(), exposures, revenue, nil)
		if err != nil {
			return run{}, err
		}
		e, err := lift.Measure(j.Pooled, plan.Plan(), 1)
		if err != nil {
			return run{}, err
		}
		if e.Refused() {
			return run{}, fmt.Errorf("exploration with p = %g and %d decisions: %s", x.Probability, x.Decisions, e.Refusal)
		}
		r := run{ess: e.Result.ESSRatio(), err: e.Result.T - truth, over: e.Result.LowerBound(upperZ(0.05)) > truth}
		v := lift.Judge(e, j.Fill(clean(lift.LookMonth), j.Pooled), plan)
		for _, code := range weightCodes {
			c, _ := v.Check(code)
			r.withheld = r.withheld || c.Status == lift.Failed
		}
		return r, nil
	})
	errs := make([]float64, len(all))
	for i, r := range all {
		errs[i] = r.err
		x.ESSRatio += r.ess / float64(len(all))
		x.Over += count(r.over)
		x.Withheld += count(r.withheld)
	}
	if err == nil {
		mean, sd := moments(errs)
		x.Bias = math.Abs(mean) / sd
	}
	return x, err
}

// world draws the log, the revenue and the true lift of one run.
func (x Exploration) world(rng *rand.Rand) (exposures []lift.Exposure, revenue []lift.Revenue, truth float64) {
	actions, probs := []string{"baseline", "offer"}, []float64{x.Probability, 1 - x.Probability}
	for i := range x.Units {
		unit, taste := fmt.Sprintf("unit-%05d", i), rng.NormFloat64()
		chance := 0.3
		for d := range x.Decisions {
			e := lift.Exposure{UnitID: unit, SnapshotID: "a", At: opening.Add(time.Duration(d) * time.Hour), Features: []float64{taste},
				PropensityOK: true, Actions: actions, Propensity: probs, Action: "offer", Baseline: "baseline"}
			if rng.Float64() < x.Probability {
				e.Action = "baseline"
			} else {
				chance *= 1.2
			}
			exposures = append(exposures, e)
		}
		y := int64(3000 + 500*taste)
		u := rng.Float64()
		if u < 0.3 {
			truth -= float64(y) // it would have paid on the baseline too
		}
		if u < chance {
			truth += float64(y)
			revenue = append(revenue, lift.Revenue{Key: unit, UnitID: unit, AmountMinor: y, At: opening.AddDate(0, 0, 3)})
		}
	}
	return exposures, revenue, truth
}
