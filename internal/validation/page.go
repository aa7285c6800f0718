package validation

import (
	"fmt"
	"math"
	"strings"

	"github.com/liftbill/liftbill/domain/lift"
)

// Limit writes the bound of a check.
func (c Check) Limit() string {
	switch {
	case c.High == nil:
		return "≥ " + c.show(c.Low)
	case c.Low == 0:
		return "≤ " + c.show(*c.High)
	default:
		return c.show(c.Low) + " to " + c.show(*c.High)
	}
}

// Value writes what was observed, a rate with its Monte-Carlo error.
func (c Check) Value() string {
	if !c.Rate {
		return c.show(c.Observed)
	}
	return fmt.Sprintf("%s ± %.2f", c.show(c.Observed), 100*c.MCError())
}

func (c Check) show(v float64) string {
	switch {
	case c.Rate:
		return fmt.Sprintf("%.2f %%", 100*v)
	case v != 0 && math.Abs(v) < 1e-3:
		return fmt.Sprintf("%.1e", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// Markdown is docs/validation.md; images is the folder of the figures as the page sees it.
func Markdown(r Report, images string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# How often the estimate is wrong

Written by `+"`liftbill simulate`"+` (seed %d, scale %g); `+"`make simulate`"+` writes it again, bit by
bit. Worlds with a known lift are simulated, and the estimator and the billing rule that
write invoices run on them. Whatever is billed of a lift that is not there is overbilled.

| world | revenue |
|---|---|
| `+"`new`"+` | trial users, 3.3 %% pay, log-normal with σ = 0.9 |
| `+"`heavy`"+` | the same with Pareto(2.5) revenue, whose skewness is infinite |
| `+"`sub`"+` | 20 %% subscribers at 9, 29, 99 and 499 a month with revenue before the period, 80 %% free |

The worlds are invented, and the guarantee is asymptotic: this page says what was seen in
them, not what will be seen in yours.

## What must hold

A rate is shown with its Monte-Carlo standard error in points. A bound for “at most a” is
the 99.9 %% quantile of the binomial with as many runs, so a true statement fails once in
a thousand runs of one line. A control is a procedure that is known to be wrong; it must be caught.

| statement | runs | observed | bound | holds |
|---|---|---|---|---|
`, r.Seed, r.Scale)
	for _, c := range r.Checks {
		holds := "yes"
		if !c.Passed {
			holds = "**NO**"
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", strings.ReplaceAll(c.Name, "|", "\\|"), c.Runs, c.Value(), c.Limit(), holds)
	}
	fmt.Fprintf(&b, `
“Year” lines with a basis and a settlement are explained [below](#what-each-rule-bills-in-a-contract-year),
those without a holdout in [their section](#without-a-holdout). The contracts have 30 %% holdout, one billable snapshot and the default schedule (0.2 %% in
months 1 to 11, 2.8 %% at the settlement). “Ever billed” counts a contract once however
often it was billed.

## Calibration

![Overbilling at nominal error rates](%[1]s/calibration.svg)

A bound with a nominal error of 5 %% should lie above the truth in 5 %% of the runs. The
textbook (cluster-robust) variance does not keep that with a small holdout and skewed
revenue; the largest of three variances, which is billed on, does.

## Overbilling by holdout share and size

![Overbilling by holdout share and size](%[1]s/overbilling.svg)

| world | units | h | runs | largest variance, 5 %% | 0.2 %% | cluster-robust alone, 5 %% | cluster-robust SE / sd | SE / sd | sd with features / without |
|---|---|---|---|---|---|---|---|---|---|
`, images)
	for _, c := range r.Cells {
		fmt.Fprintf(&b, "| %s | %d | %g | %d | %.1f %% | %.2f %% | %.1f %% | %.2f | %.2f | %.2f |\n", c.World, c.Units, c.Holdout, c.Runs,
			c.rate(c.Over[at5]), c.rate(c.Over[at02]), c.rate(c.OverCR[at5]), c.CRRatio, c.MaxRatio, c.AgainstPlain)
	}
	powerSection(&b, r.Power, images)
	yearsSection(&b, r, images)
	explorationSection(&b, r.Explorations)
	return b.String()
}

// rate is a count in percent of the cell's runs.
func (c Cell) rate(count int) float64 { return 100 * float64(count) / float64(c.Runs) }

// powerSection is the last part of the page.
func powerSection(b *strings.Builder, cells []Cell, images string) {
	fmt.Fprintf(b, `
## Power

![Power](%s/power.svg)

The share of runs whose bound at the settlement (2.8 %%) lies above zero, against the
true lift in standard errors; the line is what the [planner](planner.md) expects from that
lift and the spread of the error. The dots lie below it: the bound uses the largest of three
variances, and here the lift is in proportion to revenue, which widens them further.

| lift / revenue | lift / sd | runs | proven | planner |
|---|---|---|---|---|
`, images)
	for _, c := range cells {
		fmt.Fprintf(b, "| %.0f %% | %.2f | %d | %.1f %% | %.1f %% |\n", 100*c.Lift, c.SNR, c.Runs, c.rate(c.Found), 100*expectedPower(c.SNR))
	}
}

// yearsSection is what each rule of billing does in contract years of known lift.
func yearsSection(b *strings.Builder, r Report, images string) {
	fmt.Fprintf(b, `
## What each rule bills in a contract year

![What each rule bills](%s/years.svg)

Twelve months of a constant true lift, in standard errors (SE) of one month's estimate;
normal errors that hang together from month to month with 0.85 (sticky: the same
subscribers pay again) or not at all (independent), the default schedule for one snapshot,
the real rule. [Settlement](settlement.md) defines the rules. Contracts print these figures
(`+"`domain/lift/risk.go`"+`): how many years without any effect are ever billed, in how many
years of 2 SE a month the total was ever above the true lift so far, and how much of that lift is billed.

| rule | errors | no effect, ever billed | 2 SE, ever above the truth | 2 SE, billed part of the lift |
|---|---|---|---|---|
`, images)
	for _, rule := range lift.Rules() {
		for _, sticky := range []bool{true, false} {
			null, some := yearOf(r.Years, rule, sticky, 0), yearOf(r.Years, rule, sticky, lift.RiskLift)
			fmt.Fprintf(b, "| %s, %s | %s | %.1f %% | %.0f %% | %.0f %% |\n", rule.Basis, rule.Settlement, null.errors(),
				null.rate(null.Ever), some.rate(some.Over), 100*some.captured())
		}
	}
	b.WriteString(`
Everything else that was simulated, per cell: years ever billed / ever above the true lift
/ billed part of the lift (of nothing: what is billed in SE of a month).

| rule | errors | 0 | 0.5 SE | 1 SE | 2 SE | 4 SE |
|---|---|---|---|---|---|---|
`)
	for _, rule := range lift.Rules() {
		for _, sticky := range []bool{true, false} {
			for i, gain := range yearLifts {
				y := yearOf(r.Years, rule, sticky, gain)
				if i == 0 {
					fmt.Fprintf(b, "| %s, %s | %s ", rule.Basis, rule.Settlement, y.errors())
					fmt.Fprintf(b, "| %.1f %% / %.1f %% / %.3f ", y.rate(y.Ever), y.rate(y.Over), y.Mean)
					continue
				}
				fmt.Fprintf(b, "| %.0f %% / %.1f %% / %.0f %% ", y.rate(y.Ever), y.rate(y.Over), 100*y.captured())
			}
			b.WriteString("|\n")
		}
	}
	b.WriteString(`
A rule that bills the point estimate is above the truth in about half of the years once it
bills at all: the estimate errs to both sides. Only the bound (` + "`proven`, `proven_lift`" + `) keeps
the promise of 5 % at every lift, and its price is the part that it does not bill. A
two-way settlement asks no proof, so it bills about every second policy that does nothing.
`)
}

// yearOf finds one study; a report without it gives the zero value.
func yearOf(all []Years, rule lift.Rule, sticky bool, gain float64) Years {
	for _, y := range all {
		if y.Rule == rule && y.Sticky == sticky && y.Lift == gain {
			return y
		}
	}
	return Years{Rule: rule, Sticky: sticky, Lift: gain, Runs: 1}
}

// rate is a count in percent of the years.
func (y Years) rate(n int) float64 { return 100 * float64(n) / float64(y.Runs) }

// captured is the billed part of the year's true lift.
func (y Years) captured() float64 { return y.Mean / (lift.PeriodsPerYear * y.Lift) }

// explorationSection is about plans without a holdout.
func explorationSection(b *strings.Builder, all []Exploration) {
	b.WriteString(`
## Without a holdout

Every decision draws its action anew; a unit weighs by the product over its decisions, so
that the effective sample size falls with the power of their number. The last column counts
the runs that the guardrail withholds for their weights alone (6,000 units; it wants an
effective size of 1,000 and 5 %): more than two decisions per unit call for a holdout.

| p of the baseline | decisions | runs | ESS / units | p^T | bias / sd | overbilled at 5 % | withheld for weights |
|---|---|---|---|---|---|---|---|
`)
	for _, x := range all {
		n := float64(x.Runs)
		fmt.Fprintf(b, "| %g | %d | %d | %.4f | %.4f | %.3f | %.1f %% | %.0f %% |\n", x.Probability, x.Decisions, x.Runs, x.ESSRatio,
			math.Pow(x.Probability, float64(x.Decisions)), x.Bias, 100*float64(x.Over)/n, 100*float64(x.Withheld)/n)
	}
}
