package projectcheck_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// capability is one row of docs/capabilities.md.
type capability struct{ id, text, state, proof string }

var (
	rowPattern   = regexp.MustCompile(`^\|\s*([A-Z]\d\d)\s*\|([^|]*)\|([^|]*)\|([^|]*)\|$`)
	asOther      = regexp.MustCompile(`^As ([A-Z]\d\d)$`)
	proofPattern = regexp.MustCompile("`([a-z0-9/]+):((?:Test|Fuzz)[A-Za-z0-9_]+)`")
)

// wantedIDs are the rows that the table must hold, in order, each once.
func wantedIDs() []string {
	var out []string
	for _, group := range []struct {
		letter string
		last   int
	}{{"M", 25}, {"B", 17}, {"G", 22}, {"F", 51}, {"I", 58}} {
		for n := range group.last {
			out = append(out, fmt.Sprintf("%s%02d", group.letter, n+1))
		}
	}
	return out
}

func capabilities(t *testing.T) []capability {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "capabilities.md"))
	require.NoError(t, err)
	var out []capability
	for line := range strings.Lines(string(raw)) {
		if m := rowPattern.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			out = append(out, capability{m[1], strings.TrimSpace(m[2]), strings.TrimSpace(m[3]), strings.TrimSpace(m[4])})
		}
	}
	return out
}

// TestCapabilitiesAreTrue holds docs/capabilities.md to the tree: a row that claims to
// work names tests that exist and run.
func TestCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	rows := capabilities(t)
	var ids []string
	for _, c := range rows {
		ids = append(ids, c.id)
	}
	require.Equal(t, wantedIDs(), ids, "the table must list every capability once, in order")
	tests := map[string]map[string]*ast.FuncDecl{}
	for _, c := range rows {
		if c.text == "" {
			t.Errorf("%s says nothing", c.id)
		}
		if problem := judge(t, c, tests); problem != "" {
			t.Errorf("%s: %s", c.id, problem)
		}
		if m := asOther.FindStringSubmatch(c.proof); m != nil && !slices.ContainsFunc(rows, func(o capability) bool {
			return o.id == m[1] && o.state == c.state && !asOther.MatchString(o.proof)
		}) {
			t.Errorf("%s refers to %s, which gives no reason for it", c.id, m[1])
		}
	}
}

// TestFalseCapabilitiesAreCaught shows that the check above can fail.
func TestFalseCapabilitiesAreCaught(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]capability{
		"names no test":        {"M01", "x", "works", "it is obvious"},
		"missing package":      {"M01", "x", "works", "`domain/nowhere:TestNothing`"},
		"missing test":         {"M01", "x", "works", "`domain/reward:TestNothingOfTheKind`"},
		"declined, no reason":  {"M01", "x", "declined", ""},
		"planned, no theme":    {"M01", "x", "planned", ""},
		"a state of its own":   {"M01", "x", "almost", "soon"},
		"planned with a proof": {"M01", "x", "planned", "`domain/reward:TestMRR`"},
	} {
		require.NotEmpty(t, judge(t, c, map[string]map[string]*ast.FuncDecl{}), name)
	}
	skipping, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nfunc TestX(t *testing.T) { t.Skipf(\"\") }", 0)
	require.NoError(t, err)
	require.True(t, skips(skipping))
}

// judge says what is wrong with a row; empty is fine.
func judge(t *testing.T, c capability, tests map[string]map[string]*ast.FuncDecl) string {
	t.Helper()
	proofs := proofPattern.FindAllStringSubmatch(c.proof, -1)
	switch c.state {
	case "works":
		if len(proofs) == 0 {
			return "works, and names no test"
		}
		for _, m := range proofs {
			if tests[m[1]] == nil {
				tests[m[1]] = testsOf(t, filepath.Join(moduleRoot(t), filepath.FromSlash(m[1])))
			}
			fn := tests[m[1]][m[2]]
			if fn == nil {
				return fmt.Sprintf("%s has no test %s", m[1], m[2])
			}
			if skips(fn) {
				return fmt.Sprintf("%s in %s skips", m[2], m[1])
			}
		}
	case "planned", "declined":
		if c.proof == "" || len(proofs) > 0 {
			return c.state + " wants a reason or a theme, and no test"
		}
	default:
		return fmt.Sprintf("the state %q is none of works, planned, declined", c.state)
	}
	return ""
}

// testsOf reads the test functions of one folder.
func testsOf(t *testing.T, dir string) map[string]*ast.FuncDecl {
	t.Helper()
	out := map[string]*ast.FuncDecl{}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[fn.Name.Name] = fn
			}
		}
	}
	return out
}

// skips reports whether a test gives up on itself anywhere in the node.
func skips(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			found = true
		}
		return true
	})
	return found
}
