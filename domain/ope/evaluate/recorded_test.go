package evaluate_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// TestRecordedBits holds a log with awkward fractions to the bits that were recorded
// on amd64: another machine, or a compiler that fuses products, must not change them.
func TestRecordedBits(t *testing.T) {
	t.Parallel()
	log, err := evaluate.NewLog(3)
	require.NoError(t, err)
	for i := range 500 {
		a, b := float64(i%7+1), float64(i%11+1)
		pi, base := []float64{a / (a + b + 3), b / (a + b + 3), 3 / (a + b + 3)}, []float64{0.7, 0.1, 0.2}
		require.NoError(t, log.Add(evaluate.Decision{UnitID: fmt.Sprintf("u%d", i%170), Action: i % 3, Reward: float64(i*i%997) / 9,
			Propensity: float64(i%13+1) / 17, Policy: pi, Baseline: base, Predicted: []float64{a * 7.1, b * 3.3, a + b/3}}))
	}
	r, err := log.Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	hex := func(n evaluate.Number) string { return strconv.FormatFloat(float(t, n), 'x', -1, 64) }
	got := map[evaluate.Name][4]string{}
	for _, name := range evaluate.Names() {
		l := r.Lift.Estimators[name]
		got[name] = [4]string{hex(r.Policy.Estimators[name].Value), hex(l.SE1), hex(l.CR1), hex(l.TotalSEUnits)}
	}
	require.Equal(t, recorded, got)
}
