package reward

import (
	"time"

	"github.com/shopspring/decimal"
)

// Status is a subscription status.
type Status string

// The statuses of a subscription.
const (
	Incomplete        Status = "incomplete"
	IncompleteExpired Status = "incomplete_expired"
	Trialing          Status = "trialing"
	Active            Status = "active"
	PastDue           Status = "past_due"
	Unpaid            Status = "unpaid"
	Paused            Status = "paused"
	Canceled          Status = "canceled"
)

var statuses = map[Status]bool{
	Incomplete: true, IncompleteExpired: true, Trialing: true, Active: true,
	PastDue: true, Unpaid: true, Paused: true, Canceled: true,
}

// Known reports whether it is a status of Stripe's.
func (s Status) Known() bool { return statuses[s] }

// IsLive reports whether the status counts toward recurring revenue.
func (s Status) IsLive() bool { return s == Active || s == PastDue }

// SubscriptionState is a subscription as one payload shows it, whatever its shape.
type SubscriptionState struct {
	ID                 string
	Customer           string
	Status             Status
	Currency           string
	Items              []Item
	ItemsPartial       bool // the payload holds only the first page of items
	Created            time.Time
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
	DaysUntilDue       *int64
	// NextPendingInvoiceAt is when usage that waits is invoiced, apart from the period.
	NextPendingInvoiceAt time.Time
	TrialEndAction       string // cancel, create_invoice or pause; empty when not stated
	TrialEndActionKnown  bool   // this version of the API has it
	HasPaymentMethod     bool
	PaymentMethod        string // its type, where the payload tells
	Discounts            []Discount
	TestClock            string
	// MRR follows the status: subscriptions that do not pay have none.
	MRR MRR
	// ListMRR is what the items would bring if the subscription were paying.
	ListMRR MRR
}

// CancelScheduled reports whether an end is set but not reached. Portal and flexible
// billing set only cancel_at, older versions only the flag.
func (s SubscriptionState) CancelScheduled() bool {
	return s.CancelAtPeriodEnd || !s.CancelAt.IsZero()
}

// Item is one line of a subscription.
type Item struct {
	ID            string
	PriceID       string
	ProductID     string
	ProductName   string // where the product is expanded, or the plan was its own product
	Name          string
	Quantity      int64
	UnitAmount    *decimal.Decimal // minor units per unit; nil when the payload does not say
	Currency      string
	Interval      string
	IntervalCount int64
	Metered       bool

	quantity decimal.Decimal
	divideBy int64
	roundUp  bool
}

// ExactQuantity is the quantity with its fraction, which newer versions can state.
func (i Item) ExactQuantity() decimal.Decimal { return i.quantity }

// SubscriptionOf reads a subscription object of any API version.
func SubscriptionOf(raw []byte) (SubscriptionState, error) {
	n, err := decodeNode(raw)
	if err != nil {
		return SubscriptionState{}, err
	}
	return subscriptionOf(n), nil
}

func subscriptionOf(n node) SubscriptionState {
	s := SubscriptionState{
		ID: n.own(), Customer: n.id("customer"), Status: Status(n.str("status")),
		Created: n.when("created"), TrialStart: n.when("trial_start"), TrialEnd: n.when("trial_end"),
		StartDate:   firstTime(n.when("start_date"), n.when("created"), n.when("start")),
		PeriodStart: n.when("current_period_start"), PeriodEnd: n.when("current_period_end"),
		CancelAt: n.when("cancel_at"), CanceledAt: n.when("canceled_at"), EndedAt: n.when("ended_at"),
		CancelAtPeriodEnd:  n.truth("cancel_at_period_end"),
		CancellationReason: n.obj("cancellation_details").str("reason"),
		LatestInvoice:      n.id("latest_invoice"),
		CollectionMethod:   firstText(n.str("collection_method"), n.str("billing")),
		CollectionPaused:   n.obj("pause_collection").str("behavior"),
		DaysUntilDue:       n.numPtr("days_until_due"), NextPendingInvoiceAt: n.when("next_pending_invoice_item_invoice"),
		TrialEndAction: n.obj("trial_settings", "end_behavior").str("missing_payment_method"), TrialEndActionKnown: n.has("trial_settings"),
		HasPaymentMethod: n.isSet("default_payment_method") || n.isSet("default_source"),
		PaymentMethod: firstText(n.obj("default_payment_method").str("type"), n.obj("default_source").str("object"),
			methodOfID(firstText(n.id("default_payment_method"), n.id("default_source")))),
		TestClock: n.id("test_clock"),
	}
	items := itemNodes(n)
	for _, i := range items {
		s.Items = append(s.Items, itemOf(i))
		// Since basil the period lives on the items; the subscription's is their hull.
		if t := i.when("current_period_start"); !t.IsZero() && (!n.isSet("current_period_start")) && (s.PeriodStart.IsZero() || t.Before(s.PeriodStart)) {
			s.PeriodStart = t
		}
		if t := i.when("current_period_end"); !n.isSet("current_period_end") && t.After(s.PeriodEnd) {
			s.PeriodEnd = t
		}
	}
	s.ItemsPartial = n.obj("items").truth("has_more")
	s.Currency = n.str("currency")
	if s.Currency == "" && len(s.Items) > 0 {
		s.Currency = s.Items[0].Currency
	}
	s.Discounts = discountsOf(n, items)
	s.ListMRR = mrrOf(s, n, items)
	s.MRR = s.ListMRR
	if !s.Status.IsLive() {
		s.MRR = noMRR(s.Currency)
	}
	return s
}

// itemNodes lists the items; before items existed the subscription was its one item.
func itemNodes(n node) []node {
	if items := n.list("items"); items != nil {
		return items
	}
	if n.isSet("plan") {
		return []node{{"plan": n["plan"], "quantity": n["quantity"]}}
	}
	return nil
}

func itemOf(n node) Item {
	price, recurring := n.obj("price"), n.obj("price", "recurring")
	unitKeys := []string{"unit_amount_decimal", "unit_amount"}
	if len(price) == 0 {
		// A plan is its own recurring part and calls the unit amount an amount.
		price, recurring = n.obj("plan"), n.obj("plan")
		unitKeys = []string{"amount_decimal", "amount"}
	}
	i := Item{
		ID: n.own(), PriceID: price.own(), ProductID: price.id("product"),
		ProductName: firstText(price.obj("product").str("name"), price.str("name")),
		Name:        firstText(price.str("nickname"), price.obj("product").str("name"), price.str("name")),
		Currency:    price.str("currency"), Interval: recurring.str("interval"),
		IntervalCount: 1, Metered: recurring.str("usage_type") == "metered",
		quantity: decimal.NewFromInt(1),
	}
	if c, ok := recurring.num("interval_count"); ok {
		i.IntervalCount = c
	}
	for _, key := range []string{"quantity", "quantity_decimal"} {
		if q, ok := n.dec(key); ok {
			i.quantity = q
		}
	}
	i.Quantity, _ = integer(i.quantity.Truncate(0))
	if price.str("billing_scheme") != "tiered" && !price.isSet("tiers_mode") {
		for _, key := range unitKeys {
			if a, ok := price.dec(key); ok {
				i.UnitAmount = &a
				break
			}
		}
	}
	transform := price.obj("transform_quantity")
	if len(transform) == 0 {
		transform = price.obj("transform_usage")
	}
	i.divideBy, _ = transform.num("divide_by")
	i.roundUp = transform.str("round") == "up"
	return i
}
