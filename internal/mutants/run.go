package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Verdict is what became of a mutant.
type Verdict struct {
	Mutant
	// Caught: its test failed, and not because the mutant does not compile.
	Caught bool
	// Output is what the go command printed.
	Output string
}

// Passing runs the tests of all mutants on the module as it is: a test that fails anyway
// catches nothing.
func Passing(ctx context.Context, root string, all []Mutant) error {
	var folders []string
	tests := map[string][]string{}
	for _, m := range all {
		folder, test := m.Target()
		if tests[folder] == nil {
			folders = append(folders, folder)
		}
		tests[folder] = append(tests[folder], test)
	}
	for _, folder := range folders {
		out, err := goTest(ctx, root, folder, strings.Join(tests[folder], "|"))
		if err != nil {
			return fmt.Errorf("the tests of %s do not pass without a mutant: %w\n%s", folder, err, out)
		}
		for _, test := range tests[folder] {
			if !strings.Contains(out, "--- PASS: "+test+" ") {
				return fmt.Errorf("%s has no test %s", folder, test)
			}
		}
	}
	return nil
}

// Run tests one mutant. The error is one of the run itself: the mutant is out of date,
// does not compile or did not let its test end.
func Run(ctx context.Context, root string, m Mutant) (Verdict, error) {
	source, err := m.Source(root)
	if err != nil {
		return Verdict{Mutant: m}, err
	}
	dir, err := os.MkdirTemp("", "liftbill-mutant-")
	if err != nil {
		return Verdict{Mutant: m}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	overlay, err := writeOverlay(dir, filepath.Join(root, filepath.FromSlash(m.File)), source)
	if err != nil {
		return Verdict{Mutant: m}, err
	}
	folder, test := m.Target()
	out, err := goTest(ctx, root, folder, test, "-overlay", overlay)
	v := Verdict{Mutant: m, Output: out, Caught: err != nil && strings.Contains(out, "--- FAIL: "+test+" ")}
	if err != nil && !v.Caught {
		return v, fmt.Errorf("mutant %q of bug %d: its test neither passed nor failed: %w\n%s", m.Name, m.Bug, err, out)
	}
	return v, nil
}

// writeOverlay writes the mutated file and the list that puts it in the place of the
// real one.
func writeOverlay(dir, file, source string) (overlay string, err error) {
	mutated := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(mutated, []byte(source), 0o600); err != nil {
		return "", err
	}
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

func goTest(ctx context.Context, root, folder, tests string, flags ...string) (string, error) {
	args := append([]string{"test", "-v", "-count=1", "-timeout=5m", "-run", "^(" + tests + ")$"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+folder)...) //nolint:gosec // the go command, on a list in this package
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
