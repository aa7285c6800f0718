package evaluate

import (
	"encoding/json"
	"math"
)

// Report is the evaluation of one log.
type Report struct {
	Rows     int    `json:"n"`
	Actions  int    `json:"n_actions"`
	Units    int    `json:"n_units"`
	Params   Params `json:"params"`
	Policy   Side   `json:"policy"`
	Baseline Side   `json:"baseline"`
	Lift     Lift   `json:"lift"`
	// Warnings say why the numbers must not be relied upon; empty is none.
	Warnings []Warning `json:"warnings"`
}

// Side is one of the two distributions.
type Side struct {
	Estimators map[Name]Estimate `json:"estimators"`
	Weights    Weights           `json:"weights"`
}

// Estimate is one estimator on one side.
type Estimate struct {
	Value Number `json:"value"`
	// SE1 and SE0 divide by n-1 and by n. For snipw and sndr they take mean(w) as given.
	SE1 Number `json:"se_ddof1"`
	SE0 Number `json:"se_ddof0"`
	// SEDelta takes mean(w) as random; nil but for snipw and sndr.
	SEDelta *Number `json:"se_delta,omitempty"`
	// Normal uses SE1.
	Normal Interval `json:"normal"`
	// CR0 and CR1 are cluster-robust.
	CR0 Number `json:"cluster_se_cr0"`
	CR1 Number `json:"cluster_se_cr1"`
	// StudentT, Bernstein and Hoeffding are obp's one-sided 95 % lower bounds; the
	// last two need scores that are not negative.
	StudentT  Number `json:"obp_student_t_lower_bound"`
	Bernstein Number `json:"obp_bernstein_lower_bound"`
	Hoeffding Number `json:"obp_hoeffding_lower_bound"`
}

// Weights describes how much of the log speaks for a distribution.
type Weights struct {
	// ESS is Kish's (sum w)^2 / sum w^2, 0 where every weight is 0.
	ESS      Number `json:"ess"`
	ESSRatio Number `json:"ess_over_n"`
	// ESSUnits is the same on the sums of w within units.
	ESSUnits  Number `json:"ess_units"`
	Max       Number `json:"max_weight"`
	Mean      Number `json:"mean_weight"`
	Sum       Number `json:"sum_w"`
	Squares   Number `json:"sum_w2"`
	ShareZero Number `json:"share_zero_weight"`
	// MaxShare is max w / sum w.
	MaxShare Number `json:"max_weight_share"`
}

// Lift is policy minus baseline on the same rows.
type Lift struct {
	Estimators map[Name]LiftEstimate
	Weights    WeightDifference
}

// MarshalJSON puts the estimators and _weights side by side.
func (l Lift) MarshalJSON() ([]byte, error) {
	out := map[string]any{"_weights": l.Weights}
	for name, e := range l.Estimators {
		out[string(name)] = e
	}
	return json.Marshal(out)
}

// LiftEstimate is the lift by one estimator.
type LiftEstimate struct {
	Value         Number   `json:"value"`
	SE1           Number   `json:"se_ddof1"`
	SE0           Number   `json:"se_ddof0"`
	NormalRow     Interval `json:"normal_row"`
	CR0           Number   `json:"cluster_se_cr0"`
	CR1           Number   `json:"cluster_se_cr1"`
	NormalCluster Interval `json:"normal_cluster"`
	// Total is n times the value: what the whole log earned more.
	Total Number `json:"total"`
	// The errors of Total: rows, clusters with the number of decisions as given,
	// and units as the random sample.
	TotalSERow     Number `json:"total_se_row"`
	TotalSECluster Number `json:"total_se_cluster_cr1"`
	TotalSEUnits   Number `json:"total_se_units_iid"`
	PerUnit        Number `json:"per_unit_mean"`
	PerUnitSE      Number `json:"per_unit_se"`
	// Z is value / SE1 and P = 1 - Phi(Z).
	Z Number `json:"z"`
	P Number `json:"p_one_sided"`
	// Relative is value / V(baseline), its errors by the delta method.
	Relative   Number `json:"relative_to_baseline"`
	RelativeSE Number `json:"relative_se_delta"`
	RelativeCR Number `json:"relative_cluster_se_cr1"`
}

