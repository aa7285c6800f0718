// Command campaign puts the write-back through seeded schedules of faults, crashes,
// second workers, operators and clocks, and prints what an independent auditor found at
// Stripe. It exits with 1 when anything was wrong, or when a mutant was not caught.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "campaign: "+err.Error())
		return 1
	}
	return 0
}

type flags struct {
	seed     uint64
	n        int
	jobs     int
	postgres int
	kills    int
	mutants  bool
	database string
}

func newRoot() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "campaign", Short: "Look for a way to make the write-back bill wrongly", Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return campaignOf(cmd, f) },
	}
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "what the schedules are drawn from")
	cmd.Flags().IntVar(&f.n, "n", 30_000, "how many schedules")
	cmd.Flags().IntVar(&f.jobs, "jobs", 1, "how many at a time")
	cmd.Flags().IntVar(&f.postgres, "postgres", 100, "every how many schedules the ledger is PostgreSQL; 0 is never")
	cmd.Flags().IntVar(&f.kills, "kills", 56, "how many times a worker process is killed with SIGKILL; 0 is never")
	cmd.Flags().BoolVar(&f.mutants, "mutants", true, "hunt the mutants as well")
	cmd.Flags().StringVar(&f.database, "database-url", os.Getenv("DATABASE_URL"), "an empty PostgreSQL database; without one a throw-away server is started")
	cmd.AddCommand(newChild())
	return cmd
}
