package main

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/tabular"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// z95 is the standard normal quantile of 0.95, for the bound that is displayed. The
// guardrail uses the z of the plan.
const z95 = 1.6448536269514722

// readoutFlags are the choices of `readout compute`.
type readoutFlags struct {
	units, holdout, currency string
	folds                    int
	lambda                   float64
	asJSON                   bool
}

// computed is a readout as `readout compute` shows it; amounts are in minor units.
type computed struct {
	Estimator      string     `json:"estimator_id"`
	Units          int        `json:"units"`
	HoldoutUnits   int        `json:"holdout_units"`
	HoldoutPayers  int        `json:"holdout_payers"`
	Holdout        string     `json:"holdout_probability"`
	Folds          int        `json:"folds"`
	Lambda         float64    `json:"lambda"`
	T              float64    `json:"T"`
	VCR            float64    `json:"V_cr"`
	VB             float64    `json:"V_b"`
	V0             float64    `json:"V_0"`
	SE             float64    `json:"se"`
	Observed       int64      `json:"observed"`
	Counterfactual float64    `json:"counterfactual"`
	ESS            float64    `json:"ess_holdout"`
	LCB95          float64    `json:"lcb_one_sided_95"`
	CI95           [2]float64 `json:"ci95"`
	CalibrationZ   float64    `json:"calibration_z"`
	SRMZ           float64    `json:"srm_z"`
	Guardrail      guardrail  `json:"guardrail"`
}

// guardrail is the verdict on the table alone, at the month's z of a default plan.
type guardrail struct {
	Passed       bool         `json:"passed"`
	Headline     lift.Code    `json:"headline"`
	Sentence     string       `json:"sentence"`
	Z            string       `json:"z"`
	LCB          float64      `json:"lcb"`
	NotEvaluated int          `json:"not_evaluated"`
	Checks       []lift.Check `json:"checks"`
}

func newReadout() *cobra.Command {
	group := &cobra.Command{Use: "readout", Short: "Readouts"}
	var f readoutFlags
	cmd := &cobra.Command{
		Use:   "compute --units U.csv --holdout-probability H",
		Short: "Run the billing estimator and the guardrail on a unit table; needs no database",
		Long: "Reads unit_id, holdout (0 or 1), y_minor and the features x_1, x_2, …. Checks that need the decision log or\n" +
			"the books are shown as not evaluated; nothing can be billed from what this command prints.",
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := computeReadout(cmd, f)
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			return printReadout(cmd.OutOrStdout(), out, f.currency)
		},
	}
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	cmd.Flags().StringVar(&f.units, "units", "", "the unit table, plain or gzipped CSV, or - for standard input")
	cmd.Flags().StringVar(&f.holdout, "holdout-probability", "", `the probability of the holdout, a decimal such as "0.1"`)
	cmd.Flags().IntVar(&f.folds, "folds", lift.DefaultFolds, "number of cross-fitting folds")
	cmd.Flags().Float64Var(&f.lambda, "lambda", 1e-3, "ridge penalty")
	cmd.Flags().StringVar(&f.currency, "currency", "usd", "currency of y_minor, for the sentences of the guardrail")
	for _, name := range []string{"units", "holdout-probability"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined a few lines above
		}
	}
	group.AddCommand(cmd)
	return group
}

// computeReadout measures the table and judges it under a default plan.
func computeReadout(cmd *cobra.Command, f readoutFlags) (computed, error) {
	h, err := lift.ParseProbability(f.holdout)
	if err != nil {
		return computed{}, err
	}
	var units tabular.Units
	err = withInput(cmd, f.units, func(r io.Reader) error {
		units, err = tabular.ReadUnits(r, h.Float())
		return err
	})
	if err != nil {
		return computed{}, err
	}
	// The estimator sees the rows in canonical order; refusals are to name those of the file.
	if _, err := ope.NewTable(units.Rows, len(units.Features), f.folds); err != nil {
		return computed{}, tabular.Refused(err)
	}
	sealed, err := readoutPlan(f, h, units.Features)
	if err != nil {
		return computed{}, err
	}
	rows := make([]lift.UnitRow, len(units.Rows))
	for i, u := range units.Rows {
		arm := lift.ArmPolicy
		if u.Holdout {
			arm = lift.ArmHoldout
		}
		rows[i] = lift.UnitRow{UnitID: u.ID, Arm: arm, BaselineProb: u.P, YMinor: u.Y, Features: u.X}
	}
	table, err := lift.NewUnitTable("unit table", units.Features, rows)
	if err != nil {
		return computed{}, err
	}
	e, err := lift.Measure(table, sealed.Plan(), runtime.GOMAXPROCS(0))
	if err != nil {
		return computed{}, err
	}
	if e.Refused() {
		return computed{}, fault.New(fault.Invalid, "not_identified", "%s", e.Refusal)
	}
	return readoutOf(f, h, e, lift.Judge(e, lift.Evidence{Environment: account.Test, Look: lift.LookMonth}, sealed)), nil
}

