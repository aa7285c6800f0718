package main

import "github.com/spf13/cobra"

// newBench groups the benchmarks. Each of them measures its subject beside a floor in the
// same run and says its command and figures in docs/benchmarks.md.
func newBench() *cobra.Command {
	group := &cobra.Command{Use: "bench", Short: "Measure this machine: each subject side by side with its floor, in the same run"}
	group.AddCommand(newBenchIngest(), newBenchKill())
	return group
}
