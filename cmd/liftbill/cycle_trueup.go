package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// cycleTrueUp is for an account whose contract has ended: a cycle that follows looks by itself.
func cycleTrueUp() *cobra.Command {
	var accountID, reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "trueup --account A --reason TEXT", Short: "Propose credits for what came after the last settlement of a contract that has ended", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				credits, err := a.trueUps().Close(ctx, operator(), accountID, reason)
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]map[string]any, len(credits))
					for i, c := range credits {
						out[i] = map[string]any{"correction_id": c.CorrectionID, "cycle_id": c.CycleID, "line": c.Line, "kind": c.Kind, "amount_minor": c.AmountMinor}
					}
					return printJSON(cmd.OutOrStdout(), map[string]any{"account_id": accountID, "proposed": out})
				}
				for _, c := range credits {
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  line %s: %d minor units, %s; somebody else approves it\n", c.CorrectionID, c.CycleID, c.Line, c.AmountMinor, c.Kind); err != nil {
						return err
					}
				}
				if len(credits) == 0 {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), "nothing is to be credited")
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&accountID, "account", "", "the account")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept for ever")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	for _, name := range []string{"account", "reason"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}
