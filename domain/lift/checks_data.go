package lift

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// limit is a threshold of the sealed plan as a float; a sealed plan is valid, so
// that a malformed one can only be a zero, the strictest or an impossible limit.
func limit(s string) float64 {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return math.NaN()
	}
	return d.InexactFloat64()
}

// share writes a ratio of counts as a percentage.
func share(part, whole float64) string {
	if whole == 0 {
		return "0 %"
	}
	return strconv.FormatFloat(100*part/whole, 'f', 2, 64) + " %"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 4, 64) }

// planChecks: what was promised was fixed before the period.
func (j *judge) planChecks() {
	due := j.ev.PeriodStart
	if j.ev.PlanDue != nil {
		due = *j.ev.PlanDue
	}
	at := j.sealed.At().Format(time.RFC3339)
	if due.IsZero() {
		j.unknown(CodePlanNotSealed, "before the period", "the start of the period is unknown")
	} else {
		limit := due.UTC().Format(time.RFC3339)
		j.is(CodePlanNotSealed, !j.sealed.At().After(due), at, limit, "The plan was sealed at %s; the measurement began at %s.", at, limit)
	}
	if j.ev.PlanHashMatches == nil {
		j.unknown(CodePlanHashMismatch, "the sealed plan's", "the decisions bear no plan hash")
		return
	}
	j.is(CodePlanHashMismatch, *j.ev.PlanHashMatches, strconv.FormatBool(*j.ev.PlanHashMatches), "true",
		"Whether every decision was made under the sealed plan: %t.", *j.ev.PlanHashMatches)
}

// propensityChecks: every unit could have got the baseline.
func (j *judge) propensityChecks() {
	r := &j.e.Result
	if j.e.Refused() {
		j.fail(CodeNotIdentified, "no estimate", "0 < p < 1", "No lift can be computed: %s.", j.e.Refusal)
	} else {
		j.is(CodeNotIdentified, r.MinP > 0 && r.MinP < 1, number(r.MinP), "0 < p < 1",
			"All %d units could have got the baseline (smallest probability %s).", r.Units, number(r.MinP))
	}
	j.missingPropensity()
	if j.e.Refused() {
		j.unknown(CodePropensityFloor, ">= "+j.t.PropensityFloor, "there is no estimate")
		return
	}
	// The smallest probability is compared with a margin of one part in 1e12, so
	// that a decimal such as 0.02 meets a floor of 0.02.
	j.is(CodePropensityFloor, r.MinP >= limit(j.t.PropensityFloor)*(1-1e-12), number(r.MinP), ">= "+j.t.PropensityFloor,
		"The smallest probability of the baseline is %s, at least %s is required.", number(r.MinP), j.t.PropensityFloor)
}

func (j *judge) missingPropensity() {
	threshold := "0 units, <= " + j.t.PropensityMissingShare + " of decisions"
	units, missing, all := j.ev.UnitsWithoutPropensity, j.ev.DecisionsWithoutPropensity, j.ev.Decisions
	if units == nil && (missing == nil || all == nil) {
		j.unknown(CodePropensityMissing, threshold, "the decisions were not counted")
		return
	}
	ok, value := true, ""
	if units != nil {
		ok = *units == 0
		value = fmt.Sprintf("%d units", *units)
	}
	if missing != nil && all != nil {
		ok = ok && float64(*missing) <= limit(j.t.PropensityMissingShare)*float64(*all)
		if value != "" {
			value += ", "
		}
		value += fmt.Sprintf("%d of %d decisions", *missing, *all)
	}
	j.is(CodePropensityMissing, ok, value, threshold, "Without a full propensity vector: %s.", value)
}

