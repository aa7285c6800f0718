package invoicing

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// maxIndeterminate is how many lost creates are looked up before a new key is
// used: a late twin of the old one is then a harmless draft that the sweep removes.
const maxIndeterminate = 3

// session is one activity's view of an intent: the row, the permission, the writer.
type session struct {
	*Service
	cycleID string
	intent  StoredIntent
	w       Writer
}

// open loads the intent, proves live mode again and opens the writer. done is
// true when the invoice is released already and nothing is left to do.
func (s *Service) open(ctx context.Context, cycleID string) (ses *session, done bool, err error) {
	intent, err := s.Ledger.Intent(ctx, cycleID)
	if err != nil {
		return nil, false, err
	}
	ses = &session{Service: s, cycleID: cycleID, intent: intent}
	switch intent.State {
	case billing.IntentReleased:
		return ses, true, nil
	case billing.IntentHuman:
		return nil, false, fault.New(fault.Conflict, "needs_human", "the invoice of cycle %s waits for a person", cycleID)
	default: // there is something to do
	}
	proof, err := s.Writers.Prove(ctx, intent.Plan.Key.IssuerConnection)
	if err != nil {
		return nil, false, err
	}
	wb, err := billing.Authorize(proof, intent.Environment, intent.Plan)
	if err != nil {
		return nil, false, err
	}
	ses.w, err = s.Writers.Open(ctx, wb)
	return ses, false, err
}

// close writes the attempt log; it never hides the step's own error.
func (s *session) close(ctx context.Context, err error) error {
	if s == nil || s.w == nil {
		return err
	}
	if logErr := s.Ledger.LogCalls(ctx, s.intent.ID, s.w.Calls(), s.Clock.Now()); err == nil {
		return logErr
	}
	return err
}

func (s *session) outcome() Outcome {
	return Outcome{
		CycleID: s.cycleID, State: billing.Writing, Currency: s.intent.Plan.Key.Currency, TotalMinor: s.intent.Plan.TotalMinor(),
		Lines: len(s.intent.Plan.Lines), PlanHash: s.intent.PlanHash, InvoiceID: s.intent.InvoiceID, Number: s.intent.Number,
	}
}

// escalate stops the automatic path for good.
func (s *session) escalate(ctx context.Context, reason string) error {
	if err := s.Ledger.Escalate(ctx, s.cycleID, reason, s.Clock.Now()); err != nil {
		return err
	}
	return fault.New(fault.Conflict, "needs_human", "cycle %s: %s", s.cycleID, reason)
}

// EnsureDraft makes sure that one invoice of ours exists and is pinned: look
// first, adopt what is there, create otherwise.
func (s *Service) EnsureDraft(ctx context.Context, cycleID string) (Outcome, error) {
	ses, done, err := s.open(ctx, cycleID)
	if err != nil {
		return Outcome{}, err
	}
	if done {
		return ses.outcome(), nil
	}
	blocked, err := ses.ensureDraft(ctx)
	err = ses.close(ctx, err)
	out := ses.outcome()
	if blocked != "" {
		out.State, out.Reason = billing.Blocked, blocked
	}
	return out, err
}

func (s *session) ensureDraft(ctx context.Context) (blocked string, err error) {
	if s.intent.InvoiceID != "" { // a pinned invoice is carried to its end
		inv, err := s.w.Invoice(ctx, s.intent.InvoiceID)
		switch {
		case fault.Is(err, fault.NotFound):
			return "", s.gone(ctx)
		case err != nil || inv.Status != "draft":
			return "", err
		}
		return s.checkPayer(ctx) // nothing has moved yet: the payer may have gone since
	}
	if blocked, err = s.checkPayer(ctx); err != nil || blocked != "" {
		return blocked, err
	}
	ours, err := s.w.OurInvoices(ctx)
	if err != nil {
		return "", err
	}
	found, err := s.adoptable(ctx, ours)
	if err != nil {
		return "", err
	}
	if found == "" {
		inv, err := s.w.CreateDraft(ctx, s.intent.Generation)
		if err != nil {
			return "", s.lostCreate(ctx, err)
		}
		found = inv.ID
	}
	if err := s.Ledger.Pin(ctx, s.intent.ID, found, s.Clock.Now()); err != nil {
		return "", err
	}
	s.intent.InvoiceID = found
	return "", nil
}

