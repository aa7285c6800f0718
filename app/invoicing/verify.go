package invoicing

import (
	"context"
	"slices"

	"github.com/liftbill/liftbill/domain/billing"
)

// look reads the items and then the invoice, whose subtotal so covers at least them.
func (s *session) look(ctx context.Context, id string) (StripeInvoice, []StripeItem, error) {
	items, err := s.w.Items(ctx, id)
	if err != nil {
		return StripeInvoice{}, nil, err
	}
	inv, err := s.w.Invoice(ctx, id)
	return inv, items, err
}

// verify compares a draft with the plan. done means that there is nothing to finalize:
// the draft was given up, or it has left its state, or a person must look.
func (s *session) verify(ctx context.Context, inv StripeInvoice, items []StripeItem) (redo, done bool, err error) {
	if mismatch(s.intent.Plan, inv, items) == "" {
		return false, false, s.relabel(ctx, inv)
	}
	// Another worker may have added a line between our two reads: look once more.
	if inv, items, err = s.look(ctx, inv.ID); err != nil {
		redo, err = orRedo(err)
		return redo, true, err
	}
	switch {
	case inv.Status != "draft":
		return false, true, nil
	case mismatch(s.intent.Plan, inv, items) == "":
		return false, false, s.relabel(ctx, inv)
	}
	redo, err = s.burn(ctx)
	return redo, true, err
}

// relabel gives the pinned invoice its metadata back if somebody has cleared or changed
// it. The invoice is known by its ID; the labels are for those who look for it.
func (s *session) relabel(ctx context.Context, inv StripeInvoice) error {
	plan := s.intent.Plan
	if inv.Metadata["lb_key"] == plan.Key.StripeKey() && inv.Metadata["lb_plan_sha256"] == plan.Metadata["lb_plan_sha256"] {
		return nil
	}
	// A fresh key: Stripe would replay the answer of an earlier time.
	if err := s.Ledger.NextFinalize(ctx, s.intent.ID, s.Clock.Now()); err != nil {
		return err
	}
	s.intent.FinalizeN++
	_, err := s.w.Label(ctx, inv.ID, s.intent.FinalizeN)
	return err
}

// mismatch compares an invoice and its items with the plan; empty means equal.
func mismatch(plan billing.InvoicePlan, inv StripeInvoice, items []StripeItem) string {
	switch {
	case !inv.Livemode:
		return "the invoice is not in live mode"
	case inv.Currency != plan.Key.Currency || inv.Customer != plan.Key.Customer:
		return "the invoice has another currency or customer"
	case inv.CollectionMethod != string(plan.CollectionMethod):
		return "the invoice is collected in another way"
	case inv.HasDiscounts:
		return "the invoice has a discount"
	case len(items) != len(plan.Lines):
		return "the number of items differs"
	case inv.SubtotalMinor != plan.TotalMinor():
		return "the subtotal differs"
	}
	for _, line := range plan.Lines {
		i := slices.IndexFunc(items, func(it StripeItem) bool { return it.Metadata["lb_line"] == line.Line })
		switch {
		case i < 0:
			return "line " + line.Line + " is missing"
		case items[i].AmountMinor != line.AmountMinor || items[i].Currency != plan.Key.Currency || !items[i].Livemode:
			return "line " + line.Line + " differs"
		case items[i].Metadata["lb_key"] != plan.Key.StripeKey():
			return "line " + line.Line + " is not ours"
		}
	}
	return ""
}
