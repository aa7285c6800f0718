//go:build cases

package tabular_test

import (
	"compress/gzip"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// TestSharedCoverage evaluates 400 logs from one known population: every lift and
// error is the reference's, and so is the share of intervals that cover the truth.
func TestSharedCoverage(t *testing.T) {
	t.Parallel()
	var doc struct {
		Strata []struct {
			Pi, Base []float64
			QHat     []float64 `json:"q_hat"`
		} `json:"strata"`
		Truth struct {
			Lift float64 `json:"lift"`
		} `json:"population_truth"`
		TwoSided float64 `json:"reference_two_sided_coverage"`
		OneSided float64 `json:"reference_one_sided_lower_coverage"`
		Reps     []struct {
			Lift   float64 `json:"lift_dr"`
			SE     float64 `json:"se_ddof1"`
			Covers bool    `json:"ci95_covers_truth"`
			Lower  float64 `json:"lower95_one_sided"`
		} `json:"reps"`
	}
	readJSON(t, filepath.Join(casesDir(t), "s30_coverage.json"), &doc)
	f, err := os.Open(filepath.Join(casesDir(t), "s30_coverage.csv.gz"))
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // it was only read
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	rows, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	logs := make([]*evaluate.Log, len(doc.Reps))
	for i := range logs {
		logs[i], err = evaluate.NewLog(2)
		require.NoError(t, err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		require.NoError(t, err)
		return v
	}
	for _, r := range rows[1:] {
		s := doc.Strata[int(number(r[2]))]
		require.NoError(t, logs[int(number(r[0]))].Add(evaluate.Decision{UnitID: "u" + r[1], Action: int(number(r[3])), Reward: number(r[4]),
			Propensity: number(r[5]), Policy: s.Pi, Baseline: s.Base, Predicted: s.QHat}))
	}
	two, one := 0, 0
	for i, want := range doc.Reps {
		report, err := logs[i].Evaluate(evaluate.DefaultParams())
		require.NoError(t, err)
		e := report.Lift.Estimators[evaluate.DR]
		float := func(n evaluate.Number) float64 {
			v, ok := n.Float()
			require.True(t, ok)
			return v
		}
		require.InEpsilon(t, want.Lift, float(e.Value), 1e-9)
		require.InEpsilon(t, want.SE, float(e.SE1), 1e-9)
		require.InEpsilon(t, want.Lower, float(e.NormalRow.Lower), 1e-9)
		covers := float(e.NormalRow.CI95[0]) <= doc.Truth.Lift && doc.Truth.Lift <= float(e.NormalRow.CI95[1])
		require.Equal(t, want.Covers, covers)
		if covers {
			two++
		}
		if float(e.NormalRow.Lower) <= doc.Truth.Lift {
			one++
		}
	}
	n := float64(len(doc.Reps))
	require.InDelta(t, doc.TwoSided, float64(two)/n, 1e-12)
	require.InDelta(t, doc.OneSided, float64(one)/n, 1e-12)
}
