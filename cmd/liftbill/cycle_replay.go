package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/wire"
)

// cycleReplay replays a month on Temporal, as its console's form does.
func cycleReplay() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "replay", Short: "Derive a frozen month again on the worker, and compare (without Temporal: liftbill replay events)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				m, err := period.Parse(f.period)
				if err != nil {
					return err
				}
				id := billing.CycleID(f.account, m)
				env, err := a.db.NewReplays().Replayable(ctx, id)
				if err != nil {
					return err
				}
				s, err := a.scheduler(ctx)
				if err != nil {
					return err
				}
				defer s.Close()
				if err := a.append(ctx, a.did(audit.ReplayAsked, "cycle", id).In(f.account, env)); err != nil {
					return err
				}
				r, err := s.StartReplay(ctx, env, wire.ReplayInput{AccountID: f.account, Period: m.String(), By: operator().ID})
				if err != nil {
					return err
				}
				if f.asJSON {
					err = printJSON(cmd.OutOrStdout(), r)
				} else {
					w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
					fmt.Fprintf(w, "%s\t%s\t%d events classified again\t%d facts equal\n", r.CycleID, r.Environment, r.Events, r.Facts)
					for _, c := range r.Checks {
						mark := "equal"
						if !c.Equal {
							mark = "DIFFERS"
						}
						fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.Name, c.Replayed)
					}
					err = w.Flush()
				}
				if err == nil && !r.Equal {
					err = exitError{exitFailed, fmt.Errorf("%s", r.Difference)}
				}
				return err
			})
		},
	})
}
