package lift

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"sort"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope"
)

// UnitRow is one unit of one readout, contract year to date.
type UnitRow struct {
	UnitID string
	Arm    Arm
	// BaselineProb is the known probability of the baseline, in (0,1): h with a
	// holdout, the product over the unit's decisions with per-decision randomisation
	// (Arm is then holdout where all of them chose the baseline).
	BaselineProb float64
	// YMinor is the net revenue in minor units, uncapped.
	YMinor int64
	// Features are frozen at the unit's first exposure to any snapshot.
	Features []float64
	// FirstExposure is the first exposure to the snapshot (pooled: to any).
	FirstExposure time.Time
}

// UnitTable holds the units of one readout, ascending by (bucket, unit id).
type UnitTable struct {
	SnapshotID string
	// Features names the columns.
	Features []string
	Rows     []UnitRow
}

// NewUnitTable puts rows into canonical order and refuses a unit that appears twice.
func NewUnitTable(snapshotID string, features []string, rows []UnitRow) (UnitTable, error) {
	keys := make([]int, len(rows))
	order := make([]int, len(rows))
	for i := range rows {
		keys[i], order[i] = int(ope.BucketOf(rows[i].UnitID)), i
	}
	sort.Slice(order, func(a, b int) bool {
		i, j := order[a], order[b]
		if keys[i] != keys[j] {
			return keys[i] < keys[j]
		}
		return rows[i].UnitID < rows[j].UnitID
	})
	t := UnitTable{SnapshotID: snapshotID, Features: append([]string{}, features...), Rows: make([]UnitRow, len(rows))}
	for pos, i := range order {
		t.Rows[pos] = rows[i]
		if pos > 0 && t.Rows[pos-1].UnitID == rows[i].UnitID {
			return UnitTable{}, fault.New(fault.Invalid, "unit_repeated", "unit %q appears twice in the table of %s", rows[i].UnitID, snapshotID)
		}
	}
	return t, nil
}

// SumMinor is the net revenue of all rows.
func (t UnitTable) SumMinor() int64 {
	var sum int64
	for i := range t.Rows {
		sum += t.Rows[i].YMinor
	}
	return sum
}

// Units is the table as the estimator reads it; capMinor, where set, caps the
// revenue of a unit from above.
func (t UnitTable) Units(capMinor *int64) []ope.Unit {
	out := make([]ope.Unit, len(t.Rows))
	for i := range t.Rows {
		out[i] = t.Rows[i].unit()
		if capMinor != nil {
			out[i].Y = min(out[i].Y, *capMinor)
		}
	}
	return out
}

// unit is the row as the estimator reads it, without a cap.
func (r *UnitRow) unit() ope.Unit {
	return ope.Unit{ID: r.UnitID, Holdout: r.Arm == ArmHoldout, P: r.BaselineProb, Y: r.YMinor, X: r.Features}
}

// Digest is the hex Merkle root over the 256 buckets of the table. A bucket's leaf is
// SHA256(0x00 rows), a node is SHA256(0x01 left right), and a row is, without anything
// between: the bytes of unit_id, 0x00, one byte 1 for the holdout and 0 otherwise, and
// then, each as eight bytes big-endian, y_minor (two's complement), the bits (IEEE 754)
// of the probability of the baseline and the bits of each feature in the plan's order.
func (t UnitTable) Digest() string {
	var leaves [ope.Buckets]hash.Hash
	for b := range leaves {
		leaves[b] = newLeaf()
	}
	var buf []byte
	for i := range t.Rows {
		buf = appendRow(buf[:0], &t.Rows[i])
		leaf := leaves[ope.BucketOf(t.Rows[i].UnitID)]
		leaf.Write(buf)
	}
	var level [ope.Buckets][sha256.Size]byte
	for b := range leaves {
		leaves[b].Sum(level[b][:0])
	}
	return merkleRoot(level)
}

// newLeaf begins the leaf of a bucket.
func newLeaf() hash.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	return h
}

func merkleRoot(level [ope.Buckets][sha256.Size]byte) string {
	for width := ope.Buckets; width > 1; width /= 2 {
		for i := range width / 2 {
			node := append([]byte{1}, level[2*i][:]...)
			level[i] = sha256.Sum256(append(node, level[2*i+1][:]...))
		}
	}
	return hex.EncodeToString(level[0][:])
}

