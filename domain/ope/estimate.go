package ope

import (
	"encoding/binary"
	"iter"
	"math"
)

// EstimatorID names the arithmetic of this package; any change of a bit is a new version.
const EstimatorID = "aipw-hajek-ridge/1"

// Result is one estimate. Amounts are in minor units (variances in their square).
type Result struct {
	// Units is N, Holdout the number of units on the baseline, HoldoutPayers
	// those of them with an outcome other than 0 (0 where a feature is the outcome).
	Units, Holdout, HoldoutPayers int
	// Observed is the exact sum of outcomes (0 where a feature is the outcome);
	// Counterfactual = Observed - T.
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
	// TopUnit is the unit with the largest score TopPsi, the one that speaks most
	// for a lift; empty until a second pass has looked for it.
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

// Outcomes that are no feature.
const (
	// OutcomeRevenue is the outcome, capped where the layout has a cap.
	OutcomeRevenue = -1
	// OutcomeUncapped is the outcome without the cap.
	OutcomeUncapped = -2
)

// Spec says what is estimated of the moments.
type Spec struct {
	// Outcome is OutcomeRevenue, OutcomeUncapped, or the index of a feature, whose
	// difference between the arms must be nothing where it was measured before them.
	Outcome int
	// Features are the columns of the outcome model, ascending.
	Features []int
	// Lambda is the ridge penalty per unit and per feature variance, >= 0.
	Lambda float64
}

// Moments are the merged moments of all buckets.
type Moments struct{ total *Partial }

// Merge adds the moments of the buckets, which must come in ascending order, each
// once; buckets without units may be missing. How the buckets were made, by how many
// workers or machines, is not in the result.
func Merge(l Layout, buckets iter.Seq2[int, *Partial]) (*Moments, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	m := &Moments{total: newPartial(l)}
	last := -1
	for b, p := range buckets {
		if b <= last || b >= Buckets || !p.layout.Equal(l) {
			return nil, refuse(RefusedOrder, "the moments of bucket %d come after those of bucket %d or are of another layout", b, last)
		}
		last = b
		if err := m.total.merge(p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// column is the position of an outcome in z.
func (m *Moments) column(outcome int) int {
	switch outcome {
	case OutcomeRevenue:
		return m.total.layout.Features
	case OutcomeUncapped:
		return m.total.layout.width() - 1
	default:
		return outcome
	}
}

// AllFeatures are the columns 0 … d-1.
func (l Layout) AllFeatures() []int {
	all := make([]int, l.Features)
	for j := range all {
		all[j] = j
	}
	return all
}

func (m *Moments) checkSpec(s Spec) error {
	if !(s.Lambda >= 0 && s.Lambda <= 1e6) {
		return refuse(RefusedOptions, "lambda is %v, not between 0 and 1e6", s.Lambda)
	}
	d := m.total.layout.Features
	if s.Outcome < OutcomeUncapped || s.Outcome >= d {
		return refuse(RefusedFeatures, "feature %d does not exist", s.Outcome)
	}
	for i, j := range s.Features {
		if j < 0 || j >= d || j == s.Outcome || (i > 0 && j <= s.Features[i-1]) {
			return refuse(RefusedFeatures, "feature %d does not exist, is the outcome or is not in ascending order", j)
		}
	}
	return nil
}

// Estimate computes everything but the unit with the largest score, which takes a
// second look at the units (see Scorer).
func (m *Moments) Estimate(s Spec) (Result, error) {
	if err := m.checkSpec(s); err != nil {
		return Result{}, err
	}
	t := m.total
	if t.units == 0 {
		return Result{}, refuse(RefusedEmpty, "there are no units")
	}
	if t.held < 2 || t.units-t.held < 2 {
		return Result{}, refuse(RefusedArm, "%d units in the holdout and %d with the policy, at least 2 are needed in each", t.held, t.units-t.held)
	}
	res := Result{Units: int(t.units), Holdout: int(t.held), MinP: t.minP, Centre: t.layout.Centre, Models: make([]Model, t.layout.Folds)}
	switch s.Outcome {
	case OutcomeRevenue:
		res.Observed, res.HoldoutPayers = t.cappedSum, int(t.payers)
	case OutcomeUncapped:
		res.Observed, res.HoldoutPayers = t.sumMinor, int(t.payers)
	}
	for k := range res.Models {
		model, err := m.fit(k, s)
		if err != nil {
			return Result{}, err
		}
		res.Models[k] = model
	}
	if err := m.numbers(&res, s); err != nil {
		return Result{}, err
	}
	if s.Outcome < 0 {
		for k := range res.Models { // the level that moments subtract belongs to the intercept
			res.Models[k].Intercept += float64(t.layout.Level)
		}
	} else {
		for k := range res.Models {
			res.Models[k].Intercept += t.layout.Centre[s.Outcome]
		}
	}
	if !res.finite() {
		return Result{}, refuse(RefusedNotFinite, "the numbers are too large or too small to estimate")
	}
	return res, nil
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

func appendFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}
