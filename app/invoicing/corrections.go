package invoicing

import (
	"context"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// CorrectionState is where a correction stands.
type CorrectionState string

// The states of a correction.
const (
	CorrectionProposed  CorrectionState = "proposed"
	CorrectionApproved  CorrectionState = "approved"
	CorrectionDone      CorrectionState = "done"
	CorrectionHuman     CorrectionState = "needs_human"
	CorrectionWithdrawn CorrectionState = "withdrawn"
)

// Correction is one correction of one cycle's finalized invoice.
type Correction struct {
	ID          string
	CycleID     string
	AccountID   string
	Environment account.Environment
	Number      int
	InvoiceID   string
	Kind        billing.CorrectionKind
	Line        string
	StripeItem  string // the invoice item that the line became
	AmountMinor int64  // too much is positive
	Currency    string
	Reason      string
	State       CorrectionState
	Detail      string
	ProposedBy  string
	ProposedAt  time.Time
	ApprovedBy  string
	StripeID    string // the credit note
	KeyNumber   int
	LostSince   time.Time
}

// Wanted is what a person wants to correct.
type Wanted struct {
	CycleID string
	Reason  string
	// Void takes the whole invoice back; otherwise Line and TooMuchMinor are given.
	Void         bool
	Line         string
	TooMuchMinor int64
	// NextCycle asks for a line of the next invoice instead of a credit note.
	NextCycle bool
}

// Correctable is a finished cycle's invoice as the ledger knows it.
type Correctable struct {
	AccountID   string
	Environment account.Environment
	Standing    billing.Standing
	// LineMinor and LineCreditedMinor are of the line that was asked for; 0 when the invoice
	// has no such line.
	LineMinor, LineCreditedMinor int64
}

// CorrectionBook stores corrections.
type CorrectionBook interface {
	// Correctable is a Conflict for a cycle whose invoice is not released.
	Correctable(ctx context.Context, cycleID, line string) (Correctable, error)
	// Propose stores a correction with its audit entry. The limits of what may be taken
	// back are looked at once more, while others wait.
	Propose(ctx context.Context, w Wanted, kind billing.CorrectionKind, note audit.Entry) (Correction, error)
	// Approve lets a correction be carried out. allowed is asked with everybody who had a
	// hand in it. One of the next cycle becomes an adjustment and is done with that.
	Approve(ctx context.Context, id string, allowed func(made []access.Actor) error, note audit.Entry) (Correction, error)
	// Withdraw takes back a correction that nothing was sent for.
	Withdraw(ctx context.Context, id string, note audit.Entry) (Correction, error)
	// Again approves one that needs a person once more, under a fresh key.
	Again(ctx context.Context, id string, note audit.Entry) (Correction, error)
	Correction(ctx context.Context, id string) (Correction, error)
	Corrections(ctx context.Context, cycleID string) ([]Correction, error)
	// Due lists the approved ones, oldest first.
	Due(ctx context.Context, limit int) ([]string, error)
	// Rekind stores that the invoice was paid since a credit was proposed.
	Rekind(ctx context.Context, id string, kind billing.CorrectionKind) error
	// Lost counts an answer that never came and returns since when.
	Lost(ctx context.Context, id string, at time.Time) (n int, since time.Time, err error)
	// Done ends a correction. A voided invoice's cycle waits for a person from then on.
	Done(ctx context.Context, id, stripeID string, at time.Time) error
	// Stop hands a correction to a person.
	Stop(ctx context.Context, id, detail string) error
}

// CreditNote is a credit note at Stripe.
type CreditNote struct {
	ID          string
	Invoice     string
	Livemode    bool
	Status      string // issued, void
	AmountMinor int64  // with tax
	NetMinor    int64  // without tax: what it is over of our lines
	Currency    string
	Metadata    map[string]string
}

// CreditWriter makes one credit note, and nothing else.
type CreditWriter interface {
	Invoice(ctx context.Context, invoiceID string) (StripeInvoice, error)
	// CreditNotes lists every credit note of the order's invoice.
	CreditNotes(ctx context.Context) ([]CreditNote, error)
	// Create makes the note under the key of that number.
	Create(ctx context.Context, keyNumber int) (CreditNote, error)
	Calls() []Call
}

// Credits opens credit writers, for live issuers only.
type Credits interface {
	OpenCredit(ctx context.Context, c billing.Credit) (CreditWriter, error)
}

// lateEffects is how long after a lost answer Stripe may still carry a request out. Before
// that nothing is sent under a fresh key.
const lateEffects = 31 * time.Hour

// ProposeCorrection says what is wrong; what is done about it follows from the state of the
// invoice. Somebody else approves it.
func (s *Service) ProposeCorrection(ctx context.Context, by access.Principal, w Wanted) (Correction, error) {
	if err := checkWhy(&w.Reason); err != nil {
		return Correction{}, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Correction{}, err
	}
	c, err := s.Corrections.Correctable(ctx, w.CycleID, w.Line)
	if err != nil {
		return Correction{}, err
	}
	if err := access.Require(by, access.RunCycle, c.AccountID, c.Environment); err != nil {
		return Correction{}, err
	}
	if !w.Void && c.LineMinor == 0 {
		return Correction{}, fault.InvalidField("line", "line_not_found", "the invoice of cycle %s has no line %q", w.CycleID, w.Line)
	}
	kind, err := billing.DecideCorrection(c.Standing, billing.Wish{
		Void: w.Void, Line: w.Line, TooMuchMinor: w.TooMuchMinor, LineMinor: c.LineMinor, LineCreditedMinor: c.LineCreditedMinor, NextCycle: w.NextCycle,
	})
	if err != nil {
		return Correction{}, err
	}
	note := audit.New(by, s.Clock.Now(), audit.CorrectionProposed, "correction", "").In(c.AccountID, c.Environment).Because(w.Reason)
	return s.Corrections.Propose(ctx, w, kind, note)
}

// CorrectionsOf lists the corrections of a cycle's invoice in their order.
func (s *Service) CorrectionsOf(ctx context.Context, cycleID string) ([]Correction, error) {
	return s.Corrections.Corrections(ctx, cycleID)
}

func checkWhy(reason *string) error {
	if *reason = strings.TrimSpace(*reason); *reason == "" || len(*reason) > maxReason {
		return fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxReason).Fix("It is kept for ever")
	}
	return nil
}

