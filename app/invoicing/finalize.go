package invoicing

import (
	"context"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Finalize verifies the pinned draft, finalizes it with automatic collection off,
// looks at it again together with everything else that carries our key, releases it,
// sweeps the rest and closes the cycle. Every part is decided by state, so that it can
// be repeated at any point.
func (s *Service) Finalize(ctx context.Context, cycleID string) (Outcome, error) {
	out, err := s.step(ctx, cycleID, byProof, (*session).finalize)
	if err != nil || out.Redo || out.State != billing.Writing {
		return out, err
	}
	return s.recorded(ctx, cycleID)
}

func (s *session) finalize(ctx context.Context) (redo bool, err error) {
	id := s.intent.InvoiceID
	if id == "" {
		return true, nil
	}
	inv, items, err := s.look(ctx, id)
	if err != nil {
		return orRedo(err)
	}
	if inv.Status == "draft" {
		if redo, err = s.commit(ctx, inv, items); err != nil || redo {
			return redo, err
		}
		if items, err = s.w.Items(ctx, id); err != nil {
			return orRedo(err)
		}
	}
	all, err := s.w.OurInvoices(ctx)
	if err != nil {
		return false, err
	}
	if inv, err = s.pinned(ctx, all); err != nil {
		return orRedo(err)
	}
	if redo, err = s.confirm(ctx, inv, items, all); err != nil || redo {
		return redo, err
	}
	if inv, err = s.release(ctx, inv); missing(err) {
		// The invoice was there a moment ago: it is its customer that is not.
		return false, s.escalate(ctx, billing.HumanPayerDeleted, "customer %s was deleted at Stripe before invoice %s was released", s.intent.Plan.Key.Customer, id)
	} else if err != nil {
		return false, err
	}
	if err := s.sweep(ctx, all); err != nil {
		return false, err
	}
	if err := s.tieOut(ctx, inv, items); err != nil {
		return false, err
	}
	return false, s.Ledger.SaveInvoice(ctx, s.intent.ID, billing.IntentReleased, inv, s.Clock.Now())
}

// pinned is the pinned invoice as the list shows it; one that lost its label is read.
func (s *session) pinned(ctx context.Context, all []StripeInvoice) (StripeInvoice, error) {
	for _, inv := range all {
		if inv.ID == s.intent.InvoiceID {
			return inv, nil
		}
	}
	return s.w.Invoice(ctx, s.intent.InvoiceID)
}

// commit verifies the draft and finalizes it. A lost answer is never a reason to make
// another invoice: the next attempt reads the status first.
func (s *session) commit(ctx context.Context, inv StripeInvoice, items []StripeItem) (redo bool, err error) {
	if redo, done, err := s.verify(ctx, inv, items); done || err != nil {
		return redo, err
	}
	claimed := s.Clock.Now()
	if err := s.Ledger.SaveItems(ctx, s.intent.ID, inv.ID, items, claimed); err != nil {
		return false, err
	}
	_, err = s.w.Finalize(ctx, inv.ID, s.intent.FinalizeN, claimed)
	switch {
	case fault.CodeOf(err) == CodeStateConflict:
		return false, nil // somebody, perhaps our lost request, finalized it: the status decides
	case fault.Is(err, fault.Indeterminate):
		if countErr := s.Ledger.NextFinalize(ctx, s.intent.ID, s.Clock.Now()); countErr != nil {
			return false, countErr
		}
	}
	return orRedo(err)
}

// confirm is the second look, before money or mail moves: a wrong finalized
// invoice is voided, and nobody was charged or mailed.
func (s *session) confirm(ctx context.Context, inv StripeInvoice, items []StripeItem, all []StripeInvoice) (redo bool, err error) {
	switch {
	case counts(inv):
	case inv.Status == "void":
		return false, s.escalate(ctx, billing.HumanInvoiceVoided, "invoice %s was voided at Stripe", inv.ID)
	case inv.Status == "paid": // finalized when it was empty: it bills nobody
		return true, s.giveUp(ctx)
	default:
		return false, fault.New(fault.Unavailable, "not_final", "the invoice of cycle %s is %s", s.cycleID, inv.Status)
	}
	for _, other := range all {
		if other.ID != inv.ID && s.isOurs(other.Metadata) && counts(other) {
			return false, s.escalate(ctx, billing.HumanTwoInvoices, "beside %s a second finalized invoice, %s, carries our key", inv.ID, other.ID)
		}
	}
	problem := mismatch(s.intent.Plan, inv, items)
	if problem == "" && withoutTax(inv) != s.intent.Plan.TotalMinor() {
		problem = "the total without tax differs"
	}
	if problem == "" {
		if err := s.relabel(ctx, inv); err != nil {
			return false, err
		}
		return false, s.Ledger.SaveInvoice(ctx, s.intent.ID, billing.IntentFinalized, inv, s.Clock.Now())
	}
	if inv.Status != "open" || inv.AutoAdvance || s.intent.State == billing.IntentFinalized {
		return false, s.escalate(ctx, billing.HumanInvoiceDiffers, "invoice %s does not match the plan: %s", inv.ID, problem)
	}
	// Given up first, voided second: an invoice that is given up is settled before
	// another one is made, whatever becomes of the void's answer.
	if err := s.giveUp(ctx); err != nil {
		return false, err
	}
	_, err = s.w.Void(ctx, inv.ID)
	return true, err
}

// withoutTax is what Stripe bills for our lines.
func withoutTax(inv StripeInvoice) int64 {
	if inv.TotalExcludingTaxMinor != nil {
		return *inv.TotalExcludingTaxMinor
	}
	return inv.TotalMinor
}

// release lets Stripe collect: automatic collection on, and for send_invoice the
// mail. Both are decided by state; at worst a second mail goes out.
func (s *session) release(ctx context.Context, inv StripeInvoice) (StripeInvoice, error) {
	if inv.Status != "open" {
		return inv, nil
	}
	if !inv.AutoAdvance {
		var err error
		inv, err = s.w.Release(ctx, inv.ID, s.intent.FinalizeN)
		if fault.Is(err, fault.Indeterminate) {
			// Stripe replays a stored 500 for as long as it keeps the key: the next attempt
			// needs a fresh one.
			if countErr := s.Ledger.NextFinalize(ctx, s.intent.ID, s.Clock.Now()); countErr != nil {
				return inv, countErr
			}
		}
		if err != nil {
			return inv, err
		}
	}
	if s.intent.Plan.CollectionMethod != billing.SendInvoice {
		return inv, nil
	}
	return s.w.Send(ctx, inv.ID)
}

// recorded ties the released invoice to the cycle: the engine's total must be
// Stripe's, to the minor unit.
func (s *Service) recorded(ctx context.Context, cycleID string) (Outcome, error) {
	ses := &session{Service: s, cycleID: cycleID}
	if err := ses.load(ctx); err != nil {
		return Outcome{}, err
	}
	intent := ses.intent
	if intent.StripeTotal == nil || *intent.StripeTotal != intent.Plan.TotalMinor() {
		return ses.outcome(), ses.escalate(ctx, billing.HumanTotalDiffers, "the total of invoice %s at Stripe is not the engine's", intent.InvoiceID)
	}
	if err := s.Ledger.Move(ctx, cycleID, billing.Invoiced, "", s.Clock.Now()); err != nil {
		return ses.outcome(), err
	}
	out := ses.outcome()
	out.State = billing.Invoiced
	return out, nil
}