// balanceChecks: the arms are what the randomisation made them.
func (j *judge) balanceChecks() {
	if n := j.ev.ArmMismatches; n == nil {
		j.unknown(CodeArmHashMismatch, "0", "the salt was not revealed")
	} else {
		j.is(CodeArmHashMismatch, *n == 0, strconv.Itoa(*n), "0", "%d decisions were logged in another arm than the committed salt gives.", *n)
	}
	if n := j.ev.CrossoverUnits; n == nil {
		j.unknown(CodeCrossover, "<= "+j.t.CrossoverShare, "the units in both arms were not counted")
	} else {
		value := share(float64(*n), float64(j.e.Units))
		j.is(CodeCrossover, float64(*n) <= limit(j.t.CrossoverShare)*float64(j.e.Units), value, "<= "+j.t.CrossoverShare,
			"%d of %d units (%s) were seen in both arms.", *n, j.e.Units, value)
	}
	r := &j.e.Result
	if j.e.Refused() {
		for _, c := range []Code{CodeSRM, CodeMiscalibrated, CodePlaceboLift} {
			j.unknown(c, "", "there is no estimate")
		}
		return
	}
	j.is(CodeSRM, math.Abs(r.SRMZ) <= limit(j.t.SRMZ), number(r.SRMZ), "|z| <= "+j.t.SRMZ,
		"%d of %d units are in the holdout, %s standard deviations from the planned share.", r.Holdout, r.Units, number(r.SRMZ))
	j.is(CodeMiscalibrated, math.Abs(r.CalibrationZ) <= limit(j.t.CalibrationZ), number(r.CalibrationZ), "|z| <= "+j.t.CalibrationZ,
		"The weights of the holdout average %s instead of 1 (z = %s).", number(r.W/float64(r.Units)), number(r.CalibrationZ))
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

// bookChecks: the books are complete.
func (j *judge) bookChecks() {
	lag := fmt.Sprintf("period end + %d h", j.t.SourceLagHours)
	if w := j.ev.SourceWatermark; w == nil || j.ev.PeriodEnd.IsZero() {
		j.unknown(CodeSourceStale, lag, "the sources have no watermark")
	} else {
		due := j.ev.PeriodEnd.Add(time.Duration(j.t.SourceLagHours) * time.Hour)
		j.is(CodeSourceStale, !w.Before(due), w.UTC().Format(time.RFC3339), lag,
			"The slowest source was read up to %s; %s is required.", w.UTC().Format(time.RFC3339), due.UTC().Format(time.RFC3339))
	}
	if n := j.ev.DecisionGaps; n == nil {
		j.unknown(CodeDecisionLogGap, "0", "the decisions bear no sequence numbers")
	} else {
		j.is(CodeDecisionLogGap, *n == 0, strconv.Itoa(*n), "0", "%d sequence numbers are missing from the decision log.", *n)
	}
	if n := j.ev.ReconMismatchMinor; n == nil {
		j.unknown(CodeReconMismatch, "0", "revenue was not reconciled with Stripe")
	} else {
		j.is(CodeReconMismatch, *n == 0, strconv.FormatInt(*n, 10), "0", "Our revenue and Stripe's differ by %s.", j.minor(*n))
	}
	j.unmapped()
}

func (j *judge) unmapped() {
	threshold := "<= " + j.t.UnmappedShare
	if j.ev.UnmappedMinor == nil || j.ev.NetMinor == nil {
		j.unknown(CodeUnmappedRevenue, threshold, "the unmapped revenue is unknown")
		return
	}
	part := decimal.NewFromInt(*j.ev.UnmappedMinor).Abs()
	whole := decimal.NewFromInt(*j.ev.NetMinor).Abs()
	cut, err := decimal.NewFromString(j.t.UnmappedShare)
	ok := err == nil && part.LessThanOrEqual(cut.Mul(whole))
	value := share(part.InexactFloat64(), whole.InexactFloat64())
	if whole.IsZero() && !part.IsZero() {
		value = "all"
	}
	tip := ""
	if u := part.InexactFloat64(); !j.e.Refused() && u > 0 && j.e.Result.T > 0 {
		// share of U in the holdout that makes T zero: T / ((1-h)/h U).
		h := limit(j.plan.HoldoutProbability)
		tip = fmt.Sprintf(" The lift would vanish if %s of it belonged to the holdout.", share(j.e.Result.T, (1-h)/h*u))
	}
	j.is(CodeUnmappedRevenue, ok, value, threshold, "%s of %s net revenue (%s) belongs to no known unit.%s", j.minor(*j.ev.UnmappedMinor), j.minor(*j.ev.NetMinor), value, tip)
}
