package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/webhookload"
)

func newBenchIngest() *cobra.Command {
	o := webhookload.Options{Connections: 16, Events: 12_000, Rounds: 5, Offered: 5_000, OfferedFor: 15 * time.Second}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ingest",
		Short: "Measure the webhook endpoint: events per second and CPU until classified, answer times, memory",
		Long: "Starts a private PostgreSQL with its own durable settings, the API and a worker, and sends signed\n" +
			"deliveries of a recorded customer life. An event counts once it is stored and classified. pgbench and,\n" +
			"with --peers, two programs from npm run on the same PostgreSQL in the same rounds. Needs Linux.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkBench(o); err != nil {
				return err
			}
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return err
			}
			o.Log = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			report, err := webhookload.Bench(cmd.Context(), o)
			if err != nil {
				return benchError(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return report.Print(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	f.BoolVar(&o.Peers, "peers", false, "measure @stripe/sync-engine and @supabase/stripe-sync-engine as well; needs Node.js and npm")
	f.StringVar(&o.StripeSpec, "stripe-spec", "", "file with the description of Stripe's API (spec3.json) for the peer that reads one")
	f.IntVar(&o.Events, "events", o.Events, "distinct events in a round")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds; figures are medians over them")
	f.IntVar(&o.Connections, "connections", o.Connections, "connections that deliver at once")
	f.Float64Var(&o.Offered, "offered", o.Offered, "deliveries a second under which memory is watched")
	f.StringVar(&o.Dir, "data", filepath.Join(os.TempDir(), "liftbill-bench-ingest"), "folder for the database and the logs; it is emptied first")
	return cmd
}

// benchError says that something is missing, unless it was asked for wrongly.
func benchError(err error) error {
	if fault.Is(err, fault.Invalid) {
		return err
	}
	return exitError{exitEnvironment, err}
}

func checkBench(o webhookload.Options) error {
	switch {
	case o.Events < 100:
		return fault.InvalidField("--events", "bench_events", "%d events say nothing", o.Events).Fix("Send 100 or more")
	case o.Rounds < 1:
		return fault.InvalidField("--rounds", "bench_rounds", "%d rounds give no median", o.Rounds).Fix("Run 1 or more, better 5")
	case o.Connections < 1 || o.Connections > 250:
		return fault.InvalidField("--connections", "bench_connections", "%d connections cannot deliver", o.Connections).Fix("Use 1 to 250")
	case !(o.Offered >= 1 && o.Offered <= 100_000):
		return fault.InvalidField("--offered", "bench_offered", "%v deliveries a second cannot be offered", o.Offered).Fix("Offer 1 to 100,000")
	}
	return nil
}
