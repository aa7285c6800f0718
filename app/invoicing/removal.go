package invoicing

import (
	"context"
	"slices"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// burn gives the pinned draft up and deletes it, in this order: nobody finalizes what is
// not pinned, so nothing is emptied under another worker's hands, and what is given up is
// settled before another draft is made, whatever becomes of the deletion.
func (s *session) burn(ctx context.Context) (redo bool, err error) {
	if err := s.giveUp(ctx); err != nil {
		return false, err
	}
	return true, s.settle(ctx, s.w, s.intent.InvoiceID)
}

// removeRounds bounds how often the items of a draft that is deleted are listed again.
const removeRounds = 5

// remove deletes a draft of this intent, its items first: Stripe would otherwise leave
// them pending and bill them on the customer's next invoice. The draft goes when a look
// has found it empty, so that an item that came late is seen too.
func (s *session) remove(ctx context.Context, invoiceID string) error {
	item, err := s.empty(ctx, s.w, invoiceID, s.intent.Plan.Key.StripeKey())
	if err != nil {
		return err
	}
	if item != "" {
		// Deleting it would destroy somebody's work, deleting the draft alone would bill
		// it on the customer's next invoice.
		return s.escalate(ctx, billing.HumanForeignItem, "item %s on our draft %s is not ours", item, invoiceID)
	}
	return nil
}

// removeDraft removes an invoice of this intent that is still a draft. One that was finalized
// is left to Discard, which voids it or asks a person.
func (s *session) removeDraft(ctx context.Context, invoiceID string) error {
	inv, err := s.w.Invoice(ctx, invoiceID)
	if err != nil || inv.Status != "draft" {
		return absentIsFine(err)
	}
	return s.remove(ctx, invoiceID)
}

// empty deletes a draft that carries a key, with its items. If one of them does not
// carry the key it touches nothing and returns that item.
func (s *Service) empty(ctx context.Context, w Writer, invoiceID, key string) (foreign string, err error) {
	for range removeRounds {
		items, err := w.Items(ctx, invoiceID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return "", err
		}
		if i := slices.IndexFunc(items, func(it StripeItem) bool { return it.Metadata["lb_key"] != key }); i >= 0 {
			return items[i].ID, nil
		}
		if len(items) == 0 {
			return "", absentIsFine(w.DeleteDraft(ctx, invoiceID))
		}
		for _, it := range items {
			if err := absentIsFine(w.DeleteItem(ctx, it.ID)); err != nil {
				return "", err
			}
		}
	}
	return "", fault.New(fault.Unavailable, "draft_not_empty", "draft %s has new items after each look", invoiceID)
}

func absentIsFine(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// sweep removes every other draft and every pending item that carries our key, and what
// came late of the payer's intents that are finished: a draft that Stripe made long
// after it had answered a create with an error.
func (s *session) sweep(ctx context.Context, all []StripeInvoice) error {
	pending, err := s.w.OurPendingItems(ctx)
	if err != nil {
		return err
	}
	for _, inv := range all {
		if inv.Status == "draft" && inv.ID != s.intent.InvoiceID && s.isOurs(inv.Metadata) {
			if err := s.remove(ctx, inv.ID); err != nil {
				return err
			}
		}
	}
	var others []StripeItem
	for _, it := range pending {
		if !s.isOurs(it.Metadata) {
			others = append(others, it)
			continue
		}
		if err := absentIsFine(s.w.DeleteItem(ctx, it.ID)); err != nil {
			return err
		}
	}
	_, err = s.sweepFinished(ctx, s.w, all, others)
	return err
}

// Swept counts what a sweep has removed.
type Swept struct{ Drafts, Items int }

// Sweep removes what came late to the payer of a cycle whose invoice is released:
// drafts and pending items that carry the key of a finished intent of the same payer.
// It reads two lists when there is nothing, and never touches an invoice that counts
// or anything that is not ours.
func (s *Service) Sweep(ctx context.Context, cycleID string) (Swept, error) {
	ses := &session{Service: s, cycleID: cycleID}
	if err := ses.load(ctx); err != nil {
		return Swept{}, err
	}
	if ses.intent.State != billing.IntentReleased {
		return Swept{}, fault.New(fault.Conflict, "not_released", "the invoice of cycle %s is not finished", cycleID).
			Fix("Run the cycle; it sweeps by itself")
	}
	proof, err := byProof(ses, ctx)
	if err != nil {
		return Swept{}, err
	}
	if ses.w, err = s.writer(ctx, proof, ses.intent); err != nil {
		return Swept{}, err
	}
	out, err := ses.sweepLate(ctx)
	return out, ses.close(ctx, err)
}

func (s *session) sweepLate(ctx context.Context) (Swept, error) {
	all, err := s.w.OurInvoices(ctx)
	if err != nil {
		return Swept{}, err
	}
	pending, err := s.w.OurPendingItems(ctx)
	if err != nil {
		return Swept{}, err
	}
	return s.sweepFinished(ctx, s.w, all, pending)
}

// sweepFinished removes drafts and pending items whose key is that of an intent that
// the ledger knows as released and that are not its invoice, or as superseded and cleared
// away. A draft that holds
// somebody else's item stays.
func (s *Service) sweepFinished(ctx context.Context, w Writer, all []StripeInvoice, pending []StripeItem) (Swept, error) {
	var ids []string
	note := func(metadata map[string]string) string {
		id, ok := billing.IntentOf(metadata["lb_key"])
		if ok {
			ids = append(ids, id)
		}
		return id
	}
	for _, inv := range all {
		if inv.Status == "draft" {
			note(inv.Metadata)
		}
	}
	for _, it := range pending {
		note(it.Metadata)
	}
	if len(ids) == 0 {
		return Swept{}, nil
	}
	known, err := s.Ledger.Known(ctx, ids)
	if err != nil {
		return Swept{}, err
	}
	finished := func(metadata map[string]string) (Known, bool) {
		id, _ := billing.IntentOf(metadata["lb_key"])
		k := known[id]
		return k, k.State == billing.IntentReleased || (k.State == billing.IntentSuperseded && k.Retired)
	}
	var out Swept
	for _, inv := range all {
		if k, ok := finished(inv.Metadata); !ok || inv.Status != "draft" || k.InvoiceID == inv.ID {
			continue
		}
		foreign, err := s.empty(ctx, w, inv.ID, inv.Metadata["lb_key"])
		if err != nil {
			return out, err
		}
		if foreign == "" {
			out.Drafts++
		}
	}
	for _, it := range pending {
		if _, ok := finished(it.Metadata); !ok {
			continue
		}
		if err := absentIsFine(w.DeleteItem(ctx, it.ID)); err != nil {
			return out, err
		}
		out.Items++
	}
	return out, nil
}

// settleGivenUp makes sure that no invoice that was pinned once counts any more, before
// another one is made. A key that was cleared hides it from the list; its ID does not.
func (s *session) settleGivenUp(ctx context.Context) error {
	for _, id := range s.intent.GivenUp {
		if err := s.settle(ctx, s.w, id); err != nil {
			return err
		}
		if err := s.Ledger.Forget(ctx, s.intent.ID, id); err != nil {
			return err
		}
	}
	return nil
}

// settle deletes a draft, voids an invoice that nobody was charged or mailed for, and
// asks a person about any other that counts.
func (s *session) settle(ctx context.Context, w Writer, invoiceID string) error {
	inv, err := w.Invoice(ctx, invoiceID)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case inv.Status == "void", inv.Status == "paid" && inv.SubtotalMinor == 0 && inv.TotalMinor == 0:
		return nil // somebody finalized it when it was empty already: it bills nobody
	case inv.Status == "draft":
		return s.remove(ctx, invoiceID)
	case inv.Status == "open" && !inv.AutoAdvance:
		_, err := w.Void(ctx, invoiceID)
		return err
	}
	return s.escalate(ctx, billing.HumanOldInvoice, "invoice %s was given up and is %s", invoiceID, inv.Status)
}

// Discard deletes what is left at Stripe of invoices of the cycle that were taken back: of a
// draft that was voided, or of an earlier revision. Items go first. It is repeated until
// nothing is left, and changes nothing then.
func (s *Service) Discard(ctx context.Context, cycleID string) (Outcome, error) {
	ses := &session{Service: s, cycleID: cycleID}
	if err := ses.retireOthers(ctx); err != nil {
		return Outcome{CycleID: cycleID}, err
	}
	state, reason, err := s.Ledger.Stands(ctx, cycleID)
	return Outcome{CycleID: cycleID, State: state, Reason: reason}, err
}

// retireOthers clears away what is left at Stripe of the cycle's superseded intents, which
// were addressed to another payer, voided, or an earlier revision's.
func (s *session) retireOthers(ctx context.Context) error {
	old, err := s.Ledger.Superseded(ctx, s.cycleID)
	if err != nil {
		return err
	}
	for _, intent := range old {
		if intent.ID == s.intent.ID {
			return MovedOn(intent.ID) // it was taken back since it was loaded: nothing more is made of it
		}
		if err := s.retire(ctx, intent); err != nil {
			return err
		}
		if err := s.Ledger.Retire(ctx, intent.ID, s.Clock.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) retire(ctx context.Context, intent StoredIntent) error {
	past := &session{Service: s.Service, cycleID: s.cycleID, intent: intent, seen: s.seen}
	proof, err := byProof(past, ctx)
	if err != nil {
		return err
	}
	if past.w, err = s.writer(ctx, proof, intent); err != nil {
		return err
	}
	return past.close(ctx, past.clear(ctx))
}

// clear settles every invoice and item of the intent, known by its ID or by its key.
func (s *session) clear(ctx context.Context) error {
	ids := slices.Clone(s.intent.GivenUp)
	if s.intent.InvoiceID != "" {
		ids = append(ids, s.intent.InvoiceID)
	}
	all, err := s.w.OurInvoices(ctx)
	if err != nil {
		return err
	}
	for _, inv := range all {
		if s.isOurs(inv.Metadata) && !slices.Contains(ids, inv.ID) {
			ids = append(ids, inv.ID)
		}
	}
	for _, id := range ids {
		if err := s.settle(ctx, s.w, id); err != nil {
			return err
		}
	}
	pending, err := s.w.OurPendingItems(ctx)
	if err != nil {
		return err
	}
	for _, it := range pending {
		if s.isOurs(it.Metadata) {
			if err := absentIsFine(s.w.DeleteItem(ctx, it.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}
