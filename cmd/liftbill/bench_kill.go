package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/webhookload"
)

// newBenchKill is not for operators; scripts/kill.sh and the end-to-end tests run it.
func newBenchKill() *cobra.Command {
	o := webhookload.KillOptions{Connections: 16}
	seconds := 60
	var asJSON bool
	cmd := &cobra.Command{
		Use: "kill", Hidden: true,
		Short: "Kill API, worker and PostgreSQL at random moments under load; nothing that was answered may be lost",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 1 || o.Rate < 1 || o.Rate > 20_000 {
				return fault.InvalidField("--seconds, --rate", "kill_range", "%d seconds at %v events a second is no load", seconds, o.Rate).Fix("Use 1 second or more and 1 to 20,000 a second")
			}
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return err
			}
			if !cmd.Flags().Changed("seed") {
				o.Seed = uint64(system.Clock{}.Now().UnixNano())
			}
			o.For = time.Duration(seconds) * time.Second
			o.Log = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			report, err := webhookload.Kill(cmd.Context(), o)
			if err != nil {
				return fmt.Errorf("seed %d: %w", o.Seed, benchError(err))
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if err == nil && !report.Held() {
				err = exitError{exitFailed, fmt.Errorf("seed %d: the books do not agree with what was answered", o.Seed)}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	f.IntVar(&seconds, "seconds", seconds, "how long processes are killed")
	f.Uint64Var(&o.Seed, "seed", 0, "decides when and what; default is the present time")
	f.Float64Var(&o.Rate, "rate", 1000, "new events a second")
	f.StringVar(&o.Dir, "data", filepath.Join(os.TempDir(), "liftbill-bench-kill"), "folder for the database and the logs; it is emptied first")
	return cmd
}