// adoptable picks the invoice of ours to go on with: the finalized one if there is
// one, otherwise the oldest draft of this very plan.
func (s *session) adoptable(ctx context.Context, ours []StripeInvoice) (string, error) {
	sort.Slice(ours, func(i, j int) bool {
		return ours[i].Created.Before(ours[j].Created) || (ours[i].Created.Equal(ours[j].Created) && ours[i].ID < ours[j].ID)
	})
	var final, draft []string
	for _, inv := range ours {
		switch inv.Status {
		case "open", "paid", "uncollectible":
			final = append(final, inv.ID)
		case "draft":
			if inv.Metadata["lb_plan_sha256"] == s.intent.Plan.Metadata["lb_plan_sha256"] {
				draft = append(draft, inv.ID)
			}
		}
	}
	switch {
	case len(final) > 1:
		return "", s.escalate(ctx, "more than one finalized invoice carries our key")
	case len(final) == 1:
		return final[0], nil
	case len(draft) > 0:
		return draft[0], nil
	}
	return "", nil
}

// lostCreate handles a create whose answer is unknown: the next attempt looks it
// up; after several looks that found nothing a new key is used, because Stripe
// replays a stored 500 for as long as it keeps the old one.
func (s *session) lostCreate(ctx context.Context, err error) error {
	if !fault.Is(err, fault.Indeterminate) {
		return err
	}
	n, countErr := s.Ledger.CountIndeterminate(ctx, s.intent.ID, s.Clock.Now())
	if countErr != nil {
		return countErr
	}
	if n >= maxIndeterminate {
		return s.unpin(ctx) // a new generation has a new key
	}
	return err
}

// gone handles a pinned invoice that Stripe does not have any more: an operator
// deleted our draft. A finalized one cannot be deleted, so that is for a person.
func (s *session) gone(ctx context.Context) error {
	if s.intent.State == billing.IntentFinalized {
		return s.escalate(ctx, "the finalized invoice is gone at Stripe")
	}
	return s.unpin(ctx)
}

// missing reports that Stripe does not have an object that a step rests on: the
// draft or its customer was deleted under our hands. EnsureDraft finds out which.
func missing(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.CodeOf(err) == CodeReferenceMissing
}

func (s *session) unpin(ctx context.Context) error {
	if err := s.Ledger.Unpin(ctx, s.intent.ID, s.intent.InvoiceID, s.Clock.Now()); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "draft_given_up", "the draft of cycle %s was given up and is made again", s.cycleID)
}

// checkPayer blocks a cycle whose payer cannot be invoiced, before anything is sent.
func (s *session) checkPayer(ctx context.Context) (blocked string, err error) {
	p, err := s.w.Payer(ctx)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && p.Deleted:
		blocked = ReasonPayerDeleted
	case err != nil:
		return "", err
	case s.intent.Plan.CollectionMethod == billing.SendInvoice && !p.HasEmail:
		blocked = ReasonPayerEmail
	case s.intent.Plan.CollectionMethod == billing.ChargeAutomatically && !p.HasDefaultPaymentMethod:
		blocked = ReasonNeedsPayerAction
	default:
		return "", nil
	}
	return blocked, s.Ledger.Move(ctx, s.cycleID, billing.Blocked, blocked, s.Clock.Now())
}

// EnsureLines adds the lines that are missing and verifies the draft. A draft that
// does not match is given up (items first) and made again.
func (s *Service) EnsureLines(ctx context.Context, cycleID string) (Outcome, error) {
	ses, done, err := s.open(ctx, cycleID)
	if err != nil {
		return Outcome{}, err
	}
	if done {
		return ses.outcome(), nil
	}
	redo, err := ses.ensureLines(ctx)
	err = ses.close(ctx, err)
	out := ses.outcome()
	out.Redo = redo
	return out, err
}

