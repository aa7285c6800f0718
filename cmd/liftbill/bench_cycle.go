package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
)

// cycleReport is what bench cycle measured.
type cycleReport struct {
	Accounts int `json:"accounts"`
	// Floor is the same workflows with activities that do nothing, on the same server.
	Floor cycleRound `json:"floor"`
	// Month is the first month of every account on the ledger.
	Month cycleRound `json:"month"`
	// Killed is the second month, whose worker got a SIGKILL in the middle.
	Killed killedRound `json:"killed"`
	// Ratio is the month's rate over the floor's.
	Ratio float64 `json:"ratio"`
	// WorkerPeakBytes is the most that the worker held in RAM in the first month.
	WorkerPeakBytes int64 `json:"worker_peak_bytes"`
	// WorkerCPU is the worker's processor time in the first month.
	WorkerCPU time.Duration `json:"worker_cpu_ns"`
}

// cycleRound is one pass over all accounts.
type cycleRound struct {
	Wall time.Duration `json:"wall_ns"`
	// PerSecond are finished cycles a second.
	PerSecond float64 `json:"cycles_per_second"`
	// BillEvents and BillBytes are the history of one account's run; CycleRuns are the runs
	// of the chain that fans out, and CycleEvents the longest of their histories.
	BillEvents  int64 `json:"bill_events"`
	BillBytes   int64 `json:"bill_bytes"`
	CycleRuns   int   `json:"cycle_runs"`
	CycleEvents int64 `json:"cycle_events"`
}

// killedRound is a pass whose worker was killed.
type killedRound struct {
	cycleRound
	// FinishedAtKill were finished when the worker was killed.
	FinishedAtKill int `json:"finished_at_kill"`
	// Finished, Readouts and Lost are what the ledger holds afterwards: every account must
	// have one finished cycle with its readouts.
	Finished int `json:"finished"`
	Readouts int `json:"readouts"`
	Lost     int `json:"lost"`
}

func newBenchCycle() *cobra.Command {
	accounts := 10_000
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cycle",
		Short: "Measure a month of many accounts through the real Temporal server, beside empty activities",
		Long: "Starts a private PostgreSQL with its own durable settings and a Temporal server, and makes accounts with\n" +
			"20 decisions each and no revenue. Their first month runs from the start of the cycle to the last withheld\n" +
			"bill; the floor is the same workflows with activities that do nothing, on the same server. In the second\n" +
			"month the worker gets a SIGKILL half way. Stripe is a server that has nothing to list. Needs Linux.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if accounts < 10 || accounts > 100_000 {
				return fault.InvalidField("--accounts", "bench_accounts", "%d accounts", accounts).Fix("Use 10 to 100,000")
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			log := func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			report, err := benchCycle(cmd.Context(), accounts, binary, log)
			if err != nil {
				return benchError(err)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.print(cmd.OutOrStdout())
			}
			if err == nil && report.Killed.Lost > 0 {
				err = exitError{exitFailed, fmt.Errorf("%d cycles were lost by the kill", report.Killed.Lost)}
			}
			return err
		},
	}
	cmd.Flags().IntVar(&accounts, "accounts", accounts, "accounts that are billed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func (r cycleReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d accounts\tseconds\tcycles/s\tevents of a bill\tbytes\truns of the cycle\tevents of the longest\t\n", r.Accounts)
	for _, row := range []struct {
		name string
		cycleRound
	}{{"empty activities", r.Floor}, {"a month", r.Month}, {"the next, killed half way", r.Killed.cycleRound}} {
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%d\t%d\t%d\t%d\t\n", row.name, row.Wall.Seconds(), row.PerSecond, row.BillEvents, row.BillBytes, row.CycleRuns, row.CycleEvents)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%.2f of the floor's rate; the worker took %.1f ms of CPU per cycle and held %d MiB at most\n"+
		"killed with %d of %d finished; afterwards %d finished, %d readouts, %d lost\n",
		r.Ratio, float64(r.WorkerCPU.Milliseconds())/float64(r.Accounts), r.WorkerPeakBytes>>20,
		r.Killed.FinishedAtKill, r.Accounts, r.Killed.Finished, r.Killed.Readouts, r.Killed.Lost)
	return err
}

// benchCycle runs all rounds on a stack of its own.
func benchCycle(ctx context.Context, accounts int, binary string, log func(string)) (r cycleReport, err error) {
	s, err := startCycleStack(ctx, accounts, binary, log)
	defer func() {
		if stopErr := s.stop(); err == nil {
			err = stopErr
		}
	}()
	if err != nil {
		return r, err
	}
	r.Accounts = accounts
	log("empty activities")
	if r.Floor, err = s.floor(ctx); err != nil {
		return r, err
	}
	if err := s.startWorker(ctx); err != nil {
		return r, err
	}
	log("a month")
	if r.Month, err = s.month(ctx, s.first, nil); err != nil {
		return r, err
	}
	r.Ratio = r.Month.PerSecond / r.Floor.PerSecond
	if r.WorkerCPU, r.WorkerPeakBytes, err = s.workerCost(); err != nil {
		return r, err
	}
	log("the next month, killed half way")
	r.Killed, err = s.killedMonth(ctx)
	return r, err
}
