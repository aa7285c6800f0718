package validation

import (
	"fmt"
	"strings"
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
	if c.Rate {
		return fmt.Sprintf("%.2f %%", 100*v)
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
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", c.Name, c.Runs, c.Value(), c.Limit(), holds)
	}
	fmt.Fprintf(&b, `
The contracts have 30 %% holdout, one billable snapshot and the default schedule (0.2 %% in
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
