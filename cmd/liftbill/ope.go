package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/tabular"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// withInput opens a named file, or standard input for "-". Unlike readInput it does
// not hold the whole input in memory.
func withInput(cmd *cobra.Command, name string, fn func(r io.Reader) error) error {
	if name == "-" {
		return fn(cmd.InOrStdin())
	}
	f, err := os.Open(name) //nolint:gosec // the user names the file to read
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "file_unreadable", "cannot read %s", name)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return fn(f)
}

func newOPE() *cobra.Command {
	group := &cobra.Command{Use: "ope", Short: "Off-policy evaluation, for analysis; no money is computed from it"}
	var asJSON bool
	params := evaluate.DefaultParams()
	cmd := &cobra.Command{
		Use:   "evaluate LOG.csv[.gz]|-",
		Short: "Estimate what a policy would have earned more than a baseline, from one decision log",
		Long: "Reads unit_id, action, reward, pscore and, for every action k, pi_k, base_k and q_k, and prints the value\n" +
			"of the policy, of the baseline and their difference by nine estimators, with row and cluster-robust errors.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var report evaluate.Report
			err := withInput(cmd, args[0], func(r io.Reader) error {
				log, err := tabular.ReadLog(r)
				if err != nil {
					return err
				}
				report, err = log.Evaluate(params)
				if err != nil {
					return fault.Wrap(err, fault.Invalid, "log_refused", "the log cannot be evaluated")
				}
				return nil
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printEvaluation(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().Float64Var(&params.Clip, "clip", params.Clip, "largest weight of dr_clip and ipw_clip")
	cmd.Flags().Float64Var(&params.Switch, "switch", params.Switch, "largest weight with which switch_dr corrects the prediction")
	cmd.Flags().Float64Var(&params.DRos, "dros", params.DRos, "lambda of dros, the shrinkage of large weights")
	group.AddCommand(cmd)
	return group
}

// printEvaluation writes the numbers that a reader compares; --json has all of them.
func printEvaluation(out io.Writer, r evaluate.Report) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%d decisions of %d units, %d actions (clip %g, switch %g, dros %g)\n\n", r.Rows, r.Units, r.Actions,
		r.Params.Clip, r.Params.Switch, r.Params.DRos)
	fmt.Fprintln(w, "estimator\tpolicy\tbaseline\tlift\tse, rows\tse, units\t95 % by units\t\ttotal\t")
	for _, name := range evaluate.Names() {
		l := r.Lift.Estimators[name]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, short(r.Policy.Estimators[name].Value), short(r.Baseline.Estimators[name].Value),
			short(l.Value), short(l.SE1), short(l.CR1), short(l.NormalCluster.CI95[0]), short(l.NormalCluster.CI95[1]), short(l.Total))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "weights\tess, rows\tess, units\tlargest\tits share\tmean\tshare of 0\t")
	for _, s := range []struct {
		name    string
		weights evaluate.Weights
	}{{"policy", r.Policy.Weights}, {"baseline", r.Baseline.Weights}} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.name, short(s.weights.ESS), short(s.weights.ESSUnits), short(s.weights.Max),
			short(s.weights.MaxShare), short(s.weights.Mean), short(s.weights.ShareZero))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(out, "\nwarning (%s): %s\n", warning.Code, warning.Explain)
	}
	return nil
}

// short writes a number with six significant digits, and "-" where it is undefined.
func short(n evaluate.Number) string {
	v, defined := n.Float()
	if !defined {
		return "-"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
