package reward

import (
	"time"

	"github.com/shopspring/decimal"
)

// SubscriptionState is a subscription as one payload shows it, whatever its shape.
type SubscriptionState struct {
	ID                 string
	Customer           string
	Status             Status
	Currency           string
	Items              []Item
	StartDate          time.Time
	TrialStart         time.Time
	TrialEnd           time.Time
	PeriodStart        time.Time
	PeriodEnd          time.Time
	CancelAt           time.Time
	CanceledAt         time.Time
	EndedAt            time.Time
	CancelAtPeriodEnd  bool
	CancellationReason string
	LatestInvoice      string
	CollectionMethod   string
	CollectionPaused   string // behavior of pause_collection, empty when collecting
	TrialEndAction     string // cancel, create_invoice or pause; empty when not stated
	HasPaymentMethod   bool
	TestClock          string
	MRR                MRR
}

// Status is a subscription status.
type Status string

// Item is one line of a subscription.
type Item struct {
	ID            string
	PriceID       string
	ProductID     string
	Name          string
	Quantity      int64
	UnitAmount    *decimal.Decimal // minor units per unit; nil when the payload does not say
	Currency      string
	Interval      string
	IntervalCount int64
	Metered       bool
}

// MRR is monthly recurring revenue in minor units per month, exact to 12 places.
type MRR struct {
	Currency string
	Known    bool            // false: a price without unit amount, or a partial list of items
	Contract decimal.Decimal // list prices
	NetKnown bool            // false: a discount that the payload only names
	Net      decimal.Decimal // after repeating and forever discounts
}

// SubscriptionOf reads a subscription object of any API version.
func SubscriptionOf(raw []byte) (SubscriptionState, error) { return SubscriptionState{}, nil }

// MRROf is the recurring revenue of a subscription object; statuses that do not pay give zero.
func MRROf(raw []byte) (MRR, error) { return MRR{}, nil }
