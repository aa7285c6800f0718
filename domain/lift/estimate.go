package lift

import (
	"errors"
	"fmt"
	"sync"

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
	// Moments are the checksums of the sums behind every figure, by fold.
	Moments []string
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

// RefusedEstimate is the estimate of a table that a pass refused; an error that is no
// refusal stays an error.
func RefusedEstimate(snapshotID string, units int, sumMinor int64, err error) (Estimate, error) {
	e := Estimate{SnapshotID: snapshotID, Units: units, SumMinor: sumMinor}
	err = e.refuse(err)
	return e, err
}

// IsRefusal reports whether an error says that the data cannot be estimated, as against
// that they could not be read.
func IsRefusal(err error) bool {
	var r *ope.Refusal
	return errors.As(err, &r)
}

// refuse keeps the reason of a refusal, without the unit that it names: the reason
// goes into the manifest, and a unit's id does not leave the house. Any other error
// stays an error.
func (e *Estimate) refuse(err error) error {
	var r *ope.Refusal
	if !errors.As(err, &r) {
		return err
	}
	e.Result, e.Moments, e.Uncapped, e.Placebo, e.Refusal = ope.Result{}, nil, nil, nil, r.Reason
	if r.Column != "" { // a row's number says nothing in a table that was put in order
		e.Refusal = fmt.Sprintf("column %s: %s", r.Column, r.Reason)
	}
	return nil
}

// Measure runs the plan's estimator on a unit table in memory; see [MeasureMoments].
// workers never changes a bit.
func Measure(table UnitTable, plan Plan, workers int) (Estimate, error) {
	refused := func(err error) (Estimate, error) {
		return RefusedEstimate(table.SnapshotID, len(table.Rows), table.SumMinor(), err)
	}
	l, err := table.Layout(plan)
	if err != nil {
		return refused(err)
	}
	src := table.Stream()
	var parts [ope.Buckets][]BucketMoments
	err = eachBucket(workers, func(b int) error {
		var err error
		parts[b], err = MomentsOf(l, src, b, b+1, "")
		return err
	})
	if err != nil {
		return refused(err)
	}
	var buckets []BucketMoments
	for _, p := range parts {
		buckets = append(buckets, p...)
	}
	m, err := MeasureMoments(table.SnapshotID, plan, l, buckets)
	if err != nil {
		return Estimate{}, err
	}
	top, err := m.Top(src, 0, ope.Buckets)
	if err != nil {
		return Estimate{}, err
	}
	if err := m.Complete(top, src); err != nil {
		return Estimate{}, err
	}
	return m.Estimate, nil
}

// eachBucket calls fn for every bucket on up to workers goroutines and returns the error
// of the first bucket that has one.
func eachBucket(workers int, fn func(b int) error) error {
	var errs [ope.Buckets]error
	var wg sync.WaitGroup
	workers = min(max(workers, 1), ope.Buckets)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for b := w; b < ope.Buckets; b += workers {
				errs[b] = fn(b)
			}
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
