//go:build cases

package tabular_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/tabular"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// casesDir is the folder of the shared off-policy cases below LIFTBILL_CASES.
func casesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, dir, "set LIFTBILL_CASES to the directory of the shared cases")
	return filepath.Join(dir, "ope")
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, into))
}

func readLog(t *testing.T, path string) *evaluate.Log {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // it was only read
	log, err := tabular.ReadLog(f)
	require.NoError(t, err)
	return log
}

// flatten maps "policy.estimators.dr.value" to its number, or to nil for null.
func flatten(prefix string, v any, out map[string]*float64) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			flatten(strings.TrimPrefix(prefix+"."+k, "."), child, out)
		}
	case []any:
		for i, child := range v {
			flatten(prefix+"."+strconv.Itoa(i), child, out)
		}
	case float64:
		out[prefix] = &v
	case nil:
		out[prefix] = nil
	}
}

// sharedCase is a case file: numbers under the keys that a report has too.
type sharedCase struct {
	name  string
	rows  float64
	want  map[string]*float64
	exact map[string]*float64
}

func loadCase(t *testing.T, path string) (sharedCase, evaluate.Params) {
	t.Helper()
	var doc map[string]any
	readJSON(t, path, &doc)
	params := struct {
		Params evaluate.Params `json:"params"`
	}{}
	readJSON(t, path, &params)
	c := sharedCase{name: strings.TrimSuffix(filepath.Base(path), ".json"), rows: doc["n"].(float64),
		want: map[string]*float64{}, exact: map[string]*float64{}}
	for _, top := range []string{"policy", "baseline", "lift", "n", "n_actions", "n_units", "params"} {
		flatten(top, doc[top], c.want)
	}
	for k := range c.want {
		if strings.Contains(k, ".bootstrap_") { // random; liftbill has no bootstrap, its errors are analytic
			delete(c.want, k)
		}
	}
	if exact, ok := doc["exact_rational"]; ok {
		flatten("", exact, c.exact)
	}
	return c, params.Params
}

// tolerance is what the cases state: relative 1e-9 (t quantiles 1e-6), and absolute
// 1e-10 max(1, |V|) where a number is 0 or tiny by cancellation.
func (c sharedCase) tolerance(key string, want float64) float64 {
	relative, scale := 1e-9, 1.0
	if strings.Contains(key, "student_t") {
		relative = 1e-6
	}
	parts := strings.Split(key, ".")
	for i, part := range parts {
		if name := evaluate.Name(part); i > 0 {
			for _, side := range []string{"policy", "baseline"} {
				if v := c.want[side+".estimators."+string(name)+".value"]; v != nil {
					scale = math.Max(scale, math.Abs(*v))
				}
			}
		}
	}
	if strings.Contains(key, ".total") || strings.Contains(key, ".per_unit") {
		scale *= c.rows
	}
	return math.Max(relative*math.Abs(want), 1e-10*scale)
}

// spreadless reports whether a standard error is 0 but for the reference's rounding.
func (c sharedCase) spreadless(key string) bool {
	se := c.want[key]
	return se != nil && *se < c.tolerance(key, *se)/100
}

func TestSharedOffPolicyCases(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(casesDir(t), "s*.csv.gz"))
	require.NoError(t, err)
	sort.Strings(paths)
	seen := 0
	for _, path := range paths {
		if strings.Contains(path, "s30_coverage") {
			continue
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			c, params := loadCase(t, strings.TrimSuffix(path, ".csv.gz")+".json")
			report, err := readLog(t, path).Evaluate(params)
			require.NoError(t, err)
			c.compare(t, report)
			compareVW(t, strings.TrimSuffix(path, ".csv.gz")+".json", report)
		})
	}
	require.Equal(t, 24, seen, "the shared cases have grown or shrunk")
}

func (c sharedCase) compare(t *testing.T, report evaluate.Report) {
	t.Helper()
	raw, err := json.Marshal(report)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(raw, &doc))
	got := map[string]*float64{}
	flatten("", doc, got)
	compared := 0
	for key, want := range c.want {
		have, ok := got[key]
		require.True(t, ok, "the report has no %s", key)
		compared++
		if want == nil {
			require.Nil(t, have, "%s is undefined", key)
			continue
		}
		if strings.HasSuffix(key, ".z") && c.spreadless(strings.TrimSuffix(key, "z")+"se_ddof1") {
			require.Nil(t, have, "%s divides by an error of 0, not by rounding noise", key)
			continue
		}
		require.NotNil(t, have, "%s is %v", key, *want)
		if c.name == "s_d12_large_offset" && !strings.Contains(key, ".weights.") {
			continue // its reference lost the digits; compareExact has better ones
		}
		require.InDelta(t, *want, *have, c.tolerance(key, *want), key)
	}
	require.Greater(t, compared, 300)
	c.compareExact(t, got)
}

