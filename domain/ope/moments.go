package ope

import (
	"math"
	"strconv"
)

// Partial holds the moments of one bucket: everything that the estimate needs of
// its units, in a size that does not depend on how many they are.
type Partial struct {
	layout Layout
	// Counts and exact sums over all units of the bucket.
	units, held, payers int64
	sumMinor, cappedSum int64
	minP, maxW2         float64
	sumP, sumPQ         float64
	first               []float64 // folds*d: the first value of each feature
	seen                []bool    // folds: whether the fold has units
	varied              []bool    // folds*d: whether a later value differed
	cells               []float64
}

func newPartial(l Layout) *Partial {
	return &Partial{
		layout: l, minP: math.Inf(1), first: make([]float64, l.Folds*l.Features), seen: make([]bool, l.Folds),
		varied: make([]bool, l.Folds*l.Features), cells: make([]float64, l.Folds*l.kinds()*l.cellSize()),
	}
}

// Units is the number of units that were added.
func (p *Partial) Units() int { return int(p.units) }

// SumMinor is the exact sum of their outcomes without a cap, in minor units.
func (p *Partial) SumMinor() int64 { return p.sumMinor }

// merge adds the moments of a later bucket; the caller fixes the order.
func (p *Partial) merge(o *Partial) error {
	var okSum, okCapped bool
	p.sumMinor, okSum = addExact(p.sumMinor, o.sumMinor)
	p.cappedSum, okCapped = addExact(p.cappedSum, o.cappedSum)
	if !okSum || !okCapped {
		return refuse(RefusedSumTooWide, "the outcomes sum to more than 64 bits")
	}
	p.units, p.held, p.payers = p.units+o.units, p.held+o.held, p.payers+o.payers
	p.minP, p.maxW2 = math.Min(p.minP, o.minP), math.Max(p.maxW2, o.maxW2)
	p.sumP, p.sumPQ = p.sumP+o.sumP, p.sumPQ+o.sumPQ
	d := p.layout.Features
	for k := range p.seen {
		if !o.seen[k] {
			continue
		}
		first, varied := p.first[k*d:(k+1)*d], p.varied[k*d:(k+1)*d]
		if !p.seen[k] {
			p.seen[k] = true
			copy(first, o.first[k*d:(k+1)*d])
		}
		for j := range first {
			varied[j] = varied[j] || o.varied[k*d+j] || first[j] != o.first[k*d+j]
		}
	}
	for i, v := range o.cells {
		p.cells[i] += v
	}
	return nil
}

func addExact(a, b int64) (int64, bool) {
	s := a + b
	return s, (b >= 0 && s >= a) || (b < 0 && s < a)
}

// blockRows is how many rows of one fold and arm are added together: their sums are
// formed first, so that the accumulators are touched once for all of them. It is
// part of the arithmetic.
const blockRows = 4

// Accumulator makes the Partial of one bucket from its units in ascending order of
// their ids. It keeps nothing of a unit, so that a stream of any length needs no
// more memory than one bucket's moments.
type Accumulator struct {
	layout Layout
	p      *Partial
	// pending holds up to blockRows rows of z for each fold and arm.
	pending []float64
	waiting []int
	lastID  string
}

// NewAccumulator starts a bucket.
func NewAccumulator(l Layout) (*Accumulator, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	m := l.width()
	return &Accumulator{layout: l, p: newPartial(l), pending: make([]float64, l.Folds*sharedKinds*blockRows*m),
		waiting: make([]int, l.Folds*sharedKinds)}, nil
}

// Add takes the next unit of the bucket with its fold, which comes with the unit
// because it is a hash of its id. It refuses what NewTable refuses, a unit that is
// not after the one before, and a probability that is not the shared one.
func (a *Accumulator) Add(u *Unit, fold int) error {
	row := int(a.p.units)
	if err := checkUnit(u, row, a.layout.Features); err != nil {
		return err
	}
	bad := func(code, column, reason string) error {
		return &Refusal{Code: code, Row: row, UnitID: u.ID, Column: column, Reason: reason}
	}
	switch {
	case fold < 0 || fold >= a.layout.Folds:
		return bad(RefusedOptions, "fold", "the fold is "+strconv.Itoa(fold)+", there are "+strconv.Itoa(a.layout.Folds))
	case row > 0 && u.ID == a.lastID:
		return bad(RefusedDuplicate, "unit_id", "the unit appears twice")
	case row > 0 && u.ID < a.lastID:
		return bad(RefusedOrder, "unit_id", "the unit comes after a later one")
	case a.layout.P > 0 && u.P != a.layout.P:
		return bad(RefusedOverlap, "probability", "the probability of the baseline differs from the shared one")
	}
	a.lastID = u.ID
	return a.add(u, fold)
}

