package lift

import (
	"fmt"
	"math"
	"strconv"
	"strings"
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

// atMostShare reports whether part is at most a share of whole, in decimals: as floats
// 27 of 3,000 exceed a share of 0.009.
func atMostShare(part, whole int, most string) bool {
	cut, err := decimal.NewFromString(most)
	return err == nil && decimal.NewFromInt(int64(part)).LessThanOrEqual(cut.Mul(decimal.NewFromInt(int64(whole))))
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
	with, other := j.ev.DecisionsWithPlan, j.ev.DecisionsOtherPlan
	if with == nil || other == nil || *with == 0 {
		j.unknown(CodePlanHashMismatch, "0", "the decisions bear no plan hash")
		return
	}
	j.is(CodePlanHashMismatch, *other == 0, strconv.Itoa(*other), "0",
		"%d of the %d decisions that name their plan name another one than the sealed plan.", *other, *with)
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
		ok = ok && atMostShare(*missing, *all, j.t.PropensityMissingShare)
		if value != "" {
			value += ", "
		}
		value += fmt.Sprintf("%d of %d decisions", *missing, *all)
	}
	j.is(CodePropensityMissing, ok, value, threshold, "Without a full propensity vector: %s.", value)
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
	j.recon()
	j.unmapped()
}

// recon wants both sides equal in every currency: a payment that is missing in one
// currency shows a source that loses events.
func (j *judge) recon() {
	if len(j.ev.Books) == 0 {
		j.unknown(CodeReconMismatch, "0", "revenue was not reconciled with Stripe")
		return
	}
	ok := true
	var off, says []string
	for _, b := range j.ev.Books {
		gap := decimal.NewFromInt(b.OursMinor).Sub(decimal.NewFromInt(b.StripeMinor))
		ok = ok && gap.IsZero()
		off = append(off, b.Currency+" "+gap.String())
		says = append(says, fmt.Sprintf("%s against %s at Stripe", cashOf(b.OursMinor, b.Currency), cashOf(b.StripeMinor, b.Currency)))
	}
	j.is(CodeReconMismatch, ok, strings.Join(off, ", "), "0 in every currency", "Net paid revenue: %s.", strings.Join(says, "; "))
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
		// With trajectories the mean weight on the baseline stands for 1/h.
		odds := float64(j.e.Result.Units)/float64(j.e.Result.Holdout) - 1
		if !j.plan.PerDecision() {
			h := limit(j.plan.HoldoutProbability)
			odds = (1 - h) / h
		}
		tip = fmt.Sprintf(" The lift would vanish if %s of it belonged to the holdout.", share(j.e.Result.T, odds*u))
	}
	j.is(CodeUnmappedRevenue, ok, value, threshold, "%s of %s net revenue (%s) belongs to no known unit.%s", j.minor(*j.ev.UnmappedMinor), j.minor(*j.ev.NetMinor), value, tip)
}
