package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/billing"
)

// cycleRevisions says how often a cycle was computed, why, and what changed.
func cycleRevisions() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "revisions", Short: "Show how often a cycle was computed, why, and what changed between", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				id, err := f.cycleID()
				if err != nil {
					return err
				}
				all, err := a.previews().History(ctx, id)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				for _, r := range all {
					fmt.Fprintf(w, "%s revision %d\t%s\t%d %s\t%s\n", id, r.Number, r.State, r.Stored.TotalMinor, r.Stored.Currency, r.Stored.InputDigest)
					if r.Reason != "" {
						fmt.Fprintf(w, "  %s\t%s\t%s\n", r.BegunAt.Format(time.RFC3339), r.Actor, r.Reason)
					}
					if r.Compared == nil {
						continue
					}
					for _, x := range r.Compared.Changes {
						fmt.Fprintf(w, "  changed\t%s %s\t%d -> %d\t%d -> %d %s\n", x.What, x.Name, x.CountBefore, x.CountAfter, x.MinorBefore, x.MinorAfter, x.Currency)
					}
				}
				return w.Flush()
			})
		},
	})
}

func convert(steps []billing.NextStep) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = string(s)
	}
	return out
}
