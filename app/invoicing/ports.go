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
	AmountPaidMinor        int64
	AmountRemainingMinor   int64
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

// Customer is a Stripe customer that may be an account's payer.
type Customer struct {
	ID string
	// Account and Key are what its metadata says of whose payer it is.
	Account string
	Key     string
	Created time.Time
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
	// OurInvoices lists every invoice of the payer that carries a key of ours in its
	// metadata (lb_key), the plan's or another intent's.
	OurInvoices(ctx context.Context) ([]StripeInvoice, error)
	CreateDraft(ctx context.Context, generation int) (StripeInvoice, error)
	Items(ctx context.Context, invoiceID string) ([]StripeItem, error)
	AddItem(ctx context.Context, invoiceID string, line billing.PlanLine) (StripeItem, error)
	Invoice(ctx context.Context, invoiceID string) (StripeInvoice, error)
	// Finalize finalizes with auto_advance off what was claimed at a moment (see InTime), which
	// is looked at when the request is about to leave. Later it is ClaimOver, and nothing is sent.
	Finalize(ctx context.Context, invoiceID string, attempt int, claimed time.Time) (StripeInvoice, error)
	// Label writes the plan's metadata to an invoice, also to a finalized one.
	Label(ctx context.Context, invoiceID string, attempt int) (StripeInvoice, error)
	// Release turns auto_advance on.
	Release(ctx context.Context, invoiceID string, attempt int) (StripeInvoice, error)
	Send(ctx context.Context, invoiceID string) (StripeInvoice, error)
	Void(ctx context.Context, invoiceID string) (StripeInvoice, error)
	DeleteItem(ctx context.Context, itemID string) error
	DeleteDraft(ctx context.Context, invoiceID string) error
	// OurPendingItems lists items of the payer that hang on no invoice and carry a key of
	// ours, the plan's or another intent's.
	OurPendingItems(ctx context.Context) ([]StripeItem, error)
	// Calls returns and clears the log of requests since the last call.
	Calls() []Call
}

// Writers opens writers. The proof of live mode is that of an issuer connection: its
// declared environment, its key's prefix and an object that Stripe returned all say live.
type Writers interface {
	// Witness reads the payer now, says what it is, and proves live mode by it. A payer
	// that is not there any more is returned as deleted; another object witnesses then.
	Witness(ctx context.Context, connectionID, customer string) (account.LiveProof, Payer, error)
	// Prove is the proof alone; it asks Stripe when the last answer is some minutes old.
	Prove(ctx context.Context, connectionID, customer string) (account.LiveProof, error)
	// Open re-reads the connection, proves live mode again and refuses a WriteBack that
	// nobody authorised.
	Open(ctx context.Context, wb billing.WriteBack) (Writer, error)
}

// PayerFinder looks for one account's payer at its live issuer and can create it. It
// writes nothing else.
type PayerFinder interface {
	// ByEmail lists the customers with exactly the plan's e-mail address.
	ByEmail(ctx context.Context) ([]Customer, error)
	// MadeSince lists the account's customers among those that were made since then.
	MadeSince(ctx context.Context, t time.Time) ([]Customer, error)
	// Create creates the customer of a generation, marked as the account's.
	Create(ctx context.Context, generation int) (Customer, error)
	Calls() []Call
}

// Payers opens finders, for live issuers only.
type Payers interface {
	// ProveIssuer is the proof of live mode of a connection that has no payer yet.
	ProveIssuer(ctx context.Context, connectionID string) (account.LiveProof, error)
	OpenPayer(ctx context.Context, c billing.PayerCreation) (PayerFinder, error)
}

// The states of a set-up page of Stripe's.
const (
	SetupOpen     = "open"
	SetupComplete = "complete"
	SetupExpired  = "expired"
)

// SetupSession is a page of Stripe's on which a payer enters a payment method.
type SetupSession struct {
	ID        string
	URL       string // empty unless it is open
	Status    string // open, complete, expired
	Intent    string // the SetupIntent behind it
	ExpiresAt time.Time
}

// SetupWriter makes set-up pages for one payer of a live issuer, and makes what came of
// one the payer's default. It writes nothing else.
type SetupWriter interface {
	// CreateSession makes the n-th page; the payer is sent to one of the addresses after it.
	CreateSession(ctx context.Context, n int, successURL, cancelURL string) (SetupSession, error)
	Session(ctx context.Context, id string) (SetupSession, error)
	// PaymentMethodOf is the method that a SetupIntent ended with; empty when it has none.
	PaymentMethodOf(ctx context.Context, intentID string) (string, error)
	// SetDefault makes the method that session number n ended with the payer's default.
	SetDefault(ctx context.Context, n int, paymentMethod string) (Payer, error)
	Calls() []Call
}

// Setups opens set-up writers, for live issuers only.
type Setups interface {
	OpenSetup(ctx context.Context, p billing.SetupPermission) (SetupWriter, error)
}

// Payments follows what becomes of finalized invoices.
type Payments interface {
	// AskPayments asks for a read of every invoice of ours that may still change and of
	// which nothing was heard for as long as quiet; it returns how many.
	AskPayments(ctx context.Context, quiet time.Duration, at time.Time) (int, error)
}
