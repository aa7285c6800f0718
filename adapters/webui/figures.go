package webui

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/lift"
)

// figureRow is one figure of a readout: money, or a number as text.
type figureRow struct {
	Name, Says, Value string
	Amount            *Amount
	// Exact is the estimate behind a rounded amount, in minor units.
	Exact float64
}

// armFigures are the users of an arm with their revenue, uncapped.
type armFigures struct {
	Units                     int64
	SumMinor                  int64
	Inverse, WeightedMinor    float64 // the sums of the weights, and of weighted revenue
	Median, High, Higher, Max string  // quantiles of the weights
}

// figuresView is what stands in the manifest of a readout, beside the figures of its verdict.
type figuresView struct {
	Policy, Holdout armFigures
	// Means is the revenue per user, by arm.
	PolicyMean, HoldoutMean *Amount
	// Counted: the frozen users were counted, so that the arms have figures.
	Counted                bool
	Estimates, Diagnostics []figureRow
	Buckets                []lostRow
	Build                  []parameter
	Schema, Seed, Alpha    string
}

// lostRow is where revenue went that was read and is not counted.
type lostRow struct {
	Name   string
	Events int
	Amount Amount
}

// armOf sums an arm. Weights come with two decimals; the sums are exact.
func armOf(all []reconcile.WeightCount, holdout bool) armFigures {
	var rows []reconcile.WeightCount
	var a armFigures
	for _, w := range all {
		if w.Holdout == holdout {
			rows = append(rows, w)
			a.Units, a.SumMinor = a.Units+w.Units, a.SumMinor+w.SumMinor
			a.Inverse, a.WeightedMinor = a.Inverse+w.Inverse, a.WeightedMinor+w.WeightedMinor
		}
	}
	slices.SortFunc(rows, func(x, y reconcile.WeightCount) int { return cmp.Compare(x.Weight, y.Weight) })
	at := func(share float64) string {
		var seen int64
		for _, w := range rows {
			if seen += w.Units; float64(seen) >= share*float64(a.Units) {
				return plain(w.Weight)
			}
		}
		return "–"
	}
	a.Median, a.High, a.Higher, a.Max = at(0.5), at(0.95), at(0.99), at(1)
	return a
}

// probability writes a small number so that its size can be read.
func probability(p float64) string {
	if math.IsNaN(p) {
		return "–"
	}
	return strconv.FormatFloat(p, 'g', 3, 64)
}

// measuredOf reads a readout's manifest; nil where this version cannot.
func measuredOf(r reconcile.Readout, weights []reconcile.WeightCount) *figuresView {
	if r.TrueUp != nil {
		weights = nil // the frozen users had paid something else
	}
	var m lift.Manifest
	if err := json.Unmarshal([]byte(r.Manifest), &m); err != nil {
		return nil
	}
	v := figuresView{Policy: armOf(weights, false), Holdout: armOf(weights, true), Schema: m.Schema, Counted: len(weights) > 0}
	mean := func(a armFigures) *Amount {
		if a.Units == 0 {
			return nil
		}
		return estimate(float64(a.SumMinor)/float64(a.Units), r.Currency)
	}
	v.PolicyMean, v.HoldoutMean = mean(v.Policy), mean(v.Holdout)
	v.Seed = "no random number is drawn; the salt of the arms is secret until the year's last month, or there is none"
	if m.Inputs.SaltHex != "" {
		v.Seed = "no random number is drawn; the salt of the arms is " + m.Inputs.SaltHex
	}
	if z, err := strconv.ParseFloat(r.Z, 64); err == nil {
		v.Alpha = probability(lift.UpperTail(z))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Build)) {
		v.Build = append(v.Build, parameter{name, r.Build[name]})
	}
	for _, b := range m.Inputs.Buckets {
		v.Buckets = append(v.Buckets, lostRow{words(string(b.Bucket)), b.Events, amount(b.SumMinor, r.Currency)})
	}
	v.Estimates, v.Diagnostics = v.estimates(r, m), v.diagnostics(m)
	return &v
}

