package reward

import (
	"encoding/json"
	"time"
)

// Envelope is the part of a Stripe event that every API version shares.
type Envelope struct {
	ID             string    `json:"id"`
	Object         string    `json:"object"`
	Type           string    `json:"type"`
	Created        time.Time `json:"created"`
	Livemode       bool      `json:"livemode"`
	Account        string    `json:"account,omitempty"`
	APIVersion     string    `json:"api_version,omitempty"`
	RequestID      string    `json:"request_id,omitempty"`
	IdempotencyKey string    `json:"-"`
	ObjectID       string    `json:"object_id,omitempty"`
	ObjectType     string    `json:"object_type,omitempty"`
	Customer       string    `json:"customer,omitempty"`
	// ObjectLivemode is the object's own mode; nil when it states none.
	ObjectLivemode *bool           `json:"-"`
	Thin           bool            `json:"thin,omitempty"`
	Data           json.RawMessage `json:"-"`
	Previous       json.RawMessage `json:"-"`
}

// Config is what classification may be told; it holds no state.
type Config struct {
	// UserIDKey is the customer metadata key of the internal user; empty means "user_id".
	UserIDKey string
	// SubscriptionOnly leaves paid invoices without a subscription out of confirmed revenue.
	SubscriptionOnly bool
	// IncludeOutOfBand counts money that did not pass through Stripe as confirmed revenue.
	IncludeOutOfBand bool
	// ReadEmail asks for the customer's address, for connections that map by its hash.
	ReadEmail bool
}

// DefaultUserIDKey is the metadata key used when a Config names none.
const DefaultUserIDKey = "user_id"

// Classification is everything one payload says.
type Classification struct {
	Envelope  Envelope `json:"envelope"`
	Signals   []Signal `json:"signals"`
	Facts     []Fact   `json:"facts"`
	NeedsRead []Read   `json:"needs_read,omitempty"`
	// Owner is whose money a charge was; only a charge that was read tells it.
	Owner *Owner `json:"owner,omitempty"`
	// Anomaly is a stable code: the payload contradicts what Stripe can do; quarantine it.
	Anomaly string `json:"anomaly,omitempty"`
	// Ignored is a stable code: the payload was understood and bears no fact.
	Ignored string `json:"ignored,omitempty"`
	// Identity says whose the objects are; it is not part of what is shown.
	Identity Identity `json:"-"`
	// Seen is the object itself, whether it bears a fact or not.
	Seen Seen `json:"-"`
}

// Signal is one reward event as the command line shows it: amounts as Stripe states them, in positive
// minor units, lower-case currency, reward-event kinds only.
type Signal struct {
	Kind         Kind   `json:"kind"`
	Amount       *int64 `json:"amount,omitempty"`
	Currency     string `json:"currency,omitempty"`
	Customer     string `json:"customer,omitempty"`
	UserID       string `json:"user_id,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	FromAmount   *int64 `json:"from_amount,omitempty"`
	ToAmount     *int64 `json:"to_amount,omitempty"`
	FromQuantity *int64 `json:"from_quantity,omitempty"`
	ToQuantity   *int64 `json:"to_quantity,omitempty"`
}

// Fact is one normalised statement under a natural key. Two payloads that say the
// same thing (twin events, webhook and pull, two Event objects) give the same Key.
// Amounts are signed by their effect on revenue, so that a plain sum is right: a
// refund and a dispute subtract, what undoes them adds, and dispute_lost is 0 because
// the dispute has subtracted already.
type Fact struct {
	Key          string    `json:"key"`
	Kind         Kind      `json:"kind"`
	IsReward     bool      `json:"is_reward"`
	ObjectID     string    `json:"object_id"`
	Customer     string    `json:"customer,omitempty"`
	Subscription string    `json:"subscription,omitempty"`
	Invoice      string    `json:"invoice,omitempty"`
	Charge       string    `json:"charge,omitempty"`
	Amount       *int64    `json:"amount,omitempty"`
	Currency     string    `json:"currency,omitempty"`
	EffectiveAt  time.Time `json:"effective_at"`
	// UserID and PreviousUserID belong to customer_mapping; an empty UserID closes the link.
	UserID         string `json:"user_id,omitempty"`
	PreviousUserID string `json:"previous_user_id,omitempty"`
	// MRRBefore and MRRAfter are contract MRR in minor units per month; empty is unknown.
	MRRBefore string `json:"mrr_before,omitempty"`
	MRRAfter  string `json:"mrr_after,omitempty"`
	Flags     Flags  `json:"flags,omitzero"`
}

// Flags qualify a fact.
type Flags struct {
	// Unconfirmed: a conversion that no money has confirmed yet.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Free: the subscription costs nothing so far.
	Free bool `json:"free,omitempty"`
	// NotFinal: churn by status unpaid, which a late payment can still revert.
	NotFinal bool `json:"not_final,omitempty"`
	// Reentry: a paying subscription went back into a trial.
	Reentry bool `json:"reentry,omitempty"`
	// AtTrialEnd: the failed payment is the first one after a trial.
	AtTrialEnd bool `json:"at_trial_end,omitempty"`
	// NoPaymentMethod: the pause was caused by a trial that ended without one.
	NoPaymentMethod bool `json:"no_payment_method,omitempty"`
	// OutOfBand: the money did not pass through Stripe.
	OutOfBand bool `json:"out_of_band,omitempty"`
	// Undo: the fact takes back an earlier one of the same object.
	Undo bool `json:"undo,omitempty"`
	// Inferred: read off an object's present state or off its invoices, so that what
	// happened, or when, is a conclusion. Only an event tells it.
	Inferred bool `json:"inferred,omitempty"`
	// Gross: the amount may include tax, which the payload does not separate.
	Gross bool `json:"gross,omitempty"`
	// Cause of churn: voluntary, involuntary or unknown.
	Cause string `json:"cause,omitempty"`
	// Behavior of a collection pause: keep_as_draft, mark_uncollectible or void.
	Behavior string `json:"behavior,omitempty"`
	// InvoiceNet is the invoice's total without tax in minor units.
	InvoiceNet *int64 `json:"invoice_net,omitempty"`
}

// Owner says whose money a charge was, which joins refunds and disputes to a customer.
type Owner struct {
	Charge   string `json:"charge"`
	Customer string `json:"customer,omitempty"`
	Invoice  string `json:"invoice,omitempty"`
	// OwnInvoice is an outcome invoice of ours, which is never anybody's revenue.
	OwnInvoice bool `json:"own_invoice,omitempty"`
}

// Read asks the ingest to fetch an object before more can be said.
type Read struct {
	// Object is Stripe's object name: charge, invoice, subscription, refund, dispute,
	// credit_note or customer.
	Object string `json:"object"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}
