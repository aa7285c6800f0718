package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// What the reference pipeline (Open Bandit Pipeline 0.5.5: 3-fold ridge and doubly robust
// estimate of 1,000,000 rows of 10 features that lie in memory) took on such a machine,
// on one core. It is quoted, not run: it needs Python.
const (
	referenceCPU   = 780 * time.Millisecond
	referenceBytes = 588 << 20
	referenceUnits = 1_000_000
)

type benchLiftFlags struct {
	units, features, runs int
	postgres              bool
	database, data        string
	asJSON                bool
}

// liftRow is one size; the costs are medians.
type liftRow struct {
	Units    int `json:"units"`
	Features int `json:"features"`
	// Number is one pass with all three variances, cross-fitted; Complete adds the second
	// look at every unit, for the one that speaks most for the lift.
	Number   cost `json:"number"`
	Complete cost `json:"complete"`
	// Postgres is nil where it was not asked for.
	Postgres *liftPostgres `json:"postgres,omitempty"`
}

type liftReport struct {
	Go   string    `json:"go"`
	Arch string    `json:"arch"`
	CPUs int       `json:"cpus"`
	Runs int       `json:"runs"`
	Rows []liftRow `json:"rows"`
}

func newBenchLift() *cobra.Command {
	f := benchLiftFlags{units: referenceUnits, features: 10, runs: 5, postgres: true, database: os.Getenv("DATABASE_URL"), data: "var/bench"}
	cmd := &cobra.Command{
		Use:   "lift",
		Short: "The billing estimator in memory and from PostgreSQL, beside COPY of the same rows",
		Long: "Estimates the lift of 10,000, 100,000 … --units units: cross-fitted ridge, doubly robust estimate and all variances,\n" +
			"in memory on one goroutine, and streamed from the frozen unit table in PostgreSQL beside COPY of the same rows to\n" +
			"/dev/null. PostgreSQL is that of DATABASE_URL (a database liftbill_bench is made and dropped) or a private one.",
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.units < 10_000 || f.units > 20_000_000 || f.features < 0 || f.features > ope.MaxFeatures || f.runs < 1 || f.runs > 100 {
				return fault.InvalidField("units", "bench_range", "10,000 to 20,000,000 units, 0 to %d features and 1 to 100 runs are possible", ope.MaxFeatures)
			}
			rep, err := benchLift(cmd.Context(), f, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), rep)
			}
			return printLift(cmd.OutOrStdout(), rep)
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.units, "units", f.units, "the largest size; smaller ones are tenths of it down to 10,000")
	fl.IntVar(&f.features, "features", f.features, "features beside the intercept")
	fl.IntVar(&f.runs, "runs", f.runs, "runs of each; medians are printed")
	fl.BoolVar(&f.postgres, "postgres", f.postgres, "also stream from PostgreSQL")
	fl.StringVar(&f.data, "data", f.data, "where a private PostgreSQL keeps its data")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

func benchLift(ctx context.Context, f benchLiftFlags, note io.Writer) (liftReport, error) {
	rep := liftReport{Go: runtime.Version(), Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Runs: f.runs}
	var sizes []int
	for n := f.units; n >= 10_000; n /= 10 {
		sizes = append([]int{n}, sizes...)
	}
	var db *benchDatabase
	if f.postgres {
		var err error
		if db, err = openBenchDatabase(ctx, f.database, f.data, false, false, note); err != nil {
			return rep, err
		}
		defer db.close(ctx)
	}
	for _, n := range sizes {
		row := liftRow{Units: n, Features: f.features}
		var err error
		if db != nil {
			fmt.Fprintf(note, "%d units: PostgreSQL\n", n)
			if row.Postgres, err = db.lift(ctx, n, f.features, f.runs); err != nil {
				return rep, err
			}
		}
		fmt.Fprintf(note, "%d units: in memory\n", n)
		if row.Number, row.Complete, err = benchMemory(n, f.features, f.runs); err != nil {
			return rep, err
		}
		rep.Rows = append(rep.Rows, row)
	}
	return rep, nil
}

