package validation

import (
	"context"
	"math"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// Portfolio counts invoices above the true total of five snapshots with true
// lifts of 2, 0, 0, 0 and -2 standard errors, which add up to nothing.
type Portfolio struct {
	Runs     int `json:"runs"`
	Capped   int `json:"overbilled_with_cap"`
	Uncapped int `json:"overbilled_without_cap"`
}

// portfolioTruth are the true lifts in standard errors.
var portfolioTruth = [...]float64{2, 0, 0, 0, -2}

// portfolio settles one look at 5 %, split over the lines (Bonferroni), on basis
// proven with and without the portfolio cap.
func portfolio(ctx context.Context, o Options, study uint64, runs int) (Portfolio, error) {
	sealed, err := seal(len(portfolioTruth), func(b *lift.ErrorBudget) {
		// One look spends 5 %; the eleven months keep theirs, so the year's sum rises.
		b.AlphaYear, b.AlphaPooledSettlement, b.ZPooledSettlement = "0.072", "0.05", "1.644854"
		b.AlphaLineSettlement, b.ZLineSettlement = "0.01", "2.326348"
	})
	if err != nil {
		return Portfolio{}, err
	}
	out := Portfolio{Runs: o.runs(runs)}
	over, err := replicate(ctx, o.Workers, out.Runs, func(i int) ([2]bool, error) {
		rng := stream(o.Seed, study, i)
		in := lift.SettleInput{Basis: lift.BasisProven, PortfolioCap: true, Look: lift.LookSettlement, SnapshotLimit: len(portfolioTruth)}
		total := 0.0
		for s, truth := range portfolioTruth {
			t := truth + rng.NormFloat64()
			total += t
			id := string(rune('a' + s))
			v := lift.Judge(readout(id, t, 1), clean(in.Look), sealed)
			b, _ := v.Billable()
			in.Lines = append(in.Lines, lift.SettleLine{SnapshotID: id, Verdict: v, Billable: b})
		}
		in.Pooled = lift.Judge(readout(lift.SnapshotPooled, total, math.Sqrt(float64(len(portfolioTruth)))), clean(in.Look), sealed)
		capped, err := lift.Settle(in)
		if err != nil {
			return [2]bool{}, err
		}
		in.PortfolioCap = false
		uncapped, err := lift.Settle(in)
		return [2]bool{capped.TotalAfter > 0, uncapped.TotalAfter > 0}, err
	})
	for _, v := range over {
		out.Capped += count(v[0])
		out.Uncapped += count(v[1])
	}
	return out, err
}

// readout is an estimate in standard errors of a million minor units, large
// enough in every other respect to pass the guardrail.
func readout(id string, t, se float64) lift.Estimate {
	const unit = 1e6
	t, se = t*unit, se*unit
	return lift.Estimate{SnapshotID: id, Units: 20_000, Result: ope.Result{Units: 20_000, Holdout: 6_000, HoldoutPayers: 900,
		T: t, VCR: se * se, V: se * se, SE: se, W: 20_000, R: 1, ESS: 6_000, WeightDominance: 1.0 / 6_000, MinP: 0.3,
		WithoutTop: &ope.Reduced{T: t, SE: se}}}
}
