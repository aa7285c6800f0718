package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// decisionCommands are the decisions about an invoice that is not finalized.
func decisionCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, d := range []struct {
		action billing.DecisionAction
		short  string
	}{
		{billing.ActApprove, "Refused here: whoever approves signs in (POST /v1/cycles/{id}/decisions)"},
		{billing.ActHold, "Stop the clock of an invoice that waits for approval"},
		{billing.ActRelease, "Ask for the approval of what was held, returned or has expired again"},
		{billing.ActReturn, "Send an invoice that waits for approval back"},
		{billing.ActSkip, "End a period without an invoice; what was measured stays billable in later months of the contract year"},
		{billing.ActRecompute, "Compute a month again as another revision, with what is known now; refused when that comes to the same"},
		{billing.ActVoidDraft, "Take an invoice back that was begun: its draft is deleted at Stripe, items first, and the cycle returned"},
	} {
		out = append(out, cycleDecide(d.action, d.short))
	}
	return out
}

func cycleDecide(action billing.DecisionAction, short string) *cobra.Command {
	var f cycleFlags
	var reason, hash string
	cmd := f.bind(&cobra.Command{
		Use: strings.ReplaceAll(string(action), "_", "-"), Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				id, err := f.cycleID()
				if err != nil {
					return err
				}
				out, err := a.deciding().Decide(ctx, operator(), invoicing.Wish{CycleID: id, Action: action, PlanHash: hash, Reason: reason})
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{
						"cycle_id": id, "state": out.State, "reason": out.Reason, "decision_id": out.DecisionID, "delivered": out.Delivered, "next_action": out.NextAction(), "revision": out.Revision,
					})
				}
				told := "its run was told"
				if !out.Delivered {
					told = "its next run finds the decision"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s; %s. %s\n", id, out.State, told, out.NextAction())
				return err
			})
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept for ever")
	cmd.Flags().StringVar(&hash, "invoice-hash", "", "the digest of the invoice that was seen")
	return cmd
}
