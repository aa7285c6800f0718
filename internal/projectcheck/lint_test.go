//go:build lint

package projectcheck_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// issue is one line of golangci-lint's JSON report.
type issue struct {
	FromLinter string
	Text       string
	Pos        struct{ Filename string }
}

// TestEveryRuleFires plants one violation per rule in a copy of the tree, lints the
// planted packages once, and wants every violation reported on its file. A planted
// package has a name of its own below the folder whose rule it breaks, so that
// nothing imports it and no import cycle hides the rule.
func TestEveryRuleFires(t *testing.T) {
	golangci, workflowcheck := tool(t, "LIFTBILL_GOLANGCI"), tool(t, "LIFTBILL_WORKFLOWCHECK")
	dir := copyTree(t)
	plants := append(importPlants(), callPlants()...)
	var packages []string
	for _, p := range plants {
		path := filepath.Join(dir, p.file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(p.source), 0o600))
		pkg := "./" + filepath.ToSlash(filepath.Dir(p.file))
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	issues := lint(t, golangci, dir, packages)
	for _, p := range plants {
		for _, want := range p.wants {
			found := slices.ContainsFunc(issues, func(i issue) bool {
				return i.FromLinter == p.linter && filepath.ToSlash(i.Pos.Filename) == p.file && strings.Contains(i.Text, want)
			})
			if !found {
				t.Errorf("%s: %s did not say %q; it said %q", p.file, p.linter, want, said(issues, p.file))
			}
		}
	}
	everyRuleIsPlanted(t, plants)
	determinism(t, workflowcheck, dir)
}

// said lists what was reported on a file.
func said(issues []issue, file string) []string {
	var out []string
	for _, i := range issues {
		if filepath.ToSlash(i.Pos.Filename) == file {
			out = append(out, i.FromLinter+": "+i.Text)
		}
	}
	return out
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(name)
	require.NotEmpty(t, path, "%s names no program; run: make lint-selftest", name)
	return path
}

// copyTree copies what a build of the module needs.
func copyTree(t *testing.T) string {
	t.Helper()
	root, dir := moduleRoot(t), t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".cache", ".ci", "bin", "var", "docs", "temporaldev"}, d.Name()) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		if !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody's editor took it away
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), raw, 0o600)
	})
	require.NoError(t, err)
	return dir
}

func lint(t *testing.T, golangci, dir string, packages []string) []issue {
	t.Helper()
	args := append([]string{"run", "--allow-parallel-runners", "--show-stats=false", "--output.json.path=stdout"}, packages...)
	cmd := exec.Command(golangci, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	runErr := cmd.Run()
	var exit *exec.ExitError
	require.True(t, errors.As(runErr, &exit) && exit.ExitCode() == 1, "golangci-lint should report issues: %v\n%s", runErr, errOut.String())
	var report struct{ Issues []issue }
	require.NoError(t, json.Unmarshal(out.Bytes(), &report), "%s", errOut.String())
	for _, i := range report.Issues {
		require.NotEqual(t, "typecheck", i.FromLinter, "a planted file does not compile: %s: %s", i.Pos.Filename, i.Text)
	}
	return report.Issues
}

var (
	ruleName = regexp.MustCompile(`(?m)^        ([a-z-]+):$`)
	patterns = regexp.MustCompile(`(?m)^        - \{pattern: .*msg: "([^"]+)"\}`)
	enabled  = regexp.MustCompile(`(?m)^  enable: \[(.*)\]$`)
)

// everyRuleIsPlanted compares the plants with the configuration: a rule without a
// plant is a rule that nobody has seen to fire.
func everyRuleIsPlanted(t *testing.T, plants []plant) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), ".golangci.yml"))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), "    depguard:\n")
	require.True(t, ok)
	rules, rest, ok := strings.Cut(rest, "    forbidigo:\n")
	require.True(t, ok)
	planted := func(linter, text string) bool {
		return slices.ContainsFunc(plants, func(p plant) bool {
			return p.linter == linter && slices.ContainsFunc(p.wants, func(w string) bool { return strings.Contains(w, text) })
		})
	}
	names := ruleName.FindAllStringSubmatch(rules, -1)
	require.Greater(t, len(names), 30, "the import rules were not found")
	for _, m := range names {
		require.True(t, planted("depguard", "'"+m[1]+"'"), "no violation of the import rule %s is planted", m[1])
	}
	calls := patterns.FindAllStringSubmatch(rest, -1)
	require.Greater(t, len(calls), 8, "the forbidden calls were not found")
	for _, m := range calls {
		require.True(t, planted("forbidigo", m[1]), "no violation of the forbidden call %q is planted", m[1])
	}
	linters := enabled.FindStringSubmatch(string(raw))
	require.NotNil(t, linters)
	for name := range strings.SplitSeq(linters[1], ", ") {
		require.True(t, slices.ContainsFunc(plants, func(p plant) bool { return p.linter == name }), "no violation for %s is planted", name)
	}
}

// determinism plants workflows that a replay would see differently.
func determinism(t *testing.T, workflowcheck, dir string) {
	t.Helper()
	run := func() string {
		cmd := exec.Command(workflowcheck, "-show-pos", "-config", "workflowcheck.config.yaml", "./workflows/...")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	path := filepath.Join(dir, "workflows", "zzreplay", "workflow.go")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(replaySource), 0o600))
	out := run()
	for _, name := range []string{"OverAMap", "Clock", "Random", "Goroutine"} {
		require.Regexp(t, name+` is non-deterministic`, out)
	}
	require.NotRegexp(t, `Formatted is non-deterministic`, out, "the exemption of fmt.Sprintf has no effect")
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
}
