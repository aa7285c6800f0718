package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// TestRefusals: each wrong value is refused with its row, its column and a code,
// and leaves the log as it was.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil        func(d *evaluate.Decision)
		column, code string
	}{
		"no unit":               {func(d *evaluate.Decision) { d.UnitID = "" }, "unit_id", evaluate.RefusedUnitID},
		"NUL in the unit":       {func(d *evaluate.Decision) { d.UnitID = "a\x00b" }, "unit_id", evaluate.RefusedUnitID},
		"long unit":             {func(d *evaluate.Decision) { d.UnitID = strings.Repeat("u", 513) }, "unit_id", evaluate.RefusedUnitID},
		"action below 0":        {func(d *evaluate.Decision) { d.Action = -1 }, "action", evaluate.RefusedAction},
		"action beyond":         {func(d *evaluate.Decision) { d.Action = 2 }, "action", evaluate.RefusedAction},
		"NaN reward":            {func(d *evaluate.Decision) { d.Reward = math.NaN() }, "reward", evaluate.RefusedReward},
		"infinite reward":       {func(d *evaluate.Decision) { d.Reward = math.Inf(-1) }, "reward", evaluate.RefusedReward},
		"huge reward":           {func(d *evaluate.Decision) { d.Reward = 1e16 }, "reward", evaluate.RefusedReward},
		"propensity 0":          {func(d *evaluate.Decision) { d.Propensity = 0 }, "pscore", evaluate.RefusedPropensity},
		"negative propensity":   {func(d *evaluate.Decision) { d.Propensity = -0.2 }, "pscore", evaluate.RefusedPropensity},
		"propensity above 1":    {func(d *evaluate.Decision) { d.Propensity = 1.0000001 }, "pscore", evaluate.RefusedPropensity},
		"NaN propensity":        {func(d *evaluate.Decision) { d.Propensity = math.NaN() }, "pscore", evaluate.RefusedPropensity},
		"denormal propensity":   {func(d *evaluate.Decision) { d.Propensity = 5e-324 }, "pscore", evaluate.RefusedPropensity},
		"policy sums to 0.9":    {func(d *evaluate.Decision) { d.Policy = []float64{0.4, 0.5} }, "pi_0", evaluate.RefusedSum},
		"baseline off by 2e-6":  {func(d *evaluate.Decision) { d.Baseline = []float64{0.5, 0.500002} }, "base_0", evaluate.RefusedSum},
		"negative probability":  {func(d *evaluate.Decision) { d.Policy = []float64{1.1, -0.1} }, "pi_0", evaluate.RefusedProbability},
		"NaN probability":       {func(d *evaluate.Decision) { d.Baseline = []float64{0.5, math.NaN()} }, "base_1", evaluate.RefusedProbability},
		"NaN prediction":        {func(d *evaluate.Decision) { d.Predicted = []float64{1, math.NaN()} }, "q_1", evaluate.RefusedPrediction},
		"infinite prediction":   {func(d *evaluate.Decision) { d.Predicted = []float64{math.Inf(1), 1} }, "q_0", evaluate.RefusedPrediction},
		"too few probabilities": {func(d *evaluate.Decision) { d.Policy = []float64{1} }, "pi_0", evaluate.RefusedActions},
		"no predictions":        {func(d *evaluate.Decision) { d.Predicted = nil }, "q_0", evaluate.RefusedActions},
	} {
		log := hand(t)
		d := evaluate.Decision{UnitID: "z", Action: 1, Reward: 1, Propensity: 1, Policy: []float64{0.5, 0.5}, Baseline: []float64{1, 0}, Predicted: []float64{1, 1}}
		c.spoil(&d)
		var r *evaluate.Refusal
		require.ErrorAs(t, log.Add(d), &r, name)
		require.Equal(t, []any{4, c.column, c.code}, []any{r.Row, r.Column, r.Code}, name)
		require.NotEmpty(t, r.Reason, name)
		require.Contains(t, r.Error(), "row 4, column "+c.column+": ", name)
		require.Equal(t, []int{4, 3}, []int{log.Rows(), log.Units()}, name)
	}
}

func TestAcceptedAtTheEdge(t *testing.T) {
	t.Parallel()
	log := hand(t)
	d := evaluate.Decision{UnitID: "z", Reward: -1 << 53, Propensity: 1, Policy: []float64{0.5 + 5e-10, 0.5}, Baseline: []float64{1, 0}, Predicted: []float64{0, 1 << 53}}
	require.NoError(t, log.Add(d))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, -1, evaluate.MaxActions + 1} {
		_, err := evaluate.NewLog(n)
		require.Error(t, err)
	}
	for _, p := range []evaluate.Params{{Switch: 1, DRos: 1}, {Clip: -1, Switch: 1, DRos: 1}, {Clip: 1, Switch: math.NaN(), DRos: 1}, {Clip: 1, Switch: 1, DRos: math.Inf(1)}} {
		_, err := hand(t).Evaluate(p)
		require.ErrorContains(t, err, "at most 1e18")
	}
}
