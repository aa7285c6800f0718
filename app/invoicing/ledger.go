package invoicing

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Judged is everything that a cycle's price depends on, as it is stored.
type Judged struct {
	CycleID string
	State   billing.CycleState
	// Revision counts how often the cycle was computed.
	Revision        int
	Account         account.Account
	Contract        billing.Contract
	Plan            lift.SealedPlan
	Period          period.Month
	Interval        period.Interval
	Readouts        []lift.Readout // restored from their manifests, which judges them again
	Names           map[string]string
	HighWater       map[string]int64     // base consumed in the contract year before this cycle, by snapshot
	Past            []billing.Past       // the contract's finished cycles before this one, ascending
	Outcomes        map[string]int64     // outcomes of the contract year up to this cycle, for terms that price them
	Adjustments     []billing.Adjustment // true-ups of earlier months that are due, or that the stored price holds
	OpenBefore      []string             // earlier cycles that are not finished
	Finished        int                  // finished cycles that the price depends on, to see whether they became more
	IssuerConnected bool
	IssuerPaused    bool
	// IssuerKeyGone: it is paused because its key does not work any more.
	IssuerKeyGone bool
	// WriteBackOff: writing was switched off on the issuer connection.
	WriteBackOff bool
	// RequiresPerson: no rule releases it.
	RequiresPerson bool
	// Writing is the account's switch. Priced: the cycle has a price, made while it was closed
	// when PricedClosed.
	Writing              billing.Switch
	Priced, PricedClosed bool
	// PaidMinor is the net paid revenue that the readouts rest on, StripeNetMinor the same
	// from Stripe's lists; nil is not known.
	PaidMinor, StripeNetMinor *int64
	// PayerWanted: somebody said how the payer is to be found or created.
	PayerWanted bool
}

// Proposal is a priced cycle, before anything is sent.
type Proposal struct {
	Priced billing.Priced
	Plan   billing.InvoicePlan
	Next   billing.CycleState
	Reason string
	// Policy is the term that releases it without a person; empty when one is needed.
	Policy string
	// Closed: it was priced as a shadow cycle, because live writing is closed.
	Closed bool
	// TieOut is what a cycle that is not written was compared in.
	TieOut *billing.TieOut
}

// StoredIntent is the intent row with its cycle's environment.
type StoredIntent struct {
	billing.Intent
	ID          string
	CycleID     string
	Environment account.Environment
	// Writing is the account's switch as it stands now.
	Writing       billing.Switch
	Indeterminate int // creates in a row whose answer was lost
	Number        string
	StripeTotal   *int64
	// GivenUp are invoices that were pinned once and of which it is not yet known that
	// they count for nothing.
	GivenUp []string
}

// Known is what the ledger says of the intent behind a key that was seen at Stripe.
type Known struct {
	State     billing.IntentState
	InvoiceID string
	// Retired: it is superseded, and what was at Stripe was cleared away.
	Retired bool
}

// Ledger stores proposals and intents.
type Ledger interface {
	Proposals
	Intents
}

// Proposals are the priced cycles.
type Proposals interface {
	Judged(ctx context.Context, cycleID string) (Judged, error)
	// SaveProposal stores lines, steps, invoice and, when the next state is writing,
	// the intent, in one transaction. What is to await approval is written at once when
	// the last decision about the cycle approved this very plan; what the terms release
	// is stored as their decision. Running it again with the same plan changes
	// nothing; another plan for the same cycle is a Conflict, except that a blocked
	// cycle may be addressed to another payer until its invoice is finalized: the old
	// intent is superseded then. It returns where the cycle stands, which for a
	// finished cycle is not where the proposal would go.
	SaveProposal(ctx context.Context, j Judged, p Proposal, at time.Time) (billing.CycleState, string, error)
}

