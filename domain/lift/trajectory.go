package lift

import "time"

// trajectory is the part of a unit's decisions that can move the revenue which a
// table counts, so that its weight is the ratio of the probabilities of that part.
type trajectory struct {
	// onBaseline is whether every decision chose the baseline's action: w is 1/prob
	// then and 0 otherwise.
	onBaseline bool
	// prob is the product over the decisions of the baseline's probability.
	prob float64
}

// trajectoryOf multiplies over the decisions up to the last one for the snapshot
// (pooled: for any) within its attribution window. What comes later cannot reach
// revenue of that table any more: such an event belongs to a later decision or to
// none. Earlier decisions for other snapshots count, because the comparison is of a
// stream of decisions with the baseline's stream.
func (u *unitHistory) trajectoryOf(snapshot string, window time.Duration) trajectory {
	last := 0
	for i := range u.exposures {
		e := &u.exposures[i]
		if snapshot != SnapshotPooled && e.SnapshotID != snapshot {
			continue
		}
		if !e.At.After(u.exposures[u.firstOf[e.SnapshotID]].At.Add(window)) {
			last = i
		}
	}
	t := trajectory{onBaseline: true, prob: 1}
	for i := range last + 1 {
		p, chosen := u.exposures[i].onBaseline()
		t.onBaseline = t.onBaseline && chosen
		t.prob = float64(t.prob * p)
	}
	return t
}
