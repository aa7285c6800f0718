package lift

import (
	"strconv"

	"github.com/liftbill/liftbill/domain/account"
)

// sizeChecks: there is enough data for the normal approximation.
func (j *judge) sizeChecks() {
	r := &j.e.Result
	minUnits, minPayers := strconv.Itoa(j.t.MinUnits), strconv.Itoa(j.t.MinBaselinePayers)
	if j.e.Refused() {
		for _, c := range []Code{CodeMinUnits, CodeMinBaselinePayers, CodeESSTooSmall, CodeESSRatioLow, CodeWeightDominance} {
			j.unknown(c, "", "there is no estimate")
		}
	} else {
		small := min(r.Holdout, r.Units-r.Holdout)
		j.is(CodeMinUnits, small >= j.t.MinUnits, strconv.Itoa(small), ">= "+minUnits, "The smaller arm has %d units, at least %s are required.", small, minUnits)
		j.is(CodeMinBaselinePayers, r.HoldoutPayers >= j.t.MinBaselinePayers, strconv.Itoa(r.HoldoutPayers), ">= "+minPayers,
			"%d units of the holdout have revenue, at least %s are required.", r.HoldoutPayers, minPayers)
		// Kish's ratio of equal weights may miss the whole number by rounding, and so may
		// the part that one of them is of all.
		const slack = 1 - 1e-12
		j.is(CodeESSTooSmall, r.ESS >= limit(j.t.MinESS)*slack, number(r.ESS), ">= "+j.t.MinESS,
			"The effective sample size of the holdout is %s, at least %s is required.", number(r.ESS), j.t.MinESS)
		j.is(CodeESSRatioLow, r.ESSRatio() >= limit(j.t.MinESSRatio)*slack, number(r.ESSRatio()), ">= "+j.t.MinESSRatio,
			"The effective sample size is %s of the units, at least %s is required.", number(r.ESSRatio()), j.t.MinESSRatio)
		j.is(CodeWeightDominance, r.WeightDominance*slack <= limit(j.t.MaxWeightDominance), number(r.WeightDominance), "<= "+j.t.MaxWeightDominance,
			"One unit carries %s of the squared weight, at most %s is allowed.", number(r.WeightDominance), j.t.MaxWeightDominance)
	}
	j.holdoutShare()
}

// holdoutShare: above one half the largest of the variances is no longer on the safe side.
func (j *judge) holdoutShare() {
	threshold := "<= " + j.t.MaxHoldout
	h := j.plan.HoldoutProbability
	if !j.plan.PerDecision() {
		j.is(CodeHoldoutAboveHalf, limit(h) <= limit(j.t.MaxHoldout), h, threshold, "The holdout probability is %s, at most %s is allowed.", h, j.t.MaxHoldout)
		return
	}
	if j.ev.Balance == nil {
		j.unknown(CodeHoldoutAboveHalf, threshold, "the probabilities of the baseline were not summed")
		return
	}
	mean := float64(j.ev.Balance.MeanProbability)
	j.is(CodeHoldoutAboveHalf, mean <= limit(j.t.MaxHoldout)*(1+1e-12), number(mean), threshold,
		"The baseline's probability averages %s over the units, at most %s is allowed.", number(mean), j.t.MaxHoldout)
}

// liftChecks: the lift is there, and not because of one customer or a cap.
func (j *judge) liftChecks(v Verdict) {
	switch {
	case j.e.Refused() || !v.HasEstimate:
		for _, c := range []Code{CodeConcentration, CodeCapSignConflict, CodeNegativeLift, CodeLCBNotPositive} {
			j.unknown(c, "> 0", "there is no estimate")
		}
	case j.plan.asksNoBound(j.ev.Look):
		why := "the plan settles the year to the point estimate in both directions, whatever its bound"
		j.unknown(CodeConcentration, "> 0", why)
		j.capSign()
		j.unknown(CodeNegativeLift, ">= 0", why)
		j.unknown(CodeLCBNotPositive, "> 0", why)
	default:
		j.concentration(v)
		j.capSign()
		r := &j.e.Result
		low, high := j.e.Interval()
		j.is(CodeNegativeLift, r.T >= 0, j.cash(r.T), ">= 0", "The lift is %s (95 %% interval %s to %s).", j.cash(r.T), j.cash(low), j.cash(high))
		j.is(CodeLCBNotPositive, v.LCB > 0, j.cash(v.LCB), "> 0",
			"The lift is %s, and its lower bound at the scheduled error budget (z = %s) is %s.", j.cash(r.T), v.Z, j.cash(v.LCB))
	}
	j.put(CodePortfolioCapped, NotEvaluated, "", "", "Applied when the invoice is settled; it scales and does not fail.")
	j.look()
	env := "test"
	if j.ev.Environment == account.Live {
		env = "live"
	}
	j.put(CodeTestMode, Passed, env, "", "Computed on %s data; only live data is ever written to Stripe.", env)
	edge := strconv.FormatBool(v.RoundingEdge)
	j.put(CodeRoundingEdge, Passed, edge, "", "Whether an amount lies within a millionth of a minor unit of a rounding step: %s.", edge)
}

// look: the error budget is spent by look, so that a period has one look however often it is
// computed. Where an earlier revision used it in vain the lift waits for the next look.
func (j *judge) look() {
	if j.ev.LookSpent {
		j.put(CodeNoLook, Failed, "spent", "scheduled look", "Revision %d of this period has no look of its own: an earlier revision used it, and the bound was not above zero. The next look of the contract year measures this lift again.", j.ev.Revision)
		return
	}
	look := j.ev.Look == LookMonth || j.ev.Look == LookSettlement
	j.is(CodeNoLook, look, string(j.ev.Look), "scheduled look", "The look of this period is %q; month 12 makes none, the settlement of the year follows.", string(j.ev.Look))
}

// concentration: one customer must not carry an invoice.
func (j *judge) concentration(v Verdict) {
	r := &j.e.Result
	switch {
	case v.LCB <= 0:
		// One unit cannot carry what is not there: the bound itself names the reason.
		j.unknown(CodeConcentration, "> 0", "the bound is not above zero with the most favourable unit either")
	case r.WithoutTop == nil:
		j.unknown(CodeConcentration, "> 0", "the estimate without its most favourable unit is not available")
	default:
		rest := r.WithoutTop.T - float64(limit(v.Z)*r.WithoutTop.SE)
		j.is(CodeConcentration, rest > 0, j.cash(rest), "> 0", "Without the most favourable unit the bound is %s.", j.cash(rest))
	}
}

// capSign: a revenue cap must not hide a loss.
func (j *judge) capSign() {
	u := j.e.Uncapped
	if u == nil {
		j.unknown(CodeCapSignConflict, "> 0", "the plan has no revenue cap")
		return
	}
	j.is(CodeCapSignConflict, u.T > 0, j.cash(u.T), "> 0", "Without the revenue cap the lift is %s.", j.cash(u.T))
}
