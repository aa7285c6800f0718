package ope_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/ope"
)

const lambda = 1e-3

// TestRecordedBits holds the estimator to bits that it produced when it was
// first right; they must be the same on every architecture.
func TestRecordedBits(t *testing.T) {
	t.Parallel()
	units := recordedUnits()
	requireBits(t, recorded, units)
	for i := range units { // as exploration gives each unit a probability of its own
		units[i].P = float64(8+i%5) / 32
	}
	requireBits(t, recordedOwn, units)
}

func requireBits(t *testing.T, recorded map[string]string, units []ope.Unit) {
	t.Helper()
	r, err := ope.Estimate(units, 3, 5, ope.Options{Lambda: lambda, WithoutTop: true})
	require.NoError(t, err)
	bits := func(f float64) string { return strconv.FormatFloat(f, 'x', -1, 64) }
	got := map[string]string{
		"T": bits(r.T), "V_cr": bits(r.VCR), "V_b": bits(r.VB), "V_0": bits(r.V0), "SE": bits(r.SE), "W": bits(r.W), "R": bits(r.R),
		"beta_00": bits(r.Models[0].Intercept), "beta_01": bits(r.Models[0].Coef[0]), "top": r.TopUnit, "top_psi": bits(r.TopPsi),
		"T_without_top": bits(r.WithoutTop.T), "SE_without_top": bits(r.WithoutTop.SE), "observed": strconv.FormatInt(r.Observed, 10),
		"ESS": bits(r.ESS), "cal_z": bits(r.CalibrationZ), "srm_z": bits(r.SRMZ),
	}
	for name, v := range got {
		t.Logf("bits of recorded %s: %s", name, v) // what scripts/arm64.sh compares
	}
	if diff := cmp.Diff(recorded, got); diff != "" {
		t.Fatalf("the bits changed (-recorded +got):\n%s", diff)
	}
}

// recordedUnits is derived from integers only, so that no library can change it.
func recordedUnits() []ope.Unit {
	units := make([]ope.Unit, 400)
	state := uint64(20261001)
	next := func(mod uint64) int64 {
		state = state*6364136223846793005 + 1442695040888963407
		return int64((state >> 33) % mod)
	}
	for i := range units {
		pre := next(5) * 900
		u := ope.Unit{ID: fmt.Sprintf("acct_%04d", i), Holdout: next(4) == 0, P: 0.25}
		u.X = []float64{float64(pre), float64(next(2001)-1000) / 1024, 1}
		if next(3) == 0 {
			u.Y = pre + next(4000)
			if !u.Holdout {
				u.Y += 350
			}
		}
		units[i] = u
	}
	return units
}

func TestEveryPartitionAndOrderGivesTheSameBits(t *testing.T) {
	t.Parallel()
	units := world{n: 3000, d: 4, h: 0.2, payers: 0.3, lift: 100, seed: 7}.units()
	want, err := ope.Estimate(units, 4, 5, ope.Options{Lambda: lambda, WithoutTop: true})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, workers := range []int{0, 1, 2, 3, 7, 64, 256, 1000} {
		rng.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
		got, err := ope.Estimate(units, 4, 5, ope.Options{Lambda: lambda, Workers: workers, WithoutTop: true})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got), "workers %d", workers)
	}
}

// TestAgainstTextbook compares with a plain implementation that shares no code:
// centred features, Gaussian elimination, no buckets.
func TestAgainstTextbook(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := world{n: rapid.IntRange(80, 400).Draw(rt, "n"), d: rapid.IntRange(0, 5).Draw(rt, "d"), h: 0.3, payers: 0.5, lift: 200,
			seed: rapid.Uint64Range(1, 1<<40).Draw(rt, "seed")}
		units := w.units()
		if rapid.Bool().Draw(rt, "own probabilities") {
			for i := range units {
				units[i].P = 0.1 + float64(i%7)/20
			}
		}
		offset := rapid.SampledFrom([]float64{0, 1e3, 1.7e9}).Draw(rt, "offset")
		for i := range units {
			for j := range units[i].X {
				units[i].X[j] += offset
			}
		}
		got, err := ope.Estimate(units, w.d, 5, ope.Options{Lambda: lambda})
		require.NoError(rt, err)
		wantT, wantSE := textbook(units, w.d, 5)
		require.InDelta(rt, wantT, got.T, 1e-6*wantSE)
		require.InEpsilon(rt, wantSE, got.SE, 1e-6)
	})
}

