package invoicing

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Judged is everything that a cycle's price depends on, as it is stored.
type Judged struct {
	CycleID         string
	State           billing.CycleState
	Account         account.Account
	Contract        billing.Contract
	Plan            lift.SealedPlan
	Period          period.Month
	Interval        period.Interval
	Readouts        []lift.Readout // restored from their manifests, which judges them again
	Names           map[string]string
	HighWater       map[string]int64 // base consumed in the contract year before this cycle, by snapshot
	Past            []billing.Past   // the contract's finished cycles before this one, ascending
	Outcomes        map[string]int64 // outcomes of the contract year up to this cycle, for terms that price them
	OpenBefore      []string         // earlier cycles that are not finished
	Finished        int              // finished cycles that the price depends on, to see whether they became more
	IssuerPaused    bool
	IssuerConnected bool
}

// Proposal is a priced cycle, before anything is sent.
type Proposal struct {
	Priced billing.Priced
	Plan   billing.InvoicePlan
	Next   billing.CycleState
	Reason string
}

// StoredIntent is the intent row with its cycle's environment.
type StoredIntent struct {
	billing.Intent
	ID            string
	Environment   account.Environment
	Indeterminate int // creates in a row whose answer was lost
	Number        string
	StripeTotal   *int64
}

// Ledger stores proposals and intents.
type Ledger interface {
	Judged(ctx context.Context, cycleID string) (Judged, error)
	// SaveProposal stores lines, steps, invoice and, when the next state is writing,
	// the intent, in one transaction. Running it again with the same plan changes
	// nothing; another plan for the same cycle is a Conflict. It returns where the
	// cycle stands, which for a finished cycle is not where the proposal would go.
	SaveProposal(ctx context.Context, j Judged, p Proposal, at time.Time) (billing.CycleState, string, error)
	Intent(ctx context.Context, cycleID string) (StoredIntent, error)
	// Pin sets the invoice ID if none is set; another one is a Conflict.
	Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error
	// Unpin gives an invoice up: nothing pinned, generation + 1, state planned. invoiceID
	// is what the caller saw pinned, empty for nothing; if something else is pinned by
	// now, another worker was faster and nothing changes. A finalized intent is a Conflict.
	Unpin(ctx context.Context, intentID, invoiceID string, at time.Time) error
	// CountIndeterminate counts a create whose answer was lost and returns the count.
	CountIndeterminate(ctx context.Context, intentID string, at time.Time) (int, error)
	// NextFinalize counts a finalize or a release whose answer was lost.
	NextFinalize(ctx context.Context, intentID string, at time.Time) error
	// SaveItems remembers the Stripe items of the lines and marks the intent verified.
	SaveItems(ctx context.Context, intentID string, items []StripeItem, at time.Time) error
	// SaveInvoice stores what Stripe says of the pinned invoice and moves the intent on.
	SaveInvoice(ctx context.Context, intentID string, state billing.IntentState, inv StripeInvoice, at time.Time) error
	// Escalate marks intent and cycle as in need of a person.
	Escalate(ctx context.Context, cycleID, reason string, at time.Time) error
	// Move sets the cycle's state, checking the transition.
	Move(ctx context.Context, cycleID string, to billing.CycleState, reason string, at time.Time) error
	LogCalls(ctx context.Context, intentID string, calls []Call, at time.Time) error
}
