package main

import (
	"cmp"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// newBench groups the benchmarks. Each of them measures its subject beside a floor in the
// same run and says its command and figures in docs/benchmarks.md.
func newBench() *cobra.Command {
	group := &cobra.Command{Use: "bench", Short: "Measure this machine: each subject side by side with its floor, in the same run"}
	group.AddCommand(newBenchIngest(), newBenchLift(), newBenchReconcile(), newBenchLists(), newBenchKill(), newBenchCycle())
	return group
}

// cost is what one run of something took of this process.
type cost struct {
	Wall time.Duration `json:"wall_ns"`
	CPU  time.Duration `json:"cpu_ns"`
	// Allocated is every byte that was allocated, freed or not: no less than the
	// memory that was needed at once.
	Allocated uint64 `json:"allocated_bytes"`
}

// measureCost runs fn once and says what it took. Nothing else may run meanwhile.
func measureCost(fn func() error) (cost, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := processCPU(), monotonic()
	err := fn()
	c := cost{Wall: monotonic() - began, CPU: processCPU() - cpu}
	runtime.ReadMemStats(&after)
	c.Allocated = after.TotalAlloc - before.TotalAlloc
	return c, err
}

// processCPU is the CPU time, user and system, that this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var processStart = time.Now() //nolint:forbidigo // a benchmark measures the machine's time, not the ledger's

// monotonic is the machine's time since the process began.
func monotonic() time.Duration {
	return time.Since(processStart) //nolint:forbidigo // a benchmark measures the machine's time, not the ledger's
}

// median sorts and takes the middle, the lower one of two.
func median[T cmp.Ordered](v []T) T {
	s := slices.Sorted(slices.Values(v))
	return s[(len(s)-1)/2]
}

// medianCost is the median of each figure on its own.
func medianCost(runs []cost) cost {
	var wall, cpu []time.Duration
	var bytes []uint64
	for _, r := range runs {
		wall, cpu, bytes = append(wall, r.Wall), append(cpu, r.CPU), append(bytes, r.Allocated)
	}
	return cost{median(wall), median(cpu), median(bytes)}
}
