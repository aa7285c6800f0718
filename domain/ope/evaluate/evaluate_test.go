package evaluate_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// hand is a log of four decisions of three units that fits on a sheet of paper.
//
//	unit  action  reward  p     w_pi  w_base  D_pi  D_base  r - q
//	a     0       8       0.5   1     2       8     6       2
//	a     1       12      0.5   1     0       8     6       2
//	b     1       0       0.25  2     0       8     6       -10
//	c     0       4       0.5   1     2       8     6       -2
func hand(t require.TestingT) *evaluate.Log {
	log, err := evaluate.NewLog(2)
	require.NoError(t, err)
	half, first, q := []float64{0.5, 0.5}, []float64{1, 0}, []float64{6, 10}
	for _, d := range []evaluate.Decision{
		{UnitID: "a", Action: 0, Reward: 8, Propensity: 0.5},
		{UnitID: "a", Action: 1, Reward: 12, Propensity: 0.5},
		{UnitID: "b", Action: 1, Reward: 0, Propensity: 0.25},
		{UnitID: "c", Action: 0, Reward: 4, Propensity: 0.5},
	} {
		d.Policy, d.Baseline, d.Predicted = half, first, q
		require.NoError(t, log.Add(d))
	}
	return log
}

func float(t require.TestingT, n evaluate.Number) float64 {
	v, ok := n.Float()
	require.True(t, ok, "undefined")
	return v
}

func TestHandWorkedEstimates(t *testing.T) {
	t.Parallel()
	// Small constants, so that each of them bites: the weight 2 is clipped to 1.5,
	// switched off above 1.5 and shrunk to 2*2/(4+2) = 2/3; a weight of 1 to 2/3 too.
	r, err := hand(t).Evaluate(evaluate.Params{Clip: 1.5, Switch: 1.5, DRos: 2})
	require.NoError(t, err)
	require.Equal(t, []int{4, 2, 3}, []int{r.Rows, r.Actions, r.Units})
	for name, want := range map[evaluate.Name][2]float64{
		evaluate.IPW:      {24.0 / 4, 24.0 / 4},
		evaluate.SNIPW:    {24.0 / 5, 24.0 / 4},
		evaluate.DM:       {8, 6},
		evaluate.DR:       {8 + (2.0+2-20-2)/4, 6},
		evaluate.SNDR:     {8 + (2.0+2-20-2)/5, 6},
		evaluate.SwitchDR: {8 + (2.0+2+0-2)/4, 6},
		evaluate.DRos:     {8 + 2.0/3*(2+2-10-2)/4, 6},
		evaluate.DRClip:   {8 + (2.0+2-15-2)/4, 6},
		evaluate.IPWClip:  {24.0 / 4, 1.5 * 12 / 4},
	} {
		require.InDelta(t, want[0], float(t, r.Policy.Estimators[name].Value), 1e-14, name)
		require.InDelta(t, want[1], float(t, r.Baseline.Estimators[name].Value), 1e-14, name)
		require.InDelta(t, want[0]-want[1], float(t, r.Lift.Estimators[name].Value), 1e-14, name)
	}
	require.InDelta(t, 25.0/7, float(t, r.Policy.Weights.ESS), 1e-14)
	require.InDelta(t, 25.0/9, float(t, r.Policy.Weights.ESSUnits), 1e-14)
	require.InDelta(t, 0.4, float(t, r.Policy.Weights.MaxShare), 1e-14)
	require.Equal(t, 0.5, float(t, r.Baseline.Weights.ShareZero))
}

