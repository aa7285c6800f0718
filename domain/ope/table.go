package ope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"sort"
	"strings"
	"sync"
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

// Table is a validated set of units in canonical order with their folds. It is
// immutable; one Table may be estimated any number of times.
type Table struct {
	units []Unit
	fold  []uint8
	start [Buckets + 1]int // units of bucket b are start[b]..start[b+1]
	d     int
	folds int
}

// NewTable validates units with d features each and puts them into canonical order
// (ascending by bucket, then by id) with their folds. The order of the input does not
// matter. Features are copied into one run of memory in that order, because a pass
// over scattered ones waits for memory most of the time.
func NewTable(units []Unit, d, folds int) (*Table, error) {
	if err := (Layout{Features: d, Folds: folds, Centre: make([]float64, max(d, 0))}).check(); err != nil {
		return nil, err
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
	t := &Table{units: make([]Unit, len(units)), fold: make([]uint8, len(units)), d: d, folds: folds}
	x := make([]float64, 0, len(units)*d)
	for pos, i := range order {
		u := units[i]
		if pos > 0 && u.ID == t.units[pos-1].ID {
			return nil, &Refusal{Code: RefusedDuplicate, Row: max(i, order[pos-1]), UnitID: u.ID, Column: "unit_id", Reason: "the unit appears twice"}
		}
		x = append(x, u.X...)
		u.X = x[pos*d : (pos+1)*d : (pos+1)*d]
		t.units[pos] = u
		t.fold[pos] = uint8(FoldOf(u.ID, folds)) //nolint:gosec // folds <= 64
		t.start[int(buckets[i])+1]++
	}
	for b := range Buckets {
		t.start[b+1] += t.start[b]
	}
	return t, nil
}

// N is the number of units.
func (t *Table) N() int { return len(t.units) }

// Layout is the layout of the table's moments under a cap (0 is none).
func (t *Table) Layout(capMinor int64) (Layout, error) {
	return NewLayout(t.d, t.folds, capMinor, t.sharedP(), t.units)
}

// sharedP is the probability that all units have, 0 where they differ.
func (t *Table) sharedP() float64 {
	for i := range t.units {
		if t.units[i].P != t.units[0].P {
			return 0
		}
	}
	return t.units[0].P
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
		return bad(RefusedOverlap, "probability", "the probability of the baseline is %s, not between 0 and 1", inWords(u.P))
	}
	for j, v := range u.X {
		if math.IsNaN(v) || math.Abs(v) > MaxFeature {
			return bad(RefusedFeature, fmt.Sprintf("x_%d", j+1), "%s is not a finite number within ±%g", inWords(v), float64(MaxFeature))
		}
	}
	return nil
}

// Options of one estimate.
type Options struct {
	// Lambda is the ridge penalty per unit and per feature variance, >= 0.
	Lambda float64
	// Workers is the number of goroutines; below 1 means 1. It never changes a bit.
	Workers int
	// WithoutTop also looks for the most favourable unit and estimates without it.
	WithoutTop bool
}

// Estimate validates units with d features each and runs the estimator.
func Estimate(units []Unit, d, folds int, opt Options) (Result, error) {
	t, err := NewTable(units, d, folds)
	if err != nil {
		return Result{}, err
	}
	return t.Estimate(opt)
}

// Estimate runs the estimator on the outcome without a cap, on all features.
func (t *Table) Estimate(opt Options) (Result, error) {
	p, err := t.Pass(0, opt.Workers)
	if err != nil {
		return Result{}, err
	}
	s := Spec{Outcome: OutcomeRevenue, Features: p.layout.AllFeatures(), Lambda: opt.Lambda}
	res, err := p.moments.Estimate(s)
	if err == nil && opt.WithoutTop {
		err = p.Complete(&res, s)
	}
	return res, err
}

// Pass is one pass over a table: its moments, whole and by bucket.
type Pass struct {
	table   *Table
	workers int
	layout  Layout
	buckets [Buckets]*Partial
	moments *Moments
}

// Pass runs over the table once; everything that is estimated of it comes from the result.
func (t *Table) Pass(capMinor int64, workers int) (*Pass, error) {
	l, err := t.Layout(capMinor)
	if err != nil {
		return nil, err
	}
	p := &Pass{table: t, workers: workers, layout: l}
	var errs [Buckets]error
	t.eachBucket(workers, func(b, from, to int) { p.buckets[b], errs[b] = t.bucket(l, from, to, -1) })
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	p.moments, err = Merge(l, p.seq())
	return p, err
}

// Moments are the merged moments of the pass.
func (p *Pass) Moments() *Moments { return p.moments }

// Layout is that of the pass.
func (p *Pass) Layout() Layout { return p.layout }

// Complete looks for the unit that speaks most for the lift and estimates without it.
func (p *Pass) Complete(res *Result, s Spec) error {
	t, scorer := p.table, res.Scorer(p.layout)
	var tops [Buckets]Top
	t.eachBucket(p.workers, func(b, from, to int) {
		for i := from; i < to; i++ {
			tops[b].Look(b, t.units[i].ID, scorer.Psi(&t.units[i], int(t.fold[i])))
		}
	})
	var top Top
	for _, b := range tops {
		top.Merge(b)
	}
	from, to := t.start[top.Bucket], t.start[top.Bucket+1]
	at := from + sort.Search(to-from, func(i int) bool { return t.units[from+i].ID >= top.UnitID })
	without, err := t.bucket(p.layout, from, to, at)
	if err != nil {
		return err
	}
	rest := *p
	rest.buckets[top.Bucket] = without
	res.Remove(top, s, p.layout, rest.seq())
	return nil
}

// bucket makes the moments of one bucket, without the unit at position skip.
func (t *Table) bucket(l Layout, from, to, skip int) (*Partial, error) {
	a, err := NewAccumulator(l)
	if err != nil {
		return nil, err
	}
	for i := from; i < to; i++ {
		if i == skip {
			continue
		}
		if err := a.add(&t.units[i], int(t.fold[i])); err != nil {
			return nil, err
		}
	}
	return a.Close(), nil
}

// seq are the moments by bucket, in order.
func (p *Pass) seq() iter.Seq2[int, *Partial] {
	return func(yield func(int, *Partial) bool) {
		for b, part := range p.buckets {
			if part != nil && !yield(b, part) {
				return
			}
		}
	}
}

// eachBucket runs fn once per non-empty bucket on up to workers goroutines. fn
// writes only to the slot of its bucket, so the schedule cannot reach a result.
func (t *Table) eachBucket(workers int, fn func(b, from, to int)) {
	workers = min(max(workers, 1), Buckets)
	run := func(worker int) {
		for b := worker; b < Buckets; b += workers {
			if t.start[b] < t.start[b+1] {
				fn(b, t.start[b], t.start[b+1])
			}
		}
	}
	if workers == 1 {
		run(0)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() { defer wg.Done(); run(w) }()
	}
	wg.Wait()
}
