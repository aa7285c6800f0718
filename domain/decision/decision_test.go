package decision_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

func valid() decision.Decision {
	return decision.Decision{
		ID: "d1", UnitID: "u1", UserID: "user1", SnapshotID: "price-a", At: time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC),
		Arm: decision.Policy, ArmProbability: 0.8, Action: "b", BaselineAction: "a",
		EligibleActions: []string{"a", "b", "c"}, Propensity: []float64{0.2, 0.5, 0.3}, Features: map[string]float64{"tenure": 3},
	}
}

func TestValidRows(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*decision.Decision){
		"as it is": func(*decision.Decision) {},
		"holdout":  func(d *decision.Decision) { d.Arm, d.ArmProbability = decision.Holdout, 0.2 },
		"one certain action": func(d *decision.Decision) {
			d.Action, d.EligibleActions, d.Propensity = "a", []string{"a"}, []float64{1}
		},
		"an action never chosen": func(d *decision.Decision) { d.Propensity = []float64{0, 0.5, 0.5} },
		"sums to 1 within 1e-9":  func(d *decision.Decision) { d.Propensity = []float64{0.2, 0.5, 0.3 + 5e-10} },
		"no features":            func(d *decision.Decision) { d.Features = nil },
		"not ASCII":              func(d *decision.Decision) { d.UserID = "Zoë 🎈" },
	} {
		d := valid()
		change(&d)
		require.NoError(t, d.Validate(), name)
	}
}

// Every rule names the field of the log that breaks it, with a stable code.
func TestEveryRuleNamesItsField(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 201)
	for i, c := range []struct {
		field, code string
		change      func(*decision.Decision)
	}{
		{"decision_id", "text_length", func(d *decision.Decision) { d.ID = "" }},
		{"decision_id", "text_length", func(d *decision.Decision) { d.ID = long }},
		{"decision_id", "text_malformed", func(d *decision.Decision) { d.ID = "a\x00b" }},
		{"unit_id", "text_length", func(d *decision.Decision) { d.UnitID = "" }},
		{"unit_id", "text_malformed", func(d *decision.Decision) { d.UnitID = "a\xffb" }},
		{"user_id", "text_length", func(d *decision.Decision) { d.UserID = long }},
		{"user_id", "text_malformed", func(d *decision.Decision) { d.UserID = "a\nb" }},
		{"action", "text_length", func(d *decision.Decision) { d.Action = "" }},
		{"baseline_action", "text_length", func(d *decision.Decision) { d.BaselineAction = "" }},
		{"arm_salt_commitment", "text_length", func(d *decision.Decision) { d.SaltCommitment = long }},
		{"surface", "text_malformed", func(d *decision.Decision) { d.Surface = "\x7f" }},
		{"sdk_version", "text_length", func(d *decision.Decision) { d.SDKVersion = long }},
		{"snapshot_id", "id_malformed", func(d *decision.Decision) { d.SnapshotID = "Price A" }},
		{"ts", "time_malformed", func(d *decision.Decision) { d.At = time.Time{} }},
		{"ts", "time_malformed", func(d *decision.Decision) { d.At = time.Unix(0, 0) }},
		{"ts", "time_malformed", func(d *decision.Decision) { d.At = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"arm", "arm_unknown", func(d *decision.Decision) { d.Arm = "control" }},
		{"arm_prob", "probability_range", func(d *decision.Decision) { d.ArmProbability = 0 }},
		{"arm_prob", "probability_range", func(d *decision.Decision) { d.ArmProbability = 1 }},
		{"arm_prob", "probability_range", func(d *decision.Decision) { d.ArmProbability = math.NaN() }},
		{"eligible_actions", "actions_count", func(d *decision.Decision) { d.EligibleActions = nil }},
		{"eligible_actions", "actions_count", func(d *decision.Decision) { d.EligibleActions = make([]string, decision.MaxActions+1) }},
		{"eligible_actions", "action_repeated", func(d *decision.Decision) { d.EligibleActions = []string{"a", "b", "a"} }},
		{"eligible_actions", "text_length", func(d *decision.Decision) { d.EligibleActions = []string{"a", "b", ""} }},
		{"eligible_actions", "text_malformed", func(d *decision.Decision) { d.EligibleActions = []string{"a", "b", "c\x00"} }},
		{"propensity", "propensity_length", func(d *decision.Decision) { d.Propensity = []float64{1} }},
		{"propensity", "probability_range", func(d *decision.Decision) { d.Propensity = []float64{-0.1, 0.8, 0.3} }},
		{"propensity", "probability_range", func(d *decision.Decision) { d.Propensity = []float64{0.2, 1.5, 0.3} }},
		{"propensity", "probability_range", func(d *decision.Decision) { d.Propensity = []float64{0.2, math.NaN(), 0.3} }},
		{"propensity", "propensity_sum", func(d *decision.Decision) { d.Propensity = []float64{0.2, 0.5, 0.2} }},
		{"propensity", "propensity_zero", func(d *decision.Decision) { d.Propensity = []float64{0.5, 0, 0.5} }},
		{"action", "action_not_eligible", func(d *decision.Decision) { d.Action = "z" }},
		{"baseline_action", "action_not_eligible", func(d *decision.Decision) { d.BaselineAction = "z" }},
		{"features", "features_count", func(d *decision.Decision) {
			for i := range decision.MaxFeatures {
				d.Features[fmt.Sprint(i)] = 1
			}
		}},
		{"features", "text_length", func(d *decision.Decision) { d.Features[""] = 1 }},
		{"features", "text_malformed", func(d *decision.Decision) { d.Features["a\x00"] = 1 }},
		{"features.tenure", "number_range", func(d *decision.Decision) { d.Features["tenure"] = math.Inf(-1) }},
		{"features.tenure", "number_range", func(d *decision.Decision) { d.Features["tenure"] = math.NaN() }},
	} {
		d := valid()
		c.change(&d)
		err := d.Validate()
		var e *fault.Error
		require.ErrorAs(t, err, &e, "case %d", i)
		require.Equal(t, fault.Invalid, e.Kind)
		require.Equal(t, c.field+" "+c.code, e.Field+" "+e.Code, "case %d", i)
	}
}

// Quantised values are multiples of 2^-20, are fixed points, move by at most half a
// step, and are finite whatever the feature was.
func TestQuantise(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		q := decision.Quantise(v)
		require.False(t, math.IsInf(q, 0) || math.IsNaN(q))
		require.LessOrEqual(t, math.Abs(q-v), math.Ldexp(1, -21))
		require.Equal(t, math.Float64bits(q), math.Float64bits(decision.Quantise(q)))
		if math.Abs(v) < 1<<32 {
			require.Equal(t, math.Trunc(q*(1<<20)), q*(1<<20))
		}
	})
	require.Equal(t, 0.5, decision.Quantise(0.5))
	require.Equal(t, math.MaxFloat64, decision.Quantise(math.MaxFloat64))
	require.Equal(t, -math.MaxFloat64, decision.Quantise(-math.MaxFloat64))
	require.False(t, math.Signbit(decision.Quantise(-1e-12)), "zero has no sign")
	require.Zero(t, decision.Quantise(math.Ldexp(1, -21)), "ties go to even")
	require.Equal(t, math.Ldexp(1, -19), decision.Quantise(math.Ldexp(3, -21)))
}
