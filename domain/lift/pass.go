package lift

import (
	"crypto/sha256"
	"hash"
	"iter"
	"sort"
	"strings"

	"github.com/liftbill/liftbill/domain/ope"
)

// PlacedUnit is a row with its canonical bucket, as a table is streamed.
type PlacedUnit struct {
	Bucket int
	Row    *UnitRow
}

// Source streams the units of the buckets from up to, and without, to in canonical
// order. A row is read before the next one is asked for and may then be overwritten.
type Source func(from, to int) iter.Seq2[PlacedUnit, error]

// Layout is how the table's moments are laid out: it is fixed when the table is
// frozen, so that whoever reads a part of it later adds up the same. A table that the
// estimator will refuse gets a layout too, with its centre at zero: the refusal belongs
// into the readout.
func (t UnitTable) Layout(plan Plan) (ope.Layout, error) {
	head := UnitTable{Rows: t.Rows[:min(len(t.Rows), ope.CentreRows)]}.Units(nil)
	shared := 0.0
	if len(t.Rows) > 0 {
		shared = t.Rows[0].BaselineProb
	}
	for i := range t.Rows {
		if t.Rows[i].BaselineProb != shared {
			shared = 0
			break
		}
	}
	l, err := ope.NewLayout(len(plan.Features), plan.Folds, plan.capMinor(), shared, head)
	if err != nil {
		return ope.NewLayout(len(plan.Features), plan.Folds, plan.capMinor(), 0, nil)
	}
	return l, nil
}

// Stream is the table as a Source.
func (t UnitTable) Stream() Source {
	buckets := make([]int, len(t.Rows))
	for i := range t.Rows {
		buckets[i] = int(ope.BucketOf(t.Rows[i].UnitID))
	}
	return func(from, to int) iter.Seq2[PlacedUnit, error] {
		return func(yield func(PlacedUnit, error) bool) {
			for i := sort.SearchInts(buckets, from); i < len(buckets) && buckets[i] < to; i++ {
				if !yield(PlacedUnit{Bucket: buckets[i], Row: &t.Rows[i]}, nil) {
					return
				}
			}
		}
	}
}

// BucketMoments is what a pass leaves of one bucket: its moments and the leaf of the
// table's digest.
type BucketMoments struct {
	Bucket  int
	Partial *ope.Partial
	Leaf    [sha256.Size]byte
}

// MomentsOf reads the buckets from up to to and returns the moments of those that have
// units. skip leaves one unit out; empty leaves out none. It keeps no unit.
func MomentsOf(l ope.Layout, src Source, from, to int, skip string) ([]BucketMoments, error) {
	var out []BucketMoments
	var acc *ope.Accumulator
	var leaf hash.Hash
	var buf []byte
	open := -1
	closeBucket := func() {
		if acc != nil {
			m := BucketMoments{Bucket: open, Partial: acc.Close()}
			leaf.Sum(m.Leaf[:0])
			out = append(out, m)
		}
	}
	for u, err := range src(from, to) {
		if err != nil {
			return nil, err
		}
		if u.Bucket != open {
			closeBucket()
			if acc, err = ope.NewAccumulator(l); err != nil {
				return nil, err
			}
			open, leaf = u.Bucket, newLeaf()
		}
		buf = appendRow(buf[:0], u.Row)
		leaf.Write(buf)
		if u.Row.UnitID == skip {
			continue
		}
		unit := u.Row.unit()
		if err := acc.Add(&unit, ope.FoldOf(unit.ID, l.Folds)); err != nil {
			return nil, err
		}
	}
	closeBucket()
	return out, nil
}

// Measurement is a table measured by its moments. Estimate has everything but the unit
// that speaks most for the lift until Complete has been called.
type Measurement struct {
	Estimate Estimate
	// Digest is that of the table that was read, to compare with what was frozen.
	Digest string

	layout  ope.Layout
	plan    Plan
	buckets []BucketMoments
}

