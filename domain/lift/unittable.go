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
	// BaselineProb is the known probability of the baseline, in (0,1).
	BaselineProb float64
	// YMinor is the net revenue in minor units, uncapped.
	YMinor int64
	// Features are frozen at the first exposure.
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

// tables builds the table of every snapshot and the pooled one.
func tables(plan Plan, h float64, units map[string]*unitHistory, ids []string) ([]UnitTable, UnitTable, error) {
	bySnapshot := map[string][]UnitRow{}
	var names []string
	pooled := make([]UnitRow, 0, len(ids))
	for _, id := range ids {
		u := units[id]
		first := &u.exposures[0]
		all := row(first, first.Arm, h)
		for i := range u.exposures {
			e := &u.exposures[i]
			if u.firstOf[e.SnapshotID] != i {
				continue
			}
			if _, ok := bySnapshot[e.SnapshotID]; !ok {
				names = append(names, e.SnapshotID)
			}
			// A unit keeps the arm of its first exposure (intention to treat).
			r := row(e, first.Arm, h)
			r.YMinor = u.revenue[e.SnapshotID]
			sum, ok := addMinor(all.YMinor, r.YMinor)
			if !ok {
				return nil, UnitTable{}, overflow()
			}
			all.YMinor = sum
			bySnapshot[e.SnapshotID] = append(bySnapshot[e.SnapshotID], r)
		}
		pooled = append(pooled, all)
	}
	sort.Strings(names)
	out := make([]UnitTable, len(names))
	for i, name := range names {
		t, err := NewUnitTable(name, plan.Features, bySnapshot[name])
		if err != nil {
			return nil, UnitTable{}, err
		}
		out[i] = t
	}
	all, err := NewUnitTable(SnapshotPooled, plan.Features, pooled)
	return out, all, err
}

func row(e *Exposure, arm Arm, h float64) UnitRow {
	p := e.ArmProb
	if p == 0 {
		p = h
	}
	return UnitRow{UnitID: e.UnitID, Arm: arm, BaselineProb: p, Features: append([]float64{}, e.Features...), FirstExposure: e.At}
}