// ApproveCorrection lets a correction be carried out. Whoever proposed it does not.
func (s *Service) ApproveCorrection(ctx context.Context, by access.Principal, id string) (Correction, error) {
	c, note, err := s.deciding(ctx, by, access.ApproveCycle, id, audit.CorrectionApproved)
	if err != nil {
		return c, err
	}
	return s.Corrections.Approve(ctx, id, func(made []access.Actor) error { return access.FourEyes(by, made) }, note)
}

// WithdrawCorrection takes a correction back that nothing was sent for.
func (s *Service) WithdrawCorrection(ctx context.Context, by access.Principal, id, reason string) (Correction, error) {
	if err := checkWhy(&reason); err != nil {
		return Correction{}, err
	}
	c, note, err := s.deciding(ctx, by, access.RunCycle, id, audit.CorrectionWithdrawn)
	if err != nil {
		return c, err
	}
	return s.Corrections.Withdraw(ctx, id, note.Because(reason))
}

// RetryCorrection lets one that needs a person be tried again. After a lost answer that is
// refused until Stripe cannot carry the lost request out any more.
func (s *Service) RetryCorrection(ctx context.Context, by access.Principal, id, reason string) (Correction, error) {
	if err := checkWhy(&reason); err != nil {
		return Correction{}, err
	}
	c, note, err := s.deciding(ctx, by, access.RunCycle, id, audit.CorrectionRetried)
	if err != nil {
		return c, err
	}
	if free := c.LostSince.Add(lateEffects); !c.LostSince.IsZero() && s.Clock.Now().Before(free) {
		return c, fault.New(fault.Conflict, "effect_uncertain", "an answer of correction %s was lost; Stripe may carry it out until %s", id, free.UTC().Format(time.RFC3339)).
			Fix("Look at the invoice in the Stripe Dashboard, and retry after that time")
	}
	return s.Corrections.Again(ctx, id, note.Because(reason))
}

func (s *Service) deciding(ctx context.Context, by access.Principal, p access.Permission, id string, action audit.Action) (Correction, audit.Entry, error) {
	if err := access.RequirePermission(by, p); err != nil {
		return Correction{}, audit.Entry{}, err
	}
	c, err := s.Corrections.Correction(ctx, id)
	if err != nil {
		return c, audit.Entry{}, err
	}
	return c, audit.New(by, s.Clock.Now(), action, "correction", id).In(c.AccountID, c.Environment), access.Require(by, p, c.AccountID, c.Environment)
}
