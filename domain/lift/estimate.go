package lift

import (
	"errors"
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/ope"
)

// displayZ is the z of the two-sided 95 % interval, for display only.
const displayZ = 1.959964

// Estimate is what the estimator said about one unit table.
type Estimate struct {
	SnapshotID string
	// Units and SumMinor describe the table, also when it was refused.
	Units    int
	SumMinor int64
	// Refusal is the plain reason why there is no number, empty where there is one.
	Refusal string
	// Result is the estimate that is billed on (capped where the plan has a cap).
	Result ope.Result
	// Grams are the checksums of the sums behind the outcome models, by fold.
	Grams []string
	// Uncapped is the estimate without the cap; nil where the plan has none.
	Uncapped *ope.Result
	// Placebo is the estimator on pre-period revenue; nil where the plan has no such feature.
	Placebo *ope.Result
}

// Refused reports whether there is no number.
func (e Estimate) Refused() bool { return e.Refusal != "" }

// Interval is the two-sided 95 % interval for display, in minor units.
func (e Estimate) Interval() (low, high float64) {
	return e.Result.LowerBound(displayZ), e.Result.UpperBound(displayZ)
}

// Measure runs the plan's estimator on a unit table. An input that cannot be
// estimated gives an Estimate with a Refusal, never an error: the guardrail
// turns it into a withheld line. workers never changes a bit.
func Measure(table UnitTable, plan Plan, workers int) (Estimate, error) {
	lambda, err := decimalIn("lambda", plan.Lambda, "1000000", false)
	if err != nil {
		return Estimate{}, err
	}
	opt := ope.Options{Lambda: lambda.InexactFloat64(), Workers: workers, WithoutTop: true}
	e := Estimate{SnapshotID: table.SnapshotID, Units: len(table.Rows), SumMinor: table.SumMinor()}
	t, err := ope.NewTable(table.Units(plan.Reward.CapMinor), len(plan.Features), plan.Folds)
	if err == nil {
		e.Result, err = t.Estimate(opt)
	}
	if err == nil {
		e.Grams = t.GramDigests(workers)
	}
	if err != nil {
		return e.refuse(err)
	}
	opt.WithoutTop = false
	if plan.Reward.CapMinor != nil {
		plain, err := ope.Estimate(table.Units(nil), len(plan.Features), plan.Folds, opt)
		if err != nil {
			return e.refuse(err)
		}
		e.Uncapped = &plain
	}
	e.Placebo, err = placebo(t, plan, opt)
	if err != nil {
		return e.refuse(err)
	}
	return e, nil
}

// placebo runs the estimator on pre-period revenue where the plan has it.
func placebo(t *ope.Table, plan Plan, opt ope.Options) (*ope.Result, error) {
	for j, name := range plan.Features {
		if name != FeaturePreRevenue {
			continue
		}
		p, err := t.Placebo(j, func(f int) bool { return !strings.HasPrefix(plan.Features[f], FeaturePreRevenue) })
		if err != nil {
			return nil, err
		}
		r, err := p.Estimate(opt)
		if err != nil {
			return nil, err
		}
		return &r, nil
	}
	return nil, nil //nolint:nilnil // no such feature is not an error
}

// refuse keeps the reason of a refusal, without the unit that it names: the reason
// goes into the manifest, and a unit's id does not leave the house. Any other error
// stays an error.
func (e Estimate) refuse(err error) (Estimate, error) {
	var r *ope.Refusal
	if !errors.As(err, &r) {
		return Estimate{}, err
	}
	reason := r.Reason
	if r.Row >= 0 {
		reason = fmt.Sprintf("row %d, column %s: %s", r.Row, r.Column, r.Reason)
	}
	e.Result, e.Grams, e.Uncapped, e.Placebo, e.Refusal = ope.Result{}, nil, nil, nil, reason
	return e, nil
}
