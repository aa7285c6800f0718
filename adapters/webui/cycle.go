package webui

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
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
	Waterfalls   []Waterfall
	Buckets      []bucketRow
	BucketTotal  int64
	BucketEvents int
	BucketGap    int64
	StripeGap    *int64
	EngineGap    int64
	WorkflowURL  string
	PeriodStart  string
	PeriodEnd    string
}

type lineRow struct {
	reconcile.Line
	State      StateView
	Difference *int64
	FirstHeld  bool
}

// lineSums is the totals row of the lines.
type lineSums struct {
	Observed, Measured, HighWater, Base, Deferred, Fee int64
	Units, Holdout                                     int64
	Stripe, Difference                                 *int64
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
	t, err := s.reconcile.TieOut(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	total := sumsOf(t)
	v := cycleView{
		TieOut: t, State: stateOf(string(t.State)), Test: t.Environment == account.Test, Why: whyUnwritten(t),
		TiesOut:     t.DifferenceMinor != nil && *t.DifferenceMinor == 0,
		Billed:      plural(total.billedLines, "billed line"),
		BucketTotal: total.buckets, BucketGap: total.buckets - t.PaidRevenueMinor, EngineGap: total.fee - t.EngineMinor,
		WorkflowURL: s.workflowURL(t.WorkflowID), PeriodStart: stamp(t.CycleSummary.PeriodStart), PeriodEnd: stamp(t.CycleSummary.PeriodEnd),
		Sums: lineSums{Observed: total.observed, Measured: total.measured, HighWater: total.highWater, Base: total.base, Deferred: total.deferred, Fee: total.fee},
	}
	if t.StripeNetMinor != nil {
		gap := t.PaidRevenueMinor - *t.StripeNetMinor
		v.StripeGap = &gap
	}
	if total.stripeKnown {
		gap := total.fee - total.stripe
		v.Sums.Stripe, v.Sums.Difference = &total.stripe, &gap
	}
	if len(t.Lines) > 0 || t.PaidRevenueMinor != 0 {
		v.Waterfalls = []Waterfall{revenueWaterfall(t, total), invoiceWaterfall(t, total)}
	}
	if total.withheldLines > 0 {
		v.Held = count(total.withheldLines) + " withheld"
	}
	v.Lines = lineRows(t.Lines, &v.Sums)
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
	return s.render(c, http.StatusOK, "cycle", frame{
		Title: t.AccountName + ", " + month(t.Period), Active: "cycles", Environment: string(t.Environment), Page: v,
	})
}

// lineRows puts what is billed before what is withheld and sums the units.
func lineRows(lines []reconcile.Line, sums *lineSums) []lineRow {
	var billed, held []lineRow
	for _, l := range lines {
		row := lineRow{Line: l, State: stateOf("withheld")}
		sums.Units += l.Units
		sums.Holdout += l.HoldoutUnits
		if l.StripeMinor != nil {
			gap := l.FeeMinor - *l.StripeMinor
			row.Difference = &gap
		}
		if l.Billed {
			row.State = stateOf("billed")
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
	case t.State == billing.Withheld:
		return "Nothing became billable, so no invoice was written."
	case t.State == billing.Blocked, t.State == billing.NeedsHuman:
		return "Nothing is written until a person has looked."
	default:
		return "Not written yet."
	}
}