// estimates are the lift three ways. The doubly robust one is billed from; N times the weighted
// mean residual is what it corrects of the models' (domain/ope).
func (v figuresView) estimates(r reconcile.Readout, m lift.Manifest) []figureRow {
	row := func(name, says string, x float64) figureRow {
		return figureRow{Name: name, Says: says, Amount: estimate(x, r.Currency), Exact: x}
	}
	out := []figureRow{row("Doubly robust", "Models, corrected by the weighted residuals of the holdout. What is billed, and its bound, come from this one.", r.Lift)}
	if m.Result != nil {
		out = append(out, row("Direct", "The models alone say what users would have paid. For comparison.", float64(m.Result.T)+float64(m.Result.Units)*float64(m.Result.R)))
	}
	if v.Holdout.Inverse > 0 {
		n := float64(v.Policy.Units + v.Holdout.Units)
		out = append(out, row("IPS", "The weighted holdout alone, uncapped and with weights that sum to one (Hájek). For comparison.", float64(v.Policy.SumMinor+v.Holdout.SumMinor)-n*v.Holdout.WeightedMinor/v.Holdout.Inverse))
	}
	if m.Uncapped != nil {
		out = append(out, row("Doubly robust, uncapped", "The same without the cap on one user's revenue. The check of signs compares both.", float64(m.Uncapped.T)))
	}
	if m.Placebo != nil {
		out = append(out, row("Placebo", "The same on revenue before the exposure, where no effect can be.", float64(m.Placebo.T)))
	}
	return out
}

// diagnostics are the figures that the guardrail looks at.
func (v figuresView) diagnostics(m lift.Manifest) []figureRow {
	var out []figureRow
	add := func(name, value, says string) {
		out = append(out, figureRow{Name: name, Value: value, Says: says})
	}
	if f := m.Result; f != nil {
		add("Sample ratio, z", plain(float64(f.SRMZ)), "Holdout users less the sum of their probabilities, in standard deviations")
		add("Sample ratio, p", probability(2*lift.UpperTail(math.Abs(float64(f.SRMZ)))), "How likely chance alone is that far off, on either side")
		add("Calibration, z", plain(float64(f.CalibrationZ)), "The weights must average one")
		add("Sum of weights", plain(float64(f.W)), "Of the holdout; to be "+count(f.Units)+" on average")
		add("Effective sample", plain(float64(f.ESS)), "Kish: the square of the sum of weights over the sum of their squares")
		add("Weight dominance", probability(float64(f.WeightDominance)), "The largest squared weight's share of all")
		add("Smallest probability", probability(float64(f.MinP)), "Positivity: of the baseline, over all users")
		add("Holdout payers", count(f.HoldoutPayers), "Holdout users with revenue")
	}
	if v.Counted {
		add("Weights: median, 95 %, 99 %, largest", v.Holdout.Median+", "+v.Holdout.High+", "+v.Holdout.Higher+", "+v.Holdout.Max, "Of the holdout")
	}
	if m.Inputs.Decisions > 0 {
		add("Decisions", count(m.Inputs.Decisions), "Exposures that were joined to revenue")
		add("Revenue events", count(m.Inputs.Revenue.Events), "Read up to "+stamp(m.Inputs.Watermark))
	}
	if n := m.Evidence.DecisionsWithoutPropensity; n != nil {
		add("Decisions without probabilities", count(*n), "Their vector is missing or incomplete")
	}
	if un, net := m.Evidence.UnmappedMinor, m.Evidence.NetMinor; un != nil && net != nil && *net > 0 {
		add("Coverage", percent(*net-*un, *net), "Net paid revenue of the year to date whose customer is mapped to a user")
	}
	if b := m.Evidence.Balance; b != nil {
		add("Mean probability", probability(float64(b.MeanProbability)), "Of the baseline, over all users")
	}
	if m.Refusal != "" {
		add("No estimate", m.Refusal, "Why the estimator refused")
	}
	return out
}
