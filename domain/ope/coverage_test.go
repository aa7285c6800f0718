package ope_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope"
)

// TestOverbilling runs many worlds without lift and counts how often the 5 %
// bound lies above it. With the maximum of the variances this must stay under
// the 99.9 % quantile of a binomial with 5 %; the cluster-robust variance alone
// must not, which shows that the test can fail.
func TestOverbilling(t *testing.T) {
	t.Parallel()
	const runs, z = 400, 1.644854
	const most = 35 // Binomial(400, 0.05): P(X > 35) < 0.1 %
	over, control, bias, square := 0, 0, 0.0, 0.0
	for seed := range uint64(runs) {
		w := world{n: 2000, d: 1, h: 0.1, payers: 0.033, seed: seed + 1}
		r, err := ope.Estimate(w.units(), w.d, 5, ope.Options{Lambda: lambda})
		require.NoError(t, err)
		if r.LowerBound(z) > 0 {
			over++
		}
		if r.T-z*math.Sqrt(r.VCR) > 0 {
			control++
		}
		bias += r.T / runs
		square += r.T * r.T / runs
	}
	t.Logf("overbilled: max variance %d, cluster-robust variance %d of %d", over, control, runs)
	require.LessOrEqual(t, over, most)
	require.Greater(t, control, most)
	require.LessOrEqual(t, math.Abs(bias)/math.Sqrt(square), 3.3/math.Sqrt(runs))
}

// TestLiftIsFound: with a true lift the estimate is centred on it.
func TestLiftIsFound(t *testing.T) {
	t.Parallel()
	const runs = 100
	sum := 0.0
	for seed := range uint64(runs) {
		w := world{n: 2000, d: 2, h: 0.3, payers: 0.3, lift: 800, seed: seed + 1}
		units := w.units()
		r, err := ope.Estimate(units, w.d, 5, ope.Options{Lambda: lambda})
		require.NoError(t, err)
		sum += (r.T - w.truth(units)) / r.SE
	}
	require.Less(t, math.Abs(sum/runs), 3.3/math.Sqrt(runs))
}

func BenchmarkEstimate(b *testing.B) {
	units := world{n: 10_800, d: 6, h: 0.2, payers: 0.3, seed: 5}.units()
	table, err := ope.NewTable(units, 6, 5)
	require.NoError(b, err)
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			_, _ = ope.NewTable(units, 6, 5)
		}
	})
	b.Run("estimate", func(b *testing.B) {
		for b.Loop() {
			_, _ = table.Estimate(ope.Options{Lambda: lambda})
		}
	})
	b.Run("with-rerun-without-top", func(b *testing.B) {
		for b.Loop() {
			_, _ = table.Estimate(ope.Options{Lambda: lambda, WithoutTop: true})
		}
	})
}