func appendRow(buf []byte, r *UnitRow) []byte {
	held := byte(0)
	if r.Arm == ArmHoldout {
		held = 1
	}
	buf = append(append(buf, r.UnitID...), 0, held)
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.YMinor)) //nolint:gosec // the bits, whatever they mean
	buf = binary.BigEndian.AppendUint64(buf, math.Float64bits(r.BaselineProb))
	for _, x := range r.Features {
		buf = binary.BigEndian.AppendUint64(buf, math.Float64bits(x))
	}
	return buf
}

// tableBuilder makes the table of every snapshot and the pooled one, unit by unit.
type tableBuilder struct {
	perDecision bool
	h           float64
	window      time.Duration
	rows        map[string][]UnitRow
	balancers   map[string]*balancer
}

// add takes the next unit, ascending by id.
func (b *tableBuilder) add(id string, u *unitHistory) error {
	all := b.row(id, u, SnapshotPooled)
	for i := range u.exposures {
		s := u.exposures[i].SnapshotID
		if u.firstOf[s] != i {
			continue
		}
		r := b.row(id, u, s)
		r.YMinor = u.revenue[s]
		sum, ok := addMinor(all.YMinor, r.YMinor)
		if !ok {
			return overflow()
		}
		all.YMinor = sum
		b.rows[s] = append(b.rows[s], r)
		b.weigh(s, &r, u)
	}
	b.rows[SnapshotPooled] = append(b.rows[SnapshotPooled], all)
	b.weigh(SnapshotPooled, &all, u)
	return nil
}

// row is a unit's row without its revenue. A unit keeps the arm of its first
// exposure to any snapshot (intention to treat), and so its features are those of
// that exposure in every table: what is known at a later one may be an effect.
func (b *tableBuilder) row(id string, u *unitHistory, snapshot string) UnitRow {
	first, at := &u.exposures[0], u.exposures[0].At
	if i, ok := u.firstOf[snapshot]; ok {
		at = u.exposures[i].At
	}
	r := UnitRow{UnitID: id, Arm: first.Arm, BaselineProb: first.ArmProb, Features: append([]float64{}, first.Features...), FirstExposure: at}
	switch {
	case b.perDecision:
		t := u.trajectoryOf(snapshot, b.window)
		r.BaselineProb, r.Arm = t.prob, ArmPolicy
		if t.onBaseline {
			r.Arm = ArmHoldout
		}
	case r.BaselineProb == 0:
		r.BaselineProb = b.h
	}
	return r
}

// weigh shows the unit's decisions to the balance of a table: with a holdout the
// first one, for the others repeat the same draw; otherwise all of them.
func (b *tableBuilder) weigh(snapshot string, r *UnitRow, u *unitHistory) {
	bal := b.balancers[snapshot]
	if bal == nil {
		bal = newBalancer(b.perDecision)
		b.balancers[snapshot] = bal
	}
	bal.unit(r.BaselineProb)
	if !b.perDecision {
		bal.decide(&u.exposures[u.firstOf[snapshot]], draw{r.Arm == ArmHoldout, r.BaselineProb})
		return
	}
	for i := range u.exposures {
		e := &u.exposures[i]
		if snapshot == SnapshotPooled || e.SnapshotID == snapshot {
			p, chosen := e.onBaseline()
			bal.decide(e, draw{chosen, p})
		}
	}
}

// finish puts the tables into their order.
func (b *tableBuilder) finish(plan Plan, out *Joined) error {
	out.balance = map[string]Balance{}
	for name, bal := range b.balancers {
		out.balance[name] = bal.balance()
	}
	names := make([]string, 0, len(b.rows))
	for name := range b.rows {
		if name != SnapshotPooled {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		t, err := NewUnitTable(name, plan.Features, b.rows[name])
		if err != nil {
			return err
		}
		out.Tables = append(out.Tables, t)
	}
	var err error
	out.Pooled, err = NewUnitTable(SnapshotPooled, plan.Features, b.rows[SnapshotPooled])
	return err
}
