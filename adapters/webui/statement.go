package webui

import (
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// statement says a cycle on pages: the amounts on both sides, how they came about, what was
// billed, what was withheld and why, and who decided. Its figures are those of the page.
func statement(t reconcile.TieOut) []section {
	cur, total := t.Currency, sumsOf(t)
	fact := func(name, value string) []any { return []any{name, value} }
	facts := [][]any{
		fact("Account", t.AccountName+" ("+t.AccountID+")"), fact("Environment", string(t.Environment)), fact("Period", month(t.Period)+", "+stamp(t.PeriodStart)+" to "+stamp(t.PeriodEnd)+", midnights of "+t.TimeZone),
		fact("Revision", strconv.Itoa(t.Revision)), fact("State", strings.TrimSpace(words(string(t.State))+" "+t.Reason)), fact("Contract", t.ContractID+", "+t.ContractHash), fact("Terms", "basis "+t.Basis+", share "+t.Share+"; "+strings.Join(t.Terms, "; ")),
		fact("Plan", t.PlanID+", "+t.PlanHash), fact("Inputs", t.InputDigest+", as of "+stamp(t.Watermark)),
	}
	switch {
	case t.Environment == account.Test:
		facts = append(facts, fact("Mode", "TEST: computed and shown, nothing written"))
	case t.Phase == string(billing.PhaseShadow):
		facts = append(facts, fact("Mode", "SHADOW: priced and shown, never invoiced"))
	default:
		facts = append(facts, fact("Mode", "LIVE"))
	}
	if t.StripeInvoiceID != "" {
		facts = append(facts, fact("Invoice", strings.TrimSpace(t.InvoiceNumber+" "+t.StripeInvoiceID+" "+t.StripeStatus)))
	}
	out := []section{
		{Heading: "Statement", Columns: []column{{Name: "what"}, {Name: "value"}}, Labels: []string{"", ""}, Rows: facts},
		{Heading: "Does it tie out?", Note: whyUnwritten(t), Columns: []column{{Name: "engine", Kind: columnMoney}, {Name: "stripe", Kind: columnMoney}, {Name: "difference", Kind: columnMoney}},
			Labels: []string{"Engine total", "Stripe total", "Difference"}, Rows: [][]any{{cashOf(t.EngineMinor, cur), cash{t.StripeMinor, cur}, cash{t.DifferenceMinor, cur}}}},
	}
	if len(t.Lines) > 0 || t.PaidRevenueMinor != 0 {
		for _, w := range []Waterfall{revenueWaterfall(t, total), invoiceWaterfall(t, total)} {
			s := section{Heading: w.Caption, Columns: []column{{Name: "step"}, {Name: "note"}, {Name: "amount", Kind: columnMoney}}, Labels: []string{"Step", "", "Amount"}}
			for _, b := range w.Bars {
				s.Rows = append(s.Rows, []any{b.Label, b.Note, cashOf(b.Minor, cur)})
			}
			out = append(out, s)
		}
	}
	out = append(append(out, statementLines(t)...), statementOthers(t)...)
	if len(t.Decisions) > 0 {
		s := section{Heading: "Decisions", Columns: []column{{Name: "time", Kind: columnTime}, {Name: "decision"}, {Name: "by"}, {Name: "reason"}, {Name: "amount", Kind: columnMoney}}, Labels: []string{"Time", "Decision", "By", "Reason", "Amount"}}
		for _, d := range t.Decisions {
			s.Rows = append(s.Rows, []any{d.At, words(d.Action), d.Actor, d.Reason, cashOf(d.AmountMinor, cur)})
		}
		out = append(out, s)
	}
	return out
}

// statementLines are what was billed, what was withheld, and the fees that are no lift.
func statementLines(t reconcile.TieOut) []section {
	cur := t.Currency
	columns := []column{
		{Name: "snapshot"}, {Name: "users", Kind: columnCount, Sum: true}, {Name: "measured", Kind: columnMoney, Sum: true}, {Name: "bound", Kind: columnMoney}, {Name: "before", Kind: columnMoney, Sum: true},
		{Name: "base", Kind: columnMoney, Sum: true}, {Name: "amount", Kind: columnMoney, Sum: true}, {Name: "invoiced", Kind: columnMoney, Sum: true}, {Name: "case"},
	}
	labels := []string{"Snapshot", "Users", "Measured, year to date", "Lower bound", "Billed before", "Base", "Amount", "On the invoice", "Case"}
	billed := section{Heading: "Lines", Columns: columns, Labels: labels}
	held := section{
		Heading: "Withheld", Note: "Measured, shown and not charged.", Columns: []column{{Name: "snapshot"}, {Name: "measured", Kind: columnMoney, Sum: true}, {Name: "bound", Kind: columnMoney}, {Name: "reason"}, {Name: "explanation"}, {Name: "case"}},
		Labels: []string{"Snapshot", "Measured, year to date", "Lower bound", "Reason", "In words", "Case"},
	}
	for _, l := range t.Lines {
		name := l.SnapshotName + " (" + l.SnapshotID + ")"
		if l.Billed || l.BaseMinor > 0 {
			billed.Rows = append(billed.Rows, []any{
				name, l.Units, cashOf(l.MeasuredMinor, cur), cashOf(l.BoundMinor, cur), cashOf(l.HighWaterFrom, cur), cashOf(l.BaseMinor, cur), cashOf(l.FeeMinor, cur), cashOf(l.BilledMinor, cur), l.CaseID,
			})
			continue
		}
		held.Rows = append(held.Rows, []any{name, cashOf(l.MeasuredMinor, cur), cashOf(l.BoundMinor, cur), l.HeadlineCode, l.Explanation, l.CaseID})
	}
	var out []section
	for _, s := range []section{billed, held} {
		if len(s.Rows) > 0 {
			out = append(out, s)
		}
	}
	if len(t.Charges) > 0 {
		s := section{Heading: "Fees, reductions and balances", Columns: []column{{Name: "line"}, {Name: "description"}, {Name: "amount", Kind: columnMoney, Sum: true}, {Name: "invoiced", Kind: columnMoney, Sum: true}}, Labels: []string{"Line", "In words", "Amount", "On the invoice"}}
		for _, c := range t.Charges {
			s.Rows = append(s.Rows, []any{chargeName(c.Kind), c.Description, cashOf(c.AmountMinor, cur), cashOf(c.BilledMinor, cur)})
		}
		out = append(out, s)
	}
	return out
}

// readoutExport is a readout as a table: its figures, then every check of the guardrail.
func (s *Server) readoutExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	t, err := s.reconcile.Readout(c.Request().Context(), c.Param("case"))
	if err != nil {
		return err
	}
	r := report{
		Name: "readout-" + t.CaseID, Title: "Readout of " + t.SnapshotName + ", " + t.AccountName + ", " + month(t.Period), Version: 2,
		Parameters: []parameter{
			{"case", t.CaseID}, {"cycle", t.CycleID}, {"revision", strconv.Itoa(t.Revision)}, {"snapshot", t.SnapshotID}, {"environment", string(t.Environment)}, {"verdict", strings.TrimSpace(t.Verdict + " " + t.HeadlineCode)}, {"says", t.Explanation},
			{"plan_hash", t.PlanHash}, {"estimator", t.Estimator}, {"input_digest", t.InputDigest},
		},
		Columns: []column{{Name: "part"}, {Name: "name"}, {Name: "amount", Kind: columnMoney}, {Name: "value"}, {Name: "threshold"}, {Name: "status"}, {Name: "explanation"}},
		Labels:  []string{"Part", "What", "Amount", "Value", "Threshold", "Status", "In words"},
	}
	// estimated is rounded down as the ledger does; the exact figure stands beside it.
	estimated := func(name string, v float64, says string) {
		amount := cash{Currency: t.Currency}
		if minor, _, err := lift.FloorMinor(v); err == nil {
			amount.Minor = &minor
		}
		r.Rows = append(r.Rows, []any{"figure", name, amount, plain(v), "", "", says})
	}
	number := func(name, v, says string) {
		r.Rows = append(r.Rows, []any{"figure", name, nil, v, "", "", says})
	}
	number("users", strconv.FormatInt(t.Units, 10), "exposed in the contract year to date")
	number("holdout", strconv.FormatInt(t.HoldoutUnits, 10), "users that the baseline decided for")
	r.Rows = append(r.Rows, []any{"figure", "observed revenue", cashOf(t.ObservedMinor, t.Currency), "", "", "", "what the users paid"})
	estimated("counterfactual", t.Counterfactual, "what they would have paid without the policy")
	estimated("measured lift", t.Lift, "observed less counterfactual")
	estimated("standard error", t.SE, "the largest of three")
	estimated("lower bound", t.Bound, "one-sided at the scheduled error, z = "+t.Z)
	estimated("interval, low", t.IntervalLow, "two-sided 95 %, for display")
	estimated("interval, high", t.IntervalHigh, "two-sided 95 %, for display")
	number("effective sample", plain(t.ESS), "of the holdout")
	r.Rows = append(r.Rows, []any{"figure", "base of this cycle", cashOf(t.BaseMinor, t.Currency), "", "", "", ""}, []any{"figure", "fee of this cycle", cashOf(t.FeeMinor, t.Currency), "", "", "", ""})
	weights, err := s.reconcile.Weights(c.Request().Context(), t)
	if err != nil {
		return err
	}
	if f := measuredOf(t, weights); f != nil {
		for _, x := range f.Estimates {
			estimated("lift, "+x.Name, x.Exact, x.Says)
		}
		for _, x := range f.Diagnostics {
			number(x.Name, x.Value, x.Says)
		}
		number("error of the bound", f.Alpha, "one-sided, at its z")
	}
	for _, k := range t.Checks {
		r.Rows = append(r.Rows, []any{"check", k.Code, nil, k.Value, k.Threshold, words(k.Status), k.Explain})
	}
	return s.send(c, r)
}