// textbook is the estimator of the package documentation, written for reading.
func textbook(units []ope.Unit, d, folds int) (total, se float64) {
	n := float64(len(units))
	r := make([]float64, len(units))
	for k := range folds {
		var train []ope.Unit
		mean, meanY := make([]float64, d), 0.0
		for _, u := range units {
			if ope.FoldOf(u.ID, folds) != k {
				train = append(train, u)
				meanY += float64(u.Y)
				for j, x := range u.X {
					mean[j] += x
				}
			}
		}
		m := float64(len(train))
		meanY /= m
		a := make([][]float64, d)
		for j := range a {
			mean[j] /= m
			a[j] = make([]float64, d+1)
		}
		for _, u := range train {
			for i := range d {
				for j := range d {
					a[i][j] += (u.X[i] - mean[i]) * (u.X[j] - mean[j])
				}
				a[i][d] += (u.X[i] - mean[i]) * (float64(u.Y) - meanY)
			}
		}
		for i := range d {
			a[i][i] *= 1 + lambda // lambda n var_i = lambda * the centred sum of squares
		}
		beta := eliminate(a)
		for i, u := range units {
			if ope.FoldOf(u.ID, folds) == k {
				q := meanY
				for j, b := range beta {
					q += b * (u.X[j] - mean[j])
				}
				r[i] = float64(u.Y) - q
			}
		}
	}
	var w, wr, sumR float64
	for i, u := range units {
		sumR += r[i]
		if u.Holdout {
			w += 1 / u.P
			wr += r[i] / u.P
		}
	}
	level := wr / w
	total = sumR - n*level
	var vcr, vb, v0 float64
	for i, u := range units {
		wt := 0.0
		if u.Holdout {
			wt = n / (w * u.P)
		}
		dev := r[i] - level
		vcr += math.Pow((1-wt)*dev-total/n, 2) * n / (n - 1)
		vb += wt * (wt - 1) * dev * dev
		v0 += (1/u.P - 1) * math.Pow(r[i]-sumR/n, 2)
	}
	return total, math.Sqrt(max(vcr, vb, v0))
}

// eliminate solves a system by Gaussian elimination with pivoting.
func eliminate(a [][]float64) []float64 {
	n := len(a)
	for c := range n {
		p := c
		for i := c; i < n; i++ {
			if math.Abs(a[i][c]) > math.Abs(a[p][c]) {
				p = i
			}
		}
		a[c], a[p] = a[p], a[c]
		for i := c + 1; i < n; i++ {
			f := a[i][c] / a[c][c]
			for j := c; j <= n; j++ {
				a[i][j] -= f * a[c][j]
			}
		}
	}
	x := make([]float64, n)
	for i := n - 1; i >= 0; i-- {
		x[i] = a[i][n]
		for j := i + 1; j < n; j++ {
			x[i] -= a[i][j] * x[j]
		}
		x[i] /= a[i][i]
	}
	return x
}

