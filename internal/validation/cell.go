package validation

import (
	"context"
	"math"

	"github.com/liftbill/liftbill/domain/ope"
)

// lambda and folds are the defaults of a measurement plan.
const (
	lambda = 0.001
	folds  = 5
)

// Cell is one world at one size and holdout share, with no lift unless Lift is set.
type Cell struct {
	World   World   `json:"world"`
	Units   int     `json:"units"`
	Holdout float64 `json:"holdout"`
	Lift    float64 `json:"lift"`
	Runs    int     `json:"runs"`
	// Over counts runs whose bound lay above the truth at each of Alphas, with
	// the largest variance; OverCR the same with the cluster-robust variance alone.
	Over   [len(alphas)]int `json:"over"`
	OverCR [len(alphas)]int `json:"over_cluster_robust"`
	// Missed counts runs whose two-sided 95 % interval missed the truth, with the
	// largest variance; MissedCR the same with the cluster-robust variance alone.
	Missed   int `json:"missed"`
	MissedCR int `json:"missed_cluster_robust"`
	// Found counts runs whose bound at the settlement's 2.8 % lay above zero.
	Found int `json:"found"`
	// Bias is |mean error| / sd; CRRatio and MaxRatio are root mean variance / sd.
	Bias     float64 `json:"bias_per_sd"`
	CRRatio  float64 `json:"cluster_robust_se_per_sd"`
	MaxRatio float64 `json:"max_se_per_sd"`
	// AgainstPlain is sd / sd of the estimate without features.
	AgainstPlain float64 `json:"sd_per_unadjusted_sd"`
	// SNR is the mean true lift / sd.
	SNR float64 `json:"signal_to_noise"`
}

// alphas are the nominal error rates of the calibration; indices 0 and 3 are asserted.
var alphas = [...]float64{0.002, 0.005, 0.02, 0.05, 0.1}

const (
	at02 = 0
	at5  = 3
)

// displayed is the z of the interval that readouts show.
const displayed = 1.959964

// sample is one replicate.
type sample struct{ err, plain, vcr, vmax, truth, t float64 }

// Run simulates the cell; study numbers its random streams.
func (c Cell) Run(ctx context.Context, o Options, study uint64) (Cell, error) {
	g := newGenerator(c.Units)
	c.Runs = o.runs(c.Runs)
	all, err := replicate(ctx, o.Workers, c.Runs, func(i int) (sample, error) {
		units, truth := g.units(c.World, c.Units, c.Holdout, c.Lift, stream(o.Seed, study, i))
		r, err := ope.Estimate(units, len(units[0].X), folds, ope.Options{Lambda: lambda})
		if err != nil {
			return sample{}, err
		}
		return sample{err: r.T - truth, plain: unadjusted(units) - truth, vcr: r.VCR, vmax: r.V, truth: truth, t: r.T}, nil
	})
	if err != nil {
		return c, err
	}
	c.summarise(all)
	return c, nil
}

// unadjusted is n1 times the difference of the arms' means, the estimator without features.
func unadjusted(units []ope.Unit) float64 {
	var sum, n [2]float64
	for i := range units {
		arm := 0
		if units[i].Holdout {
			arm = 1
		}
		sum[arm] += float64(units[i].Y)
		n[arm]++
	}
	return n[0] * (sum[0]/n[0] - sum[1]/n[1])
}

func (c *Cell) summarise(all []sample) {
	errs, plain := make([]float64, len(all)), make([]float64, len(all))
	var vcr, vmax, truth float64
	zs, n := [len(alphas)]float64{}, float64(len(all))
	for j, a := range alphas {
		zs[j] = upperZ(a)
	}
	settle := upperZ(0.028)
	for i, s := range all {
		errs[i], plain[i] = s.err, s.plain
		vcr, vmax, truth = vcr+s.vcr/n, vmax+s.vmax/n, truth+s.truth/n
		for j, z := range zs {
			if s.err > z*math.Sqrt(s.vmax) {
				c.Over[j]++
			}
			if s.err > z*math.Sqrt(s.vcr) {
				c.OverCR[j]++
			}
		}
		c.Missed += count(math.Abs(s.err) > displayed*math.Sqrt(s.vmax))
		c.MissedCR += count(math.Abs(s.err) > displayed*math.Sqrt(s.vcr))
		if s.t > settle*math.Sqrt(s.vmax) {
			c.Found++
		}
	}
	mean, sd := moments(errs)
	_, sdPlain := moments(plain)
	c.Bias, c.CRRatio, c.MaxRatio = math.Abs(mean)/sd, math.Sqrt(vcr)/sd, math.Sqrt(vmax)/sd
	c.AgainstPlain, c.SNR = sd/sdPlain, truth/sd
}
