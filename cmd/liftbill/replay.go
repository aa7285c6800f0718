package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/internal/assembly"
)

// replays derives frozen months once more; it cannot reach Stripe.
func (a *app) replays() *replay.Service[*postgres.Scratch] {
	return assembly.Replays(a.db, a.clock, a.box)
}

func newReplay() *cobra.Command {
	group := &cobra.Command{Use: "replay", Short: "Derive what is stored once more, and compare"}
	var f cycleFlags
	events := f.bind(&cobra.Command{
		Use: "events", Short: "Classify the raw events of a frozen month again, in tables of their own, and compare facts, unit tables and case IDs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				r, err := a.replays().Run(ctx, operator(), replay.Ask{AccountID: f.account, Period: f.period})
				if err != nil {
					return err
				}
				if f.asJSON {
					err = printJSON(cmd.OutOrStdout(), r)
				} else {
					err = printReplay(cmd.OutOrStdout(), r)
				}
				if err == nil && !r.Equal {
					err = exitError{exitFailed, fmt.Errorf("%s", r.Difference)}
				}
				return err
			})
		},
	})
	group.AddCommand(events)
	return group
}

func printReplay(out io.Writer, r replay.Report) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\tfrozen at %s\n", r.CycleID, r.Environment, r.Watermark.Format("2006-01-02 15:04:05.000000 UTC"))
	fmt.Fprintf(w, "%d events classified again\t%d facts equal\t%d facts without a body taken as stored\n", r.Events, r.Facts, r.Taken)
	for _, c := range r.Checks {
		mark := "equal"
		if !c.Equal {
			mark = "DIFFERS"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.Name, c.Replayed)
	}
	return w.Flush()
}
