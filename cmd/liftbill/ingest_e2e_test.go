//go:build e2e

package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/webhookload"
)

// runTool runs a command of the built program and decodes what it prints.
func runTool(t *testing.T, out any, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(binaries(t), "liftbill"), args...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s\n%s", stdout.String(), stderr.String())
	require.NoError(t, json.Unmarshal(stdout.Bytes(), out))
}

// dataDir is a folder for a whole stack. Where the tests are root's, PostgreSQL runs as a user who
// reaches nothing below t.TempDir, and its clusters would stay in the fall-back folder for good.
func dataDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "liftbill-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		for range 100 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond) // a server that was killed may still be writing
		}
		t.Logf("%s was not removed: %v", dir, err)
	})
	return filepath.Join(dir, name)
}

// Whatever is killed, every event that was answered 200 is there once afterwards and its
// facts are booked once. `make kill` does the same for longer.
func TestNothingAnsweredIsLost(t *testing.T) {
	var r webhookload.KillReport
	runTool(t, &r, "bench", "kill", "--json", "--seconds", "20", "--seed", "3", "--rate", "400", "--data", dataDir(t, "kill"))
	require.True(t, r.Held(), "%+v", r)
	for _, victim := range []string{"api", "worker", "postgres"} {
		require.Positive(t, r.Kills[victim], "%+v", r)
	}
	require.Positive(t, r.Redelivered)
	require.Greater(t, r.Events, 500)
	require.Equal(t, r.Events, r.Stored)
	require.Equal(t, r.Stored, r.Processed+r.Ignored)
	require.Greater(t, r.Facts, 100)
	require.Equal(t, r.ExpectedFacts, r.Facts)
}

// The benchmark measures what it says: each event stored and classified, every figure there.
func TestBenchIngest(t *testing.T) {
	var r webhookload.Report
	runTool(t, &r, "bench", "ingest", "--json", "--rounds", "1", "--events", "1000", "--offered", "200", "--data", dataDir(t, "bench"))
	require.Len(t, r.Runs, 1)
	require.Positive(t, r.Median.PerSecond)
	require.Positive(t, r.Median.CPU)
	require.Positive(t, r.Floor.PerSecond)
	require.Positive(t, r.HalfLoad.P99)
	require.Equal(t, 200*15*51/50, r.Memory.Answered, "every fiftieth is sent twice")
	require.Positive(t, r.Memory.ServerPeak)
	require.Less(t, r.Memory.ServerPeak, int64(400<<20))
	require.Nil(t, r.Ratios)
}
