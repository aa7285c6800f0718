package mutants_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/mutants"
)

const root = "../.."

// TestMutantsAreUpToDate: the text that each mutant replaces is there, once. Whether its
// test fails then is for make mutants-ingest, which takes minutes.
func TestMutantsAreUpToDate(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants.All() {
		_, err := m.Source(root)
		require.NoError(t, err)
		folder, test := m.Target()
		require.DirExists(t, filepath.Join(root, filepath.FromSlash(folder)))
		require.NotEmpty(t, test)
		require.False(t, names[m.Name], m.Name)
		names[m.Name] = true
	}
}

func TestAMutantThatIsOutOfDateIsAnError(t *testing.T) {
	t.Parallel()
	for _, m := range []mutants.Mutant{
		{Name: "gone", File: "go.mod", Old: "no such text", New: "x"},
		{Name: "ambiguous", File: "go.mod", Old: "github.com", New: "x"},
		{Name: "nothing", File: "go.mod", Old: "module ", New: "module "},
		{Name: "no file", File: "gone.go", Old: "a", New: "b"},
	} {
		_, err := m.Source(root)
		require.Error(t, err, m.Name)
		_, err = mutants.Run(t.Context(), root, m)
		require.Error(t, err, m.Name)
	}
}

// module is a small module with a test that guards one line, one that guards nothing and
// one that fails.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example\n\ngo 1.26\n",
		"p/p.go":      "// Package p adds.\npackage p\n\n// Add adds.\nfunc Add(a, b int) int { return a + b }\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n}\n\nfunc TestNothing(t *testing.T) {}\n\nfunc TestRed(t *testing.T) { t.Fatal() }\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	dir := module(t)
	minus := mutants.Mutant{Bug: 1, Name: "minus", File: "p/p.go", Old: "a + b", New: "a - b", Test: "p:TestAdd"}
	v, err := mutants.Run(t.Context(), dir, minus)
	require.NoError(t, err)
	require.True(t, v.Caught)
	blind := minus
	blind.Test = "p:TestNothing"
	v, err = mutants.Run(t.Context(), dir, blind)
	require.NoError(t, err)
	require.False(t, v.Caught)
	broken := minus
	broken.New = "a +"
	_, err = mutants.Run(t.Context(), dir, broken)
	require.ErrorContains(t, err, "neither passed nor failed")

	require.NoError(t, mutants.Passing(t.Context(), dir, []mutants.Mutant{minus, blind}))
	red, gone := minus, minus
	red.Test, gone.Test = "p:TestRed", "p:TestGone"
	require.ErrorContains(t, mutants.Passing(t.Context(), dir, []mutants.Mutant{minus, red}), "do not pass")
	require.ErrorContains(t, mutants.Passing(t.Context(), dir, []mutants.Mutant{minus, gone}), "no test TestGone")
	raw, err := os.ReadFile(filepath.Join(dir, "p", "p.go"))
	require.NoError(t, err)
	require.Contains(t, string(raw), "a + b", "the tree stays as it is")
}

func TestPage(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "stripe-bugs.md"))
	require.NoError(t, err)
	page, err := mutants.Page(string(raw), mutants.Table(mutants.All()))
	require.NoError(t, err)
	require.Equal(t, string(raw), page, "make mutants-ingest writes the table")
	_, err = mutants.Page("# No table\n", "x")
	require.Error(t, err)
}
