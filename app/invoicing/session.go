package invoicing

import (
	"context"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// session is one activity's view of an intent: the row, the permission, the writer.
type session struct {
	*Service
	cycleID string
	intent  StoredIntent
	w       Writer
	// payer is what Stripe said when the session was opened with a look at it.
	payer Payer
	// seen is the invoice that was pinned when the intent was loaded.
	seen string
}

// how a session is opened: with a fresh look at the payer, or on the proof of an earlier one.
type proving func(s *session, ctx context.Context) (account.LiveProof, error)

func byWitness(s *session, ctx context.Context) (account.LiveProof, error) {
	proof, payer, err := s.Writers.Witness(ctx, s.intent.Plan.Key.IssuerConnection, s.intent.Plan.Key.Customer)
	s.payer = payer
	return proof, err
}

func byProof(s *session, ctx context.Context) (account.LiveProof, error) {
	return s.Writers.Prove(ctx, s.intent.Plan.Key.IssuerConnection, s.intent.Plan.Key.Customer)
}

// open loads the intent, proves live mode again and opens the writer. done is
// true when the invoice is released already and nothing is left to do.
func (s *Service) open(ctx context.Context, cycleID string, prove proving) (ses *session, done bool, err error) {
	ses = &session{Service: s, cycleID: cycleID}
	if err := ses.load(ctx); err != nil {
		return ses, false, err
	}
	switch ses.intent.State {
	case billing.IntentReleased:
		return ses, true, nil
	case billing.IntentHuman:
		return ses, false, fault.New(fault.Conflict, "needs_human", "the invoice of cycle %s waits for a person", cycleID)
	default: // there is something to do
	}
	proof, err := prove(ses, ctx)
	if err != nil {
		return ses, false, err
	}
	ses.w, err = s.writer(ctx, proof, ses.intent)
	return ses, false, err
}

// load reads the intent that counts.
func (s *session) load(ctx context.Context) (err error) {
	s.intent, err = s.Ledger.Intent(ctx, s.cycleID)
	s.seen = s.intent.InvoiceID
	return err
}

// writer opens the writer of an intent's plan.
func (s *Service) writer(ctx context.Context, proof account.LiveProof, intent StoredIntent) (Writer, error) {
	permit, err := intent.Writing.Permit()
	if err != nil {
		return nil, err
	}
	wb, err := billing.Authorize(proof, intent.Environment, intent.Plan, permit)
	if err != nil {
		return nil, err
	}
	return s.Writers.Open(ctx, wb)
}

// step carries one step of the write-back out. An unmet precondition that it meets
// blocks the cycle and is no error: a person has to do something, and no retry will.
func (s *Service) step(ctx context.Context, cycleID string, prove proving, do func(*session, context.Context) (redo bool, err error)) (Outcome, error) {
	ses, done, err := s.open(ctx, cycleID, prove)
	redo := false
	if fault.CodeOf(err) == codeNoIntent {
		return s.overtaken(ctx, cycleID, err)
	}
	if err == nil && !done {
		redo, err = do(ses, ctx)
	}
	if fault.CodeOf(err) == CodeTax {
		err = ses.escalate(ctx, billing.HumanTaxBlocked, "Stripe refused to compute the tax of invoice %s", ses.seen)
	}
	err = ses.close(ctx, err)
	if fault.Is(err, fault.Conflict) && fault.CodeOf(err) != "needs_human" && ses.takenBack(ctx) {
		return s.overtaken(ctx, cycleID, err)
	}
	out := ses.outcome()
	if reason, ok := unmetBy(err); ok {
		out.State, out.Reason = billing.Blocked, reason
		return out, s.Ledger.Move(ctx, cycleID, billing.Blocked, reason, s.Clock.Now())
	}
	out.Redo = redo
	return out, err
}

// codeNoIntent is the ledger's NotFound for a cycle without an intent that counts.
const codeNoIntent = "intent_not_found"

// overtaken ends a step whose intent was taken back by a person, who voided the draft or had
// the month computed again.
func (s *Service) overtaken(ctx context.Context, cycleID string, cause error) (Outcome, error) {
	state, reason, err := s.Ledger.Stands(ctx, cycleID)
	switch {
	case err != nil:
		return Outcome{}, err
	case state == billing.Writing, state == billing.Invoiced, state == billing.Withheld, state == billing.DryRun:
		return Outcome{}, cause // nobody took it back: what is written has an intent, and what is not is not written
	}
	return Outcome{CycleID: cycleID, State: state, Reason: reason}, nil
}

// takenBack reports whether no intent of the cycle counts any more: a person took it back while
// a step was under way.
func (s *session) takenBack(ctx context.Context) bool {
	_, err := s.Ledger.Intent(ctx, s.cycleID)
	return fault.CodeOf(err) == codeNoIntent
}

// close writes the attempt log; it never hides the step's own error.
func (s *session) close(ctx context.Context, err error) error {
	if s.w == nil {
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

// escalate stops the automatic path until a person has looked.
func (s *session) escalate(ctx context.Context, code, format string, args ...any) error {
	stop := fault.New(fault.Conflict, "needs_human", code+": "+format, args...)
	if err := s.Ledger.Escalate(ctx, s.cycleID, s.seen, stop.Msg, s.Clock.Now()); err != nil {
		return err
	}
	stop.Msg = "cycle " + s.cycleID + ": " + stop.Msg
	return stop
}

// unmet is the error of a precondition that is not met.
func unmet(code string) error {
	for _, u := range billing.Unmet() {
		if u.Code == code {
			return fault.New(fault.Conflict, code, "%s", u.Means).Fix("%s", u.Next)
		}
	}
	return fault.New(fault.Internal, "precondition_unknown", "%s is not a precondition", code)
}

// Codes of other packages' errors that say that a precondition of the issuer is not met.
const (
	CodeConnectionMissing = "connection_not_found"
	CodeConnectionPaused  = "connection_paused"
	CodeWriteBackOff      = "write_back_off"
	CodeKeyRefused        = "stripe_auth"
	CodeKeyDeleted        = "connection_disconnected"
	CodePermission        = "stripe_permission"
)

// CodeTax is the code of a writer's Invalid when Stripe cannot compute an invoice's tax.
const CodeTax = "stripe_tax_blocked"

// unmetBy is the precondition that an error is about.
func unmetBy(err error) (reason string, ok bool) {
	if err == nil {
		return "", false
	}
	code := fault.CodeOf(err)
	switch code {
	case CodeConnectionMissing:
		return billing.UnmetIssuerMissing, true
	case CodeConnectionPaused:
		return billing.UnmetIssuerPaused, true
	case CodeKeyRefused, CodeKeyDeleted:
		return billing.UnmetIssuerKeyRefused, true
	case CodePermission:
		return billing.UnmetIssuerPermission, true
	}
	for _, u := range billing.Unmet() {
		if u.Code == code && fault.Is(err, fault.Conflict) {
			return code, true
		}
	}
	return "", false
}

// missing reports that Stripe does not have an object that a step rests on: the
// draft or its customer was deleted under our hands. EnsureDraft finds out which.
func missing(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.CodeOf(err) == CodeReferenceMissing
}

// orRedo goes back to EnsureDraft when the draft or its customer is gone.
func orRedo(err error) (redo bool, _ error) {
	if missing(err) {
		return true, nil
	}
	return false, err
}
