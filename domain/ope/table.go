package ope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"sort"
	"strings"
)

// Limits of the input. They keep every product below the float64 range and
// every outcome exactly representable.
const (
	// Buckets is the number of canonical buckets of the reduction.
	Buckets = 256
	// MaxFeatures is the largest number of features, without the intercept.
	MaxFeatures = 32
	// MaxFolds is the largest number of cross-fitting folds.
	MaxFolds = 64
	// MaxOutcome is the largest absolute outcome of a unit in minor units (2^53).
	MaxOutcome int64 = 1 << 53
	// MaxFeature is the largest absolute value of a feature.
	MaxFeature = 1e15
)

// Unit is one randomised unit (a user or a billing account) of one readout.
type Unit struct {
	// ID is unique in the input; it decides bucket and fold.
	ID string
	// Holdout is whether the unit got the baseline.
	Holdout bool
	// P is the known probability, in (0,1), with which the unit gets the
	// baseline: the holdout share h, or, with per-decision exploration and a
	// deterministic baseline, the product over the unit's decisions.
	P float64
	// Y is the outcome in minor units, contract year to date.
	Y int64
	// X are the pre-exposure features, without the intercept.
	X []float64
}

// BucketOf is the canonical bucket of a unit: the first byte of SHA-256(unit_id).
func BucketOf(unitID string) uint8 {
	return sha256.Sum256([]byte(unitID))[0]
}

// FoldOf is the cross-fitting fold of a unit:
// BE64(SHA256("fold/v1" 0x00 unit_id)[:8]) mod folds. It never uses the salt of
// the arms. folds must be positive.
func FoldOf(unitID string, folds int) int {
	sum := sha256.Sum256([]byte("fold/v1\x00" + unitID))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(folds)) //nolint:gosec // folds is positive and the rest below it
}

// Table is a validated set of units in canonical order, column by column. It is
// immutable; one Table may be estimated any number of times.
type Table struct {
	ids      []string
	y        []float64
	x        []float64 // n*d, row by row
	p        []float64
	holdout  []bool
	fold     []uint8
	start    [Buckets + 1]int // rows of bucket b are start[b]..start[b+1]
	d        int
	folds    int
	observed int64
}

// NewTable validates units with d features each, places them into folds and
// canonical order and copies them. The order of the input does not matter.
func NewTable(units []Unit, d, folds int) (*Table, error) {
	if folds < 2 || folds > MaxFolds {
		return nil, refuse(RefusedOptions, "the number of folds is %d, not between 2 and %d", folds, MaxFolds)
	}
	if d < 0 || d > MaxFeatures {
		return nil, refuse(RefusedFeatures, "%d features, at most %d are allowed", d, MaxFeatures)
	}
	if len(units) == 0 {
		return nil, refuse(RefusedEmpty, "there are no units")
	}
	for i := range units {
		if err := checkUnit(&units[i], i, d); err != nil {
			return nil, err
		}
	}
	order, buckets := canonicalOrder(units)
	t := &Table{
		ids: make([]string, len(units)), y: make([]float64, len(units)),
		x: make([]float64, 0, len(units)*d), p: make([]float64, len(units)),
		holdout: make([]bool, len(units)), fold: make([]uint8, len(units)), d: d, folds: folds,
	}
	for pos, i := range order {
		u := &units[i]
		if pos > 0 && u.ID == t.ids[pos-1] {
			return nil, &Refusal{Code: RefusedDuplicate, Row: max(i, order[pos-1]), UnitID: u.ID, Column: "unit_id", Reason: "the unit appears twice"}
		}
		t.ids[pos], t.y[pos], t.p[pos], t.holdout[pos] = u.ID, float64(u.Y), u.P, u.Holdout
		t.fold[pos] = uint8(FoldOf(u.ID, folds)) //nolint:gosec // folds <= 64
		t.x = append(t.x, u.X...)
		t.start[int(buckets[i])+1]++
		sum := t.observed + u.Y
		if (u.Y > 0 && sum < t.observed) || (u.Y < 0 && sum > t.observed) {
			return nil, refuse(RefusedSumTooWide, "the outcomes sum to more than 64 bits")
		}
		t.observed = sum
	}
	for b := range Buckets {
		t.start[b+1] += t.start[b]
	}
	return t, nil
}

