package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/audit"
)

func newProjections() *cobra.Command {
	group := &cobra.Command{Use: "projections", Short: "What is kept of the customers, subscriptions and invoices at Stripe"}
	group.AddCommand(projectionsRebuild())
	return group
}

func projectionsRebuild() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rebuild [CONNECTION...]", Short: "Recompute the projections from the stored events and reads",
		Long: "Recomputes the projections of the named connections, or of all of them, from the stored raw\n" +
			"events and from what was read at Stripe. Readers see the old rows until the new ones are\n" +
			"complete; the worker goes on meanwhile. Rows whose events are no longer stored are kept.",
		RunE: func(cmd *cobra.Command, connections []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				r := &ingest.Rebuilder{Store: a.db.NewRebuildStore(), Box: a.box}
				done, err := r.Rebuild(ctx, connections)
				if err == nil {
					err = a.rebuilt(ctx, done)
				}
				if asJSON && err == nil {
					return printJSON(cmd.OutOrStdout(), map[string]any{"connections": done})
				}
				if printErr := printRebuilt(cmd, done); err == nil {
					err = printErr
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// rebuilt writes down what was computed anew.
func (a *app) rebuilt(ctx context.Context, done []ingest.Rebuilt) error {
	for _, r := range done {
		c, err := a.db.SealedConnection(ctx, r.ConnectionID)
		if err != nil {
			return err
		}
		note := a.did(audit.ProjectionsRebuilt, "connection", r.ConnectionID).In("", c.Environment)
		if err := a.append(ctx, note.Changed(nil, audit.Facts{"objects": strconv.Itoa(int(r.Objects)), "changed": strconv.Itoa(int(r.Changed))})); err != nil {
			return err
		}
	}
	return nil
}

func printRebuilt(cmd *cobra.Command, done []ingest.Rebuilt) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, r := range done {
		fmt.Fprintf(w, "%s\t%d events\t%d reads\t%d objects\t%d changed", r.ConnectionID, r.Events, r.Reads, r.Objects, r.Changed)
		if r.Unreadable > 0 {
			fmt.Fprintf(w, "\t%d events cannot be read any more", r.Unreadable)
		}
		if r.Kept > 0 {
			fmt.Fprintf(w, "\t%d rows kept that nothing stored explains", r.Kept)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
