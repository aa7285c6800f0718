package reconcile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/billing"
)

// revenue is the chain of the buckets, down to what the readout observed.
func (e *explainer) revenue() []Figure {
	l := e.Line
	start := Figure{Label: "Paid revenue at Stripe", Note: "contract year to date, without tax, net of refunds and disputes", Minor: minor(e.PaidRevenueMinor), About: "events"}
	switch {
	case e.StripeNetMinor == nil:
		start.Note += "; Stripe's lists were not read beside it"
	case *e.StripeNetMinor == e.PaidRevenueMinor:
		start.Note += "; the same sum read from Stripe's own lists"
	default:
		start.Problem = e.problem("Stripe's lists come to %s, our ledger to %s", e.money(*e.StripeNetMinor), e.money(e.PaidRevenueMinor))
	}
	out := []Figure{start}
	left, own, others, events, n := e.PaidRevenueMinor, int64(0), int64(0), 0, 0
	for _, b := range e.Buckets {
		switch {
		case !b.Paid(e.Currency):
			continue
		case b.Bucket == "snapshot" && b.SnapshotID == l.SnapshotID:
			own, events = own+b.AmountMinor, events+b.Events
			continue
		case b.Bucket == "snapshot":
			others, n = others+b.AmountMinor, n+1
		case b.AmountMinor != 0:
			out = append(out, Figure{Sign: SignMinus, Label: b.Bucket, Note: eventsText(b.Events), Minor: minor(b.AmountMinor), About: "bucket"})
		}
		left -= b.AmountMinor
	}
	if others != 0 {
		out = append(out, Figure{Sign: SignMinus, Label: "Attributed to the other snapshots", Note: counted(n) + " of them; every payment belongs to one snapshot", Minor: minor(others), About: "buckets"})
	}
	attributed := Figure{Sign: SignEquals, Label: "Attributed to this snapshot", Note: eventsText(events), Minor: minor(own), About: "buckets"}
	if left != own {
		attributed.Problem = e.problem("The buckets leave %s, the snapshot has %s", e.money(left), e.money(own))
	}
	out = append(out, attributed)
	if d := l.ObservedMinor - own; d != 0 {
		f := Figure{Sign: SignPlus, Label: "Not in the table of users", Note: "capped payments, or events that came after it was frozen", Minor: minor(d), About: "buckets"}
		if d < 0 {
			f.Sign, f.Minor = SignMinus, minor(-d)
		}
		out = append(out, f)
	}
	return append(out, Figure{Sign: SignEquals, Label: "Observed revenue", Note: "of " + counted(int(l.Units)) + " users, " + counted(int(l.HoldoutUnits)) + " of them in the holdout", Minor: minor(l.ObservedMinor), About: "readout"})
}

// measurement is T and its bound.
func (e *explainer) measurement() []Figure {
	l, r := e.Line, e.Readout
	out := []Figure{{Label: "Observed revenue", Minor: minor(l.ObservedMinor), About: "readout"}}
	measure, bound := e.step("measure"), e.step("bound")
	if math.IsNaN(r.Lift) || (measure != nil && !measure.Arithmetic) {
		return append(out, Figure{Label: "There is no estimate", Note: r.Explanation, Step: measure})
	}
	t := decimalOf(r.Lift)
	out = append(out,
		Figure{Sign: SignMinus, Label: "Expected without the policy", Note: "the counterfactual, estimated from the holdout", Exact: decimalOf(r.Counterfactual), About: "readout"},
		e.agree(Figure{Sign: SignEquals, Label: "Measured lift", Note: "T = " + t + " minor units, rounded down", Minor: minor(l.MeasuredMinor), Step: measure, About: "readout"}),
		Figure{Sign: SignMinus, Label: "Allowance for chance", Note: "z " + r.Z + " of the error schedule × standard error " + decimalOf(r.SE), Exact: decimalOf(r.Lift - r.Bound), About: "readout"},
		e.agree(Figure{Sign: SignEquals, Label: "Lower bound", Note: "what is certain within the error that was agreed", Minor: minor(l.BoundMinor), Step: bound, About: "readout"}),
	)
	if math.Floor(r.Lift) != float64(l.MeasuredMinor) {
		out[2].Problem = e.problem("The readout measured %s, the line says %d", t, l.MeasuredMinor)
	}
	passed := 0
	for _, c := range r.Checks {
		if c.Status == "passed" {
			passed++
		}
	}
	verdict := Figure{Label: "Guardrail: " + r.Verdict, Note: fmt.Sprintf("%d of %d checks passed", passed, len(r.Checks)), Step: e.step("guardrail"), About: "readout"}
	if r.HeadlineCode != "" {
		verdict.Note += "; " + r.HeadlineCode
	}
	return append(out, verdict)
}