// compareExact holds the report against exact rational arithmetic, where the case has it.
func (c sharedCase) compareExact(t *testing.T, got map[string]*float64) {
	t.Helper()
	places := map[string]string{
		"policy.ipw": "policy.estimators.ipw.value", "policy.dr": "policy.estimators.dr.value", "policy.ess": "policy.weights.ess",
		"policy.dr_se_ddof1": "policy.estimators.dr.se_ddof1", "baseline.ipw": "baseline.estimators.ipw.value",
		"baseline.dr": "baseline.estimators.dr.value", "baseline.ess": "baseline.weights.ess",
		"baseline.dr_se_ddof1": "baseline.estimators.dr.se_ddof1", "lift.dr": "lift.dr.value", "lift.total": "lift.dr.total",
		"lift.se_ddof1": "lift.dr.se_ddof1", "lift.cluster_se_cr1": "lift.dr.cluster_se_cr1",
	}
	for key, want := range c.exact {
		place, ok := places[key]
		require.True(t, ok, "nothing is compared with exact_rational.%s", key)
		have := got[place]
		if want == nil {
			require.Nil(t, have, key)
			continue
		}
		require.NotNil(t, have, key)
		tolerance := c.tolerance(place, *want)
		if c.name == "s_d12_large_offset" {
			switch {
			case strings.Contains(key, "se_"):
				tolerance = 1e-5 * math.Abs(*want)
			case strings.HasPrefix(key, "lift."):
				tolerance = 1e-4 * math.Abs(*want)
			}
		}
		require.InDelta(t, *want, *have, tolerance, "exact_rational.%s", key)
	}
}

// TestSharedInvalidInputs writes every list of invalid rows as a log.
func TestSharedInvalidInputs(t *testing.T) {
	t.Parallel()
	var doc struct {
		Cases []struct {
			ID     string `json:"id"`
			What   string `json:"what"`
			Expect string `json:"expected_from_our_engine"`
			Rows   struct {
				Action []any   `json:"action"`
				Reward []any   `json:"reward"`
				PScore []any   `json:"pscore"`
				Pi     [][]any `json:"pi"`
				Q      [][]any `json:"q"`
			} `json:"rows"`
			OBP any `json:"obp_dr_value"`
		} `json:"cases"`
	}
	readJSON(t, filepath.Join(casesDir(t), "s40_invalid_inputs.json"), &doc)
	require.Len(t, doc.Cases, 13)
	at := map[string]string{"i01": "pscore row 2", "i02": "pscore row 1", "i03": "pscore row 3", "i04": "pscore row 3", "i05": "pi_0 row 0",
		"i06": "pi_0 row 0", "i07": "action row 0", "i08": "reward row 4", "i09": "reward row 4", "i10": "q_1 row 1"}
	text := func(v any) string {
		if v == nil {
			return "NaN"
		}
		return fmt.Sprint(v)
	}
	for _, c := range doc.Cases {
		var buf bytes.Buffer
		w := csv.NewWriter(&buf)
		require.NoError(t, w.Write([]string{"row", "unit_id", "action", "reward", "pscore", "pi_0", "pi_1", "base_0", "base_1", "q_0", "q_1"}))
		for i := range c.Rows.Action {
			require.NoError(t, w.Write([]string{strconv.Itoa(i), "u" + strconv.Itoa(i), text(c.Rows.Action[i]), text(c.Rows.Reward[i]), text(c.Rows.PScore[i]),
				text(c.Rows.Pi[i][0]), text(c.Rows.Pi[i][1]), "1", "0", text(c.Rows.Q[i][0]), text(c.Rows.Q[i][1])}))
		}
		w.Flush()
		log, err := tabular.ReadLog(&buf)
		if c.Expect == "reject" {
			require.True(t, fault.Is(err, fault.Invalid), "%s: %s", c.ID, c.What)
			column, row, _ := strings.Cut(at[c.ID], " ")
			require.Contains(t, err.Error(), column+": "+row+" ", "%s: %s", c.ID, c.What)
			continue
		}
		require.NoError(t, err, "%s: %s", c.ID, c.What)
		report, err := log.Evaluate(evaluate.DefaultParams())
		require.NoError(t, err)
		got, ok := report.Policy.Estimators[evaluate.DR].Value.Float()
		require.True(t, ok)
		require.InEpsilon(t, c.OBP.(float64), got, 1e-9, c.ID)
	}
}
