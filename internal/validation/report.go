package validation

import (
	"context"
	"fmt"
	"math"

	"github.com/liftbill/liftbill/domain/lift"
)

// Check is one assertion of the validation.
type Check struct {
	Name     string  `json:"name"`
	Runs     int     `json:"runs"`
	Observed float64 `json:"observed"`
	// Low and High are the bounds; Low is 0 where only the upper one counts and
	// High is absent where only the lower one does.
	Low  float64  `json:"low"`
	High *float64 `json:"high,omitempty"`
	// Rate is whether the observed value is a share of the runs.
	Rate bool `json:"rate"`
	// Control marks a deliberately wrong procedure that must be caught.
	Control bool `json:"control"`
	Passed  bool `json:"passed"`
}

// MCError is the Monte-Carlo standard error of an observed rate, 0 for a ratio.
func (c Check) MCError() float64 {
	if !c.Rate {
		return 0
	}
	return math.Sqrt(c.Observed * (1 - c.Observed) / float64(c.Runs))
}

// Report is the outcome of every study.
type Report struct {
	Seed      uint64    `json:"seed"`
	Scale     float64   `json:"scale"`
	Passed    bool      `json:"passed"`
	Checks    []Check   `json:"checks"`
	Cells     []Cell    `json:"cells"`
	Power     []Cell    `json:"power"`
	Contracts Contracts `json:"contracts"`
	Portfolio Portfolio `json:"portfolio"`
	// Years are every rule of billing in contract years of known lift.
	Years []Years `json:"years"`
	// Explorations are designs without a holdout.
	Explorations []Exploration `json:"explorations"`
}

// Study sizes at scale 1; the arithmetic is not random and keeps its size.
const (
	robustRuns, wrongRuns, contractRuns, portfolioRuns, yearRuns = 2000, 200, 500, 20_000, 4000
	arithmeticRuns, arithmeticUnits                              = 6, 3000
)

// fullGrid is the scale from which the grid is complete; shorter runs keep what is asserted.
const fullGrid = 0.2

// grid are the cells at scale 1: the asserted ones first.
func grid(scale float64) []Cell {
	out := []Cell{
		{World: WorldNew, Units: 10_000, Holdout: 0.1, Runs: 2000}, {World: WorldNew, Units: 10_000, Holdout: 0.5, Runs: 2000},
		{World: WorldSub, Units: 10_000, Holdout: 0.1, Runs: 1000}, {World: WorldHeavy, Units: 10_000, Holdout: 0.1, Runs: 1000},
		{World: WorldNew, Units: 10_000, Holdout: 0.3, Runs: 1000},
	}
	for _, w := range []World{WorldNew, WorldHeavy, WorldSub} {
		for _, h := range []float64{0.1, 0.3, 0.5} {
			out = append(out, Cell{World: w, Units: 2000, Holdout: h, Runs: 1000})
		}
	}
	if scale < fullGrid {
		return out
	}
	for _, w := range []World{WorldHeavy, WorldSub} {
		for _, h := range []float64{0.3, 0.5} {
			out = append(out, Cell{World: w, Units: 10_000, Holdout: h, Runs: 1000})
		}
	}
	for _, w := range []World{WorldNew, WorldHeavy, WorldSub} {
		for _, h := range []float64{0.1, 0.3, 0.5} {
			out = append(out, Cell{World: w, Units: 50_000, Holdout: h, Runs: 400})
		}
	}
	return out
}