// MeasureMoments runs the plan's estimator on the moments of a whole table, ascending
// by bucket. An input that cannot be estimated gives an Estimate with a Refusal, never
// an error: the guardrail turns it into a withheld line.
func MeasureMoments(snapshotID string, plan Plan, l ope.Layout, buckets []BucketMoments) (*Measurement, error) {
	m := &Measurement{Estimate: Estimate{SnapshotID: snapshotID}, layout: l, plan: plan, buckets: buckets}
	for _, b := range buckets {
		m.Estimate.Units += b.Partial.Units()
		m.Estimate.SumMinor += b.Partial.SumMinor()
	}
	var leaves [ope.Buckets][sha256.Size]byte
	for b := range leaves {
		newLeaf().Sum(leaves[b][:0])
	}
	for _, b := range buckets {
		leaves[b.Bucket] = b.Leaf
	}
	m.Digest = merkleRoot(leaves)
	moments, err := ope.Merge(l, partials(buckets, nil))
	if err != nil {
		return m, m.Estimate.refuse(err)
	}
	spec, err := plan.spec(ope.OutcomeRevenue)
	if err != nil {
		return nil, err
	}
	if m.Estimate.Result, err = moments.Estimate(spec); err != nil {
		return m, m.Estimate.refuse(err)
	}
	m.Estimate.Moments = moments.Digests()
	if plan.Reward.CapMinor != nil {
		spec.Outcome = ope.OutcomeUncapped
		plain, err := moments.Estimate(spec)
		if err != nil {
			return m, m.Estimate.refuse(err)
		}
		m.Estimate.Uncapped = &plain
	}
	return m, m.placebo(moments)
}

// placebo runs the estimator on pre-period revenue where the plan has it.
func (m *Measurement) placebo(moments *ope.Moments) error {
	for j, name := range m.plan.Features {
		if name != FeaturePreRevenue {
			continue
		}
		spec, err := m.plan.spec(j)
		if err != nil {
			return err
		}
		r, err := moments.Estimate(spec)
		if err != nil {
			return m.Estimate.refuse(err)
		}
		m.Estimate.Placebo = &r
	}
	return nil
}

// spec is what the estimator is asked for: the outcome and the columns that explain it.
// The placebo's model leaves out what is derived from its outcome.
func (p Plan) spec(outcome int) (ope.Spec, error) {
	lambda, err := decimalIn("lambda", p.Lambda, "1000000", false)
	if err != nil {
		return ope.Spec{}, err
	}
	s := ope.Spec{Outcome: outcome, Lambda: lambda.InexactFloat64()}
	for j, name := range p.Features {
		if outcome < 0 || !strings.HasPrefix(name, FeaturePreRevenue) {
			s.Features = append(s.Features, j)
		}
	}
	return s, nil
}

// Top looks for the unit with the largest score in the buckets from up to to.
func (m *Measurement) Top(src Source, from, to int) (ope.Top, error) {
	var top ope.Top
	if m.Estimate.Refused() {
		return top, nil
	}
	scorer := m.Estimate.Result.Scorer(m.layout)
	for u, err := range src(from, to) {
		if err != nil {
			return ope.Top{}, err
		}
		unit := u.Row.unit()
		top.Look(u.Bucket, unit.ID, scorer.Psi(&unit, ope.FoldOf(unit.ID, m.layout.Folds)))
	}
	return top, nil
}

// Complete adds the most favourable unit and the estimate without it to the estimate; it
// reads the one bucket again that holds the unit.
func (m *Measurement) Complete(top ope.Top, src Source) error {
	if m.Estimate.Refused() || !top.Found {
		return nil
	}
	rest, err := MomentsOf(m.layout, src, top.Bucket, top.Bucket+1, top.UnitID)
	if err != nil {
		return err
	}
	spec, err := m.plan.spec(ope.OutcomeRevenue)
	if err != nil {
		return err
	}
	m.Estimate.Result.Remove(top, spec, m.layout, partials(m.buckets, rest))
	return nil
}

// partials are the moments by bucket, with those of instead in the place of their own.
func partials(buckets, instead []BucketMoments) iter.Seq2[int, *ope.Partial] {
	return func(yield func(int, *ope.Partial) bool) {
		for _, b := range buckets {
			for _, other := range instead {
				if other.Bucket == b.Bucket {
					b = other
				}
			}
			if !yield(b.Bucket, b.Partial) {
				return
			}
		}
	}
}