func TestConstantFeatureIsLeftOut(t *testing.T) {
	t.Parallel()
	units := world{n: 500, d: 2, h: 0.3, payers: 0.5, seed: 3}.units()
	plain, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
	for i := range units {
		units[i].X = append(units[i].X, 0.1) // not a binary fraction: differences of sums would not be 0
	}
	got, err := ope.Estimate(units, 3, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
	require.Equal(t, math.Float64bits(plain.T), math.Float64bits(got.T))
	require.Equal(t, math.Float64bits(plain.SE), math.Float64bits(got.SE))
	for _, m := range got.Models {
		require.Zero(t, m.Coef[2])
	}
}

func TestWithoutTopIsARerunWithoutTheUnit(t *testing.T) {
	t.Parallel()
	units := world{n: 600, d: 2, h: 0.3, payers: 0.5, seed: 11}.units()
	r, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: lambda, WithoutTop: true})
	require.NoError(t, err)
	var rest []ope.Unit
	for _, u := range units {
		if u.ID != r.TopUnit {
			rest = append(rest, u)
		}
	}
	want, err := ope.Estimate(rest, 2, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
	require.InEpsilon(t, want.T, r.WithoutTop.T, 1e-9) // the centre stays that of all units
	require.InEpsilon(t, want.SE, r.WithoutTop.SE, 1e-9)
}

func TestPlaceboUsesTheFeatureAsOutcome(t *testing.T) {
	t.Parallel()
	units := world{n: 600, d: 3, h: 0.3, payers: 0.5, seed: 12}.units()
	for i := range units {
		units[i].X[1] = float64(i % 97)
	}
	table, err := ope.NewTable(units, 3, 5)
	require.NoError(t, err)
	pass, err := table.Pass(0, 1)
	require.NoError(t, err)
	got, err := pass.Moments().Estimate(ope.Spec{Outcome: 1, Features: []int{2}, Lambda: lambda})
	require.NoError(t, err)
	for _, bad := range []ope.Spec{{Outcome: 3}, {Outcome: -3}, {Features: []int{3}}, {Features: []int{1, 1}}, {Outcome: 1, Features: []int{1}}} {
		_, err := pass.Moments().Estimate(bad)
		require.Error(t, err, "%+v", bad)
	}
	for i := range units {
		units[i].Y, units[i].X = int64(units[i].X[1]), []float64{units[i].X[2]}
	}
	want, err := ope.Estimate(units, 1, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
	require.InDelta(t, want.T, got.T, 1e-9*want.SE) // the centre of a feature is no integer
	require.InEpsilon(t, want.SE, got.SE, 1e-9)
	for k := range want.Models {
		require.InEpsilon(t, want.Models[k].Intercept, got.Models[k].Intercept, 1e-9)
	}
}

// FuzzEstimate: no input panics, no accepted input gives NaN or infinity, and
// two workers give the bits of one.
func FuzzEstimate(f *testing.F) {
	f.Add([]byte("seed"), 0.25, 1.0, int64(2900), 5)
	f.Add([]byte{0, 255, 3}, 1e-300, math.Inf(1), int64(math.MaxInt64), 64)
	f.Add([]byte{}, math.NaN(), 1e308, int64(-1), -3)
	f.Fuzz(func(t *testing.T, raw []byte, p, x float64, y int64, folds int) {
		units := make([]ope.Unit, 0, 40)
		for i := range 40 {
			b := byte(i)
			if len(raw) > 0 {
				b = raw[i%len(raw)]
			}
			units = append(units, ope.Unit{ID: hex.EncodeToString(raw) + strconv.Itoa(i), Holdout: b%2 == 0, P: p, Y: y >> (b % 64),
				X: []float64{x * float64(b), float64(b)}})
		}
		r, err := ope.Estimate(units, 2, folds, ope.Options{Lambda: lambda, WithoutTop: true})
		if err != nil {
			var refusal *ope.Refusal
			require.ErrorAs(t, err, &refusal)
			require.NotEmpty(t, refusal.Reason)
			return
		}
		for _, v := range []float64{r.T, r.SE, r.ESS, r.R, r.CalibrationZ, r.LowerBound(3)} {
			require.False(t, math.IsNaN(v) || math.IsInf(v, 0), "%v", r)
		}
		again, err := ope.Estimate(units, 2, folds, ope.Options{Lambda: lambda, WithoutTop: true, Workers: 2})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(r, again))
	})
}
