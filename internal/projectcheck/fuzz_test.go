package projectcheck_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEndOfFuzzingIsNoFailure runs the script with a go command that ends as Go's fuzzing may
// end: the deadline alone (golang.org/issue/75804) is no failure, and whatever comes with an
// input is one.
func TestEndOfFuzzingIsNoFailure(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join(moduleRoot(t), "scripts", "fuzz.sh"))
	require.NoError(t, err)
	const deadline = `printf -- '--- FAIL: FuzzX (3.02s)\n    context deadline exceeded\nFAIL\nexit status 1\n'; exit 1`
	const input = `mkdir -p domain/x/testdata/fuzz/FuzzX && echo 1 >domain/x/testdata/fuzz/FuzzX/582528ddfad69eb5; `
	for name, c := range map[string]struct {
		goes string
		fine bool
	}{
		"passes":                       {"echo ok", true},
		"deadline":                     {deadline, true},
		"deadline, and an input":       {input + deadline, false},
		"failing input":                {input + `printf -- '--- FAIL: FuzzX (0.02s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:9: wrong\n    Failing input written to testdata/fuzz/FuzzX/582528ddfad69eb5\nFAIL\n'; exit 1`, false},
		"seed that panics at the end":  {`printf 'panic: boom\n    context deadline exceeded\n'; exit 2`, false},
		"no package":                   {"echo 'no such package' >&2; exit 1", false},
		"deadline of the code it runs": {`printf -- '--- FAIL: FuzzX (0.02s)\n    x_test.go:9: context deadline exceeded\n'; exit 1`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, folder := range []string{"adapters", "app", "cmd", "domain/x", "internal", "workflows", "bin"} {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "domain/x/x_test.go"), []byte("package x\n\nfunc FuzzX(f *testing.F) {}\n"), 0o600))
			syscall.ForkLock.RLock() // no child that is being started holds the program open
			err := os.WriteFile(filepath.Join(dir, "bin/go"), []byte("#!/bin/sh\n"+c.goes+"\n"), 0o755)
			syscall.ForkLock.RUnlock()
			require.NoError(t, err)
			cmd := exec.Command("/bin/sh", script)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "FUZZTIME=3s", "FUZZ=.", "FUZZ_SKIP=^$")
			out, err := cmd.CombinedOutput()
			require.Equal(t, c.fine, err == nil, string(out))
			require.Contains(t, string(out), "domain/x FuzzX")
		})
	}
}
