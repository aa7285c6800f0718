package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/wire"
)

func newCycle() *cobra.Command {
	group := &cobra.Command{Use: "cycle", Short: "One account's billing of one period"}
	group.AddCommand(cycleStatus(), cyclePreview(), cycleRun(), cycleWhatIf(), cycleReplay(), cycleResume(), cycleSweep(), cycleRevisions(), cycleTrueUp(), cycleCorrect())
	group.AddCommand(decisionCommands()...)
	return group
}

type cycleFlags struct {
	account, period string
	asJSON          bool
}

func (f *cycleFlags) bind(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.account, "account", "", "the account's ID")
	cmd.Flags().StringVar(&f.period, "period", "", "the month, YYYY-MM")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	for _, name := range []string{"account", "period"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was defined three lines above
		}
	}
	return cmd
}

func (f *cycleFlags) cycleID() (string, error) {
	m, err := period.Parse(f.period)
	if err != nil {
		return "", err
	}
	return billing.CycleID(f.account, m), nil
}

func cycleStatus() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "status", Short: "Show where a cycle stands and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				m, err := period.Parse(f.period)
				if err != nil {
					return err
				}
				t, err := a.reconcile().TieOut(ctx, billing.CycleID(f.account, m))
				if err != nil {
					return err
				}
				run := billing.RunUnknown
				if t.State.Moving() {
					run = a.deciding().RunOf(ctx, t.Environment, t.AccountID, t.Period)
				}
				facts := t.Facts(run)
				t.NextAction = billing.NextActionOf(facts)
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), cycleStanding{t, run, billing.NextSteps(facts)})
				}
				return printTieOut(cmd, t, billing.NextSteps(facts))
			})
		},
	})
}

// cycleStanding is where a cycle stands, with what Temporal says of its run and what can be done.
type cycleStanding struct {
	reconcile.TieOut
	Run       billing.RunState
	NextSteps []billing.NextStep
}

func printTieOut(cmd *cobra.Command, t reconcile.TieOut, steps []billing.NextStep) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\t%s %s\n", t.ID, t.Environment, t.State, t.Reason)
	if t.NextAction != "" {
		fmt.Fprintf(w, "  next\t%s\n", t.NextAction)
	}
	if len(steps) > 0 {
		fmt.Fprintf(w, "  can be done\t%s\n", strings.Join(convert(steps), ", "))
	}
	if t.Revision > 1 {
		last := t.Revisions[t.Revision-1]
		fmt.Fprintf(w, "  revision\t%d\tby %s: %s\n", t.Revision, last.Actor, last.Reason)
	}
	for _, l := range t.Lines {
		verdict := "billed"
		if !l.Billed {
			verdict = "withheld: " + l.HeadlineCode
		}
		fmt.Fprintf(w, "  %s\tmeasured %d\tbase %d\tfee %d %s\t%s\n", l.SnapshotID, l.MeasuredMinor, l.BaseMinor, l.FeeMinor, t.Currency, verdict)
	}
	for _, c := range t.Charges {
		fmt.Fprintf(w, "  %s\t\t\tamount %d %s\t%s\n", c.Kind, c.AmountMinor, t.Currency, c.Description)
	}
	fmt.Fprintf(w, "  total\t%d %s\t%s %s\n", t.EngineMinor, t.Currency, t.StripeInvoiceID, t.InvoiceNumber)
	return w.Flush()
}

func cycleRun() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "run", Short: "Start the cycle of an account through Temporal; a finished one stays as it is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				m, err := period.Parse(f.period)
				if err != nil {
					return err
				}
				env, err := a.environmentOf(ctx, f.account)
				if err != nil {
					return err
				}
				s, err := a.scheduler(ctx)
				if err != nil {
					return err
				}
				defer s.Close()
				id := billing.CycleID(f.account, m)
				if err := a.append(ctx, a.did(audit.CycleStarted, "cycle", id).In(f.account, env)); err != nil {
					return err
				}
				res, err := s.StartBill(ctx, wire.BillInput{Environment: env, AccountID: f.account, Period: m.String()})
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), res)
				}
				word := "started"
				if res.Already {
					word = "runs already"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", res.WorkflowID, word)
				return err
			})
		},
	})
}

func (a *app) environmentOf(ctx context.Context, accountID string) (account.Environment, error) {
	acc, err := a.db.Account(ctx, accountID)
	return acc.Environment, err
}
