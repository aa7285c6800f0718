package ope_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/ope"
)

// byBucket puts units into canonical order, one slice a bucket.
func byBucket(units []ope.Unit) map[int][]ope.Unit {
	out := map[int][]ope.Unit{}
	sorted := slices.Clone(units)
	slices.SortFunc(sorted, func(a, b ope.Unit) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	for _, u := range sorted {
		b := int(ope.BucketOf(u.ID))
		out[b] = append(out[b], u)
	}
	return out
}

// streamed estimates as workers on several machines would: each partition makes the
// moments of its buckets and hands their bytes over, in any order.
func streamed(t require.TestingT, units []ope.Unit, l ope.Layout, partitions int, rng *rand.Rand) *ope.Moments {
	buckets, left := byBucket(units), map[int][]byte{}
	for _, part := range rng.Perm(partitions) {
		for b := part; b < ope.Buckets; b += partitions {
			if len(buckets[b]) == 0 {
				continue
			}
			a, err := ope.NewAccumulator(l)
			require.NoError(t, err)
			for i := range buckets[b] {
				u := buckets[b][i]
				require.NoError(t, a.Add(&u, ope.FoldOf(u.ID, l.Folds)))
			}
			left[b] = a.Close().Bytes()
		}
	}
	m, err := ope.Merge(l, parsed(t, l, left))
	require.NoError(t, err)
	return m
}

func parsed(t require.TestingT, l ope.Layout, left map[int][]byte) iter.Seq2[int, *ope.Partial] {
	return func(yield func(int, *ope.Partial) bool) {
		for b := range ope.Buckets {
			raw, ok := left[b]
			if !ok {
				continue
			}
			p, err := ope.ParsePartial(l, raw)
			require.NoError(t, err)
			if !yield(b, p) {
				return
			}
		}
	}
}

// TestStreamedInPartitionsGivesTheBitsOfTheTable: 1, 7 and 64 partitions, whose moments
// travel as bytes, give the numbers that the whole table gives, to the last bit.
func TestStreamedInPartitionsGivesTheBitsOfTheTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := world{n: rapid.IntRange(60, 900).Draw(rt, "n"), d: rapid.IntRange(0, 4).Draw(rt, "d"), h: 0.3, payers: 0.4, lift: 100,
			seed: rapid.Uint64Range(1, 1<<40).Draw(rt, "seed")}
		units := w.units()
		if rapid.Bool().Draw(rt, "own probabilities") {
			for i := range units {
				units[i].P = 0.1 + float64(i%7)/20
			}
		}
		capMinor := rapid.SampledFrom([]int64{0, 2500}).Draw(rt, "cap")
		table, err := ope.NewTable(units, w.d, 5)
		require.NoError(rt, err)
		pass, err := table.Pass(capMinor, 3)
		require.NoError(rt, err)
		specs := []ope.Spec{{Outcome: ope.OutcomeRevenue, Features: pass.Layout().AllFeatures(), Lambda: lambda},
			{Outcome: ope.OutcomeUncapped, Features: pass.Layout().AllFeatures(), Lambda: lambda}}
		for _, partitions := range []int{1, 7, 64} {
			m := streamed(rt, units, pass.Layout(), partitions, rand.New(rand.NewPCG(w.seed, uint64(partitions))))
			require.Equal(rt, pass.Moments().Digests(), m.Digests())
			for _, s := range specs {
				want, err := pass.Moments().Estimate(s)
				require.NoError(rt, err)
				got, err := m.Estimate(s)
				require.NoError(rt, err)
				require.Empty(rt, cmp.Diff(want, got), "%d partitions", partitions)
			}
		}
	})
}

// TestCapIsTheEstimateOfCappedOutcomes: one pass carries both outcomes.
func TestCapIsTheEstimateOfCappedOutcomes(t *testing.T) {
	t.Parallel()
	const capMinor = 2500
	units := world{n: 900, d: 2, h: 0.3, payers: 0.4, lift: 100, seed: 4}.units()
	table, err := ope.NewTable(units, 2, 5)
	require.NoError(t, err)
	pass, err := table.Pass(capMinor, 1)
	require.NoError(t, err)
	uncapped, err := pass.Moments().Estimate(ope.Spec{Outcome: ope.OutcomeUncapped, Features: []int{0, 1}, Lambda: lambda})
	require.NoError(t, err)
	requireClose(t, units, uncapped)
	capped, err := pass.Moments().Estimate(ope.Spec{Outcome: ope.OutcomeRevenue, Features: []int{0, 1}, Lambda: lambda})
	require.NoError(t, err)
	for i := range units {
		units[i].Y = min(units[i].Y, capMinor)
	}
	requireClose(t, units, capped)
}

