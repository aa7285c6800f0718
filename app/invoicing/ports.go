// Package invoicing drafts a cycle's invoice and carries it out at Stripe exactly
// once: look first, create what is missing with derived keys, pin one invoice,
// verify before and after finalize, release, sweep.
//
// Keys are an optimisation; what Stripe shows and what the intent row says decide.
package invoicing

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// StripeInvoice is what we need to know of an invoice at Stripe. Amounts are minor units.
type StripeInvoice struct {
	ID               string
	Customer         string
	Status           string // draft, open, paid, void, uncollectible
	Livemode         bool
	Currency         string
	AutoAdvance      bool
	CollectionMethod string
	SubtotalMinor    int64
	TotalMinor       int64
	// TotalExcludingTaxMinor is nil when Stripe did not say.
	TotalExcludingTaxMinor *int64
	HasDiscounts           bool
	AmountDueMinor         int64
	Number                 string
	HostedURL              string
	PDFURL                 string
	FinalizedAt            *time.Time
	Created                time.Time
	Metadata               map[string]string
}

// StripeItem is an invoice item at Stripe.
type StripeItem struct {
	ID           string
	Invoice      string
	Customer     string
	AmountMinor  int64
	Currency     string
	Livemode     bool
	Discountable bool
	Metadata     map[string]string
}

// Payer is the Stripe customer that gets the invoice.
type Payer struct {
	ID                      string
	Deleted                 bool
	Livemode                bool
	HasEmail                bool
	HasDefaultPaymentMethod bool
}

// CodeStateConflict is the code of a writer's Conflict when Stripe refuses a step
// because the invoice has left the state for it.
const CodeStateConflict = "stripe_state_conflict"

// CodeReferenceMissing is the code of a writer's Invalid when Stripe does not have an
// object that the request names: the invoice or its customer.
const CodeReferenceMissing = "stripe_reference_missing"

// Call is one answered request, for the attempt log.
type Call struct {
	Operation string
	RequestID string
	Outcome   string
}

// Writer reads and writes the invoice of one WriteBack at its live issuer. It can
// be opened for a WriteBack only. Methods that act take their idempotency key
// from the plan, the invoice and the counters that they are given, so that a
// retry sends the same bytes. Errors carry a fault kind: Indeterminate (look
// before retrying), Unavailable (same key again), RateLimited, and the terminal
// kinds Invalid, Forbidden, NotFound, Conflict.
type Writer interface {
	Payer(ctx context.Context) (Payer, error)
	// OurInvoices lists every invoice of the payer that carries the plan's lb_key.
	OurInvoices(ctx context.Context) ([]StripeInvoice, error)
	CreateDraft(ctx context.Context, generation int) (StripeInvoice, error)
	Items(ctx context.Context, invoiceID string) ([]StripeItem, error)
	AddItem(ctx context.Context, invoiceID string, line billing.PlanLine) (StripeItem, error)
	Invoice(ctx context.Context, invoiceID string) (StripeInvoice, error)
	// Finalize finalizes with auto_advance off.
	Finalize(ctx context.Context, invoiceID string, attempt int) (StripeInvoice, error)
	// Release turns auto_advance on.
	Release(ctx context.Context, invoiceID string, attempt int) (StripeInvoice, error)
	Send(ctx context.Context, invoiceID string) (StripeInvoice, error)
	Void(ctx context.Context, invoiceID string) (StripeInvoice, error)
	DeleteItem(ctx context.Context, itemID string) error
	DeleteDraft(ctx context.Context, invoiceID string) error
	// OurPendingItems lists items of the payer that hang on no invoice and carry the plan's lb_key.
	OurPendingItems(ctx context.Context) ([]StripeItem, error)
	// Calls returns and clears the log of requests since the last call.
	Calls() []Call
}

// Writers opens writers. Open re-reads the connection, proves live mode again and
// refuses a WriteBack that nobody authorised.
type Writers interface {
	Open(ctx context.Context, wb billing.WriteBack) (Writer, error)
	// Prove returns the proof of live mode of an issuer connection: declared
	// environment, key prefix and an object that Stripe returned all say live.
	Prove(ctx context.Context, connectionID string) (account.LiveProof, error)
}