// Intents are the rows that drive one Stripe invoice each.
type Intents interface {
	// Whose is the account that a cycle bills; a cycle that is not there is cycle_not_found.
	Whose(ctx context.Context, cycleID string) (accountID string, env account.Environment, err error)
	// Stands is where a cycle stands, and why.
	Stands(ctx context.Context, cycleID string) (billing.CycleState, string, error)
	// Intent is the cycle's intent that counts.
	Intent(ctx context.Context, cycleID string) (StoredIntent, error)
	// Superseded are the cycle's intents that another one took the place of and of which
	// something may still be at Stripe.
	Superseded(ctx context.Context, cycleID string) ([]StoredIntent, error)
	// Retire records that nothing of a superseded intent is left at Stripe.
	Retire(ctx context.Context, intentID string, at time.Time) error
	// Known looks intents up by ID; those that the ledger does not have are left out.
	Known(ctx context.Context, intentIDs []string) (map[string]Known, error)
	// Pin sets the invoice ID if none is set; another one is a Conflict.
	Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error
	// Unpin gives an invoice up: nothing pinned, generation + 1, state planned, the
	// invoice among those given up. invoiceID is what the caller saw pinned, empty for
	// nothing; if something else is pinned by now, another worker was faster and the
	// answer is a MovedOn. So it is while another worker that has verified the draft may
	// be finalizing it (see ClaimFor). A finalized intent is a Conflict.
	Unpin(ctx context.Context, intentID, invoiceID string, at time.Time) error
	// Forget takes an invoice off those given up: it counts for nothing at Stripe.
	Forget(ctx context.Context, intentID, invoiceID string) error
	// CountIndeterminate counts a create of the present generation whose answer was lost
	// and returns the count and the time of the first.
	CountIndeterminate(ctx context.Context, intentID string, at time.Time) (int, time.Time, error)
	// NextFinalize counts a finalize or a release whose answer was lost.
	NextFinalize(ctx context.Context, intentID string, at time.Time) error
	// SaveItems remembers the Stripe items of the lines and marks the intent verified,
	// which is the claim to finalize the invoice that the caller saw pinned. If it is not
	// pinned any more the answer is a MovedOn.
	SaveItems(ctx context.Context, intentID, invoiceID string, items []StripeItem, at time.Time) error
	// SaveInvoice stores what Stripe says of the pinned invoice and moves the intent on.
	SaveInvoice(ctx context.Context, intentID string, state billing.IntentState, inv StripeInvoice, at time.Time) error
	// SaveTieOut stores what the cycle was compared in with its invoice; the newest counts.
	SaveTieOut(ctx context.Context, cycleID string, t billing.TieOut, at time.Time) error
	// Escalate marks the intent that counts and its cycle as in need of a person. seen is
	// the invoice that the caller saw pinned; if it is another by now, the answer is a
	// MovedOn, and what the caller found may be out of date. Without an intent that counts the
	// cycle alone is marked.
	Escalate(ctx context.Context, cycleID, seen, reason string, at time.Time) error
	// Resume takes a cycle out of needs_human as the audit entry says who decided, and
	// returns where it stands: writing, or blocked when a new payer was named meanwhile
	// (the old intent is superseded). With Reissue the pinned invoice is given up. A cycle
	// without an intent goes back to where it was: returned, or collecting.
	Resume(ctx context.Context, in Resumption, note audit.Entry) (billing.CycleState, string, error)
	// Move sets the cycle's state, checking the transition.
	Move(ctx context.Context, cycleID string, to billing.CycleState, reason string, at time.Time) error
	LogCalls(ctx context.Context, intentID string, calls []Call, at time.Time) error
}

// ClaimFor is how long after a draft was verified its finalize may be on its way: as
// long as one attempt of a step may take, and some more for clocks that differ. Nobody
// else gives the draft up before, because what is emptied under the hands of a worker
// that finalizes it would become an empty invoice.
const ClaimFor = 2 * time.Minute

// InTime reports whether a draft that was claimed may still be finalized: later the claim is
// about to end or has ended, and another worker may be emptying the draft. A process does not
// know that it was paused; whoever sends the request looks at the clock last.
func InTime(claimed, now time.Time) bool { return now.Sub(claimed).Abs() < ClaimFor/2 }

// ClaimOver is the error of a finalize that was not sent: the next attempt looks again.
func ClaimOver(invoiceID string) error {
	return fault.New(fault.Unavailable, "moved_on", "too long ago to finalize it now: draft %s was verified more than %s before", invoiceID, ClaimFor/2)
}

// MovedOn is the error of a step that was overtaken: the next attempt looks again.
func MovedOn(intentID string) error {
	return fault.New(fault.Unavailable, "moved_on", "another worker has taken intent %s further", intentID)
}

// Resumption is a person's decision about a cycle in needs_human.
type Resumption struct {
	CycleID string
	Reason  string
	// Reissue gives the pinned invoice up and makes another one. The write-back goes on
	// only when the old one counts for nothing at Stripe.
	Reissue bool
}

// PayerWish is how an account's payer is to be found, and how far that got.
type PayerWish struct {
	Plan        billing.PayerPlan
	Environment account.Environment
	// Customer is the payer, once there is one.
	Customer      string
	Generation    int
	Indeterminate int
	// FirstTried is before the first create; zero before there was one.
	FirstTried time.Time
}

// Setup is the last set-up page of a payer.
type Setup struct {
	Permit      billing.PayerSetup
	Environment account.Environment
	// Number counts the pages and is part of their keys; 0 is before the first.
	Number    int
	SessionID string
	// Done: the method that came of it is the payer's default.
	Done bool
}

// PayerBook is what is known of payers.
type PayerBook interface {
	// PayerWish is the wish of the account that a cycle bills; NotFound when nobody
	// expressed one and no payer is there.
	PayerWish(ctx context.Context, cycleID string) (PayerWish, error)
	// TryPayer records the time of the first create, before it is sent.
	TryPayer(ctx context.Context, accountID string, at time.Time) error
	// CountPayer counts a create whose answer was lost and returns the count and the
	// time of the first of its generation.
	CountPayer(ctx context.Context, accountID string, at time.Time) (int, time.Time, error)
	// NextPayer begins a generation, whose create has a key of its own.
	NextPayer(ctx context.Context, accountID string, at time.Time) error
	// PinPayer makes the customer the account's payer if it has none, and returns whom
	// it has.
	PinPayer(ctx context.Context, accountID, customer, how string, at time.Time) (string, error)
	// SetupOf is where the set-up of an account's present payer stands.
	SetupOf(ctx context.Context, accountID string) (Setup, error)
	// NextSetup counts a page before it is made and returns its number.
	NextSetup(ctx context.Context, accountID, customer string, note audit.Entry) (int, error)
	// SaveSetup remembers the page of a number, or that it is done with.
	SaveSetup(ctx context.Context, accountID, customer string, number int, sessionID string, done bool, at time.Time) error
	LogPayerCalls(ctx context.Context, accountID string, calls []Call, at time.Time) error
}
