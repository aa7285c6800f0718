package invoicing

import (
	"cmp"
	"context"
	"sort"
	"time"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// A create whose answer is lost is looked up and sent again under the same key. When
// that many answers were lost over that long, a new key is used: Stripe replays a
// stored 500 for as long as it keeps the old one, and what it carries out that late is
// a harmless draft that a sweep removes.
const (
	maxIndeterminate = 3
	giveUpAfter      = 10 * time.Minute
)

// EnsureDraft makes sure that one invoice of ours exists and is pinned: look
// first, adopt what is there, create otherwise.
func (s *Service) EnsureDraft(ctx context.Context, cycleID string) (Outcome, error) {
	return s.step(ctx, cycleID, byWitness, (*session).ensureDraft)
}

func (s *session) ensureDraft(ctx context.Context) (redo bool, err error) {
	if err := s.retireOthers(ctx); err != nil {
		return false, err
	}
	if s.intent.InvoiceID != "" { // a pinned invoice is carried to its end
		inv, err := s.w.Invoice(ctx, s.intent.InvoiceID)
		switch {
		case fault.Is(err, fault.NotFound):
			return false, s.gone(ctx)
		case err != nil || inv.Status != "draft":
			return false, err
		}
		return false, s.checkPayer(ctx) // nothing has moved yet: the payer may have gone since
	}
	if err := s.checkPayer(ctx); err != nil {
		return false, err
	}
	if err := s.settleGivenUp(ctx); err != nil {
		return false, err
	}
	ours, err := s.w.OurInvoices(ctx)
	if err != nil {
		return false, err
	}
	found, err := s.adoptable(ctx, ours)
	if err != nil {
		return false, err
	}
	if found == "" {
		inv, err := s.w.CreateDraft(ctx, s.intent.Generation)
		if err != nil {
			return false, s.lostCreate(ctx, err)
		}
		found = inv.ID
	}
	if err := s.Ledger.Pin(ctx, s.intent.ID, found, s.Clock.Now()); err != nil {
		if s.takenBack(ctx) { // what is left of it may have been cleared away before this draft was made
			err = cmp.Or(s.removeDraft(ctx, found), err)
		}
		return false, err
	}
	s.intent.InvoiceID, s.seen = found, found
	return false, nil
}

// isOurs tells this intent's invoices and items from those of other intents.
func (s *session) isOurs(metadata map[string]string) bool {
	return metadata["lb_key"] == s.intent.Plan.Key.StripeKey()
}

// counts reports whether an invoice bills somebody. One that was finalized empty is
// paid at once, over nothing.
func counts(inv StripeInvoice) bool {
	switch inv.Status {
	case "open", "uncollectible":
		return true
	case "paid":
		return inv.SubtotalMinor != 0 || inv.TotalMinor != 0
	}
	return false
}

// adoptable picks the invoice of ours to go on with: the finalized one if there is
// one, otherwise the oldest draft of this very plan.
func (s *session) adoptable(ctx context.Context, all []StripeInvoice) (string, error) {
	sort.Slice(all, func(i, j int) bool {
		return all[i].Created.Before(all[j].Created) || (all[i].Created.Equal(all[j].Created) && all[i].ID < all[j].ID)
	})
	var finals, drafts []string
	for _, inv := range all {
		switch {
		case !s.isOurs(inv.Metadata):
		case counts(inv):
			finals = append(finals, inv.ID)
		case inv.Status == "draft" && inv.Metadata["lb_plan_sha256"] == s.intent.Plan.Metadata["lb_plan_sha256"]:
			drafts = append(drafts, inv.ID)
		}
	}
	switch {
	case len(finals) > 1:
		return "", s.escalate(ctx, billing.HumanTwoInvoices, "%s and %s are both finalized and carry our key", finals[0], finals[1])
	case len(finals) == 1:
		return finals[0], nil
	case len(drafts) > 0:
		return drafts[0], nil
	}
	return "", nil
}

// lostCreate handles a create whose answer is unknown: the next attempt looks it up.
func (s *session) lostCreate(ctx context.Context, err error) error {
	if !fault.Is(err, fault.Indeterminate) {
		return err
	}
	now := s.Clock.Now()
	n, since, countErr := s.Ledger.CountIndeterminate(ctx, s.intent.ID, now)
	if countErr != nil {
		return countErr
	}
	if n >= maxIndeterminate && now.Sub(since) >= giveUpAfter {
		return s.unpin(ctx) // a new generation has a new key
	}
	return err
}

// gone handles a pinned invoice that Stripe does not have any more: an operator
// deleted our draft. A finalized one cannot be deleted, so that is for a person.
func (s *session) gone(ctx context.Context) error {
	if s.intent.State == billing.IntentFinalized {
		return s.escalate(ctx, billing.HumanInvoiceGone, "invoice %s was finalized and Stripe does not have it any more", s.intent.InvoiceID)
	}
	return s.unpin(ctx)
}

func (s *session) unpin(ctx context.Context) error {
	if err := s.giveUp(ctx); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "draft_given_up", "the draft of cycle %s was given up and is made again", s.cycleID)
}

// giveUp takes the pinned invoice back in the ledger.
func (s *session) giveUp(ctx context.Context) error {
	err := s.Ledger.Unpin(ctx, s.intent.ID, s.seen, s.Clock.Now())
	if err == nil {
		s.seen = ""
	}
	return err
}

// checkPayer refuses to write to a payer that cannot be invoiced. A payer without a
// payment method may have entered one on a set-up page meanwhile.
func (s *session) checkPayer(ctx context.Context) error {
	switch p := s.payer; {
	case p.Deleted:
		return s.escalate(ctx, billing.HumanPayerDeleted, "customer %s was deleted at Stripe", s.intent.Plan.Key.Customer)
	case s.intent.Plan.CollectionMethod == billing.SendInvoice && !p.HasEmail:
		return unmet(billing.UnmetPayerEmail)
	case s.intent.Plan.CollectionMethod == billing.ChargeAutomatically && !p.HasDefaultPaymentMethod:
		return s.finishSetup(ctx)
	}
	return nil
}

// EnsureLines adds the lines that are missing.
func (s *Service) EnsureLines(ctx context.Context, cycleID string) (Outcome, error) {
	return s.step(ctx, cycleID, byProof, (*session).ensureLines)
}

func (s *session) ensureLines(ctx context.Context) (redo bool, err error) {
	id := s.intent.InvoiceID
	if id == "" {
		return true, nil
	}
	items, err := s.w.Items(ctx, id)
	if err != nil {
		return orRedo(err)
	}
	have := map[string]bool{}
	for _, it := range items {
		have[it.Metadata["lb_line"]] = true
	}
	for _, line := range s.intent.Plan.Lines {
		if have[line.Line] {
			continue
		}
		_, err := s.w.AddItem(ctx, id, line)
		switch {
		case fault.Is(err, fault.Indeterminate):
			// The item may appear now or later: only a fresh draft is certain.
			return s.burn(ctx)
		case fault.CodeOf(err) == CodeStateConflict:
			return false, nil // it is finalized already: Finalize looks at it
		case err != nil:
			return orRedo(err)
		}
	}
	return false, nil
}
