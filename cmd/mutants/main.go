// Command mutants takes one protection after the other out of the code, and wants the
// test that is named with it to fail. It exits with 1 when a test passed all the same,
// or when a mutant is out of date.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/internal/mutants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var bugs []int
	var page string
	cmd := &cobra.Command{
		Use: "mutants", Short: "See every test of docs/stripe-bugs.md fail once", SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := mutants.All()
			if len(bugs) > 0 {
				all = slices.DeleteFunc(all, func(m mutants.Mutant) bool { return !slices.Contains(bugs, m.Bug) })
			}
			if err := run(cmd.Context(), cmd.OutOrStdout(), all); err != nil || page == "" {
				return err
			}
			return write(page, all)
		},
	}
	cmd.Flags().IntSliceVar(&bugs, "bug", nil, "only the mutants of these numbers")
	cmd.Flags().StringVar(&page, "page", "", "write the table into this page when all were caught")
	cmd.MarkFlagsMutuallyExclusive("bug", "page")
	return cmd
}

// run tests all mutants and prints a line for each.
func run(ctx context.Context, out io.Writer, all []mutants.Mutant) error {
	if len(all) == 0 {
		return fmt.Errorf("there is no such mutant")
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	if err := mutants.Passing(ctx, root, all); err != nil {
		return err
	}
	wrong := 0
	for _, m := range all {
		v, err := mutants.Run(ctx, root, m)
		word := "caught "
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			word, wrong = "BROKEN ", wrong+1
		case !v.Caught:
			word, wrong = "ESCAPED", wrong+1
		}
		if _, err := fmt.Fprintf(out, "%s  bug %2d  %s  (%s)\n", word, m.Bug, m.Name, m.Test); err != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d mutants were not caught", wrong, len(all))
	}
	_, err = fmt.Fprintf(out, "%d mutants, each caught by its test\n", len(all))
	return err
}

func write(path string, all []mutants.Mutant) error {
	raw, err := os.ReadFile(path) //nolint:gosec // the page that the caller names
	if err != nil {
		return err
	}
	page, err := mutants.Page(string(raw), mutants.Table(all))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(page), 0o600) //nolint:gosec // as above; it exists and keeps its mode
}
