package projectcheck_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lengths beyond which a file or a function is hard to hold in mind. A table of
// cases is longer than what it tests.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
	maxTestLines     = 120
)

// moduleRoot is the folder of this module's go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(raw), "module github.com/liftbill/liftbill\n") {
			return dir
		}
	}
	require.Fail(t, "there is no go.mod above the test")
	return ""
}

// sourceFiles lists the repository's own files with one of the endings, relative to
// the root. Generated Go code is left out.
func sourceFiles(t *testing.T, endings ...string) []string {
	t.Helper()
	root := moduleRoot(t)
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".cache", "bin", "var", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(path, e) }) && !strings.Contains(path, ".gen.") {
			rel, err := filepath.Rel(root, path)
			out = append(out, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

// parsed is one Go file of the tree.
type parsed struct {
	path string
	set  *token.FileSet
	file *ast.File
}

func goFiles(t *testing.T) []parsed {
	t.Helper()
	var out []parsed
	for _, path := range sourceFiles(t, ".go") {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(moduleRoot(t), path), nil, parser.ParseComments)
		require.NoError(t, err)
		out = append(out, parsed{path, set, file})
	}
	return out
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

// TestFilesAndFunctionsAreShort keeps each within what one can read at once.
func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	for _, p := range goFiles(t) {
		if lines := p.set.Position(p.file.FileEnd).Line; lines > maxFileLines {
			t.Errorf("%s has %d lines; %d are the limit", p.path, lines, maxFileLines)
		}
		limit := maxFunctionLines
		if isTest(p.path) {
			limit = maxTestLines
		}
		for _, d := range p.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := p.set.Position(fn.Pos()).Line, p.set.Position(fn.End()).Line
			if n := to - from + 1; n > limit {
				t.Errorf("%s:%d: %s has %d lines; %d are the limit", p.path, from, fn.Name.Name, n, limit)
			}
		}
	}
}

// TestPackagesSayWhatTheyOwn wants one package comment per package.
func TestPackagesSayWhatTheyOwn(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	for _, p := range goFiles(t) {
		dir := filepath.Dir(p.path)
		if isTest(p.path) {
			continue
		}
		comments[dir] += 0
		if p.file.Doc != nil && strings.TrimSpace(p.file.Doc.Text()) != "" {
			comments[dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, not one", dir, n)
		}
	}
}

// TestNothingIsSkippedOrPutOff refuses tests that give up and notes to oneself.
func TestNothingIsSkippedOrPutOff(t *testing.T) {
	t.Parallel()
	later := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, p := range goFiles(t) {
		if isTest(p.path) && skips(p.file) {
			t.Errorf("%s skips a test: let it fail with what is missing, or put it behind a build tag", p.path)
		}
		for _, c := range p.file.Comments {
			if later.MatchString(c.Text()) {
				t.Errorf("%s: %q: do it, or file it", p.set.Position(c.Pos()), strings.TrimSpace(c.Text()))
			}
		}
	}
	for _, path := range sourceFiles(t, ".sql", ".sh", "Makefile", ".html", ".yaml", ".yml", ".ci/run") {
		raw, err := os.ReadFile(filepath.Join(moduleRoot(t), path))
		require.NoError(t, err)
		// The configuration of the linters forbids a function that has the word in its name.
		if path != ".golangci.yml" && later.Match(raw) {
			t.Errorf("%s puts something off: do it, or file it", path)
		}
	}
}

// TestEveryPackageHasItsImportRule keeps a new package from slipping in without one.
func TestEveryPackageHasItsImportRule(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join(moduleRoot(t), ".golangci.yml"))
	require.NoError(t, err)
	for _, p := range goFiles(t) {
		parts := strings.Split(p.path, "/")
		if !slices.Contains([]string{"adapters", "app", "domain"}, parts[0]) {
			continue
		}
		rule := `"${base-path}/` + parts[0] + "/" + parts[1] + `/**"`
		require.Contains(t, string(rules), rule, "no list of import rules in .golangci.yml is about %s/%s", parts[0], parts[1])
	}
}

// TestGivenPackagesAreUsed wants the packages that the product is built on to be
// direct requirements, and each of them in the way of the main job.
func TestGivenPackagesAreUsed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "go.mod"))
	require.NoError(t, err)
	imports := map[string][]string{}
	for _, p := range goFiles(t) {
		if isTest(p.path) || strings.HasPrefix(p.path, "cmd/temporaldev/") {
			continue
		}
		for _, i := range p.file.Imports {
			imports[strings.Trim(i.Path.Value, `"`)] = append(imports[strings.Trim(i.Path.Value, `"`)], p.path)
		}
	}
	for module, folder := range map[string]string{
		"github.com/stripe/stripe-go/v76": "adapters/stripeapi/",
		"github.com/labstack/echo/v4":     "adapters/httpapi/",
		"gorm.io/gorm":                    "adapters/postgres/",
		"gorm.io/driver/postgres":         "adapters/postgres/",
		"github.com/shopspring/decimal":   "domain/billing/",
		"go.temporal.io/sdk/workflow":     "workflows/accountbill/",
	} {
		required := strings.TrimSuffix(module, "/workflow")
		direct := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(required) + ` v\S+$`)
		require.Regexp(t, direct, string(raw), "go.mod does not require %s directly", required)
		require.True(t, slices.ContainsFunc(imports[module], func(path string) bool { return strings.HasPrefix(path, folder) }),
			"%s is not imported in %s", module, folder)
	}
}

// TestClientsOwnTheirConnections refuses a client that does not say whose connections it uses:
// both libraries then take those of http.DefaultTransport, which anybody may close.
func TestClientsOwnTheirConnections(t *testing.T) {
	t.Parallel()
	wants := map[string]string{"http.Client": "Transport", "stripe.BackendConfig": "HTTPClient"}
	seen := map[string]bool{}
	for _, p := range goFiles(t) {
		ast.Inspect(p.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			name := ""
			if s, ok := lit.Type.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					name = x.Name + "." + s.Sel.Name
				}
			}
			field, ok := wants[name]
			if !ok {
				return true
			}
			seen[name] = true
			if !slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
				kv, ok := e.(*ast.KeyValueExpr)
				return ok && kv.Key.(*ast.Ident).Name == field
			}) {
				t.Errorf("%s: this %s has no %s and shares its connections with the whole process: use internal/httpclient", p.set.Position(lit.Pos()), name, field)
			}
			return true
		})
	}
	require.Len(t, seen, len(wants), "a kind of client was not found")
}
