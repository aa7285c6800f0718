package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func newPlan() *cobra.Command {
	group := &cobra.Command{Use: "plan", Short: "Questions before a measurement plan is signed"}
	var asJSON bool
	terms := lift.PowerTerms{Months: lift.PeriodsPerYear, Snapshots: lift.DefaultSnapshots, Power: 0.8}
	cmd := &cobra.Command{
		Use:   "power --units-per-month N --sd-minor S --lift-minor L --holdout H",
		Short: "Holdout share and months that it takes to prove a lift",
		Long: "Tells, for units that arrive at the same pace every month, which lift a holdout can prove and when,\n" +
			"with the default error budget of a contract year. Amounts are minor units (cents). Give the\n" +
			"standard deviation that remains after the features have explained what they can.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := lift.PlanPower(terms)
			if err != nil {
				return fault.Wrap(err, fault.Invalid, "power_refused", "the question cannot be answered")
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), plan)
			}
			return printPower(cmd.OutOrStdout(), terms, plan)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	f.Float64Var(&terms.UnitsPerMonth, "units-per-month", 0, "new units per month, both arms together")
	f.Float64Var(&terms.SD, "sd-minor", 0, "standard deviation of a unit's revenue, in minor units")
	f.Float64Var(&terms.Lift, "lift-minor", 0, "lift per treated unit that is to be proven, in minor units")
	f.Float64Var(&terms.Holdout, "holdout", 0, "share of units that keep the baseline, 0.001 to 0.5")
	f.IntVar(&terms.Months, "months", terms.Months, "horizon; month 12 is the settlement of the year")
	f.IntVar(&terms.Snapshots, "snapshots", terms.Snapshots, "snapshots of the year over which the error budget is split")
	f.Float64Var(&terms.Power, "power", terms.Power, "wanted probability of proof")
	group.AddCommand(cmd)
	return group
}

func printPower(out io.Writer, t lift.PowerTerms, p lift.PowerPlan) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "month\tunits\tlook\tz\tdetectable lift\tchance of proof\texpected proven\t")
	for _, r := range p.Rows {
		fmt.Fprintf(w, "%d\t%.0f\t%s\t%s\t%.2f\t%.1f %%\t%.1f %%\t\n", r.Month, r.Units, r.Look, r.Z, r.MDEMinor, 100*r.Chance, 100*r.ProvenShare)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	last := p.Rows[len(p.Rows)-1]
	fmt.Fprintln(out)
	if p.MonthsNeeded > 0 {
		fmt.Fprintf(out, "A lift of %g minor units per treated unit is proven with %.0f %% probability after %d months with a holdout of %.1f %%",
			t.Lift, 100*t.Power, p.MonthsNeeded, 100*t.Holdout)
	} else {
		fmt.Fprintf(out, "A lift of %g minor units per treated unit is not proven with %.0f %% probability within %d months with a holdout of %.1f %%",
			t.Lift, 100*t.Power, last.Month, 100*t.Holdout)
	}
	if p.LeastHoldout > 0 {
		fmt.Fprintf(out, "; by month %d a holdout of %.1f %% is enough", last.Month, 100*p.LeastHoldout)
	} else {
		fmt.Fprintf(out, "; by month %d no holdout up to 50 %% is enough", last.Month)
	}
	if p.BestHoldout > 0 {
		fmt.Fprintf(out, ", and %.1f %% proves the most money", 100*p.BestHoldout)
	}
	fmt.Fprintln(out, ".")
	return nil
}
