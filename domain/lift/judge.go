package lift

import (
	"fmt"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/money"
)

// Judge runs every check of the guardrail on an estimate, always all of them,
// and is the only function that makes a Billable. The pooled readout is judged
// like a snapshot but is never billable itself. Thresholds and z are those of
// the sealed plan.
func Judge(e Estimate, ev Evidence, sealed SealedPlan) Verdict {
	j := judge{e: e, ev: ev, plan: sealed.plan, sealed: sealed, t: sealed.plan.Thresholds}
	v := Verdict{Look: ev.Look, Z: j.plan.ErrorBudget.Z(ev.Look, e.SnapshotID == SnapshotPooled), TestMode: ev.Environment != account.Live}
	if sealed.IsZero() {
		j.fail(CodePlanNotSealed, "no plan", "sealed plan", "There is no sealed measurement plan.")
		v.Checks = j.checks
		return v.close(e)
	}
	if !e.Refused() {
		v = j.amounts(v)
	}
	j.planChecks()
	j.propensityChecks()
	j.balanceChecks()
	j.bookChecks()
	for i := range j.checks {
		j.checks[i].DataGate = true
	}
	j.sizeChecks()
	j.liftChecks(v)
	v.Checks = j.checks
	v = v.close(e)
	if v.Passed && v.HasEstimate && (v.BoundMinor >= 0 || j.plan.asksNoBound(ev.Look)) && e.SnapshotID != SnapshotPooled && e.SnapshotID != "" {
		v.billable = &Billable{snapshotID: e.SnapshotID, pointMinor: v.PointMinor, boundMinor: v.BoundMinor,
			currency: j.plan.Currency, look: ev.Look, environment: ev.Environment}
	}
	return v
}

// judge collects checks.
type judge struct {
	e      Estimate
	ev     Evidence
	plan   Plan
	sealed SealedPlan
	t      Thresholds
	checks []Check
}

func (j *judge) put(code Code, status Status, value, threshold, format string, args ...any) {
	j.checks = append(j.checks, Check{Code: code, Status: status, Value: value, Threshold: threshold, Explain: fmt.Sprintf(format, args...)})
}

func (j *judge) fail(code Code, value, threshold, format string, args ...any) {
	j.put(code, Failed, value, threshold, format, args...)
}

// unknown records a check whose data is not there.
func (j *judge) unknown(code Code, threshold, what string) {
	j.put(code, NotEvaluated, "unknown", threshold, "Not evaluated: %s.", what)
}

// is records a check that passed or failed.
func (j *judge) is(code Code, ok bool, value, threshold, format string, args ...any) {
	status := Failed
	if ok {
		status = Passed
	}
	j.put(code, status, value, threshold, format, args...)
}

// amounts takes the bound and the floors from the estimate.
func (j *judge) amounts(v Verdict) Verdict {
	z, err := decimalIn("z", v.Z, "10", true)
	if err != nil {
		return v
	}
	v.LCB = j.e.Result.LowerBound(z.InexactFloat64())
	point, edgePoint, errPoint := FloorMinor(j.e.Result.T)
	bound, edgeBound, errBound := FloorMinor(v.LCB)
	if errPoint != nil || errBound != nil {
		return v
	}
	v.HasEstimate, v.PointMinor, v.BoundMinor, v.RoundingEdge = true, point, bound, edgePoint || edgeBound
	return v
}

// close derives headline and sentence from the checks.
func (v Verdict) close(e Estimate) Verdict {
	v.DataGatesPassed = true
	explain := ""
	for _, c := range v.Checks {
		if c.Status != Failed {
			continue
		}
		v.DataGatesPassed = v.DataGatesPassed && !c.DataGate && c.Code != CodePlanNotSealed
		if v.Headline == "" {
			v.Headline, explain = c.Code, c.Explain
		}
	}
	v.Passed = v.Headline == "" && v.HasEstimate
	if v.Passed {
		if c, ok := v.Check(CodeLCBNotPositive); ok && c.Status == Passed {
			explain = c.Explain
		} else {
			explain = "The year is settled to the measured lift in both directions."
		}
		v.Sentence = fmt.Sprintf("%s: all checks passed. %s", e.SnapshotID, explain)
		return v
	}
	v.Sentence = fmt.Sprintf("%s: withheld (%s). %s", e.SnapshotID, v.Headline, explain)
	return v
}

// cash writes an estimate in minor units as money, rounded down, for sentences.
func (j *judge) cash(x float64) string {
	minor, _, err := FloorMinor(x)
	if err != nil {
		return fmt.Sprintf("%g minor units", x)
	}
	return j.minor(minor)
}

func (j *judge) minor(minor int64) string { return cashOf(minor, string(j.plan.Currency)) }

// cashOf writes minor units as money, in plain numbers where the currency is unknown.
func cashOf(minor int64, currency string) string {
	a, err := money.New(minor, money.Currency(currency))
	if err != nil {
		return fmt.Sprintf("%d minor units of %s", minor, currency)
	}
	return a.String()
}