// WeightDifference describes |w_policy - w_baseline|, by row.
type WeightDifference struct {
	ESS          Number `json:"ess_abs_weight_difference"`
	Max          Number `json:"max_abs_weight_difference"`
	ShareNonzero Number `json:"share_rows_with_nonzero_difference"`
}

// Evaluate computes every estimator for the policy, the baseline and their difference.
func (l *Log) Evaluate(p Params) (Report, error) {
	if err := p.check(); err != nil {
		return Report{}, err
	}
	if l.Rows() == 0 {
		return Report{}, &Refusal{Code: RefusedEmpty, Row: -1, Reason: "the log has no rows"}
	}
	r := Report{
		Rows: l.Rows(), Actions: l.actions, Units: l.Units(), Params: p,
		Policy:   Side{Estimators: map[Name]Estimate{}, Weights: l.weights(l.policy.weight)},
		Baseline: Side{Estimators: map[Name]Estimate{}, Weights: l.weights(l.baseline.weight)},
		Lift:     Lift{Estimators: map[Name]LiftEstimate{}, Weights: l.weightDifference()},
	}
	for _, name := range Names() {
		policy, baseline := l.score(name, &l.policy, p), l.score(name, &l.baseline, p)
		r.Policy.Estimators[name] = l.estimate(name, &policy)
		r.Baseline.Estimators[name] = l.estimate(name, &baseline)
		r.Lift.Estimators[name] = l.lift(name, &policy, &baseline)
	}
	r.Warnings = r.warn()
	return r, nil
}

// estimate puts errors and bounds around one value.
func (l *Log) estimate(name Name, s *scored) Estimate {
	n := float64(l.Rows())
	dev := centred(s.z)
	se1 := rowSE(dev, n-1)
	cr0, cr1 := l.clusterSE(s.psi)
	e := Estimate{
		Value: number(s.value), SE1: number(se1), SE0: number(rowSE(dev, n)),
		Normal: interval(s.value, se1), CR0: number(cr0), CR1: number(cr1),
		StudentT: number(s.value - float64(studentT95(l.Rows()-1)*se1)),
	}
	if name == SNIPW || name == SNDR {
		delta := number(rowSE(s.psi, n-1))
		e.SEDelta = &delta
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, z := range s.z {
		low, high = math.Min(low, z), math.Max(high, z)
	}
	if low >= 0 {
		e.Bernstein = number(s.value - bernsteinMargin(high, squares(dev)/n, n))
		e.Hoeffding = number(s.value - hoeffdingMargin(high, n))
	}
	return e
}

// weights describes the weights of one side.
func (l *Log) weights(w []float64) Weights {
	var total sum
	top, zeros := 0.0, 0.0
	for _, x := range w {
		total.add(x)
		top = math.Max(top, x)
		if x == 0 {
			zeros++
		}
	}
	n, s, rows := float64(len(w)), total.value(), ess(w)
	share := top / s
	if top == 0 {
		share = 0
	}
	return Weights{
		ESS: number(rows), ESSRatio: number(rows / n), ESSUnits: number(ess(l.perUnit(w))),
		Max: number(top), Mean: number(s / n), Sum: number(s), Squares: number(squares(w)),
		ShareZero: number(zeros / n), MaxShare: number(share),
	}
}

// ess is Kish's effective sample size. Weights are scaled by the largest, so that
// the squares of very small ones do not vanish.
func ess(w []float64) float64 {
	top := 0.0
	for _, x := range w {
		top = math.Max(top, x)
	}
	if top == 0 {
		return 0
	}
	var s, s2 sum
	for _, x := range w {
		v := x / top
		s.add(v)
		s2.add(float64(v * v))
	}
	return float64(s.value()*s.value()) / s2.value()
}
