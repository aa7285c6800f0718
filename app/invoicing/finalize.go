package invoicing

import (
	"context"
	"fmt"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Finalize finalizes the pinned, verified invoice with automatic collection off,
// looks at it again, releases it, sweeps what else carries our key and closes the
// cycle. Every part is decided by state, so that it can be repeated at any point.
func (s *Service) Finalize(ctx context.Context, cycleID string) (Outcome, error) {
	ses, done, err := s.open(ctx, cycleID)
	if err != nil {
		return Outcome{}, err
	}
	if done {
		return ses.recorded(ctx)
	}
	redo, err := ses.finalize(ctx)
	if err = ses.close(ctx, err); err != nil || redo {
		out := ses.outcome()
		out.Redo = redo
		return out, err
	}
	return ses.recorded(ctx)
}

func (s *session) finalize(ctx context.Context) (redo bool, err error) {
	id := s.intent.InvoiceID
	if id == "" {
		return true, nil
	}
	inv, err := s.w.Invoice(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return true, nil // EnsureDraft decides what that means
	}
	if err != nil {
		return false, err
	}
	if inv.Status == "draft" {
		if redo, err = s.commit(ctx, id, inv); err != nil || redo {
			return redo, err
		}
		if inv, err = s.w.Invoice(ctx, id); err != nil {
			return false, err
		}
	}
	if redo, err = s.confirm(ctx, inv); err != nil || redo {
		return redo, err
	}
	if inv, err = s.release(ctx, inv); err != nil {
		return false, err
	}
	if err := s.sweep(ctx); err != nil {
		return false, err
	}
	return false, s.Ledger.SaveInvoice(ctx, s.intent.ID, billing.IntentReleased, inv, s.Clock.Now())
}

// commit verifies the draft once more and finalizes it. A lost answer is never a
// reason to make another invoice: the next attempt reads the status first.
func (s *session) commit(ctx context.Context, id string, inv StripeInvoice) (redo bool, err error) {
	items, err := s.w.Items(ctx, id)
	if err != nil {
		return s.orRedo(err)
	}
	if redo, done, err := s.verify(ctx, inv, items); done {
		return redo, err
	}
	_, err = s.w.Finalize(ctx, id, s.intent.FinalizeN)
	switch {
	case fault.CodeOf(err) == CodeStateConflict:
		return false, nil // somebody, perhaps our lost request, finalized it: the status decides
	case fault.Is(err, fault.Indeterminate):
		if countErr := s.Ledger.NextFinalize(ctx, s.intent.ID, s.Clock.Now()); countErr != nil {
			return false, countErr
		}
	}
	return s.orRedo(err)
}

// confirm is the second look, before money or mail moves: a wrong finalized
// invoice is voided, and nobody was charged or mailed.
func (s *session) confirm(ctx context.Context, inv StripeInvoice) (redo bool, err error) {
	switch inv.Status {
	case "open", "paid", "uncollectible":
	case "void":
		return false, s.escalate(ctx, "the pinned invoice was voided at Stripe")
	default:
		return false, fault.New(fault.Unavailable, "not_final", "the invoice of cycle %s is %s", s.cycleID, inv.Status)
	}
	items, err := s.w.Items(ctx, inv.ID)
	if err != nil {
		return false, err
	}
	problem := mismatch(s.intent.Plan, inv, items)
	if problem == "" && inv.TotalExcludingTaxMinor != nil && *inv.TotalExcludingTaxMinor != s.intent.Plan.TotalMinor() {
		problem = "the total without tax differs"
	}
	if problem == "" {
		return false, s.Ledger.SaveInvoice(ctx, s.intent.ID, billing.IntentFinalized, inv, s.Clock.Now())
	}
	if inv.Status != "open" || inv.AutoAdvance || s.intent.State == billing.IntentFinalized {
		return false, s.escalate(ctx, "the final invoice does not match the plan: "+problem)
	}
	// Given up first, voided second: if the void's answer is lost, the invoice is
	// found again by its key while it is open, and is none of ours once it is void.
	if err := s.Ledger.Unpin(ctx, s.intent.ID, inv.ID, s.Clock.Now()); err != nil {
		return false, err
	}
	_, err = s.w.Void(ctx, inv.ID)
	return true, err
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

// sweep removes every other draft and pending item that carries our key.
func (s *session) sweep(ctx context.Context) error {
	ours, err := s.w.OurInvoices(ctx)
	if err != nil {
		return err
	}
	for _, inv := range ours {
		switch {
		case inv.ID == s.intent.InvoiceID, inv.Status == "void":
		case inv.Status == "draft":
			if err := s.remove(ctx, inv.ID); err != nil {
				return err
			}
		default:
			return s.escalate(ctx, fmt.Sprintf("a second finalized invoice %s carries our key", inv.ID))
		}
	}
	items, err := s.w.OurPendingItems(ctx)
	if err != nil {
		return err
	}
	for _, it := range items {
		if err := s.w.DeleteItem(ctx, it.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// recorded ties the released invoice to the cycle: the engine's total must be
// Stripe's, to the minor unit.
func (s *session) recorded(ctx context.Context) (Outcome, error) {
	intent, err := s.Ledger.Intent(ctx, s.cycleID)
	if err != nil {
		return Outcome{}, err
	}
	s.intent = intent
	if intent.StripeTotal == nil || *intent.StripeTotal != intent.Plan.TotalMinor() {
		return s.outcome(), s.escalate(ctx, "the invoice's total at Stripe is not the engine's")
	}
	if err := s.Ledger.Move(ctx, s.cycleID, billing.Invoiced, "", s.Clock.Now()); err != nil {
		return s.outcome(), err
	}
	out := s.outcome()
	out.State = billing.Invoiced
	return out, nil
}
