package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/billing"
)

func newAccrual() *cobra.Command {
	group := &cobra.Command{Use: "accrual", Short: "What open months are expected to come to: low, expected and high"}
	group.AddCommand(accrualCompute(), accrualList())
	return group
}

// accrualView is an accrual as the command line prints it.
type accrualView struct {
	Cycle         string                `json:"cycle"`
	Environment   string                `json:"environment"`
	Period        string                `json:"period"`
	AsOf          time.Time             `json:"as_of"`
	ToDate        bool                  `json:"to_date"`
	Currency      string                `json:"currency"`
	LowMinor      int64                 `json:"low_minor"`
	ExpectedMinor int64                 `json:"expected_minor"`
	HighMinor     int64                 `json:"high_minor"`
	Held          string                `json:"held,omitempty"`
	WaitsFor      []string              `json:"waits_for,omitempty"`
	Run           string                `json:"run"`
	By            string                `json:"computed_by"`
	State         string                `json:"state,omitempty"`
	RealisedMinor *int64                `json:"realised_minor,omitempty"`
	OffMinor      *int64                `json:"off_minor,omitempty"`
	Digest        string                `json:"digest"`
	Lines         []billing.AccruedLine `json:"lines"`
}

func viewAccrual(a accrual.Accrual) accrualView {
	return accrualView{
		Cycle: a.CycleID(), Environment: a.Environment.String(), Period: a.Period, AsOf: a.AsOf, ToDate: !a.Over, Currency: string(a.Currency),
		LowMinor: a.Low.TotalMinor(), ExpectedMinor: a.Expected.TotalMinor(), HighMinor: a.HighMinor, Held: string(a.Held), WaitsFor: a.WaitsFor, Run: a.Run, By: a.By,
		State: string(a.State), RealisedMinor: a.RealisedMinor, OffMinor: a.OffMinor(), Digest: a.Digest, Lines: a.Lines,
	}
}

func accrualCompute() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "compute", Short: "Compute and store what an open month comes to now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				got, err := a.accruals().Run(ctx, operator(), f.account, f.period)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), viewAccrual(got))
				}
				return printAccruals(cmd.OutOrStdout(), []accrualView{viewAccrual(got)})
			})
		},
	})
}

func accrualList() *cobra.Command {
	var f accrual.Filter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List stored accruals, newest first, and how far off those of final months were", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				f.Scope, f.Limit = operator().Scope, accrual.MaxLimit
				out := []accrualView{}
				for {
					page, err := a.accruals().Accruals(ctx, f)
					if err != nil {
						return err
					}
					for _, x := range page.Items {
						out = append(out, viewAccrual(x))
					}
					if f.Cursor = page.NextCursor; f.Cursor == "" {
						break
					}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), out)
				}
				return printAccruals(cmd.OutOrStdout(), out)
			})
		},
	}
	cmd.Flags().StringVar(&f.AccountID, "account", "", "only this account")
	cmd.Flags().StringVar(&f.Period, "period", "", "only this month, YYYY-MM")
	cmd.Flags().StringVar(&f.Closed, "months", "", "open or closed months only")
	cmd.Flags().BoolVar(&f.History, "history", false, "every accrual of a month instead of its newest")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func printAccruals(out io.Writer, all []accrualView) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, a := range all {
		figures := "month over"
		if a.ToDate {
			figures = "to date"
		}
		fmt.Fprintf(w, "%s\t%s\tas of %s\t%s\tlow %s\texpected %s\thigh %s", a.Cycle, a.Environment, a.AsOf.Format(time.RFC3339), figures,
			amount(a.LowMinor, a.Currency), amount(a.ExpectedMinor, a.Currency), amount(a.HighMinor, a.Currency))
		if a.RealisedMinor != nil {
			fmt.Fprintf(w, "\tcame to %s (off by %s)", amount(*a.RealisedMinor, a.Currency), amount(*a.OffMinor, a.Currency))
		}
		fmt.Fprintln(w)
		for _, id := range a.WaitsFor {
			fmt.Fprintf(w, "  provisional\t%s is not finished; its marks are not known\n", id)
		}
	}
	return w.Flush()
}
