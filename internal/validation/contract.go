package validation

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// opening is the first day of the simulated contract year.
var opening = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// contractHoldout is the holdout share of the simulated contract.
const contractHoldout = "0.3"

// seal makes a sealed default plan after a change of its error budget.
func seal(snapshots int, change func(*lift.ErrorBudget)) (lift.SealedPlan, error) {
	return sealWith(snapshots, func(p *lift.Plan) {
		if change != nil {
			change(&p.ErrorBudget)
		}
	})
}

// sealWith makes a sealed default plan after a change.
func sealWith(snapshots int, change func(*lift.Plan)) (lift.SealedPlan, error) {
	first, err := period.Parse("2026-01")
	if err != nil {
		return lift.SealedPlan{}, err
	}
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: "usd", Unit: "user", Baseline: "baseline",
		HoldoutProbability: contractHoldout, SaltCommitment: lift.SaltCommitment([]byte("a salt of the validation, revealed")),
		Features: []string{lift.FeaturePreRevenue, "pre_revenue_payer"}, Snapshots: snapshots})
	if err != nil {
		return lift.SealedPlan{}, err
	}
	change(&p)
	return p.Seal(opening.AddDate(0, 0, -2))
}

// clean is evidence of a period whose data have nothing against them: the
// studies are about the bound, so nothing else may stop an invoice.
func clean(look lift.Look) lift.Evidence {
	end, zero, some, none := opening.AddDate(0, 1, 0), 0, 50_000, int64(0)
	read, due := end.Add(72*time.Hour), opening
	return lift.Evidence{Environment: account.Live, Look: look, PeriodStart: opening, PeriodEnd: end, PlanDue: &due,
		DecisionsWithPlan: &some, DecisionsOtherPlan: &zero, Decisions: &some, DecisionsWithoutPropensity: &zero, UnitsWithoutPropensity: &zero,
		ArmMismatches: &zero, CrossoverUnits: &zero, SourceWatermark: &read, DecisionGaps: &zero,
		Books: []lift.Books{{Currency: "usd"}}, UnmappedMinor: &none, NetMinor: &none}
}

// Contracts counts twelve-month contracts without lift that were ever billed.
type Contracts struct {
	Runs     int `json:"runs"`
	Measured int `json:"billed_on_measured"`
	Proven   int `json:"billed_on_proven"`
	// EveryLook counts contracts that a 5 % bound at each of the twelve looks
	// would have billed: what the schedule is there to prevent.
	EveryLook int `json:"billed_at_5_percent_every_look"`
}

// year is one simulated contract.
type year struct{ measured, proven, everyLook bool }

// contracts simulates years of sticky subscribers, estimated on the year to date
// and settled by the real rule with the default schedule for one snapshot.
func contracts(ctx context.Context, o Options, study uint64, runs int) (Contracts, error) {
	sealed, err := seal(1, nil)
	if err != nil {
		return Contracts{}, err
	}
	g := newGenerator(firstUnits + 11*moreUnits)
	out := Contracts{Runs: o.runs(runs)}
	years, err := replicate(ctx, o.Workers, out.Runs, func(i int) (year, error) {
		return g.year(sealed, stream(o.Seed, study, i))
	})
	for _, y := range years {
		out.Measured += count(y.measured)
		out.Proven += count(y.proven)
		out.EveryLook += count(y.everyLook)
	}
	return out, err
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A contract begins with firstUnits users, and moreUnits join every month.
const (
	firstUnits = 4000
	moreUnits  = 300
)

// year runs twelve looks. The estimate is taken without its rerun for the
// concentration check, which could only have withheld more.
func (g *generator) year(sealed lift.SealedPlan, rng *rand.Rand) (year, error) {
	var out year
	var marks [2]int64
	units := make([]ope.Unit, 0, len(g.ids))
	price := make([]float64, 0, len(g.ids))
	for m := 1; m <= lift.PeriodsPerYear; m++ {
		joined := moreUnits
		if m == 1 {
			joined = firstUnits
		}
		for range joined {
			u, p := subscriber(g.ids[len(units)], rng)
			units, price = append(units, u), append(price, p)
		}
		for i := range units {
			if price[i] > 0 {
				units[i].Y += int64(price[i])
				if rng.Float64() < 0.05 {
					price[i] = 0 // churned: sticky, so that months are not independent
				}
			}
		}
		r, err := ope.Estimate(units, 2, folds, ope.Options{Lambda: lambda})
		if err != nil {
			return out, err
		}
		out.everyLook = out.everyLook || r.LowerBound(upperZ(0.05)) > 0
		look := lift.LookMonth
		if m == lift.PeriodsPerYear {
			look = lift.LookSettlement
		}
		for b, basis := range []lift.Basis{lift.BasisMeasured, lift.BasisProven} {
			if marks[b], err = settle(sealed, basis, look, r, marks[b]); err != nil {
				return out, err
			}
		}
	}
	out.measured, out.proven = marks[0] > 0, marks[1] > 0
	return out, nil
}

// subscriber joins with or without revenue from before; a third of the free ones pay.
func subscriber(id string, rng *rand.Rand) (ope.Unit, float64) {
	u := ope.Unit{ID: id, P: 0.3, Holdout: rng.Float64() < 0.3, X: []float64{0, 0}}
	switch {
	case rng.Float64() < 0.2:
		pre := planPrice(rng)
		u.X = []float64{pre, 1}
		return u, pre
	case rng.Float64() < 1.0/3:
		return u, planPrice(rng)
	}
	return u, 0
}

// settle bills one look of a contract with one snapshot and returns the year's mark.
func settle(sealed lift.SealedPlan, basis lift.Basis, look lift.Look, r ope.Result, mark int64) (int64, error) {
	e := lift.Estimate{SnapshotID: "a", Units: r.Units, SumMinor: r.Observed, Result: r}
	v := lift.Judge(e, clean(look), sealed)
	b, _ := v.Billable()
	e.SnapshotID = lift.SnapshotPooled
	res, err := lift.Settle(lift.SettleInput{Basis: basis, PortfolioCap: basis.DefaultPortfolioCap(), Look: look, SnapshotLimit: 1,
		Lines:  []lift.SettleLine{{SnapshotID: "a", Verdict: v, Billable: b, HighWaterMinor: mark}},
		Pooled: lift.Judge(e, clean(look), sealed), TotalHighWaterMinor: mark})
	return res.TotalAfter, err
}