// Run does everything.
func Run(ctx context.Context, o Options) (Report, error) {
	rep := Report{Seed: o.Seed, Scale: o.Scale, Passed: true}
	for i, c := range grid(o.Scale) {
		c, err := c.Run(ctx, o, uint64(i+1))
		if err != nil {
			return rep, err
		}
		rep.Cells = append(rep.Cells, c)
	}
	for i, gain := range []float64{0.1, 0.3, 0.6, 1, 1.5} {
		c, err := Cell{World: WorldNew, Units: 5000, Holdout: 0.3, Lift: gain, Runs: 400}.Run(ctx, o, uint64(i+101))
		if err != nil {
			return rep, err
		}
		rep.Power = append(rep.Power, c)
	}
	rep.cellChecks()
	for _, part := range []func(context.Context, Options) error{rep.robustChecks, rep.billingChecks, rep.yearChecks, rep.explorationChecks, rep.arithmeticChecks} {
		if err := part(ctx, o); err != nil {
			return rep, err
		}
	}
	for _, c := range rep.Checks {
		rep.Passed = rep.Passed && c.Passed
	}
	return rep, nil
}

// most asserts "at most a" by the 99.9 % quantile of the binomial.
func (r *Report) most(name string, count, runs int, a float64) {
	high := float64(BinomialMost(runs, a)) / float64(runs)
	r.within(Check{Name: name, Runs: runs, Observed: float64(count) / float64(runs), High: &high, Rate: true})
}

// caught asserts that a wrong procedure is wrong at least at rate a.
func (r *Report) caught(name string, count, runs int, a float64) {
	r.within(Check{Name: name, Runs: runs, Observed: float64(count) / float64(runs), Low: float64(BinomialLeast(runs, a)) / float64(runs), Rate: true, Control: true})
}

// rate asserts that a rate is a, within the 99.9 % quantiles on both sides.
func (r *Report) rate(name string, count, runs int, a float64) {
	high := float64(BinomialMost(runs, a)) / float64(runs)
	r.within(Check{Name: name, Runs: runs, Observed: float64(count) / float64(runs), Low: float64(BinomialLeast(runs, a)) / float64(runs), High: &high, Rate: true})
}

// between asserts a ratio.
func (r *Report) between(name string, runs int, v, low, high float64) {
	r.within(Check{Name: name, Runs: runs, Observed: v, Low: low, High: &high})
}

func (r *Report) within(c Check) {
	c.Passed = c.Observed >= c.Low && (c.High == nil || c.Observed <= *c.High)
	r.Checks = append(r.Checks, c)
}

// biasLimit is the 99.9 % bound of |mean| / sd, 3.3 / sqrt(runs).
func biasLimit(runs int) float64 { return 3.3 / math.Sqrt(float64(runs)) }

// cellChecks asserts the first three cells. Ratios of standard deviations get
// wider with fewer runs than the full 2,000 or 1,000.
func (r *Report) cellChecks() {
	a, half, sub := r.Cells[0], r.Cells[1], r.Cells[2]
	slack := func(runs, full int) float64 { return 0.07 * max(0, math.Sqrt(float64(full)/float64(runs))-1) }
	r.most("overbilled at 5 %, largest variance (new, 10,000, h = 0.1)", a.Over[at5], a.Runs, 0.05)
	r.most("overbilled at 0.2 %, largest variance", a.Over[at02], a.Runs, 0.002)
	r.caught("control: overbilled at 5 %, cluster-robust variance alone", a.OverCR[at5], a.Runs, 0.1)
	s := slack(half.Runs, 2000)
	r.between("cluster-robust SE / sd (new, 10,000, h = 0.5)", half.Runs, half.CRRatio, 0.93-s, 1.07+s)
	s = slack(a.Runs, 2000)
	r.between("SE of the largest variance / sd", a.Runs, a.MaxRatio, 0, 1.15+s)
	r.between("|bias| / sd", a.Runs, a.Bias, 0, biasLimit(a.Runs))
	r.most("95 % interval misses the truth, largest variance", a.Missed, a.Runs, 0.05)
	r.rate("95 % interval misses the truth, cluster-robust (new, 10,000, h = 0.5)", half.MissedCR, half.Runs, 0.05)
	r.between("sd with features / without (sub)", sub.Runs, sub.AgainstPlain, 0, 0.50+slack(sub.Runs, 1000))
	r.between("sd with features / without (new)", a.Runs, a.AgainstPlain, 0, 1.03+slack(a.Runs, 1000))
}

