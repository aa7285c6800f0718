package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/golive"
)

func newGoLive() *cobra.Command {
	group := &cobra.Command{Use: "go-live", Short: "Whether an account's invoices are written to Stripe"}
	group.AddCommand(goLiveStatus(), goLiveOpen(), goLiveClose())
	return group
}

func goLiveStatus() *cobra.Command {
	var d decision
	var id string
	cmd := &cobra.Command{
		Use: "status", Short: "The switch and the checklist, judged now",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				st, err := a.goLive().Status(ctx, operator(), id)
				if err != nil {
					return err
				}
				return d.sayGoLive(cmd, st)
			})
		},
	}
	cmd.Flags().StringVar(&id, "account", "", "the account's ID")
	return d.bind(cmd, "account")
}

func goLiveOpen() *cobra.Command {
	var d decision
	var in golive.Opening
	cmd := &cobra.Command{
		Use: "open", Short: "Let the account's invoices be written, when the checklist holds",
		Long: "With --override it opens although an item does not hold; the audit log says which and why.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				in.Reason = d.reason
				st, err := a.goLive().Open(ctx, operator(), in)
				if err != nil {
					return err
				}
				return d.sayGoLive(cmd, st)
			})
		},
	}
	cmd.Flags().StringVar(&in.AccountID, "account", "", "the account's ID")
	cmd.Flags().BoolVar(&in.Override, "override", false, "open although an item of the checklist does not hold")
	return d.because(cmd, "account")
}

func goLiveClose() *cobra.Command {
	var d decision
	var id string
	cmd := &cobra.Command{
		Use: "close", Short: "Write no more invoices of the account; cycles are computed and shown",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				st, err := a.goLive().Close(ctx, operator(), id, d.reason)
				if err != nil {
					return err
				}
				return d.sayGoLive(cmd, st)
			})
		},
	}
	cmd.Flags().StringVar(&id, "account", "", "the account's ID")
	return d.because(cmd, "account")
}

func (d *decision) sayGoLive(cmd *cobra.Command, st golive.Status) error {
	if d.asJSON {
		return printJSON(cmd.OutOrStdout(), st)
	}
	word := "closed"
	if st.Switch.Open {
		word = "open (" + string(st.Switch.Basis) + ")"
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: live writing is %s\n", st.Account.ID, word); err != nil {
		return err
	}
	for _, i := range st.Checklist {
		mark, next := "holds ", ""
		if !i.Met {
			mark, next = "open  ", ". Next: "+i.Next
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "  %s %-22s %s%s\n", mark, i.Code, i.Detail, next); err != nil {
			return err
		}
	}
	return nil
}