// readoutPlan is a default plan around the flags. Its period, baseline and salt are
// placeholders: no check that reads them is evaluated here.
func readoutPlan(f readoutFlags, h lift.Probability, features []string) (lift.SealedPlan, error) {
	currency, err := money.ParseCurrency(f.currency)
	if err != nil {
		return lift.SealedPlan{}, err
	}
	first, err := period.Parse("2026-01")
	if err != nil {
		return lift.SealedPlan{}, err
	}
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: currency, Unit: "user", Baseline: "the holdout's",
		HoldoutProbability: h.String(), SaltCommitment: lift.SaltCommitment(nil), Features: features})
	if err != nil {
		return lift.SealedPlan{}, err
	}
	p.Folds, p.Lambda = f.folds, strconv.FormatFloat(f.lambda, 'f', -1, 64)
	return p.Seal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
}

func readoutOf(f readoutFlags, h lift.Probability, e lift.Estimate, v lift.Verdict) computed {
	r := &e.Result
	low, high := e.Interval()
	out := computed{
		Estimator: ope.EstimatorID, Units: r.Units, HoldoutUnits: r.Holdout, HoldoutPayers: r.HoldoutPayers,
		Holdout: h.String(), Folds: f.folds, Lambda: f.lambda,
		T: r.T, VCR: r.VCR, VB: r.VB, V0: r.V0, SE: r.SE, Observed: r.Observed, Counterfactual: r.Counterfactual,
		ESS: r.ESS, LCB95: r.LowerBound(z95), CI95: [2]float64{low, high}, CalibrationZ: r.CalibrationZ, SRMZ: r.SRMZ,
		Guardrail: guardrail{Passed: v.Passed, Headline: v.Headline, Sentence: v.Sentence, Z: v.Z, LCB: v.LCB, Checks: v.Checks},
	}
	for _, c := range v.Checks {
		if c.Status == lift.NotEvaluated {
			out.Guardrail.NotEvaluated++
		}
	}
	return out
}

func printReadout(out io.Writer, r computed, currency string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%d units, %d in the holdout (probability %s), %d folds, lambda %g\n", r.Estimator, r.Units, r.HoldoutUnits, r.Holdout, r.Folds, r.Lambda)
	for _, row := range []struct {
		name  string
		value float64
	}{
		{"lift T", r.T}, {"standard error", r.SE}, {"one-sided 95 % bound", r.LCB95}, {"95 % interval from", r.CI95[0]}, {"to", r.CI95[1]},
		{"observed", float64(r.Observed)}, {"counterfactual", r.Counterfactual}, {"bound at the plan's z = " + r.Guardrail.Z, r.Guardrail.LCB},
	} {
		fmt.Fprintf(w, "%s\t%.2f\tminor units of %s\n", row.name, row.value, currency)
	}
	fmt.Fprintf(w, "variances V_cr, V_b, V_0\t%.6g, %.6g, %.6g\n", r.VCR, r.VB, r.V0)
	fmt.Fprintf(w, "effective size of the holdout\t%.6g\n\n", r.ESS)
	for _, c := range r.Guardrail.Checks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Code, c.Status, c.Explain)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n%d checks were not evaluated: nothing can be billed from a table alone.\n", r.Guardrail.Sentence, r.Guardrail.NotEvaluated)
	return nil
}