// benchUnits are trial users: 3.3 % pay log-normal revenue, one feature is what they paid
// before, the others say nothing. The same numbers at every call.
func benchUnits(n, features int) (lift.UnitTable, error) {
	rng := rand.New(rand.NewPCG(uint64(n), 20261101)) //nolint:gosec // a benchmark's data are no secret
	names, rows := make([]string, features), make([]lift.UnitRow, n)
	for j := range names {
		names[j] = fmt.Sprintf("x_%d", j+1)
	}
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		r := lift.UnitRow{UnitID: fmt.Sprintf("user_%08d", i), Arm: lift.ArmPolicy, BaselineProb: 0.2, Features: make([]float64, features), FirstExposure: at}
		if rng.Float64() < 0.2 {
			r.Arm = lift.ArmHoldout
		}
		for j := range r.Features {
			r.Features[j] = math.Round(rng.NormFloat64()*(1<<20)) / (1 << 20)
		}
		if rng.Float64() < 0.033 {
			r.YMinor = int64(2900 * math.Exp(0.9*rng.NormFloat64()))
			if features > 0 {
				r.Features[0] += 1
			}
		}
		rows[i] = r
	}
	return lift.NewUnitTable("bench", names, rows)
}

// benchMemory estimates from memory on one goroutine; buckets and folds come with the units.
func benchMemory(units, features, runs int) (number, complete cost, err error) {
	table, err := benchUnits(units, features)
	if err != nil {
		return cost{}, cost{}, err
	}
	t, err := ope.NewTable(table.Units(nil), len(table.Features), lift.DefaultFolds)
	if err != nil {
		return cost{}, cost{}, err
	}
	opt := ope.Options{Lambda: 0.001, Workers: 1}
	// The collector would charge the estimate with walking the input.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var numbers, completes []cost
	for range runs {
		for _, with := range []bool{false, true} {
			opt.WithoutTop = with
			c, err := measureCost(func() error {
				_, err := t.Estimate(opt)
				return err
			})
			if err != nil {
				return cost{}, cost{}, err
			}
			if with {
				completes = append(completes, c)
			} else {
				numbers = append(numbers, c)
			}
		}
	}
	return medianCost(numbers), medianCost(completes), nil
}

func printLift(out io.Writer, rep liftReport) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %s, %d CPUs, medians of %d runs\n\n", rep.Go, rep.Arch, rep.CPUs, rep.Runs)
	fmt.Fprintln(w, "in memory, one goroutine\tunits\tfeatures\tCPU\tallocated\twith the second look: CPU\tallocated")
	for _, r := range rep.Rows {
		fmt.Fprintf(w, "\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Units, r.Features, millis(r.Number.CPU), mib(r.Number.Allocated), millis(r.Complete.CPU), mib(r.Complete.Allocated))
	}
	if last := rep.Rows[len(rep.Rows)-1]; last.Units == referenceUnits && last.Features == 10 {
		fmt.Fprintf(w, "reference pipeline, quoted\t%d\t10\t%s\t%s\n", referenceUnits, millis(referenceCPU), mib(referenceBytes))
		fmt.Fprintf(w, "ours / reference\t\t\t1/%.1f\t\t1/%.1f\n", float64(referenceCPU)/float64(last.Number.CPU), float64(referenceCPU)/float64(last.Complete.CPU))
	}
	if rep.Rows[0].Postgres != nil {
		fmt.Fprintln(w, "\nfrom PostgreSQL, wall time\tunits\tCOPY text\tCOPY binary\tthe number\t× COPY text\t× COPY binary\twith the second look\ta whole readout, stored")
		for _, r := range rep.Rows {
			p := r.Postgres
			fmt.Fprintf(w, "\t%d\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%s\n", r.Units, millis(p.CopyText.Wall), millis(p.CopyBinary.Wall), millis(p.Number.Wall),
				ratio(p.Number.Wall, p.CopyText.Wall), ratio(p.Number.Wall, p.CopyBinary.Wall), millis(p.Complete.Wall), millis(p.Readout.Wall))
		}
		for _, r := range rep.Rows {
			fmt.Fprintf(w, "our CPU and memory for the number\t%d\t%s\t%s live at most\n", r.Units, millis(r.Postgres.Number.CPU), mib(r.Postgres.PeakBytes))
		}
	}
	return w.Flush()
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func mib(b uint64) string { return fmt.Sprintf("%.1f MiB", float64(b)/(1<<20)) }
