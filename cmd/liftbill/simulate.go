package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/validation"
)

func newSimulate() *cobra.Command {
	var asJSON bool
	var out string
	opt := validation.Options{Seed: 1, Scale: 1, Workers: runtime.GOMAXPROCS(0)}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate worlds of known lift and count how often the estimate and the bill are wrong",
		Long: "Runs the estimator and the billing rule on simulated worlds and prints each statement with its\n" +
			"Monte-Carlo bound. Exits with 1 when one does not hold. The same seed gives the same figures.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(opt.Scale >= 0.01 && opt.Scale <= 100) {
				return fault.InvalidField("scale", "simulate_scale", "%v is not between 0.01 and 100", opt.Scale)
			}
			rep, err := validation.Run(cmd.Context(), opt)
			if err != nil {
				return err
			}
			if out != "" {
				if err := writeValidation(out, rep); err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), rep)
			} else {
				err = printValidation(cmd.OutOrStdout(), rep)
			}
			if err == nil && !rep.Passed {
				err = exitError{exitFailed, fmt.Errorf("a statement of the validation does not hold")}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	f.Uint64Var(&opt.Seed, "seed", opt.Seed, "decides everything random")
	f.Float64Var(&opt.Scale, "scale", opt.Scale, "multiplies the number of runs, 0.01 to 100; the bounds follow")
	f.StringVar(&out, "out", "", "write the page here and its figures into img beside it")
	return cmd
}

// writeValidation writes the page and its figures.
func writeValidation(path string, rep validation.Report) error {
	images := filepath.Join(filepath.Dir(path), "img")
	if err := os.MkdirAll(images, 0o750); err != nil {
		return fault.Wrap(err, fault.Unavailable, "page_unwritable", "cannot make %s", images)
	}
	files := map[string]string{path: validation.Markdown(rep, "img")}
	for name, svg := range validation.Figures(rep) {
		files[filepath.Join(images, name)] = svg
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // a page for everyone to read
			return fault.Wrap(err, fault.Unavailable, "page_unwritable", "cannot write %s", name)
		}
	}
	return nil
}

func printValidation(out io.Writer, rep validation.Report) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "statement\truns\tobserved\tbound\tholds")
	for _, c := range rep.Checks {
		holds := "yes"
		if !c.Passed {
			holds = "NO"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", c.Name, c.Runs, c.Value(), c.Limit(), holds)
	}
	return w.Flush()
}
