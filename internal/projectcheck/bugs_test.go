package projectcheck_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/mutants"
)

// knownBugs is how many defects of others docs/stripe-bugs.md must list.
const knownBugs = 36

// bug is one row of docs/stripe-bugs.md.
type bug struct {
	number               int
	wrong, keeps, proofs string
}

var bugPattern = regexp.MustCompile(`^\| (\d+) \|([^|]*)\|([^|]*)\|([^|]*)\|$`)

func bugs(t *testing.T) []bug {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "stripe-bugs.md"))
	require.NoError(t, err)
	list, _, ok := strings.Cut(string(raw), "\n## What was taken out\n")
	require.True(t, ok)
	var out []bug
	for line := range strings.Lines(list) {
		if m := bugPattern.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			out = append(out, bug{n, strings.TrimSpace(m[2]), strings.TrimSpace(m[3]), m[4]})
		}
	}
	return out
}

// TestEveryBugHasItsTests: each bug has a row, its tests exist and run, and each was seen
// to fail: a mutant of the bug names one of them.
func TestEveryBugHasItsTests(t *testing.T) {
	t.Parallel()
	rows, all := bugs(t), mutants.All()
	require.Len(t, rows, knownBugs)
	tests := map[string]map[string]*ast.FuncDecl{}
	for i, b := range rows {
		require.Equal(t, i+1, b.number)
		require.NotEmpty(t, b.wrong)
		require.NotEmpty(t, b.keeps)
		if problem := judgeBug(t, b, all, tests); problem != "" {
			t.Errorf("bug %d: %s", b.number, problem)
		}
	}
}

// judgeBug says what is wrong with a row; empty is fine.
func judgeBug(t *testing.T, b bug, all []mutants.Mutant, tests map[string]map[string]*ast.FuncDecl) string {
	t.Helper()
	if problem := judge(t, capability{text: b.wrong, state: "works", proof: b.proofs}, tests); problem != "" {
		return problem
	}
	caught := 0
	for _, m := range all {
		if m.Bug != b.number {
			continue
		}
		caught++
		if !strings.Contains(b.proofs, "`"+m.Test+"`") {
			return "the row does not name " + m.Test + ", which caught the mutant " + m.Name
		}
	}
	if caught == 0 {
		return "no mutant shows that its tests can fail"
	}
	return ""
}

// TestFalseBugsAreCaught shows that the check above can fail.
func TestFalseBugsAreCaught(t *testing.T) {
	t.Parallel()
	known := []mutants.Mutant{{Bug: 1, Name: "x", Test: "domain/reward:TestMRR"}}
	for name, b := range map[string]bug{
		"no test":           {1, "x", "y", "surely"},
		"missing test":      {1, "x", "y", "`domain/reward:TestNothingOfTheKind`"},
		"no mutant":         {2, "x", "y", "`domain/reward:TestMRR`"},
		"mutant of another": {1, "x", "y", "`domain/reward:TestRefunds`"},
	} {
		require.NotEmpty(t, judgeBug(t, b, known, map[string]map[string]*ast.FuncDecl{}), name)
	}
	require.Empty(t, judgeBug(t, bug{1, "x", "y", "`domain/reward:TestMRR`"}, known, map[string]map[string]*ast.FuncDecl{}))
}
