package lift

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// balanceChecks: the arms are what the randomisation made them.
func (j *judge) balanceChecks() {
	j.armHash()
	j.crossover()
	if j.e.Refused() {
		for _, c := range []Code{CodeSRM, CodeMiscalibrated, CodePlaceboLift} {
			j.unknown(c, "", "there is no estimate")
		}
		return
	}
	j.srm()
	j.calibration()
	p := j.e.Placebo
	if p == nil {
		j.unknown(CodePlaceboLift, "|z| <= "+j.t.PlaceboZ, "the plan has no "+FeaturePreRevenue+" feature")
		return
	}
	z := 0.0
	if p.SE > 0 {
		z = p.T / p.SE
	}
	j.is(CodePlaceboLift, math.Abs(z) <= limit(j.t.PlaceboZ), number(z), "|z| <= "+j.t.PlaceboZ,
		"Before the first exposure, where no lift can be, the arms differ by z = %s.", number(z))
}

func (j *judge) armHash() {
	n := j.ev.ArmMismatches
	switch {
	case j.plan.PerDecision():
		j.unknown(CodeArmHashMismatch, "0", "every decision draws its action anew, there is no arm to recompute; see SRM")
	case n == nil:
		j.unknown(CodeArmHashMismatch, "0", "the salt is not known")
	default:
		j.is(CodeArmHashMismatch, *n == 0, strconv.Itoa(*n), "0", "%d units were logged in another arm, or under another salt, than the committed salt gives.", *n)
	}
}

func (j *judge) crossover() {
	n := j.ev.CrossoverUnits
	threshold := "<= " + j.t.CrossoverShare
	switch {
	case n == nil:
		j.unknown(CodeCrossover, threshold, "the units in both arms were not counted")
		return
	case j.plan.PerDecision() && j.plan.Unit != UnitAccount:
		j.unknown(CodeCrossover, threshold, "every decision draws its action anew, there is no arm to cross")
		return
	}
	what := "were seen in both arms"
	if j.plan.Unit == UnitAccount {
		what = "were seen in both arms or met another unit only after its first exposure"
	}
	value := share(float64(*n), float64(j.e.Units))
	j.is(CodeCrossover, atMostShare(*n, j.e.Units, j.t.CrossoverShare), value, threshold,
		"%d of %d units (%s) %s.", *n, j.e.Units, value, what)
}

// parts collects what a check of several statistics says and whether all pass.
type parts struct {
	ok            bool
	value, limits []string
	says          []string
}

func (p *parts) z(name, says string, z float64, threshold string) {
	p.ok = p.ok && math.Abs(z) <= limit(threshold)
	p.value = append(p.value, name+number(z))
	p.limits = append(p.limits, "|z| <= "+threshold)
	p.says = append(p.says, says)
}

// chiSquare adds a statistic; a plan without a limit for it shows it only.
func (p *parts) chiSquare(name string, c *ChiSquare, threshold string) {
	if c == nil {
		return
	}
	says := fmt.Sprintf("%s chi-square %s on %d degrees of freedom", name, number(float64(c.Statistic)), c.Degrees)
	p.value = append(p.value, name+" "+number(float64(c.Statistic)))
	if threshold == "" {
		p.says = append(p.says, says+" (not limited by this plan)")
		return
	}
	most := chiSquareLimit(c.Degrees, limit(threshold))
	p.ok = p.ok && float64(c.Statistic) <= most
	p.limits = append(p.limits, name+" <= "+number(most))
	p.says = append(p.says, fmt.Sprintf("%s, at most %s, furthest off: %s (z = %s)", says, number(most), c.Worst, number(float64(c.WorstZ))))
}

func (j *judge) several(code Code, p parts) {
	j.is(code, p.ok, strings.Join(p.value, ", "), strings.Join(p.limits, ", "), "%s.", strings.Join(p.says, "; "))
}

// srm compares how many got the baseline with how many should have: in all, by
// stratum and by action.
func (j *judge) srm() {
	r, b := &j.e.Result, j.ev.Balance
	p := parts{ok: true}
	if b != nil && b.Decisions != nil {
		d := b.Decisions
		p.z("", fmt.Sprintf("%d of %d decisions chose the baseline, %s were expected (z = %s)", d.Observed, d.Decisions, number(float64(d.Expected)), number(float64(d.Z))),
			float64(d.Z), j.t.SRMZ)
	} else {
		p.z("", fmt.Sprintf("%d of %d units are in the holdout, %s standard deviations from the planned share", r.Holdout, r.Units, number(r.SRMZ)), r.SRMZ, j.t.SRMZ)
	}
	if b != nil {
		p.chiSquare("by surface and month", b.Strata, j.t.ChiSquareZ)
		p.chiSquare("by action", b.Actions, j.t.ChiSquareZ)
	}
	j.several(CodeSRM, p)
}

// calibration compares the weights with their mean of 1, in all and by decile of
// the probability.
func (j *judge) calibration() {
	r := &j.e.Result
	p := parts{ok: true}
	p.z("", fmt.Sprintf("The weights of the baseline average %s instead of 1 (z = %s)", number(r.W/float64(r.Units)), number(r.CalibrationZ)), r.CalibrationZ, j.t.CalibrationZ)
	if b := j.ev.Balance; b != nil {
		p.chiSquare("by decile of the probability", b.Deciles, j.t.ChiSquareZ)
	}
	j.several(CodeMiscalibrated, p)
}
