package invoicing

import (
	"context"
	"slices"
	"strconv"

	"github.com/liftbill/liftbill/domain/billing"
)

// tieOut stores what the released invoice is beside its plan. An invoice that was labelled
// anew since it was read is read once more.
func (s *session) tieOut(ctx context.Context, inv StripeInvoice, items []StripeItem) error {
	if !labelled(s.intent.Plan, inv) {
		var err error
		if inv, err = s.w.Invoice(ctx, inv.ID); err != nil {
			return err
		}
	}
	return s.Ledger.SaveTieOut(ctx, s.cycleID, tieInvoice(s.intent.Plan, inv, items), s.Clock.Now())
}

func labelled(plan billing.InvoicePlan, inv StripeInvoice) bool {
	for k, v := range plan.Metadata {
		if inv.Metadata[k] != v {
			return false
		}
	}
	return true
}

// tieInvoice compares a plan with the finalized invoice: totals, every line, status,
// addressee and metadata.
func tieInvoice(plan billing.InvoicePlan, inv StripeInvoice, items []StripeItem) billing.TieOut {
	t := billing.TieOut{Kind: billing.TieInvoice}
	t.AddMinor("total without tax", plan.TotalMinor(), withoutTax(inv))
	t.AddMinor("subtotal", plan.TotalMinor(), inv.SubtotalMinor)
	t.Add("currency", plan.Key.Currency, inv.Currency)
	t.Add("payer", plan.Key.Customer, inv.Customer)
	t.Add("live mode", "true", strconv.FormatBool(inv.Livemode))
	t.Add("finalized", "true", strconv.FormatBool(counts(inv)))
	t.Add("discounts", "false", strconv.FormatBool(inv.HasDiscounts))
	t.AddMinor("lines", int64(len(plan.Lines)), int64(len(items)))
	for _, line := range plan.Lines {
		i := slices.IndexFunc(items, func(it StripeItem) bool { return it.Metadata["lb_line"] == line.Line })
		theirs := "missing"
		if i >= 0 {
			theirs = strconv.FormatInt(items[i].AmountMinor, 10)
		}
		t.Add("line "+line.Line, strconv.FormatInt(line.AmountMinor, 10), theirs)
	}
	for _, name := range []string{"lb_key", "lb_plan_sha256"} {
		t.Add("metadata "+name, plan.Metadata[name], inv.Metadata[name])
	}
	t.Add("metadata, all of it", "true", strconv.FormatBool(labelled(plan, inv)))
	return t
}

// tieUnwritten compares a cycle of which nothing was written: the revenue that its readouts
// rest on with Stripe's lists, and its lines with its total.
func tieUnwritten(j Judged, p billing.Priced) *billing.TieOut {
	t := &billing.TieOut{Kind: billing.TieUnwritten}
	t.Add("net paid revenue", minorOr(j.PaidMinor, "not collected"), minorOr(j.StripeNetMinor, "not read"))
	var sum int64
	for _, l := range p.Lines {
		sum += l.AmountMinor
	}
	t.AddMinor("lines and total", sum, p.Total.Minor())
	return t
}

// minorOr writes an amount, or why there is none.
func minorOr(minor *int64, none string) string {
	if minor == nil {
		return none
	}
	return strconv.FormatInt(*minor, 10)
}
