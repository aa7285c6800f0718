package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/assembly"
)

// previews computes what cycles would come to.
func (a *app) previews() *preview.Service {
	return assembly.Previews(a.db, a.clock, a.measure(), a.invoicing(), a.trueUps(), a.reconcile())
}

// accruals keeps the figures of open months.
func (a *app) accruals() *accrual.Service { return assembly.Accruals(a.db, a.clock, a.previews()) }

// cyclePreview says what a cycle would come to now.
func cyclePreview() *cobra.Command {
	var f cycleFlags
	var against string
	cmd := f.bind(&cobra.Command{
		Use: "preview", Short: "Compute what a cycle would come to now, and store nothing; the period need not be over", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				p, err := a.previews().Run(ctx, operator(), f.account, f.period)
				if err != nil {
					return err
				}
				if against != "" {
					before, err := readPreview(against, p.CycleID)
					if err != nil {
						return err
					}
					c := preview.Compare(before, p)
					p.Compared = &c
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				return printPreview(cmd.OutOrStdout(), p)
			})
		},
	})
	cmd.Flags().StringVar(&against, "against", "", "compare with an earlier preview (its --json) instead of the stored cycle")
	return cmd
}

func readPreview(path, cycleID string) (preview.Preview, error) {
	var p preview.Preview
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	switch {
	case err != nil:
		return p, fault.Wrap(err, fault.Invalid, "preview_unreadable", "%s is no preview", path).On("--against").Fix("Name the output of liftbill cycle preview --json")
	case p.CycleID != cycleID:
		return p, fault.InvalidField("--against", "preview_other_cycle", "%s previews cycle %s", path, p.CycleID).Fix("Name a preview of %s", cycleID)
	}
	return p, nil
}

func printPreview(out io.Writer, p preview.Preview) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\tas of %s\twould be %s %s\n", p.CycleID, p.Environment, p.AsOf.Format(time.RFC3339), p.State, p.Reason)
	switch {
	case !p.Over:
		fmt.Fprintf(w, "  provisional\tthe period is not over\n")
	case !p.Settled:
		fmt.Fprintf(w, "  provisional\tthe close lag is not over\n")
	}
	for _, id := range p.WaitsFor {
		fmt.Fprintf(w, "  provisional\t%s is not finished; priced as if it had billed nothing\n", id)
	}
	for _, l := range p.Lines {
		fmt.Fprintf(w, "  %s\tmeasured %d\tbase %d\tfee %d %s\t%s %s\n", l.SnapshotID, l.MeasuredMinor, l.BaseMinor, l.FeeMinor, p.Currency, l.Verdict, l.HeadlineCode)
	}
	fmt.Fprintf(w, "  total\t%d %s\n  inputs\t%s\n  digest\t%s\n", p.TotalMinor, p.Currency, p.InputDigest, p.Digest)
	if c := p.Compared; c != nil && c.Equal {
		fmt.Fprintf(w, "  compared\tnothing changed\n")
	} else if c != nil {
		for _, x := range c.Changes {
			fmt.Fprintf(w, "  changed\t%s %s\t%d -> %d\t%d -> %d %s\n", x.What, x.Name, x.CountBefore, x.CountAfter, x.MinorBefore, x.MinorAfter, x.Currency)
		}
	}
	return w.Flush()
}
