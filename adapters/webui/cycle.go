package webui

import (
	"net/http"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// cycleView is the tie-out of one cycle.
type cycleView struct {
	reconcile.TieOut
	State        StateView
	Test         bool
	Why          string // why nothing stands at Stripe, when nothing does
	TiesOut      bool
	Sums         lineSums
	Billed, Held string
	Lines        []lineRow
	Charges      []chargeRow
	ChargeSums   chargeSums
	Shadow       bool
	Waterfalls   []Waterfall
	Buckets      []bucketRow
	BucketTotal  int64
	BucketEvents int
	BucketGap    int64
	Others       []otherView
	StripeGap    *int64
	EngineGap    int64
	WorkflowURL  string
	PeriodStart  string
	PeriodEnd    string
	Booked       bool // there is a journal
	Choices      []choice
	Commands     []string // what can be done elsewhere
	Problem      string   // why a decision was refused
	Run          string   // what Temporal says of a run that ended early
	Revised      []revisionRow
	Looked, Same bool // somebody looked at the present data, and it comes to the same
	Changes      []changeRow
	MayLook      bool
	Accruals     []accrual.Accrual
	Until        string // when the contract's terms decide
	Month        *closeView
	CompareURL   string // both sides of the invoice, read now; empty where there is none
}

type lineRow struct {
	reconcile.Line
	State      StateView
	Difference *int64
	FirstHeld  bool
	// Sample is the effective sample, Low and High are the interval; empty and nil where
	// nothing could be estimated.
	Sample    string
	Low, High *Amount
}

// lineSums is the totals row of the lines.
type lineSums struct {
	Observed, Measured, HighWater, Base, Deferred, Fee, Billed int64
	Units, Holdout                                             int64
	Stripe, Difference                                         *int64
}

type chargeRow struct {
	reconcile.Charge
	Name       string
	Difference *int64
}

// chargeSums are the totals of the lines that are no lift, and of all lines.
type chargeSums struct {
	Amount, Billed, AllAmount, AllBilled         int64
	Stripe, Difference, AllStripe, AllDifference *int64
}

type bucketRow struct {
	Name, URL   string
	Snapshot    string
	AmountMinor int64
	Currency    string
	Events      int
	Share       string
}

func (s *Server) cycle(c echo.Context) error {
	return s.showCycle(c, http.StatusOK, c.Param("id"), looked{})
}

func (s *Server) showCycle(c echo.Context, status int, id string, at looked) error {
	t, err := s.reconcile.TieOut(c.Request().Context(), id)
	if err != nil {
		return err
	}
	total := sumsOf(t)
	v := cycleView{
		TieOut: t, State: stateOf(string(t.State)), Test: t.Environment == account.Test, Why: whyUnwritten(t),
		TiesOut: t.DifferenceMinor != nil && *t.DifferenceMinor == 0,
		Billed:  plural(total.billedLines+total.chargeLines, "billed line"), Shadow: t.Phase == string(billing.PhaseShadow),
		BucketTotal: total.buckets, BucketGap: total.buckets - t.PaidRevenueMinor, EngineGap: total.fee + total.charges - t.EngineMinor,
		WorkflowURL: s.workflowURL(t.WorkflowID), PeriodStart: stamp(t.CycleSummary.PeriodStart), PeriodEnd: stamp(t.CycleSummary.PeriodEnd),
		Sums:       lineSums{Observed: total.observed, Measured: total.measured, HighWater: total.highWater, Base: total.base, Deferred: total.deferred, Fee: total.fee, Billed: total.billed},
		ChargeSums: chargeSums{Amount: total.charges, Billed: total.chargesBilled, AllAmount: total.fee + total.charges, AllBilled: total.billed + total.chargesBilled},
	}
	if err := s.addSteps(c, &v, at); err != nil {
		return err
	}
	if v.Month, err = s.closeOf(c, t); err != nil {
		return err
	}
	if v.Month != nil {
		v.Month.Problem = at.month
	}
	if v.CompareURL, err = s.compareInvoiceURL(c, t); err != nil {
		return err
	}
	if t.WaitingUntil != nil {
		v.Until = stamp(*t.WaitingUntil)
	}
	if v.Accruals, err = s.everyAccrual(c, accrual.Filter{Scope: scopeOf(c), AccountID: t.AccountID, Period: t.Period, History: true}); err != nil {
		return err
	}
	_, err = reconcile.Journal(t)
	v.Booked = err == nil
	v.StripeGap = gap(t.PaidRevenueMinor, t.StripeNetMinor)
	if total.stripeKnown {
		all := total.stripe + total.chargesStripe
		v.Sums.Stripe, v.Sums.Difference = &total.stripe, gap(total.billed, &total.stripe)
		v.ChargeSums.Stripe, v.ChargeSums.Difference = &total.chargesStripe, gap(total.chargesBilled, &total.chargesStripe)
		v.ChargeSums.AllStripe, v.ChargeSums.AllDifference = &all, gap(total.billed+total.chargesBilled, &all)
	}
	if len(t.Lines) > 0 || t.PaidRevenueMinor != 0 {
		v.Waterfalls = []Waterfall{revenueWaterfall(t, total), invoiceWaterfall(t, total)}
	}
	if total.withheldLines > 0 {
		v.Held = count(total.withheldLines) + " withheld"
	}
	v.Lines = lineRows(t.Lines, &v.Sums, v.Shadow, t.Currency)
	for _, c := range t.Charges {
		v.Charges = append(v.Charges, chargeRow{Charge: c, Name: chargeName(c.Kind), Difference: gap(c.BilledMinor, c.StripeMinor)})
	}
	v.Others = othersOf(t)
	for _, b := range t.Buckets {
		row := bucketRow{Name: bucketName(b.Bucket), Snapshot: b.SnapshotID, AmountMinor: b.AmountMinor, Events: b.Events, URL: bucketURL(t.AccountID, b.Bucket), Currency: b.Currency}
		if b.Bucket == "snapshot" {
			row.Name = "Attributed to"
		}
		if b.Paid(t.Currency) {
			row.Share = percent(b.AmountMinor, t.PaidRevenueMinor)
			v.BucketEvents += b.Events
		} else {
			row.Share = "not summed"
		}
		v.Buckets = append(v.Buckets, row)
	}
	return s.render(c, status, "cycle", frame{
		Title: t.AccountName + ", " + month(t.Period), Active: "cycles", Environment: string(t.Environment), Shadow: v.Shadow, Page: v,
	})
}

// addSteps adds what can be done about the cycle, how often it was computed, and what a look
// at the present data found.
func (s *Server) addSteps(c echo.Context, v *cycleView, at looked) (err error) {
	ctx, t := c.Request().Context(), v.TieOut
	run := billing.RunUnknown
	if t.CycleSummary.State.Moving() {
		run = s.deciding.RunOf(ctx, t.Environment, t.AccountID, t.Period)
	}
	facts := t.Facts(run)
	v.NextAction = billing.NextActionOf(facts)
	v.Choices, v.Commands = choicesFor(c, facts)
	v.Problem = at.problem
	if run.Stopped() && t.CycleSummary.State.Moving() {
		v.Run = string(run)
	}
	if at.changes != nil {
		v.Looked, v.Same, v.Changes = true, at.changes.Equal, changeRows(at.changes)
	}
	caller := app.From(ctx)
	v.MayLook = caller.Kind == access.User && caller.Can(access.RunCycle) && !t.Watermark.IsZero()
	v.Revised, err = s.revisionRows(ctx, t)
	return err
}

// compareInvoiceURL is where the invoice is compared with Stripe now.
func (s *Server) compareInvoiceURL(c echo.Context, t reconcile.TieOut) (string, error) {
	if t.StripeInvoiceID == "" || !app.From(c.Request().Context()).Can(access.RunSync) {
		return "", nil
	}
	accounts, err := s.reconcile.Accounts(c.Request().Context(), scopeOf(c))
	for _, a := range accounts {
		if a.ID == t.AccountID && a.IssuerConnection != "" {
			return compareURL(a.IssuerConnection, t.StripeInvoiceID, "/cycles/"+t.ID), err
		}
	}
	return "", err
}

// compareURL compares an invoice at a connection.
func compareURL(connection, invoice, back string) string {
	return query("/connections/"+connection+"/compare", "object", "invoice", "object_id", invoice, "back", back)
}

// gap is what an amount differs from Stripe's by; nil where Stripe has none.
func gap(ours int64, stripe *int64) *int64 {
	if stripe == nil {
		return nil
	}
	d := ours - *stripe
	return &d
}

// lineRows puts what is priced before what is withheld and sums the units.
func lineRows(lines []reconcile.Line, sums *lineSums, shadow bool, currency string) []lineRow {
	var billed, held []lineRow
	for _, l := range lines {
		row := lineRow{Line: l, State: stateOf("withheld"), Difference: gap(l.BilledMinor, l.StripeMinor)}
		if l.ESS > 0 {
			row.Sample, row.Low, row.High = count64(int64(l.ESS)), estimate(l.IntervalLow, currency), estimate(l.IntervalHigh, currency)
		}
		sums.Units += l.Units
		sums.Holdout += l.HoldoutUnits
		if l.Billed || l.BaseMinor > 0 {
			switch {
			case shadow:
				row.State = stateOf("shadow")
			case l.Billed:
				row.State = stateOf("billed")
			default:
				row.State = stateOf("free") // a free month, or an allowance
			}
			billed = append(billed, row)
			continue
		}
		row.FirstHeld = len(held) == 0
		held = append(held, row)
	}
	return append(billed, held...)
}

// whyUnwritten explains an empty Stripe side in one sentence.
func whyUnwritten(t reconcile.TieOut) string {
	switch {
	case t.StripeMinor != nil:
		return ""
	case t.Environment == account.Test:
		return "Test account: computed and shown, nothing written."
	case t.Phase == string(billing.PhaseShadow):
		return "Shadow month: priced and shown, never invoiced."
	case t.State == billing.Withheld:
		return "Nothing became billable, so no invoice was written."
	case t.State == billing.Blocked, t.State == billing.NeedsHuman:
		return "Nothing is written until a person has looked."
	default:
		return "Not written yet."
	}
}