func (s *session) ensureLines(ctx context.Context) (redo bool, err error) {
	id := s.intent.InvoiceID
	if id == "" {
		return true, nil
	}
	inv, err := s.w.Invoice(ctx, id)
	if err != nil {
		return s.orRedo(err)
	}
	if inv.Status != "draft" {
		return false, nil // finalize looks at it
	}
	items, err := s.w.Items(ctx, id)
	if err != nil {
		return s.orRedo(err)
	}
	have := map[string]bool{}
	for _, it := range items {
		have[it.Metadata["lb_line"]] = true
	}
	added := false
	for _, line := range s.intent.Plan.Lines {
		if have[line.Line] {
			continue
		}
		added = true
		_, err := s.w.AddItem(ctx, id, line)
		switch {
		case fault.Is(err, fault.Indeterminate):
			// The item may appear now or later: only a fresh draft is certain.
			return s.burn(ctx)
		case fault.CodeOf(err) == CodeStateConflict:
			return false, nil // another worker has finalized it: finalize looks at it
		case err != nil:
			return s.orRedo(err)
		}
	}
	if added {
		if inv, items, err = s.look(ctx, id); err != nil {
			return s.orRedo(err)
		}
	}
	if redo, done, err := s.verify(ctx, inv, items); done {
		return redo, err
	}
	return false, s.Ledger.SaveItems(ctx, s.intent.ID, items, s.Clock.Now())
}

// orRedo goes back to EnsureDraft when the draft or its customer is gone.
func (s *session) orRedo(err error) (redo bool, _ error) {
	if missing(err) {
		return true, nil
	}
	return false, err
}

// look reads the items and then the invoice, whose subtotal so covers at least them.
func (s *session) look(ctx context.Context, id string) (StripeInvoice, []StripeItem, error) {
	items, err := s.w.Items(ctx, id)
	if err != nil {
		return StripeInvoice{}, nil, err
	}
	inv, err := s.w.Invoice(ctx, id)
	return inv, items, err
}

// verify compares a draft with the plan. done means that the step ends here: the
// draft was given up, or it left its state, or a person must look.
func (s *session) verify(ctx context.Context, inv StripeInvoice, items []StripeItem) (redo, done bool, err error) {
	if mismatch(s.intent.Plan, inv, items) == "" {
		return false, false, nil
	}
	// Another worker may have added a line between our two reads: look once more.
	if inv, items, err = s.look(ctx, inv.ID); err != nil {
		redo, err = s.orRedo(err)
		return redo, true, err
	}
	switch {
	case inv.Status != "draft":
		return false, true, nil
	case mismatch(s.intent.Plan, inv, items) == "":
		return false, false, nil
	}
	redo, err = s.burn(ctx)
	return redo, true, err
}

// burn deletes the draft, its items first: Stripe would otherwise leave the items
// pending and bill them on the customer's next invoice. A draft that another worker
// has finalized meanwhile stays, and finalize looks at it.
func (s *session) burn(ctx context.Context) (redo bool, err error) {
	switch err := s.remove(ctx, s.intent.InvoiceID); {
	case fault.CodeOf(err) == CodeStateConflict:
		return false, nil
	case err != nil:
		return false, err
	}
	return true, s.Ledger.Unpin(ctx, s.intent.ID, s.intent.InvoiceID, s.Clock.Now())
}

func (s *session) remove(ctx context.Context, invoiceID string) error {
	items, err := s.w.Items(ctx, invoiceID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, it := range items {
		if it.Metadata["lb_key"] != s.intent.Plan.Key.StripeKey() {
			// Deleting it would destroy somebody's work, deleting the draft alone would
			// bill it on the customer's next invoice.
			return s.escalate(ctx, fmt.Sprintf("item %s on our draft %s is not ours", it.ID, invoiceID))
		}
	}
	for _, it := range items {
		if err := s.w.DeleteItem(ctx, it.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if err := s.w.DeleteDraft(ctx, invoiceID); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// mismatch compares an invoice and its items with the plan; empty means equal.
func mismatch(plan billing.InvoicePlan, inv StripeInvoice, items []StripeItem) string {
	switch {
	case !inv.Livemode:
		return "the invoice is not in live mode"
	case inv.Currency != plan.Key.Currency || inv.Customer != plan.Key.Customer:
		return "the invoice has another currency or customer"
	case inv.Metadata["lb_key"] != plan.Key.StripeKey() || inv.Metadata["lb_plan_sha256"] != plan.Metadata["lb_plan_sha256"]:
		return "the invoice carries another plan"
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
		}
	}
	return ""
}
