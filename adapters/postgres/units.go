package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// unitColumns are the columns of a frozen unit in the order of COPY and of the stream.
var unitColumns = []string{"cycle_id", "snapshot_id", "bucket", "unit_id", "holdout", "baseline_prob", "y_minor", "features", "first_exposure", "revision"}

// saveTable freezes one unit table with its inputs, in the caller's transaction.
func saveTable(ctx context.Context, tx pgx.Tx, cy measure.Cycle, t measure.Table) error {
	inputs, err := json.Marshal(t.Inputs)
	if err != nil {
		return err
	}
	evidence, err := json.Marshal(t.Evidence)
	if err != nil {
		return err
	}
	layout, err := lift.LayoutJSON(t.Layout)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO cycle_inputs (cycle_id, snapshot_id, inputs, evidence, layout) VALUES ($1, $2, $3, $4, $5)`,
		cy.ID, t.SnapshotID, string(inputs), string(evidence), string(layout))
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"cycle_units"}, unitColumns, pgx.CopyFromSlice(len(t.Rows), func(i int) ([]any, error) {
		r := &t.Rows[i]
		return []any{
			cy.ID, t.SnapshotID, int16(ope.BucketOf(r.UnitID)), r.UnitID, r.Arm == lift.ArmHoldout, r.BaselineProb,
			r.YMinor, r.Features, r.FirstExposure.UTC(), cy.Revision,
		}, nil
	}))
	return err
}

// Heads lists the frozen unit tables in the order of their snapshots, pooled last.
func (c *Cycles) Heads(ctx context.Context, cy measure.Cycle) ([]measure.Head, error) {
	var rows []struct{ SnapshotID, Inputs, Evidence, Layout string }
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT snapshot_id, inputs, evidence, layout FROM all_cycle_inputs WHERE cycle_id = ? AND revision = ? ORDER BY snapshot_id = ?, snapshot_id`,
		cy.ID, cy.Revision, lift.SnapshotPooled).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]measure.Head, len(rows))
	for i, r := range rows {
		out[i].SnapshotID = r.SnapshotID
		if err := json.Unmarshal([]byte(r.Inputs), &out[i].Inputs); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(r.Evidence), &out[i].Evidence); err != nil {
			return nil, err
		}
		if out[i].Layout, err = lift.ParseLayout([]byte(r.Layout), cy.Plan.Plan()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Units streams frozen units in the order of the primary key, which is the canonical
// one. One row is decoded into the same memory after another.
func (c *Cycles) Units(ctx context.Context, cy measure.Cycle, snapshotID string) lift.Source {
	return func(from, to int) iter.Seq2[lift.PlacedUnit, error] {
		return func(yield func(lift.PlacedUnit, error) bool) {
			stopped := errors.New("the reader has had enough")
			err := c.db.native(ctx, func(conn *pgx.Conn) error {
				rows, err := conn.Query(ctx, `SELECT bucket, unit_id, holdout, baseline_prob, y_minor, features FROM cycle_units
					WHERE cycle_id = $1 AND revision = $5 AND snapshot_id = $2 AND bucket >= $3 AND bucket < $4 ORDER BY bucket, unit_id`, cy.ID, snapshotID, from, to, cy.Revision)
				if err != nil {
					return err
				}
				defer rows.Close()
				var u lift.UnitRow
				for rows.Next() {
					bucket, err := decodeUnit(rows.RawValues(), &u)
					if err != nil {
						return err
					}
					if !yield(lift.PlacedUnit{Bucket: bucket, Row: &u}, nil) {
						return stopped
					}
				}
				return rows.Err()
			})
			if err != nil && !errors.Is(err, stopped) {
				yield(lift.PlacedUnit{}, err)
			}
		}
	}
}

// decodeUnit reads the binary columns of Units: the number of rows makes the driver's
// general decoding the larger part of the work.
func decodeUnit(raw [][]byte, u *lift.UnitRow) (bucket int, err error) {
	sizes := []int{2, -1, 1, 8, 8, -1}
	for i, want := range sizes {
		if want >= 0 && len(raw[i]) != want {
			return 0, fmt.Errorf("column %d of a frozen unit has %d bytes, not %d", i+1, len(raw[i]), want)
		}
	}
	u.UnitID, u.Arm = string(raw[1]), lift.ArmPolicy
	if raw[2][0] == 1 {
		u.Arm = lift.ArmHoldout
	}
	u.BaselineProb = math.Float64frombits(binary.BigEndian.Uint64(raw[3]))
	u.YMinor = int64(binary.BigEndian.Uint64(raw[4])) //nolint:gosec // the bits of a bigint
	u.Features, err = decodeFloats(raw[5], u.Features[:0])
	return int(binary.BigEndian.Uint16(raw[0])), err
}

// decodeFloats reads a binary float8[] of one dimension without NULLs: dimensions,
// flags, element type, length and lower bound, then each element behind its size.
func decodeFloats(raw []byte, out []float64) ([]float64, error) {
	const head, element = 20, 12
	if len(raw) == 12 && binary.BigEndian.Uint32(raw) == 0 {
		return out, nil // an empty array has no dimension
	}
	bad := fmt.Errorf("%d bytes are not an array of numbers", len(raw))
	if len(raw) < head || binary.BigEndian.Uint32(raw) != 1 || binary.BigEndian.Uint32(raw[4:]) != 0 {
		return nil, bad
	}
	n := int(binary.BigEndian.Uint32(raw[12:]))
	if len(raw) != head+n*element {
		return nil, bad
	}
	for i := range n {
		out = append(out, math.Float64frombits(binary.BigEndian.Uint64(raw[head+i*element+4:])))
	}
	return out, nil
}

// SaveMoments keeps the moments of a range; buckets without units are kept as empty ones.
func (c *Cycles) SaveMoments(ctx context.Context, cy measure.Cycle, snapshotID string, from, to int, m []lift.BucketMoments) error {
	kept := make(map[int]lift.BucketMoments, len(m))
	for _, b := range m {
		kept[b.Bucket] = b
	}
	return c.db.nativeTx(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for b := from; b < to; b++ {
			raw, leaf := []byte{}, make([]byte, 32)
			if k, ok := kept[b]; ok {
				raw, leaf = k.Partial.Bytes(), k.Leaf[:]
			}
			batch.Queue(`INSERT INTO cycle_moments (cycle_id, snapshot_id, bucket, leaf, moments, revision) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
				cy.ID, snapshotID, b, leaf, raw, cy.Revision)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
}

// Moments reads what SaveMoments kept.
func (c *Cycles) Moments(ctx context.Context, cy measure.Cycle, h measure.Head, from, to int) ([]lift.BucketMoments, bool, error) {
	var rows []struct {
		Bucket        int
		Leaf, Moments []byte
	}
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT bucket, leaf, moments FROM cycle_moments
		WHERE cycle_id = ? AND revision = ? AND snapshot_id = ? AND bucket >= ? AND bucket < ? ORDER BY bucket`, cy.ID, cy.Revision, h.SnapshotID, from, to).Scan(&rows).Error
	if err != nil || len(rows) < to-from {
		return nil, false, wrap(err)
	}
	var out []lift.BucketMoments
	for _, r := range rows {
		if len(r.Moments) == 0 {
			continue
		}
		p, err := ope.ParsePartial(h.Layout, r.Moments)
		if err != nil {
			return nil, false, fault.Wrap(err, fault.Internal, "moments_malformed", "the kept moments of a bucket cannot be read")
		}
		out = append(out, lift.BucketMoments{Bucket: r.Bucket, Partial: p, Leaf: [32]byte(r.Leaf)})
	}
	return out, true, nil
}
