//go:build cases

package tabular_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// What the members of a case file are to us. A member that is in no list makes the
// inventory fail: nothing of the shared cases is left out without a word.
var (
	// compared number by number by the tests of this package and of domain/ope.
	comparedMembers = []string{
		"policy", "baseline", "lift", "n", "n_actions", "n_units", "params", "exact_rational", "vw_estimators_policy", // TestSharedOffPolicyCases
		"cases",                                                                                                    // TestSharedInvalidInputs
		"strata", "reps", "population_truth", "reference_two_sided_coverage", "reference_one_sided_lower_coverage", // TestSharedCoverage
		"T", "T_dec", "Vcr", "Vb", "V0", "SE_dec", "ESS", "calZ", "observed", "units", // domain/ope:TestSharedGolden
	}
	// descriptive members say what a case is.
	descriptiveMembers = []string{
		"case", "kind", "description", "csv", "seed", "reward_unit", "evaluation_policy", "baseline_policy", "behavior_policy", "n_positions", "q_model",
		"note", "spec", "n_per_rep", "n_reps", "mean_of_lift_estimates", "mean_se", "sd_of_lift_estimates", // sums over reps, which are compared
		"truth_on_these_contexts", "on_policy_ground_truth", "relative_estimation_error_vs_on_policy", // truths for plausibility, no tolerance
	}
	// foreignMembers are computed by methods that liftbill does not have: it takes q as
	// given, and bounds contracts by a schedule instead of an anytime-valid sequence.
	foreignMembers = []string{"nuisance", "anytime_lift_dr", "asymptotic_confidence_sequence_margins", "growthbook_sequential", "confseq_empirical_bernstein_lower", "confseq_boundaries"}
)

// TestSharedInventory goes through every file and every member.
func TestSharedInventory(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, list := range [][]string{comparedMembers, descriptiveMembers, foreignMembers} {
		for _, name := range list {
			require.False(t, known[name], name)
			known[name] = true
		}
	}
	paths, err := filepath.Glob(filepath.Join(casesDir(t), "*.json"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, path := range paths {
		if filepath.Base(path) == "index.json" {
			continue
		}
		var doc map[string]any
		readJSON(t, path, &doc)
		for member := range doc {
			require.True(t, known[member], "%s has the member %q, which nobody compares or explains", filepath.Base(path), member)
			seen[member] = true
		}
	}
	require.Len(t, seen, len(known), "a list names a member that no case has")
	requireEveryFileIsRun(t)
}

// requireEveryFileIsRun: the logs that TestSharedOffPolicyCases takes, and the files
// that have a test of their own, are all there are.
func requireEveryFileIsRun(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(casesDir(t))
	require.NoError(t, err)
	var other []string
	logs := map[string]bool{}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".csv.gz"); ok {
			logs[name] = true
		}
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if ok && !logs[name] {
			other = append(other, name)
		}
	}
	sort.Strings(other)
	require.Equal(t, []string{"aipw_hajek_ridge_golden", "index", "s40_invalid_inputs", "s50_anytime_reference"}, other)
}

// compareVW holds the two estimators that VowpalWabbit has too.
func compareVW(t *testing.T, path string, report evaluate.Report) {
	t.Helper()
	var doc struct {
		VW map[string]json.RawMessage `json:"vw_estimators_policy"`
	}
	readJSON(t, path, &doc)
	for member, name := range map[string]evaluate.Name{"estimator_ips": evaluate.IPW, "estimator_snips": evaluate.SNIPW} {
		var want *float64
		if raw, ok := doc.VW[member]; !ok || json.Unmarshal(raw, &want) != nil || want == nil {
			continue // a case without it, or one whose value is not a number
		}
		got, ok := report.Policy.Estimators[name].Value.Float()
		require.True(t, ok, member)
		require.InDelta(t, *want, got, max(1e-9*abs(*want), 1e-10), member)
	}
}

func abs(v float64) float64 { return max(v, -v) }
