//go:build e2e

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBenchCycle runs the benchmark on few accounts: the real Temporal server, a worker
// that is killed in the middle, and nothing lost.
func TestBenchCycle(t *testing.T) {
	var r struct {
		Accounts     int `json:"accounts"`
		Floor, Month struct {
			PerSecond float64 `json:"cycles_per_second"`
		}
		WorkerPeakBytes int64 `json:"worker_peak_bytes"`
		WorkerCPU       int64 `json:"worker_cpu_ns"`
		Killed          struct {
			FinishedAtKill int `json:"finished_at_kill"`
			Finished       int `json:"finished"`
			Readouts       int `json:"readouts"`
			Lost           int `json:"lost"`
		}
	}
	runTool(t, &r, "bench", "cycle", "--json", "--accounts", "20")
	require.Equal(t, 20, r.Accounts)
	require.Positive(t, r.Floor.PerSecond)
	require.Positive(t, r.Month.PerSecond)
	require.Positive(t, r.WorkerCPU)
	require.Positive(t, r.WorkerPeakBytes)
	require.GreaterOrEqual(t, r.Killed.FinishedAtKill, 10)
	require.Equal(t, []int{20, 40, 0}, []int{r.Killed.Finished, r.Killed.Readouts, r.Killed.Lost}, "a snapshot's readout and the pooled one for each account")
}
