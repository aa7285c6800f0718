package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// demoFlags are what the user may choose.
type demoFlags struct {
	once   bool
	asJSON bool
	months int
	seed   int64
	scale  float64
	data   string
	listen string
}

const maxDemoMonths = 11 // one contract year without its settlement

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Boot the whole stack and bill two months of a simulated business",
		Long: "demo starts PostgreSQL, the Temporal server with its web console, a Stripe stand-in, the API, the pages and\n" +
			"a worker on this machine, lets three simulated companies live through two months, runs the monthly cycles through\n" +
			"their Temporal Schedules, and prints what was billed beside the lift that the simulation knows to be true.\n" +
			"An account's first invoice always needs a person: two fictitious people compare and approve those of the first\n" +
			"month. They clear reconciliation, so that the contract's terms release the second month's.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), cmd, f) },
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "exit after the report instead of serving the pages")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the report as one JSON document; progress goes to stderr")
	cmd.Flags().IntVar(&f.months, "months", 2, "how many months to bill, the last ones whose close lag is over")
	cmd.Flags().Int64Var(&f.seed, "seed", 1, "seed of the simulated businesses")
	cmd.Flags().Float64Var(&f.scale, "scale", 0.6, "size of the businesses; below 0.6 the first month may prove nothing")
	cmd.Flags().StringVar(&f.data, "data", defaultData(), "folder for databases, histories and logs")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of API and pages; a free port is taken when it is in use")
	return cmd
}

// defaultData is var/demo in a checkout and the user's cache elsewhere.
func defaultData() string {
	if _, err := os.Stat("go.mod"); err == nil {
		return filepath.Join("var", "demo")
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "liftbill", "demo")
	}
	return filepath.Join(os.TempDir(), "liftbill-demo")
}

func (f demoFlags) check() error {
	switch {
	case f.months < 1 || f.months > maxDemoMonths:
		return fault.InvalidField("--months", "months_range", "%d months cannot be billed", f.months).Fix("Choose 1 to %d", maxDemoMonths)
	case !(f.scale > 0 && f.scale <= 20):
		return fault.InvalidField("--scale", "scale_range", "%v is no size", f.scale).Fix("Choose a number above 0 and at most 20")
	}
	return nil
}

// demoMonths are the last n months whose close lag, and the hours until the
// Schedule fires, are over by the wall clock: only those can be backfilled.
func demoMonths(now time.Time, n int) []period.Month {
	last := period.Of(now, time.UTC).Add(-1)
	if simulator.DefaultSpec("", 0, last).FreshAt(last).After(now) {
		last = last.Add(-1)
	}
	out := make([]period.Month, n)
	for i := range out {
		out[i] = last.Add(i - n + 1)
	}
	return out
}

func runDemo(ctx context.Context, cmd *cobra.Command, f demoFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.asJSON {
		out = cmd.ErrOrStderr()
	}
	begun := system.Clock{}.Now()
	p := &progress{w: out, begun: begun, now: system.Clock{}.Now}
	s, err := bootDemo(ctx, f, p, demoMonths(begun, f.months))
	defer func() {
		if s != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err != nil {
		return s.explain(err)
	}
	w, err := onboardDemo(ctx, s, p)
	if err != nil {
		return s.explain(err)
	}
	report, err := w.bill(ctx, p)
	if err != nil {
		return s.explain(err)
	}
	if !f.once {
		if report.URLs.SignIn, err = s.signInLink(ctx); err != nil {
			return s.explain(err)
		}
	}
	report.Seconds = p.elapsed().Round(100 * time.Millisecond).Seconds()
	if f.asJSON {
		if err := printJSON(cmd.OutOrStdout(), report); err != nil {
			return err
		}
	} else if err := report.print(out); err != nil {
		return err
	}
	if f.once {
		return report.verdict()
	}
	if err := s.clock.Set(s.clock.Now(), true); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nServing until you press Ctrl-C.\n")
	return s.wait(ctx, p)
}