// add accumulates a unit that was checked.
func (a *Accumulator) add(u *Unit, fold int) error {
	l, p := &a.layout, a.p
	y := l.capped(u.Y)
	var okSum, okCapped bool
	p.sumMinor, okSum = addExact(p.sumMinor, u.Y)
	p.cappedSum, okCapped = addExact(p.cappedSum, y)
	if !okSum || !okCapped {
		return refuse(RefusedSumTooWide, "the outcomes sum to more than 64 bits")
	}
	p.units++
	p.minP = math.Min(p.minP, u.P)
	a.noteFeatures(u.X, fold)
	arm := cellTreated
	if u.Holdout {
		arm = cellHeld
		p.held++
		if y != 0 {
			p.payers++
		}
	}
	slot := fold*sharedKinds + arm
	m := l.width()
	from := (slot*blockRows + a.waiting[slot]) * m
	z := a.pending[from : from+m]
	for j, v := range u.X {
		z[j] = v - l.Centre[j]
	}
	z[l.Features] = float64(y - l.Level)
	if l.Cap > 0 {
		z[l.Features+1] = float64(u.Y - l.Level)
	}
	if l.P == 0 {
		a.addWeighted(u, fold, z)
	}
	a.waiting[slot]++
	if a.waiting[slot] == blockRows {
		a.flush(fold, arm)
	}
	return nil
}

// noteFeatures keeps whether a feature varies: equality of values is exact where a
// difference of sums is not.
func (a *Accumulator) noteFeatures(x []float64, fold int) {
	p, d := a.p, a.layout.Features
	first, varied := p.first[fold*d:(fold+1)*d], p.varied[fold*d:(fold+1)*d]
	if !p.seen[fold] {
		p.seen[fold] = true
		copy(first, x)
		return
	}
	for j, v := range x {
		if v != first[j] {
			varied[j] = true
		}
	}
}

// addWeighted keeps the sums that need the unit's own probability.
func (a *Accumulator) addWeighted(u *Unit, fold int, z []float64) {
	l, p := &a.layout, a.p
	c := 1/u.P - 1
	p.sumP += u.P
	p.sumPQ += float64(u.P * (1 - u.P))
	l.cell(p.cells, fold, cellAllC).add1(c, z)
	if !u.Holdout {
		return
	}
	w := 1 / u.P
	w2 := float64(w * w)
	p.maxW2 = math.Max(p.maxW2, w2)
	l.cell(p.cells, fold, cellHeldW).add1(w, z)
	l.cell(p.cells, fold, cellHeldW2).add1(w2, z)
}

// flush adds the waiting rows of a fold and arm.
func (a *Accumulator) flush(fold, arm int) {
	slot, m := fold*sharedKinds+arm, a.layout.width()
	rows := a.pending[slot*blockRows*m : (slot+1)*blockRows*m]
	c := a.layout.cell(a.p.cells, fold, arm)
	if a.waiting[slot] == blockRows {
		c.add4(rows, m)
	} else {
		for i := range a.waiting[slot] {
			c.add1(1, rows[i*m:(i+1)*m])
		}
	}
	a.waiting[slot] = 0
}

// Close flushes and returns the bucket's moments; the accumulator is used up.
func (a *Accumulator) Close() *Partial {
	for fold := range a.layout.Folds {
		a.flush(fold, cellTreated)
		a.flush(fold, cellHeld)
	}
	return a.p
}

// add1 adds one row with a weight.
func (c cell) add1(w float64, z []float64) {
	*c.n += w
	sq := c.sq
	for i, zi := range z {
		wz := float64(w * zi)
		c.sum[i] += wz
		right := z[i:]
		row := sq[:len(right)]
		for j, zj := range right {
			row[j] += float64(wz * zj)
		}
		sq = sq[len(right):]
	}
}

// add4 adds four rows of weight 1: (r0 + r1) + (r2 + r3) onto each accumulator.
func (c cell) add4(rows []float64, m int) {
	*c.n += blockRows
	r0, r1, r2, r3 := rows[:m], rows[m:2*m], rows[2*m:3*m], rows[3*m:4*m]
	sq := c.sq
	for i := range m {
		a0, a1, a2, a3 := r0[i], r1[i], r2[i], r3[i]
		c.sum[i] += (a0 + a1) + (a2 + a3)
		n := m - i
		row, q0, q1, q2, q3 := sq[:n], r0[i:m], r1[i:m], r2[i:m], r3[i:m]
		for j := range row {
			row[j] += (float64(a0*q0[j]) + float64(a1*q1[j])) + (float64(a2*q2[j]) + float64(a3*q3[j]))
		}
		sq = sq[n:]
	}
}
