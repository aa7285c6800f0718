package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/invoicing"
)

// cycleCorrect proposes what the page and the API do; somebody else approves it, signed in.
func cycleCorrect() *cobra.Command {
	var f cycleFlags
	w := invoicing.Wanted{}
	cmd := f.bind(&cobra.Command{
		Use: "correct", Short: "Say what is wrong with a finalized invoice; a second person approves it (POST /v1/cycles/{id}/corrections/{number}/approve)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				var err error
				if w.CycleID, err = f.cycleID(); err != nil {
					return err
				}
				c, err := a.invoicing().ProposeCorrection(ctx, operator(), w)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{
						"cycle_id": c.CycleID, "number": c.Number, "stripe_invoice_id": c.InvoiceID, "kind": c.Kind, "effect": c.Kind.Effect(), "line": c.Line,
						"too_much_minor": c.AmountMinor, "currency": c.Currency, "state": c.State,
					})
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "correction %d of %s, %s: %s. Somebody else approves it\n", c.Number, c.CycleID, c.Kind, c.Kind.Effect())
				return err
			})
		},
	})
	cmd.Flags().BoolVar(&w.Void, "void", false, "take the whole invoice back, also one that was voided by hand at Stripe")
	cmd.Flags().StringVar(&w.Line, "line", "", "the line that is wrong")
	cmd.Flags().Int64Var(&w.TooMuchMinor, "too-much-minor", 0, "what was billed too much on it, in minor units; negative for too little")
	cmd.Flags().BoolVar(&w.NextCycle, "next-cycle", false, "carry it to the next invoice instead of a credit note")
	cmd.Flags().StringVar(&w.Reason, "reason", "", "why; it is kept for ever")
	return cmd
}
