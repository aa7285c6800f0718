package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/ingest"
)

func newEventsErase() *cobra.Command {
	var connection, customer, reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "erase --connection C --customer cus_… --reason TEXT",
		Short: "Erase the stored bodies of all events about one customer of a connection",
		Long: "Empties the raw body of every event that names the customer or an object of theirs. The digests of the\n" +
			"bodies, the facts and a record of the erasure stay. What Stripe sends about the customer later is stored\n" +
			"again: erase once more then. Exits with 1 when bodies had to be left because their events are not\n" +
			"classified yet or cannot be opened.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				done, err := a.eraser().Erase(ctx, operator(), connection, customer, reason)
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), done)
				} else {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d bodies erased (record %d)\n", done.Erased, done.Searched, done.ID)
				}
				if err == nil && !done.Complete() {
					err = exitError{exitFailed, fmt.Errorf("bodies are left: %d events wait to be classified (is the connection paused?), %d bodies cannot be opened with this key", done.Pending, done.Unreadable)}
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&connection, "connection", "", "the connection whose events are searched")
	f.StringVar(&customer, "customer", "", "the customer's ID at Stripe")
	f.StringVar(&reason, "reason", "", "why, for the record; name no person")
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	for _, name := range []string{"connection", "customer", "reason"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was defined above
		}
	}
	return cmd
}

func (a *app) eraser() *ingest.Eraser {
	return &ingest.Eraser{Bodies: a.db.NewBodies(), Classifier: a.classifier(), Box: a.box, Clock: a.clock}
}