// TestHandWorkedErrors: the DR scores of the policy are 10, 10, -12, 6 (mean 3.5),
// of the baseline 10, 6, 6, 2 (mean 6), their difference d 0, 4, -18, 4 (mean -2.5).
func TestHandWorkedErrors(t *testing.T) {
	t.Parallel()
	r, err := hand(t).Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	policy := r.Policy.Estimators[evaluate.DR]
	// 6.5^2 + 6.5^2 + 15.5^2 + 2.5^2 = 331; units: 13, -15.5, 2.5.
	require.InDelta(t, math.Sqrt(331.0/12), float(t, policy.SE1), 1e-14)
	require.InDelta(t, math.Sqrt(331.0/16), float(t, policy.SE0), 1e-14)
	require.InDelta(t, math.Sqrt(13*13+15.5*15.5+2.5*2.5)/4, float(t, policy.CR0), 1e-14)
	require.InDelta(t, math.Sqrt(13*13+15.5*15.5+2.5*2.5)/4*math.Sqrt(1.5), float(t, policy.CR1), 1e-14)
	// The 0.95 quantile of t with 3 degrees of freedom is 2.353363.
	require.InDelta(t, 3.5-2.353363434801824*math.Sqrt(331.0/12), float(t, policy.StudentT), 1e-9)
	require.Nil(t, policy.SEDelta)
	_, ok := policy.Bernstein.Float()
	require.False(t, ok, "a negative score has no such bound")

	lift := r.Lift.Estimators[evaluate.DR]
	se := math.Sqrt((2.5*2.5 + 6.5*6.5 + 15.5*15.5 + 6.5*6.5) / 12)
	require.InDelta(t, se, float(t, lift.SE1), 1e-14)
	require.InDelta(t, -10, float(t, lift.Total), 1e-13)
	require.InDelta(t, 4*se, float(t, lift.TotalSERow), 1e-13)
	require.InDelta(t, math.Sqrt(1.5*(81+15.5*15.5+6.5*6.5)), float(t, lift.TotalSECluster), 1e-13)
	// Units: T = 4, -18, 4, mean -10/3.
	iid := math.Sqrt(1.5 * (2*math.Pow(4+10.0/3, 2) + math.Pow(18-10.0/3, 2)))
	require.InDelta(t, iid, float(t, lift.TotalSEUnits), 1e-13)
	require.InDelta(t, -10.0/3, float(t, lift.PerUnit), 1e-13)
	require.InDelta(t, iid/3, float(t, lift.PerUnitSE), 1e-13)
	require.InDelta(t, -2.5/se, float(t, lift.Z), 1e-13)
	require.InDelta(t, 0.5*math.Erfc(-2.5/se/math.Sqrt2), float(t, lift.P), 1e-15)
	// d_c/6 + 2.5/36 psi_b with psi_b = 4, 0, 0, -4.
	influence := math.Sqrt((math.Pow(2.5/6+10.0/36, 2) + math.Pow(6.5/6, 2) + math.Pow(15.5/6, 2) + math.Pow(6.5/6-10.0/36, 2)) / 12)
	require.InDelta(t, -2.5/6, float(t, lift.Relative), 1e-14)
	require.InDelta(t, influence, float(t, lift.RelativeSE), 1e-14)
	// The self-normalised policy: psi = w (r - 4.8) / 1.25.
	delta := math.Sqrt((3.2*3.2 + 7.2*7.2 + 9.6*9.6 + 0.8*0.8) / 1.25 / 1.25 / 12)
	require.InDelta(t, delta, float(t, *r.Policy.Estimators[evaluate.SNIPW].SEDelta), 1e-14)
}

func TestUndefinedIsNull(t *testing.T) {
	t.Parallel()
	log, err := evaluate.NewLog(2)
	require.NoError(t, err)
	_, err = log.Evaluate(evaluate.DefaultParams())
	require.EqualError(t, err, "the log has no rows")
	require.NoError(t, log.Add(evaluate.Decision{UnitID: "only", Action: 1, Reward: 3, Propensity: 1,
		Policy: []float64{0, 1}, Baseline: []float64{1, 0}, Predicted: []float64{0, 0}}))
	r, err := log.Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "NaN")
	require.Contains(t, string(raw), `"lift":{"_weights":{`)
	_, ok := r.Baseline.Estimators[evaluate.SNIPW].Value.Float()
	require.False(t, ok)
	require.Equal(t, "undefined", r.Lift.Estimators[evaluate.DR].SE1.String())
	require.Equal(t, "3", r.Lift.Estimators[evaluate.DR].Value.String())
	require.Equal(t, 0.0, float(t, r.Baseline.Weights.ESS))
	var codes []string
	for _, w := range r.Warnings {
		codes = append(codes, w.Code)
	}
	require.Equal(t, []string{evaluate.WarnNoError, evaluate.WarnESSTooSmall, evaluate.WarnNoOverlap}, codes)
}

func TestStudentQuantiles(t *testing.T) {
	t.Parallel()
	// Values of any table of the distribution; 300 | 301 is where the method changes.
	for df, want := range map[int]float64{1: 6.313751514675043, 2: 2.919985580355516, 5: 2.015048372669157, 30: 1.697260886593957,
		99: 1.660391156016724, 1000: 1.646378817749556} {
		log, err := evaluate.NewLog(1)
		require.NoError(t, err)
		for i := range df + 1 {
			require.NoError(t, log.Add(evaluate.Decision{UnitID: strings.Repeat("u", 1+i%9), Reward: float64(i % 2), Propensity: 1,
				Policy: []float64{1}, Baseline: []float64{1}, Predicted: []float64{0}}))
		}
		r, err := log.Evaluate(evaluate.DefaultParams())
		require.NoError(t, err)
		e := r.Policy.Estimators[evaluate.IPW]
		got := (float(t, e.Value) - float(t, e.StudentT)) / float(t, e.SE1)
		require.InEpsilon(t, want, got, 1e-9, "df %d", df)
	}
}
