package validation

import (
	"context"
	"math"

	"github.com/liftbill/liftbill/domain/ope"
)

// mistake is what the estimator is told wrongly in the confounded world.
type mistake struct{ model, probability bool }

// robustness is |mean error| / sd where the chance of the holdout depends on what
// also drives revenue: x is uniform on (-1,1), p = 0.3 + 0.2 x, revenue is
// linear in x. A wrong model sees only noise, a wrong probability is the mean.
func robustness(ctx context.Context, o Options, study uint64, runs int, m mistake) (bias float64, n int, err error) {
	const units = 2000
	g := newGenerator(units)
	n = o.runs(runs)
	errs, err := replicate(ctx, o.Workers, n, func(i int) (float64, error) {
		rng := stream(o.Seed, study, i)
		rows := make([]ope.Unit, units)
		for j := range rows {
			x := 2*rng.Float64() - 1
			p := 0.3 + 0.2*x
			u := ope.Unit{ID: g.ids[j], Holdout: rng.Float64() < p, P: p, X: []float64{x},
				Y: int64(2000 + 1500*x + 400*(math.Exp(0.9*rng.NormFloat64())-math.Exp(0.405)))}
			if m.model {
				u.X[0] = rng.NormFloat64()
			}
			if m.probability {
				u.P = 0.3
			}
			rows[j] = u
		}
		r, err := ope.Estimate(rows, 1, folds, ope.Options{Lambda: lambda})
		return r.T, err
	})
	if err != nil {
		return 0, n, err
	}
	mean, sd := moments(errs)
	return math.Abs(mean) / sd, n, nil
}
