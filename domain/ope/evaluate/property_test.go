package evaluate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// drawn is a log whose logging policy, policy and baseline are drawn.
func drawn(t *rapid.T, reward *rapid.Generator[float64], same bool) []evaluate.Decision {
	actions := rapid.IntRange(1, 4).Draw(t, "actions")
	dist := func(label string) []float64 {
		raw := rapid.SliceOfN(rapid.IntRange(0, 9), actions, actions).Draw(t, label)
		mass, out := 0, make([]float64, actions)
		for _, v := range raw {
			mass += v
		}
		if mass == 0 {
			raw[0], mass = 1, 1
		}
		for k, v := range raw {
			out[k] = float64(v) / float64(mass)
		}
		return out
	}
	out := make([]evaluate.Decision, rapid.IntRange(1, 30).Draw(t, "rows"))
	for i := range out {
		d := evaluate.Decision{
			UnitID: fmt.Sprintf("u%d", rapid.IntRange(0, 9).Draw(t, "unit")), Action: rapid.IntRange(0, actions-1).Draw(t, "action"),
			Reward: reward.Draw(t, "reward"), Propensity: rapid.Float64Range(0x1p-20, 1).Draw(t, "p"),
			Policy: dist("pi"), Baseline: dist("base"), Predicted: rapid.SliceOfN(reward, actions, actions).Draw(t, "q"),
		}
		if same {
			d.Baseline = d.Policy
		}
		out[i] = d
	}
	return out
}

func evaluated(t require.TestingT, rows []evaluate.Decision) evaluate.Report {
	log, err := evaluate.NewLog(len(rows[0].Policy))
	require.NoError(t, err)
	for _, d := range rows {
		require.NoError(t, log.Add(d))
	}
	r, err := log.Evaluate(evaluate.DefaultParams())
	require.NoError(t, err)
	return r
}

// TestIdenticalPoliciesHaveNoLift: exactly none, whatever the log.
func TestIdenticalPoliciesHaveNoLift(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := evaluated(t, drawn(t, rapid.Float64Range(-1e9, 1e9), true))
		for name, e := range r.Lift.Estimators {
			if v, ok := e.Value.Float(); ok {
				require.Equal(t, 0.0, v, name)
				require.Equal(t, 0.0, float(t, e.CR0), name)
			}
		}
	})
}

// TestOrderDoesNotMatter: the rows backwards give the same numbers but for the last bits.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawn(t, rapid.Float64Range(-1e4, 1e4), false)
		forward := evaluated(t, rows)
		for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
			rows[i], rows[j] = rows[j], rows[i]
		}
		backward := evaluated(t, rows)
		for name, a := range forward.Lift.Estimators {
			b := backward.Lift.Estimators[name]
			for _, pair := range [][2]evaluate.Number{{a.Value, b.Value}, {a.SE1, b.SE1}, {a.CR1, b.CR1}, {a.TotalSEUnits, b.TotalSEUnits}} {
				x, defined := pair[0].Float()
				y, alike := pair[1].Float()
				require.Equal(t, defined, alike, name)
				// A weight is at most 2^20 and a reward 1e4; an SE of 0 may come back as noise.
				require.InDelta(t, x, y, 1e-10*math.Max(1e10, math.Abs(x)), name)
			}
		}
	})
}

// TestAnOffsetMovesNothing: with one row per unit and correct predictions of an
// offset, DR's error does not see the offset.
func TestAnOffsetMovesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawn(t, rapid.Map(rapid.IntRange(-1000, 1000), func(n int) float64 { return float64(n) }), false)
		near := evaluated(t, rows)
		for i := range rows {
			rows[i].Reward += 1 << 40
			rows[i].Predicted = append([]float64{}, rows[i].Predicted...)
			for k := range rows[i].Predicted {
				rows[i].Predicted[k] += 1 << 40
			}
		}
		far := evaluated(t, rows)
		a, b := near.Lift.Estimators[evaluate.DR], far.Lift.Estimators[evaluate.DR]
		require.InDelta(t, float(t, a.Value), float(t, b.Value), 1e-2)
		if se, ok := a.SE1.Float(); ok {
			require.InDelta(t, se, float(t, b.SE1), 1e-2)
		}
	})
}

// TestNothingIsEverNaN: the widest input that is accepted gives numbers or nulls.
func TestNothingIsEverNaN(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawn(t, rapid.SampledFrom([]float64{0, 1, -1, 5e-324, 1e-300, 1 << 53, -1 << 53}), false)
		for i := range rows {
			rows[i].Propensity = rapid.SampledFrom([]float64{1, 0.5, evaluate.MinPropensity}).Draw(t, "extreme p")
		}
		raw, err := json.Marshal(evaluated(t, rows))
		require.NoError(t, err)
		require.False(t, strings.Contains(string(raw), "NaN") || strings.Contains(string(raw), "Inf"))
	})
}