func requireClose(t *testing.T, units []ope.Unit, got ope.Result) {
	t.Helper()
	want, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
	require.Equal(t, want.Observed, got.Observed)
	require.InEpsilon(t, want.T, got.T, 1e-9)
	require.InEpsilon(t, want.SE, got.SE, 1e-9)
}

func TestStreamRefusesWhatATableRefuses(t *testing.T) {
	t.Parallel()
	l, err := ope.NewLayout(1, 5, 0, 0.25, []ope.Unit{{ID: "a", P: 0.25, X: []float64{1}}})
	require.NoError(t, err)
	good := ope.Unit{ID: "m", P: 0.25, Y: 100, X: []float64{1}}
	for _, c := range []struct {
		name, code, column string
		change             func(u *ope.Unit)
		fold               int
	}{
		{"the same unit", ope.RefusedDuplicate, "unit_id", func(*ope.Unit) {}, 0},
		{"an earlier unit", ope.RefusedOrder, "unit_id", func(u *ope.Unit) { u.ID = "b" }, 0},
		{"another probability", ope.RefusedOverlap, "probability", func(u *ope.Unit) { u.ID, u.P = "n", 0.5 }, 0},
		{"a fold that is not there", ope.RefusedOptions, "fold", func(u *ope.Unit) { u.ID = "n" }, 5},
		{"no feature", ope.RefusedFeatures, "x", func(u *ope.Unit) { u.ID, u.X = "n", nil }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := ope.NewAccumulator(l)
			require.NoError(t, err)
			require.NoError(t, a.Add(&good, 0))
			u := good
			c.change(&u)
			err = a.Add(&u, c.fold)
			var r *ope.Refusal
			require.ErrorAs(t, err, &r)
			require.Equal(t, c.code, r.Code)
			require.Equal(t, c.column, r.Column)
			require.Equal(t, 1, r.Row)
		})
	}
}

func TestMomentsOfAnotherLayoutOrOrderAreRefused(t *testing.T) {
	t.Parallel()
	layout := func(level int64) ope.Layout {
		l, err := ope.NewLayout(0, 5, 0, 0.25, []ope.Unit{{ID: "a", P: 0.25, Y: level}})
		require.NoError(t, err)
		return l
	}
	part := func(l ope.Layout) *ope.Partial {
		a, err := ope.NewAccumulator(l)
		require.NoError(t, err)
		return a.Close()
	}
	l := layout(1)
	for name, seq := range map[string]iter.Seq2[int, *ope.Partial]{
		"twice":          func(yield func(int, *ope.Partial) bool) { _ = yield(4, part(l)) && yield(3+1, part(l)) },
		"descending":     func(yield func(int, *ope.Partial) bool) { _ = yield(3, part(l)) && yield(2, part(l)) },
		"beyond":         func(yield func(int, *ope.Partial) bool) { yield(ope.Buckets, part(l)) },
		"another layout": func(yield func(int, *ope.Partial) bool) { yield(0, part(layout(2))) },
	} {
		_, err := ope.Merge(l, seq)
		var r *ope.Refusal
		require.ErrorAs(t, err, &r, name)
		require.Equal(t, ope.RefusedOrder, r.Code, name)
	}
	raw := part(l).Bytes()
	for _, bad := range [][]byte{nil, raw[1:], append([]byte{'x'}, raw[1:]...), append(slices.Clone(raw), 0)} {
		_, err := ope.ParsePartial(l, bad)
		require.Error(t, err)
	}
	_, err := ope.ParsePartial(l, raw)
	require.NoError(t, err)
}

// TestABoundFromRoundingIsRefused: features that explain the outcome to the last digit
// leave a standard error of rounding, which would make the point estimate the bound.
func TestABoundFromRoundingIsRefused(t *testing.T) {
	t.Parallel()
	units := world{n: 800, d: 1, h: 0.3, payers: 0.5, seed: 8}.units()
	for i := range units {
		units[i].Y = int64(i) * 7919
		units[i].X[0] = float64(units[i].Y)
	}
	_, err := ope.Estimate(units, 1, 5, ope.Options{Lambda: 0})
	var r *ope.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, ope.RefusedPrecision, r.Code)
	_, err = ope.Estimate(units, 1, 5, ope.Options{Lambda: lambda}) // the default penalty leaves a residual
	require.NoError(t, err)
	for i := range units {
		units[i].Y = 4200
	}
	flat, err := ope.Estimate(units, 1, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err, "an outcome that never varies has no error and no lift")
	require.Zero(t, flat.T)
	require.Zero(t, flat.SE)
}
