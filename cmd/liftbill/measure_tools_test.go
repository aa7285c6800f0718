package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// execute runs a command line in this process and returns what it wrote to stdout.
func execute(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	root := newRoot()
	var out, ignored bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&ignored)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// smallLog is worked by hand in domain/ope/evaluate: DR gives 3.5 and 6.
const smallLog = `unit_id,action,reward,pscore,pi_0,pi_1,base_0,base_1,q_0,q_1
a,0,8,0.5,0.5,0.5,1,0,6,10
a,1,12,0.5,0.5,0.5,1,0,6,10
b,1,0,0.25,0.5,0.5,1,0,6,10
c,0,4,0.5,0.5,0.5,1,0,6,10
`

func TestEvaluateCommand(t *testing.T) {
	t.Parallel()
	out, err := execute(t, smallLog, "ope", "evaluate", "--json", "--clip", "1.5", "-")
	require.NoError(t, err)
	var doc struct {
		Params map[string]float64 `json:"params"`
		Policy struct {
			Estimators map[string]map[string]any `json:"estimators"`
			Weights    map[string]any            `json:"weights"`
		} `json:"policy"`
		Lift map[string]map[string]any `json:"lift"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, map[string]float64{"clip_lambda": 1.5, "switch_dr_lambda": 5, "dros_lambda": 10}, doc.Params)
	require.Equal(t, 3.5, doc.Policy.Estimators["dr"]["value"])
	require.Equal(t, 4.75, doc.Policy.Estimators["dr_clip"]["value"])
	require.Equal(t, 2.0, doc.Policy.Weights["max_weight"])
	require.Equal(t, -2.5, doc.Lift["dr"]["value"])
	require.Equal(t, -10.0, doc.Lift["dr"]["total"])

	path := filepath.Join(t.TempDir(), "log.csv")
	require.NoError(t, os.WriteFile(path, []byte(smallLog), 0o600))
	out, err = execute(t, "", "ope", "evaluate", path)
	require.NoError(t, err)
	require.Contains(t, out, "4 decisions of 3 units, 2 actions (clip 10, switch 5, dros 10)")
	require.Regexp(t, `\n *dr +3\.5 +6 +-2\.5 `, out)
	require.Contains(t, out, "warning (ess_too_small): The weights of the policy are worth 2.8 of 3 units")
}

// TestEvaluateRefuses: wrong input and wrong use are exit 2, and the text says where.
func TestEvaluateRefuses(t *testing.T) {
	t.Parallel()
	bad := strings.Replace(smallLog, "b,1,0,0.25", "b,1,0,1.25", 1)
	_, err := execute(t, bad, "ope", "evaluate", "-")
	require.ErrorContains(t, err, "pscore: row 2 (line 4): 1.25 is not a probability")
	require.Equal(t, exitUsage, exitCode(err))
	for name, args := range map[string][]string{
		"no file":       {"ope", "evaluate"},
		"missing file":  {"ope", "evaluate", filepath.Join(t.TempDir(), "none.csv")},
		"constant of 0": {"ope", "evaluate", "--clip", "0", "-"},
		"no number":     {"ope", "evaluate", "--dros", "many", "-"},
	} {
		_, err := execute(t, smallLog, args...)
		require.Equal(t, exitUsage, exitCode(err), "%s: %v", name, err)
	}
}

// unitCSV is a table of n units with two features, a quarter of them in the holdout.
func unitCSV(n int) (text string, units []ope.Unit) {
	var b strings.Builder
	b.WriteString("unit_id,holdout,y_minor,x_1,x_2\n")
	for i := range n {
		u := ope.Unit{ID: fmt.Sprintf("u%05d", i), Holdout: i%4 == 0, P: 0.25, X: []float64{float64(i%7) / 8, float64(i*i%11) / 4}}
		u.Y = int64(1000 + 100*(i%7) + 13*(i%5))
		if !u.Holdout {
			u.Y += 50
		}
		held := 0
		if u.Holdout {
			held = 1
		}
		fmt.Fprintf(&b, "%s,%d,%d,%v,%v\n", u.ID, held, u.Y, u.X[0], u.X[1])
		units = append(units, u)
	}
	return b.String(), units
}

func TestReadoutCommand(t *testing.T) {
	t.Parallel()
	text, units := unitCSV(8000)
	want, err := ope.Estimate(units, 2, 7, ope.Options{Lambda: 0.25})
	require.NoError(t, err)
	args := []string{"readout", "compute", "--units", "-", "--holdout-probability", "0.25", "--folds", "7", "--lambda", "0.25"}
	out, err := execute(t, text, append(args, "--json")...)
	require.NoError(t, err)
	var got computed
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, []float64{want.T, want.VCR, want.VB, want.V0, want.SE, want.Counterfactual, want.ESS},
		[]float64{got.T, got.VCR, got.VB, got.V0, got.SE, got.Counterfactual, got.ESS})
	require.Equal(t, want.Observed, got.Observed)
	require.Equal(t, want.T-float64(1.6448536269514722*want.SE), got.LCB95)
	require.Greater(t, got.LCB95, 0.0)
	require.True(t, got.Guardrail.Passed, got.Guardrail.Sentence)
	require.Equal(t, "3.290527", got.Guardrail.Z)
	status := map[lift.Code]lift.Status{}
	for _, c := range got.Guardrail.Checks {
		status[c.Code] = c.Status
	}
	for _, c := range []lift.Code{lift.CodePlanNotSealed, lift.CodePlanHashMismatch, lift.CodePropensityMissing, lift.CodeArmHashMismatch, lift.CodeCrossover,
		lift.CodePlaceboLift, lift.CodeSourceStale, lift.CodeDecisionLogGap, lift.CodeReconMismatch, lift.CodeUnmappedRevenue} {
		require.Equal(t, lift.NotEvaluated, status[c], c)
	}
	for _, c := range []lift.Code{lift.CodeNotIdentified, lift.CodeSRM, lift.CodeMinUnits, lift.CodeConcentration, lift.CodeLCBNotPositive} {
		require.Equal(t, lift.Passed, status[c], c)
	}

	out, err = execute(t, text, args...)
	require.NoError(t, err)
	require.Contains(t, out, "8000 units, 2000 in the holdout (probability 0.25), 7 folds, lambda 0.25")
	require.Contains(t, out, "nothing can be billed from a table alone")
}

// TestSmallReadoutIsWithheld: it is computed and shown, and the guardrail says no.
func TestSmallReadoutIsWithheld(t *testing.T) {
	t.Parallel()
	text, _ := unitCSV(100)
	out, err := execute(t, text, "readout", "compute", "--json", "--units", "-", "--holdout-probability", "0.25")
	require.NoError(t, err)
	var got computed
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.False(t, got.Guardrail.Passed)
	require.Equal(t, lift.CodeMinUnits, got.Guardrail.Headline)
}

func TestReadoutRefuses(t *testing.T) {
	t.Parallel()
	good, _ := unitCSV(40)
	for want, c := range map[string]struct {
		text string
		args []string
	}{
		`required flag(s) "holdout-probability", "units" not set`:  {good, nil},
		`holdout_probability: "1" is not a probability`:            {good, []string{"--units", "-", "--holdout-probability", "1"}},
		"the number of folds is 1":                                 {good, []string{"--units", "-", "--holdout-probability", "0.25", "--folds", "1"}},
		`lambda: "-1" is not a decimal`:                            {good, []string{"--units", "-", "--holdout-probability", "0.25", "--lambda=-1"}},
		`currency: "xxz" is not a currency`:                        {good, []string{"--units", "-", "--holdout-probability", "0.25", "--currency", "xxz"}},
		`unit_id: row 1 (unit "u00000"): the unit appears twice`:   {strings.Replace(good, "u00001", "u00000", 1), []string{"--units", "-", "--holdout-probability", "0.25"}},
		"there are no units":                                       {"unit_id,holdout,y_minor\n", []string{"--units", "-", "--holdout-probability", "0.25"}},
		"1 units in the holdout and 1 with the policy":             {"unit_id,holdout,y_minor\na,0,1\nb,1,2\n", []string{"--units", "-", "--holdout-probability", "0.25"}},
		`y_minor: row 0 (line 2): "1.5" is not a whole number`:     {"unit_id,holdout,y_minor\na,0,1.5\n", []string{"--units", "-", "--holdout-probability", "0.25"}},
		"y_minor: row 0 (unit \"a\"): 9007199254740993 minor unit": {"unit_id,holdout,y_minor\na,0,9007199254740993\n", []string{"--units", "-", "--holdout-probability", "0.25"}},
	} {
		_, err := execute(t, c.text, append([]string{"readout", "compute"}, c.args...)...)
		require.ErrorContains(t, err, want)
		require.Equal(t, exitUsage, exitCode(err), want)
	}
}
