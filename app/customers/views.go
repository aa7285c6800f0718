// Package customers answers who a vendor's customers are: what they subscribe to, what
// they are worth, what they paid, and which of a fixed list of segments they are in.
//
// It reads the projections and the reward events and changes nothing. A customer is
// known by Stripe's ID and the user that it is mapped to, never by a name.
package customers

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// Segment is a group of customers that is worth looking at.
type Segment string

// The segments. docs/customers.md defines them; Rules says the same in one sentence each.
const (
	TrialExpiring Segment = "trial_expiring"
	FailedPayment Segment = "failed_payment"
	Churned       Segment = "churned"
	Downgraded    Segment = "downgraded"
)

// The windows of the segments.
const (
	TrialWindow     = 7 * 24 * time.Hour
	DowngradeWindow = 30 * 24 * time.Hour
)

// Rule defines a segment.
type Rule struct {
	Segment Segment
	Rule    string
}

// Rules lists the segments in the order in which they are shown.
func Rules() []Rule {
	return []Rule{
		{TrialExpiring, "a subscription is trialing and its trial ends within 7 days"},
		{FailedPayment, "a subscription is past_due or unpaid, or a finalized invoice is not settled and an attempt to collect it has failed"},
		{Churned, "no subscription is trialing, active, past_due, paused or incomplete, and one that had been active or past_due is canceled or unpaid"},
		{Downgraded, "a downgrade took effect within the last 30 days"},
	}
}

// Known reports whether the segment exists.
func (s Segment) Known() bool {
	for _, r := range Rules() {
		if r.Segment == s {
			return true
		}
	}
	return false
}

// Filter selects customers. Empty fields select all.
type Filter struct {
	Segment  Segment
	Plan     string // a price or a product of a subscription that is trialing, active or past_due
	Status   string // a status that one of the subscriptions has
	Currency string
	Country  string
	Mapped   string // "", "yes", "no": whether a user is known
	Search   string // a customer, a user or a subscription
	// AsOf is the moment at which statuses and windows are taken.
	AsOf   time.Time
	Sort   string // "" is the newest first, SortOldest the oldest
	Cursor string
	Limit  int
}

// SortOldest lists the customers that came first before later ones.
const SortOldest = "created_asc"

// Summary is one row of the list.
type Summary struct {
	ID     string
	UserID string // empty when the customer is not mapped
	// Seen is false for a customer whom other objects or facts name and who was never shown itself.
	Seen             bool
	CreatedAt        *time.Time
	DeletedAt        *time.Time
	Currency         string
	Country          string
	BalanceMinor     *int64 // credit is negative
	Delinquent       bool
	HasPaymentMethod bool
	PaymentMethod    string // its type, where it is known
	// Status is the most telling one of the subscriptions at the moment asked for; empty is none.
	Status string
	// PriceIDs are those of subscriptions that are trialing, active or past_due.
	PriceIDs      []string
	TrialEnd      *time.Time // the next end of a trial
	Subscriptions int
	Worth         []Worth
}

// Worth is recurring revenue in one currency: exact minor units, at present.
type Worth struct {
	Currency string
	MRR      decimal.Decimal // per month by list prices
	NetMRR   decimal.Decimal // after lasting discounts
	// Unknown counts subscriptions whose price the payload does not tell (tiers), which
	// are in none of the sums; Undiscounted those whose discount it only names.
	Unknown, Undiscounted int
}

// ARR is twelve months of the list prices, without the rounding of a twelfth.
func (w Worth) ARR() decimal.Decimal { return Annual(w.MRR) }

// NetARR is the same after discounts.
func (w Worth) NetARR() decimal.Decimal { return Annual(w.NetMRR) }

// annualPlaces is below the places that a monthly amount keeps, so that twelve twelfths
// of a yearly price are that price.
const annualPlaces = 9

// Annual is twelve times a monthly amount.
func Annual(monthly decimal.Decimal) decimal.Decimal {
	return monthly.Mul(decimal.NewFromInt(12)).RoundBank(annualPlaces)
}

// Revenue is what a customer has paid in one currency, without tax.
type Revenue struct {
	Currency       string
	ConfirmedMinor int64
	ReturnedMinor  int64 // refunds and disputes, not positive
	Facts          int
}

// Subscription is one subscription with its history.
type Subscription struct {
	ID string
	projection.Subscription
	TrialEndAction string
	// StatusAt is the status at the moment asked for; empty before the first one.
	StatusAt  string
	Intervals []projection.Interval
	// Conversion is what became of its conversion by the moment asked for; nil before it.
	Conversion *reward.ConversionOutcome
	// ProductNames are the products of the items, in their order.
	ProductNames []string
	Undecided    bool
}

// Invoice is one invoice of the customer.
type Invoice struct {
	ID string
	projection.Invoice
	ChargeID  string
	DeletedAt *time.Time
}

// Charge is one charge of the customer.
type Charge struct {
	ID string
	projection.Charge
	InvoiceID string
}

// Dispute is one dispute of a charge of the customer.
type Dispute struct {
	ID string
	projection.Dispute
}

// Detail is everything about one customer.
type Detail struct {
	Summary
	AsOf        time.Time
	CashBalance map[string]int64 // minor units by currency
	Revenue     []Revenue
	// Subscriptions are all of them, newest first; of the other lists the newest ones.
	Subscriptions []Subscription
	Invoices      []Invoice
	Charges       []Charge
	Disputes      []Dispute
}

// Counts says how many customers are in each segment and on each plan.
type Counts struct {
	AsOf      time.Time
	Customers int
	Segments  []SegmentCount
	Plans     []PlanCount
}

// SegmentCount is one segment.
type SegmentCount struct {
	Rule
	Customers int
}

// PlanCount is one price that somebody subscribes to.
type PlanCount struct {
	PriceID     string
	ProductID   string
	ProductName string
	Customers   int
}

// ListFilter selects a page of one customer's invoices, charges or disputes.
type ListFilter struct {
	Cursor string
	Limit  int
}

// Page is one page of a list: the cursor is empty on the last one.
type Page[T any] struct {
	Items      []T
	NextCursor string
}