// yearChecks asserts what a contract's rule promises in simulated years.
func (r *Report) yearChecks(ctx context.Context, o Options) (err error) {
	if r.Years, err = yearsOf(ctx, o, 501, yearRuns); err != nil {
		return err
	}
	for _, y := range r.Years {
		name := fmt.Sprintf("year of %g SE a month, %s, %s, %s", y.Lift, y.errors(), y.Rule.Basis, y.Rule.Settlement)
		switch {
		case y.Lift == 0 && y.Rule.Settlement == lift.SettlePointTwoWay:
			r.caught("control: "+name+": stays billed", y.Billed, y.Runs, 0.4)
		case y.Lift == 0:
			r.most(name+": ever billed", y.Ever, y.Runs, 0.05)
		case y.Rule == lift.Rule{Basis: lift.BasisProven, Settlement: lift.SettleProvenLift}:
			r.most(name+": ever above the truth", y.Over, y.Runs, 0.05)
		}
	}
	return nil
}

// explorationChecks asserts the designs without a holdout.
func (r *Report) explorationChecks(ctx context.Context, o Options) error {
	for i, x := range explorations(o.Scale) {
		x, err := x.Run(ctx, o, uint64(i+601))
		if err != nil {
			return err
		}
		r.Explorations = append(r.Explorations, x)
		name := fmt.Sprintf("without holdout, p = %g, %d decisions", x.Probability, x.Decisions)
		want := math.Pow(x.Probability, float64(x.Decisions))
		r.between(name+": ESS / units, p^T", x.Runs, x.ESSRatio, 0.9*want, 1.1*want)
		r.between(name+": |bias| / sd", x.Runs, x.Bias, 0, biasLimit(x.Runs))
		r.most(name+": overbilled at 5 %", x.Over, x.Runs, 0.05)
	}
	return nil
}

// arithmeticChecks asserts what is not random at all.
func (r *Report) arithmeticChecks(_ context.Context, o Options) error {
	off, other, err := newGenerator(arithmeticUnits).arithmetic(o, 701, arithmeticRuns)
	if err != nil {
		return err
	}
	r.between("one pass against the scores, relative difference", arithmeticRuns, off, 0, 1e-9)
	r.between("runs with other bits for 1, 7, 64 workers and another order", 3*arithmeticRuns, float64(other), 0, 0)
	return nil
}

func (r *Report) robustChecks(ctx context.Context, o Options) error {
	for i, c := range []struct {
		name string
		runs int
		m    mistake
	}{
		{"|bias| / sd, wrong model, right probability", robustRuns, mistake{model: true}},
		{"|bias| / sd, right model, wrong probability", robustRuns, mistake{probability: true}},
		{"control: |bias| / sd, both wrong", wrongRuns, mistake{model: true, probability: true}},
	} {
		bias, n, err := robustness(ctx, o, uint64(i+201), c.runs, c.m)
		if err != nil {
			return err
		}
		if c.m.model && c.m.probability {
			r.within(Check{Name: c.name, Runs: n, Observed: bias, Low: 1, Control: true})
			continue
		}
		r.between(c.name, n, bias, 0, biasLimit(n))
	}
	return nil
}

func (r *Report) billingChecks(ctx context.Context, o Options) (err error) {
	if r.Contracts, err = contracts(ctx, o, 301, contractRuns); err != nil {
		return err
	}
	if r.Portfolio, err = portfolio(ctx, o, 401, portfolioRuns); err != nil {
		return err
	}
	c, p := r.Contracts, r.Portfolio
	r.most("year without lift ever billed, basis measured", c.Measured, c.Runs, 0.05)
	r.most("year without lift ever billed, basis proven", c.Proven, c.Runs, 0.05)
	r.caught("control: year without lift, 5 % at every look", c.EveryLook, c.Runs, 0.08)
	r.most("portfolio (2,0,0,0,-2) overbilled, with cap", p.Capped, p.Runs, 0.05)
	r.caught("control: the same without cap", p.Uncapped, p.Runs, 0.3)
	return nil
}