// decimalOf shows an estimate with the six decimals of the stored steps.
func decimalOf(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }

// base is what of the lift is new in this period.
func (e *explainer) base() []Figure {
	l, base := e.Line, e.step("base")
	if base == nil {
		if e.step("guardrail") == nil && e.step("measure") == nil {
			return []Figure{{Label: "Not priced yet", Note: "the cycle has not come to it"}}
		}
		return append([]Figure{{Sign: SignEquals, Label: "Base", Note: "a withheld lift has none", Minor: minor(l.BaseMinor)}}, e.later()...)
	}
	figure, label := l.BoundMinor, "Lower bound"
	if strings.Contains(base.Formula, "measured") {
		figure, label = l.MeasuredMinor, "Measured lift"
	}
	out := []Figure{
		{Label: label, Note: "what the contract bills, not below zero", Minor: minor(max(0, figure))},
		{Sign: SignMinus, Label: "Billed before", Note: "high-water mark of the contract year", Minor: minor(l.HighWaterFrom)},
	}
	rise := max(0, max(0, figure)-l.HighWaterFrom)
	if below := max(0, figure) - l.HighWaterFrom; below < 0 {
		out = append(out, Figure{Sign: SignPlus, Label: "Below the mark", Note: "nothing is given back within the year", Minor: minor(-below)})
	}
	stored, err := strconv.ParseInt(base.Result(), 10, 64)
	if err == nil && stored < rise {
		out = append(out, Figure{Sign: SignMinus, Label: "Above its part of the pooled bound", Note: "the cap of all snapshots together", Minor: minor(rise - stored), Step: e.step("portfolio_cap")})
	}
	if err == nil && stored != l.BaseMinor && e.step("defer") != nil {
		out = append(out, Figure{Sign: SignMinus, Label: "Put off", Note: "the total would be below Stripe's minimum charge", Minor: minor(stored - l.BaseMinor), Step: e.step("defer")})
		return append(out, Figure{Sign: SignEquals, Label: "Base of this period", Minor: minor(l.BaseMinor), Step: base})
	}
	return append(append(out, e.agree(Figure{Sign: SignEquals, Label: "Base of this period", Note: "the mark rises to " + e.money(l.HighWaterTo), Minor: minor(l.BaseMinor), Step: base})), e.later()...)
}

// later is what was measured and is not billed now.
func (e *explainer) later() []Figure {
	var out []Figure
	if e.Line.DeferredMinor != 0 {
		out = append(out, Figure{Label: "Deferred", Note: "kept for later periods of the contract year", Minor: minor(e.Line.DeferredMinor)})
	}
	if e.Line.WaivedMinor != 0 {
		out = append(out, Figure{Label: "Waived", Note: "never billed", Minor: minor(e.Line.WaivedMinor), Step: e.step("waive")})
	}
	return out
}

// fee is the one multiplication, and the one rounding.
func (e *explainer) fee() []Figure {
	l, fee := e.Line, e.step("fee")
	if fee == nil {
		return []Figure{{Sign: SignEquals, Label: "Fee", Note: "without a base there is none", Minor: minor(l.FeeMinor)}}
	}
	out := []Figure{{Label: "Base of this period", Minor: minor(l.BaseMinor)}}
	for i := range e.steps {
		if s := &e.steps[i]; s.Name == "tier" || s.Name == "tiers" {
			out = append(out, Figure{Label: "Tier", Note: s.Formula, Text: s.Inputs, Step: s})
		}
	}
	_, factor, _ := strings.Cut(fee.Inputs, " × ")
	mode, _, _ := strings.Cut(fee.Formula, "(")
	return append(out,
		Figure{Sign: SignTimes, Label: "Share", Note: "as agreed in " + e.ContractID, Text: factor},
		Figure{Sign: SignEquals, Label: "Before rounding", Exact: fee.Exact},
		rounding(fee, strings.ReplaceAll(mode, "_", " ")),
		e.agree(Figure{Sign: SignEquals, Label: "Fee", Note: "the line of the ledger", Minor: minor(l.FeeMinor), Step: fee}))
}

// rounding is the fraction that the one rounding takes or adds.
func rounding(fee *CheckedStep, mode string) Figure {
	f := Figure{Sign: SignMinus, Label: "Rounding", Note: mode + ", once"}
	exact, endless := strings.CutSuffix(fee.Exact, "…")
	rest, err := billing.Step{Inputs: exact + " − " + fee.Recomputed.Result}.Recompute()
	if err != nil {
		return f
	}
	var up bool
	if f.Exact, up = strings.CutPrefix(rest.Exact, "-"); up {
		f.Sign = SignPlus
	}
	if endless {
		f.Exact += "…"
	}
	return f
}
