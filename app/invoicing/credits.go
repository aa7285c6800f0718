package invoicing

import (
	"context"
	"errors"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// dueAtOnce bounds how many corrections one pass carries out.
const dueAtOnce = 50

// CarryCorrections carries out what was approved. One that fails keeps no other one waiting.
func (s *Service) CarryCorrections(ctx context.Context) (int, error) {
	ids, err := s.Corrections.Due(ctx, dueAtOnce)
	if err != nil {
		return 0, err
	}
	done := 0
	var errs []error
	for _, id := range ids {
		if err := s.CarryCorrection(ctx, id); err != nil {
			errs = append(errs, err)
			continue
		}
		done++
	}
	return done, errors.Join(errs...)
}

// CarryCorrection carries one approved correction out: it looks, sends what is missing
// under a derived key, and looks at what came of it. It can be repeated at any point.
func (s *Service) CarryCorrection(ctx context.Context, id string) error {
	c, err := s.Corrections.Correction(ctx, id)
	if err != nil || c.State != CorrectionApproved {
		return err
	}
	ses := &session{Service: s, cycleID: c.CycleID}
	if err := ses.load(ctx); err != nil {
		return err
	}
	if ses.intent.InvoiceID != c.InvoiceID {
		return s.Corrections.Stop(ctx, id, "another invoice is pinned for the cycle by now")
	}
	proof, err := byProof(ses, ctx)
	if err != nil {
		return err
	}
	if c.Kind == billing.CorrectVoid {
		return s.carryVoid(ctx, ses, proof, c)
	}
	return s.carryCredit(ctx, ses, proof, c)
}

// carryVoid voids an open invoice on which nothing was paid.
func (s *Service) carryVoid(ctx context.Context, ses *session, proof account.LiveProof, c Correction) (err error) {
	if ses.w, err = s.writer(ctx, proof, ses.intent); err != nil {
		return err
	}
	defer func() { err = ses.close(ctx, err) }()
	inv, err := ses.w.Invoice(ctx, c.InvoiceID)
	if fault.Is(err, fault.NotFound) {
		return s.Corrections.Stop(ctx, c.ID, "Stripe does not have the invoice any more")
	}
	if err != nil {
		return err
	}
	if inv.Status != "void" {
		if inv.Status != "open" || inv.AmountPaidMinor != 0 {
			return s.Corrections.Stop(ctx, c.ID, "the invoice is "+inv.Status+" or partly paid by now: it is not voided any more")
		}
		if inv, err = ses.w.Void(ctx, c.InvoiceID); fault.CodeOf(err) == CodeStateConflict {
			return nil // the next pass looks at what it has become
		} else if err != nil {
			return err
		}
	}
	if inv.Status != "void" {
		return fault.New(fault.Unavailable, "not_void", "the invoice of cycle %s is %s", c.CycleID, inv.Status)
	}
	return s.Corrections.Done(ctx, c.ID, "", s.Clock.Now())
}

// carryCredit makes the credit note, exactly once.
func (s *Service) carryCredit(ctx context.Context, ses *session, proof account.LiveProof, c Correction) (err error) {
	permit, err := ses.intent.Writing.Permit()
	if err != nil {
		return err
	}
	order := billing.CreditOrder{
		ID: c.ID, InvoiceID: c.InvoiceID, Line: c.Line, StripeItem: c.StripeItem, AmountMinor: c.AmountMinor, Memo: c.Reason, After: c.Kind == billing.CorrectAfter,
	}
	credit, err := billing.AuthorizeCredit(proof, ses.intent.Environment, ses.intent.Plan, permit, order)
	if err != nil {
		return err
	}
	w, err := s.Credits.OpenCredit(ctx, credit)
	if err != nil {
		return err
	}
	defer func() {
		if logErr := s.Ledger.LogCalls(ctx, ses.intent.ID, w.Calls(), s.Clock.Now()); err == nil {
			err = logErr
		}
	}()
	notes, err := w.CreditNotes(ctx)
	if err != nil {
		return err
	}
	if done, err := s.credited(ctx, c, notes); done || err != nil {
		return err
	}
	inv, err := w.Invoice(ctx, c.InvoiceID)
	if err != nil {
		return err
	}
	if stop, err := s.creditable(ctx, c, inv, notes); stop || err != nil {
		return err
	}
	return s.credit(ctx, c, w)
}

// ourNotes are the issued notes of a correction.
func ourNotes(id string, notes []CreditNote) (out []CreditNote) {
	for _, n := range notes {
		if n.Status == "issued" && n.Metadata["lb_adj"] == id {
			out = append(out, n)
		}
	}
	return out
}

// credited ends a correction whose note is there.
func (s *Service) credited(ctx context.Context, c Correction, notes []CreditNote) (bool, error) {
	ours := ourNotes(c.ID, notes)
	switch {
	case len(ours) == 0:
		return false, nil
	case len(ours) > 1:
		return true, s.Corrections.Stop(ctx, c.ID, ours[0].ID+" and "+ours[1].ID+" were both issued for it: void one in the Stripe Dashboard")
	case !ours[0].Livemode || ours[0].Invoice != c.InvoiceID || ours[0].NetMinor != c.AmountMinor || ours[0].Currency != c.Currency:
		return true, s.Corrections.Stop(ctx, c.ID, "credit note "+ours[0].ID+" is not what was approved")
	}
	return true, s.Corrections.Done(ctx, c.ID, ours[0].ID, s.Clock.Now())
}

// creditable looks at the invoice as it is now. One that was paid since is credited after
// payment; what does not fit any more is for a person.
func (s *Service) creditable(ctx context.Context, c Correction, inv StripeInvoice, notes []CreditNote) (stop bool, err error) {
	issued := int64(0)
	for _, n := range notes {
		if n.Status == "issued" {
			issued += n.AmountMinor
		}
	}
	kind, err := billing.DecideCorrection(
		billing.Standing{Status: inv.Status, TotalMinor: inv.TotalMinor, PaidMinor: inv.AmountPaidMinor, RemainingMinor: inv.AmountRemainingMinor, CreditedMinor: issued},
		billing.Wish{Line: c.Line, TooMuchMinor: c.AmountMinor, LineMinor: inv.TotalMinor},
	)
	switch {
	case fault.Is(err, fault.Conflict):
		return true, s.Corrections.Stop(ctx, c.ID, err.Error())
	case err != nil:
		return true, err
	case !inv.Livemode || inv.ID != c.InvoiceID:
		return true, s.Corrections.Stop(ctx, c.ID, "Stripe answered with another invoice")
	case kind != c.Kind:
		// The next pass asks for the other kind, under the same key only if nothing was sent.
		if !c.LostSince.IsZero() {
			return true, s.Corrections.Stop(ctx, c.ID, "the invoice was paid while an answer was lost")
		}
		return true, s.Corrections.Rekind(ctx, c.ID, kind)
	}
	return false, nil
}

// credit sends the note. When no answer comes the next pass looks first; a note is never
// asked for under a second key before Stripe can no longer carry out the first request.
func (s *Service) credit(ctx context.Context, c Correction, w CreditWriter) error {
	note, err := w.Create(ctx, c.KeyNumber)
	if fault.Is(err, fault.Indeterminate) {
		n, since, countErr := s.Corrections.Lost(ctx, c.ID, s.Clock.Now())
		if countErr != nil {
			return countErr
		}
		if n >= maxIndeterminate && s.Clock.Now().Sub(since) >= giveUpAfter {
			return s.Corrections.Stop(ctx, c.ID, "answers of Stripe were lost since "+since.UTC().Format(time.RFC3339)+"; whether the note will be issued is uncertain")
		}
		return err
	}
	if fault.Is(err, fault.Invalid) || fault.CodeOf(err) == CodeStateConflict {
		return s.Corrections.Stop(ctx, c.ID, err.Error())
	}
	if err != nil {
		return err
	}
	done, err := s.credited(ctx, c, []CreditNote{note})
	if err == nil && !done {
		return s.Corrections.Stop(ctx, c.ID, "credit note "+note.ID+" came back without our mark")
	}
	return err
}
