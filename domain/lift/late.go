package lift

import (
	"iter"
	"sort"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope"
)

// Late is a money event that the settlement of its contract year could not see: it
// happened, or became known, afterwards.
type Late struct {
	Key string
	// UnitID is empty where the customer belongs to no known unit.
	UnitID string
	// AmountMinor is positive for cash, negative for a refund or a dispute.
	AmountMinor int64
	At          time.Time
	// PaidAt is when the payment was made that the event takes from or gives back to; of a
	// payment itself it is At.
	PaidAt     time.Time
	OwnInvoice bool
}

// LatePlace is the snapshot of the settled year that a late event belongs to; empty when
// it belongs to none of them, with the bucket that says why.
type LatePlace struct {
	Key        string
	UnitID     string
	SnapshotID string
	Bucket     Bucket
}

// PlaceLate finds what late events change of a settled year. exposures are the year's as its
// settlement read them; later are those of later years that are measured, the first of which
// may lie in the run-off. Where no later year is measured there are none.
//
// An event belongs to its payment: where the year attributed the payment to a snapshot, by
// Join's rule, what comes of it later belongs to that snapshot too, however much later it
// comes. But once a unit has been decided about again in a later year, what it pays or gets
// back from then on is that year's, whose own measurement nets it: no cent counts twice.
func PlaceLate(plan Plan, exposures, later []Exposure, links []Link, late []Late) ([]LatePlace, error) {
	where, err := arrange(plan, exposures, links)
	if err != nil {
		return nil, err
	}
	merged := &where.merged
	cuts := cutsOf(later, merged)
	out := make([]LatePlace, len(late))
	seen := make(map[string]bool, len(late))
	for i := range late {
		l := &late[i]
		if l.Key == "" || seen[l.Key] {
			return nil, fault.New(fault.Conflict, "revenue_key_repeated", "late event %d has the key %q, which is empty or was seen before", i, l.Key).On("key")
		}
		seen[l.Key] = true
		out[i] = LatePlace{Key: l.Key, UnitID: merged.root(l.UnitID)}
		if cut, again := cuts[out[i].UnitID]; again && !l.OwnInvoice && l.UnitID != "" && !l.At.Before(cut) {
			out[i].Bucket = BucketNextYear
			continue
		}
		at := where.of(out[i].UnitID, &Revenue{UnitID: l.UnitID, At: l.PaidAt, OwnInvoice: l.OwnInvoice})
		out[i].SnapshotID, out[i].Bucket = at.snapshot, at.bucket
	}
	return out, nil
}

// Amended is a frozen table whose revenue has changed: the same units, arms, weights and
// features, and another y for those in change.
func Amended(src Source, change map[string]int64) Source {
	return func(from, to int) iter.Seq2[PlacedUnit, error] {
		return func(yield func(PlacedUnit, error) bool) {
			for u, err := range src(from, to) {
				if d := int64(0); err == nil {
					if d = change[u.Row.UnitID]; d != 0 {
						r := *u.Row
						y, ok := addMinor(r.YMinor, d)
						if !ok {
							yield(PlacedUnit{}, overflow())
							return
						}
						r.YMinor = y
						u.Row = &r
					}
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
}

// Remeasured measures one frozen table again and again while its revenue changes. Only the
// buckets of units that changed are read again.
type Remeasured struct {
	snapshot string
	plan     Plan
	layout   ope.Layout
	src      Source
	buckets  map[int]BucketMoments
	change   map[string]int64
}

// NewRemeasured reads a frozen table once and checks that it still has its digest.
func NewRemeasured(snapshotID string, plan Plan, l ope.Layout, src Source, digest string) (*Remeasured, error) {
	r := &Remeasured{snapshot: snapshotID, plan: plan, layout: l, src: src, buckets: map[int]BucketMoments{}, change: map[string]int64{}}
	moments, err := MomentsOf(l, src, 0, ope.Buckets, "")
	if err != nil {
		return nil, err
	}
	for _, m := range moments {
		r.buckets[m.Bucket] = m
	}
	m, err := r.moments()
	if err != nil {
		return nil, err
	}
	if m.Digest != digest {
		return nil, fault.New(fault.Conflict, "unit_table_changed", "the frozen unit table of %s does not have its digest any more", snapshotID)
	}
	return r, nil
}

// Change adds to the revenue of units. A unit that the table does not have is a Conflict.
func (r *Remeasured) Change(by map[string]int64) error {
	touched := map[int]bool{}
	for id, minor := range by {
		sum, ok := addMinor(r.change[id], minor)
		if !ok {
			return overflow()
		}
		r.change[id] = sum
		touched[int(ope.BucketOf(id))] = true
	}
	found := 0
	amended := Amended(func(from, to int) iter.Seq2[PlacedUnit, error] {
		return func(yield func(PlacedUnit, error) bool) {
			for u, err := range r.src(from, to) {
				if err == nil && by[u.Row.UnitID] != 0 {
					found++
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}, r.change)
	wanted := 0
	for _, minor := range by {
		if minor != 0 {
			wanted++
		}
	}
	for b := range touched {
		m, err := MomentsOf(r.layout, amended, b, b+1, "")
		if err != nil {
			return err
		}
		if len(m) > 0 {
			r.buckets[b] = m[0]
		}
	}
	if found != wanted {
		return fault.New(fault.Conflict, "unit_missing", "the frozen unit table of %s has %d of %d units whose revenue changed", r.snapshot, found, wanted)
	}
	return nil
}

func (r *Remeasured) moments() (*Measurement, error) {
	ordered := make([]BucketMoments, 0, len(r.buckets))
	for _, m := range r.buckets {
		ordered = append(ordered, m)
	}
	sort.Slice(ordered, func(a, b int) bool { return ordered[a].Bucket < ordered[b].Bucket })
	return MeasureMoments(r.snapshot, r.plan, r.layout, ordered)
}

// PointMinor is the lift with what changed so far, rounded down as it is billed; ok is
// false where there is no estimate.
func (r *Remeasured) PointMinor() (point int64, ok bool, err error) {
	m, err := r.moments()
	if err != nil || m.Estimate.Refused() {
		return 0, false, err
	}
	point, _, err = FloorMinor(m.Estimate.Result.T)
	return point, err == nil, err
}

// Measure is the whole estimate with what changed so far, and the digest of the table.
func (r *Remeasured) Measure() (Estimate, string, error) {
	m, err := r.moments()
	if err != nil {
		return Estimate{}, "", err
	}
	src := Amended(r.src, r.change)
	top, err := m.Top(src, 0, ope.Buckets)
	if err != nil {
		return Estimate{}, "", err
	}
	if err := m.Complete(top, src); err != nil {
		return Estimate{}, "", err
	}
	return m.Estimate, m.Digest, nil
}
