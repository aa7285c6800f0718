package ope

import "math"

// EstimatorID names the arithmetic below; any change of a bit is a new version.
const EstimatorID = "aipw-hajek-ridge/1"

// Options of one estimate.
type Options struct {
	// Lambda is the ridge penalty per unit and per feature variance, >= 0.
	Lambda float64
	// Workers is the number of goroutines; below 1 means 1. It never changes a bit.
	Workers int
	// WithoutTop also re-runs everything without the most favourable unit.
	WithoutTop bool
}

// Result is one estimate. Amounts are in minor units (variances in their square).
type Result struct {
	// Units is N, Holdout the number of units on the baseline, HoldoutPayers
	// those of them with an outcome other than 0.
	Units, Holdout, HoldoutPayers int
	// Observed is the exact sum of outcomes; Counterfactual = Observed - T.
	Observed       int64
	Counterfactual float64
	// T is the realised incremental revenue.
	T float64
	// VCR, VB and V0 are the three variances, V their maximum, SE its root.
	VCR, VB, V0, V, SE float64
	// W is the sum of weights, R the weighted mean residual.
	W, R float64
	// ESS is Kish's effective sample size of the holdout, W^2 / sum w^2.
	ESS float64
	// WeightDominance is max w^2 / sum w^2.
	WeightDominance float64
	// CalibrationZ is (W - N) / sqrt(sum c): the weights must average 1.
	CalibrationZ float64
	// SRMZ is (holdout units - sum P) / sqrt(sum P (1-P)).
	SRMZ float64
	// MinP is the smallest probability of the baseline.
	MinP float64
	// Centre are the values that Models subtract from the features.
	Centre []float64
	// Models holds one outcome model per fold.
	Models []Model
	// TopUnit is the unit with the largest score TopPsi, the one that speaks most for a lift.
	TopUnit string
	TopPsi  float64
	// WithoutTop is the estimate without TopUnit; nil when it was not asked for or is refused.
	WithoutTop *Reduced
}

// Reduced is an estimate without one unit.
type Reduced struct {
	T  float64
	SE float64
}

// ESSRatio is the effective sample size of the holdout per unit.
func (r *Result) ESSRatio() float64 { return r.ESS / float64(r.Units) }

// LowerBound is T - z SE, the bound that billing may use.
func (r *Result) LowerBound(z float64) float64 { return r.T - float64(z*r.SE) }

// UpperBound is T + z SE.
func (r *Result) UpperBound(z float64) float64 { return r.T + float64(z*r.SE) }

// Estimate validates units with d features each and runs the estimator.
func Estimate(units []Unit, d, folds int, opt Options) (Result, error) {
	t, err := NewTable(units, d, folds)
	if err != nil {
		return Result{}, err
	}
	return t.Estimate(opt)
}

// Estimate runs aipw-hajek-ridge/1 on the table.
func (t *Table) Estimate(opt Options) (Result, error) {
	if !(opt.Lambda >= 0 && opt.Lambda <= 1e6) {
		return Result{}, refuse(RefusedOptions, "lambda is %v, not between 0 and 1e6", opt.Lambda)
	}
	if err := t.checkArms(); err != nil {
		return Result{}, err
	}
	res := Result{Units: t.N(), Observed: t.observed, Centre: t.centre(), Models: make([]Model, t.folds)}
	grams := t.foldGrams(res.Centre, opt.Workers)
	for k := range grams {
		m, err := fit(grams, k, t.d, opt.Lambda)
		if err != nil {
			return Result{}, err
		}
		res.Models[k] = m
	}
	top := t.score(&res, opt.Workers)
	if !res.finite() {
		return Result{}, refuse(RefusedNotFinite, "the numbers are too large or too small to estimate")
	}
	if opt.WithoutTop {
		if rest, err := t.without(top).Estimate(Options{Lambda: opt.Lambda, Workers: opt.Workers}); err == nil {
			res.WithoutTop = &Reduced{T: rest.T, SE: rest.SE}
		}
	}
	return res, nil
}

// checkArms refuses a table in which one arm cannot be compared.
func (t *Table) checkArms() error {
	held := 0
	for _, h := range t.holdout {
		if h {
			held++
		}
	}
	if held < 2 || t.N()-held < 2 {
		return refuse(RefusedArm, "%d units in the holdout and %d with the policy, at least 2 are needed in each", held, t.N()-held)
	}
	return nil
}

// finite reports whether every number of the result is one.
func (r *Result) finite() bool {
	all := []float64{r.T, r.VCR, r.VB, r.V0, r.SE, r.W, r.R, r.ESS, r.WeightDominance, r.CalibrationZ, r.SRMZ, r.Counterfactual, r.TopPsi}
	for _, m := range r.Models {
		all = append(append(all, m.Intercept), m.Coef...)
	}
	for _, v := range all {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
