package lift_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// population is a unit table with a pre-period feature and one that says nothing.
func population(t require.TestingT, n int, seed uint64) lift.UnitTable {
	rng := rand.New(rand.NewPCG(seed, 9))
	rows := make([]lift.UnitRow, n)
	for i := range rows {
		pre := float64(rng.IntN(4) * 1000)
		r := lift.UnitRow{UnitID: fmt.Sprintf("unit-%d-%05d", seed, i), Arm: lift.ArmPolicy, BaselineProb: 0.4, Features: []float64{pre, rng.Float64()}}
		if rng.Float64() < 0.4 {
			r.Arm = lift.ArmHoldout
		}
		if rng.Float64() < 0.4 {
			r.YMinor = int64(pre) + int64(rng.IntN(2000))
		}
		rows[i] = r
	}
	table, err := lift.NewUnitTable("snap-a", []string{"pre_revenue", "noise"}, rows)
	require.NoError(t, err)
	return table
}

// TestAStreamMeasuresWhatTheTableMeasures: cut into any ranges of buckets, read in any
// order, a table gives the estimate, the digest and the top unit that it gives in memory.
func TestAStreamMeasuresWhatTheTableMeasures(t *testing.T) {
	t.Parallel()
	p := sealed(t).Plan()
	capMinor := int64(2500)
	for _, limit := range []*int64{nil, &capMinor} {
		p.Reward.CapMinor = limit
		table := population(t, 2500, 3)
		want, err := lift.Measure(table, p, 2)
		require.NoError(t, err)
		require.NotNil(t, want.Result.WithoutTop)
		require.NotNil(t, want.Placebo)
		l, err := table.Layout(p)
		require.NoError(t, err)
		for _, width := range []int{256, 37, 4} {
			parts := map[int][]lift.BucketMoments{}
			for _, i := range rand.New(rand.NewPCG(5, uint64(width))).Perm((ope.Buckets + width - 1) / width) {
				parts[i], err = lift.MomentsOf(l, table.Stream(), i*width, (i+1)*width, "")
				require.NoError(t, err)
			}
			var buckets []lift.BucketMoments
			for i := range len(parts) {
				buckets = append(buckets, parts[i]...)
			}
			m, err := lift.MeasureMoments(table.SnapshotID, p, l, buckets)
			require.NoError(t, err)
			require.Equal(t, table.Digest(), m.Digest)
			var top ope.Top
			for from := 0; from < ope.Buckets; from += width {
				part, err := m.Top(table.Stream(), from, from+width)
				require.NoError(t, err)
				top.Merge(part)
			}
			require.NoError(t, m.Complete(top, table.Stream()))
			require.Empty(t, cmp.Diff(want, m.Estimate))
		}
	}
}

// TestAStreamThatFailsIsNoRefusal: what the database cannot say now is an error to try
// again, not a reason to withhold.
func TestAStreamThatFailsIsNoRefusal(t *testing.T) {
	t.Parallel()
	table := population(t, 300, 4)
	l, err := table.Layout(sealed(t).Plan())
	require.NoError(t, err)
	gone := errors.New("connection lost")
	broken := func(from, to int) iter.Seq2[lift.PlacedUnit, error] {
		return func(yield func(lift.PlacedUnit, error) bool) {
			n := 0
			for u, err := range table.Stream()(from, to) {
				if n++; n > 100 {
					yield(lift.PlacedUnit{}, gone)
					return
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
	_, err = lift.MomentsOf(l, broken, 0, ope.Buckets, "")
	require.ErrorIs(t, err, gone)
}
