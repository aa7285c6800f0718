package evaluate_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// TestSwitchKeepsTheLimit: a weight of exactly the limit still corrects.
func TestSwitchKeepsTheLimit(t *testing.T) {
	t.Parallel()
	r, err := hand(t).Evaluate(evaluate.Params{Clip: 2, Switch: 2, DRos: 1})
	require.NoError(t, err)
	require.Equal(t, r.Policy.Estimators[evaluate.DR], r.Policy.Estimators[evaluate.SwitchDR])
	require.Equal(t, r.Policy.Estimators[evaluate.DR], r.Policy.Estimators[evaluate.DRClip])
}

// TestIntervals: the scores of ipw are 8, 12, 0, 4 for the policy, mean 6, variance 80/3.
func TestIntervals(t *testing.T) {
	t.Parallel()
	r, err := hand(t).Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	e := r.Policy.Estimators[evaluate.IPW]
	se := math.Sqrt(80.0 / 12)
	require.InDelta(t, 6-1.959963984540054*se, float(t, e.Normal.CI95[0]), 1e-13)
	require.InDelta(t, 6+1.959963984540054*se, float(t, e.Normal.CI95[1]), 1e-13)
	require.InDelta(t, 6-1.6448536269514722*se, float(t, e.Normal.Lower), 1e-13)
	// Largest score 12, variance with divisor n 20, delta 0.05.
	require.InDelta(t, 6-7*12*math.Log(40)/9-math.Sqrt(2*math.Log(40)*20/3), float(t, e.Bernstein), 1e-13)
	require.InDelta(t, 6-12*math.Sqrt(math.Log(20)/8), float(t, e.Hoeffding), 1e-13)
}

// TestOneUnit: rows have an error, clusters have none, whatever rounding leaves.
func TestOneUnit(t *testing.T) {
	t.Parallel()
	log, err := evaluate.NewLog(2)
	require.NoError(t, err)
	for i := range 9 {
		require.NoError(t, log.Add(evaluate.Decision{UnitID: "only", Reward: float64(i) / 3, Propensity: 0.7,
			Policy: []float64{0.3, 0.7}, Baseline: []float64{0, 1}, Predicted: []float64{0.1, 0.2}}))
	}
	r, err := log.Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	for _, name := range []evaluate.Name{evaluate.IPW, evaluate.SNIPW, evaluate.DR} {
		e := r.Policy.Estimators[name]
		require.Greater(t, float(t, e.SE1), 0.0)
		require.InDelta(t, 0, float(t, e.CR0), 1e-12)
		require.Equal(t, "undefined", e.CR1.String())
	}
	require.Equal(t, "undefined", r.Lift.Estimators[evaluate.DR].TotalSEUnits.String())
	require.Equal(t, 0.0, float(t, r.Baseline.Weights.MaxShare), "no weight has a share of nothing")
	require.Equal(t, 1.0, float(t, r.Policy.Weights.ESSUnits))
}
