//go:build cases

package reward_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

type expectation struct {
	File    string             `json:"file"`
	Expect  []map[string]any   `json:"expect"`
	Accept  [][]map[string]any `json:"accept"`
	MustNot []string           `json:"must_not"`
	Why     string             `json:"why"`
}

// TestSharedExpectations runs recorded and derived events below LIFTBILL_CASES, the
// folder of all shared cases, against their expectations.json.
func TestSharedExpectations(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, root, "set LIFTBILL_CASES to the folder of the shared cases")
	dir := filepath.Join(root, "stripe", "events")
	raw, err := os.ReadFile(filepath.Join(dir, "expectations.json"))
	require.NoError(t, err)
	var all []expectation
	require.NoError(t, json.Unmarshal(raw, &all))
	require.NotEmpty(t, all)
	first, accepted := 0, 0
	for _, e := range all {
		t.Run(e.File, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(e.File)))
			require.NoError(t, err)
			got, err := reward.Classify(body, reward.Config{})
			require.NoError(t, err)
			signals := asMaps(t, got.Signals)
			for _, s := range signals {
				require.NotContains(t, e.MustNot, s["kind"], e.Why)
			}
			if matches(e.Expect, signals) {
				first++
				return
			}
			for _, alternative := range e.Accept {
				if matches(alternative, signals) {
					accepted++
					return
				}
			}
			t.Errorf("%s: signals %v, expected %v or one of %v", e.Why, signals, e.Expect, e.Accept)
		})
	}
	t.Logf("%d of %d as expected, %d by an accepted alternative", first, len(all), accepted)
}

func asMaps(t *testing.T, signals []reward.Signal) []map[string]any {
	t.Helper()
	raw, err := json.Marshal(signals)
	require.NoError(t, err)
	var out []map[string]any
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// matches pairs every wanted signal with one that has all its fields, none left over.
func matches(want, got []map[string]any) bool {
	if len(want) == 1 && want[0]["signal"] == "none" {
		return len(got) == 0
	}
	if len(want) != len(got) {
		return false
	}
	used := make([]bool, len(got))
next:
	for _, w := range want {
		for k, g := range got {
			if !used[k] && covers(w, g) {
				used[k] = true
				continue next
			}
		}
		return false
	}
	return true
}

func covers(want, got map[string]any) bool {
	for field, v := range want {
		if field == "signal" {
			field = "kind"
		}
		if fmt.Sprint(got[field]) != fmt.Sprint(v) {
			return false
		}
	}
	return true
}