// N is the number of units.
func (t *Table) N() int { return len(t.ids) }

// Placebo is the same table with feature outcome as the outcome and without the
// features that keep refuses: the estimator run on it must find no lift.
func (t *Table) Placebo(outcome int, keep func(feature int) bool) (*Table, error) {
	if outcome < 0 || outcome >= t.d {
		return nil, refuse(RefusedFeatures, "feature %d does not exist", outcome)
	}
	var kept []int
	for j := range t.d {
		if j != outcome && keep(j) {
			kept = append(kept, j)
		}
	}
	n := len(t.ids)
	out := &Table{ids: t.ids, p: t.p, holdout: t.holdout, fold: t.fold, start: t.start, folds: t.folds,
		d: len(kept), y: make([]float64, n), x: make([]float64, 0, n*len(kept))}
	for i := range n {
		row := t.x[i*t.d : (i+1)*t.d]
		out.y[i] = row[outcome]
		for _, j := range kept {
			out.x = append(out.x, row[j])
		}
	}
	return out, nil
}

// without is the table without the row at a canonical position.
func (t *Table) without(pos int) *Table {
	out := &Table{d: t.d, folds: t.folds, start: t.start, observed: t.observed - int64(t.y[pos])}
	out.ids = append(append(make([]string, 0, len(t.ids)-1), t.ids[:pos]...), t.ids[pos+1:]...)
	out.y = append(append(make([]float64, 0, len(t.y)-1), t.y[:pos]...), t.y[pos+1:]...)
	out.p = append(append(make([]float64, 0, len(t.p)-1), t.p[:pos]...), t.p[pos+1:]...)
	out.holdout = append(append(make([]bool, 0, len(t.holdout)-1), t.holdout[:pos]...), t.holdout[pos+1:]...)
	out.fold = append(append(make([]uint8, 0, len(t.fold)-1), t.fold[:pos]...), t.fold[pos+1:]...)
	out.x = append(append(make([]float64, 0, len(t.x)-t.d), t.x[:pos*t.d]...), t.x[(pos+1)*t.d:]...)
	for b := range Buckets {
		if out.start[b+1] > pos {
			out.start[b+1]--
		}
	}
	return out
}

// canonicalOrder sorts indices by (bucket, unit_id) and returns the bucket of every input row.
func canonicalOrder(units []Unit) (order []int, buckets []uint8) {
	order, buckets = make([]int, len(units)), make([]uint8, len(units))
	for i := range units {
		order[i], buckets[i] = i, BucketOf(units[i].ID)
	}
	sort.Slice(order, func(a, b int) bool {
		i, j := order[a], order[b]
		if buckets[i] != buckets[j] {
			return buckets[i] < buckets[j]
		}
		if units[i].ID != units[j].ID {
			return units[i].ID < units[j].ID
		}
		return i < j
	})
	return order, buckets
}

// checkUnit refuses a unit that would make the result undefined.
func checkUnit(u *Unit, row, d int) error {
	bad := func(code, column, format string, args ...any) error {
		return &Refusal{Code: code, Row: row, UnitID: u.ID, Column: column, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case u.ID == "" || len(u.ID) > 512 || strings.IndexByte(u.ID, 0) >= 0:
		return bad(RefusedUnitID, "unit_id", "a unit id has 1 to 512 bytes and no NUL")
	case len(u.X) != d:
		return bad(RefusedFeatures, "x", "%d features where %d are expected", len(u.X), d)
	case u.Y > MaxOutcome || u.Y < -MaxOutcome:
		return bad(RefusedOutcome, "y_minor", "%d minor units are beyond 2^53", u.Y)
	case !(u.P > 0 && u.P < 1): // the negation also catches NaN
		return bad(RefusedOverlap, "probability", "the probability of the baseline is %v, not between 0 and 1", u.P)
	}
	for j, v := range u.X {
		if math.IsNaN(v) || math.Abs(v) > MaxFeature {
			return bad(RefusedFeature, fmt.Sprintf("x_%d", j+1), "%v is not a finite number within ±%g", v, float64(MaxFeature))
		}
	}
	return nil
}
