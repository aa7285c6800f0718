package reward

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/money"
)

// Seen is the object of a payload, read for those who follow objects and not only
// facts. At most one field is set; none is when the object is of no kind that is
// followed. It holds nothing that names a person but a charge's description, which
// whoever keeps it has to clean.
type Seen struct {
	// ReadAt is when the object was read or listed at Stripe; zero for an event.
	ReadAt       time.Time
	Subscription *Sight[SubscriptionState]
	Invoice      *Sight[InvoiceState]
	Charge       *Sight[ChargeState]
	Dispute      *Sight[DisputeState]
	Customer     *Sight[CustomerState]
	Product      *Sight[ProductState]
	CashBalance  *CashBalanceState
}

// Sight is one object as a payload shows it.
type Sight[T any] struct {
	Now T
	// Before is the object before the event, where previous_attributes tell.
	Before *T
	// Deleted: the object is gone. Bare: nothing but that is left of it.
	Deleted, Bare bool
}

// InvoiceState is an invoice of any API version. Amounts are minor units of Currency;
// nil is what the payload does not say.
type InvoiceState struct {
	ID, Customer, Subscription, Number   string
	Status                               string // draft, open, paid, uncollectible or void
	Currency, BillingReason              string
	CollectionMethod                     string
	Charge                               string
	ChargeKnown                          bool // this version of the API names the charge
	Created, PeriodStart, PeriodEnd      time.Time
	DueDate, NextAttemptAt               time.Time
	FinalizedAt, PaidAt                  time.Time
	VoidedAt, UncollectibleAt            time.Time
	Total, Subtotal, TotalExcludingTax   *int64
	AmountDue, AmountPaid, AmountRemains *int64
	OutOfBand                            int64 // of AmountPaid, what did not pass through Stripe
	Attempts                             int64
	Paid                                 bool
	Own                                  bool // an outcome invoice of ours
}

// ChargeState is a charge of any API version.
type ChargeState struct {
	ID, Customer, Status   string // succeeded, pending or failed
	Invoice                string
	InvoiceKnown           bool
	Currency, Description  string
	FailureCode            string
	PaymentMethod          string // its type: card, sepa_debit, …
	Created                time.Time
	Amount, AmountRefunded *int64
	Refunded, Disputed     bool
}

// DisputeState is a dispute of any API version.
type DisputeState struct {
	ID, Charge, Status, Reason, Currency string
	Created, EvidenceDueAt               time.Time
	Amount                               *int64
}

// CustomerState is what is kept of a customer, who is a person: nothing that names
// or locates one, apart from the country.
type CustomerState struct {
	ID, Currency, Country string
	Created               time.Time
	Balance               *int64 // credit is negative
	Delinquent            bool
	HasPaymentMethod      bool   // a default payment method or source is on file
	PaymentMethod         string // its type, where the payload tells
	CashBalance           string // as of CashBalanceState
	CashBalanceKnown      bool
}

// ProductState is a product.
type ProductState struct {
	ID, Name string
	Active   bool
}

// CashBalanceState is the cash balance of a customer.
type CashBalanceState struct {
	Customer string
	// Available is canonical JSON of minor units by currency: {"eur":500,"usd":1000}.
	Available string
}

// Discount is one discount of a subscription as far as the payload shows it.
type Discount struct {
	ID, Coupon, Duration string
	PercentOff           string // decimal; empty when it is none
	AmountOff            *int64
	Currency             string
	EndsAt               time.Time
}

// followed are the kinds of objects that Seen knows.
var followed = map[string]bool{
	"subscription": true, "invoice": true, "charge": true, "dispute": true, "customer": true, "product": true, "cash_balance": true,
}

// unstable are event types whose object is a preview that never exists.
var unstable = map[string]bool{"invoice.upcoming": true}

// see reads the object of a payload; prev is what it replaced.
func (b *builder) see(obj, prev node) {
	env, gone := b.out.Envelope, strings.HasSuffix(b.out.Envelope.Type, ".deleted") || obj.truth("deleted")
	if unstable[env.Type] || (env.ObjectID == "" && env.ObjectType != "cash_balance") {
		return
	}
	seen := &b.out.Seen
	switch env.ObjectType {
	case "subscription":
		s := &Sight[SubscriptionState]{Now: b.subscription(obj)}
		if b.prev != nil {
			s.Before = b.prev
		} else if len(prev) > 0 {
			before := subscriptionOf(previousOf(obj, prev))
			s.Before = &before
		}
		seen.Subscription = s
	case "invoice":
		seen.Invoice = sight(obj, prev, gone, invoiceStateOf)
	case "charge":
		seen.Charge = sight(obj, prev, false, chargeStateOf)
	case "dispute":
		seen.Dispute = sight(obj, prev, false, disputeStateOf)
	case "customer":
		seen.Customer = sight(obj, prev, gone, customerStateOf)
	case "product":
		seen.Product = sight(obj, prev, gone, productStateOf)
	case "cash_balance":
		if available, ok := cashOf(obj); ok && obj.id("customer") != "" {
			seen.CashBalance = &CashBalanceState{Customer: obj.id("customer"), Available: available}
		}
	}
}

func sight[T any](obj, prev node, gone bool, of func(node) T) *Sight[T] {
	s := &Sight[T]{Now: of(obj), Deleted: gone, Bare: gone && !obj.isSet("created")}
	if len(prev) > 0 {
		before := of(obj.overlay(prev))
		s.Before = &before
	}
	return s
}

func invoiceStateOf(n node) InvoiceState {
	i, moves := invoiceOf(n), n.obj("status_transitions")
	s := InvoiceState{
		ID: i.ID, Customer: i.Customer, Subscription: i.Subscription, Number: n.str("number"), Status: invoiceStatus(n),
		Currency: i.Currency, BillingReason: n.str("billing_reason"), CollectionMethod: firstText(n.str("collection_method"), n.str("billing")),
		Charge: i.Charge, ChargeKnown: n.has("charge"),
		Created: firstTime(n.when("created"), n.when("date")), PeriodStart: n.when("period_start"), PeriodEnd: n.when("period_end"),
		DueDate: n.when("due_date"), NextAttemptAt: n.when("next_payment_attempt"),
		FinalizedAt: firstTime(moves.when("finalized_at"), n.when("finalized_at")), PaidAt: i.paidAt,
		VoidedAt: moves.when("voided_at"), UncollectibleAt: moves.when("marked_uncollectible_at"),
		Total: i.total, Subtotal: n.numPtr("subtotal"), TotalExcludingTax: i.netTotal,
		AmountDue: n.numPtr("amount_due"), AmountPaid: n.numPtr("amount_paid"), AmountRemains: n.numPtr("amount_remaining"),
		OutOfBand: i.outOfBand, Paid: i.paid, Own: i.own,
	}
	s.Attempts, _ = n.num("attempt_count")
	if n.isSet("payments") && !s.ChargeKnown {
		s.Charge, s.ChargeKnown = paymentCharge(n.list("payments")), true
	}
	return s
}

// invoiceStatus is stated since 2018-11-08; before that flags told the same.
func invoiceStatus(n node) string {
	switch {
	case n.isSet("status"):
		return n.str("status")
	case n.truth("paid"):
		return "paid"
	case n.truth("forgiven"):
		return "uncollectible"
	default:
		return "open"
	}
}

// paymentCharge is the charge of the payment that counts: the paid one, else the default.
func paymentCharge(payments []node) string {
	charge := ""
	for _, p := range payments {
		id := p.obj("payment").id("charge")
		if p.str("status") == "paid" && id != "" {
			return id
		}
		if p.truth("is_default") || charge == "" {
			charge = firstText(id, charge)
		}
	}
	return charge
}

func chargeStateOf(n node) ChargeState {
	s := ChargeState{
		ID: n.own(), Customer: n.id("customer"), Status: n.str("status"), Invoice: n.id("invoice"), InvoiceKnown: n.has("invoice"),
		Currency: n.str("currency"), Description: n.str("description"), FailureCode: n.str("failure_code"),
		PaymentMethod: n.obj("payment_method_details").str("type"), Created: n.when("created"),
		Amount: n.numPtr("amount"), AmountRefunded: n.numPtr("amount_refunded"),
		Refunded: n.truth("refunded"), Disputed: n.truth("disputed") || n.isSet("dispute"),
	}
	switch {
	case s.Status == "paid": // the name of a success before 2014-12-22
		s.Status = "succeeded"
	case s.Status == "" && n.truth("paid"):
		s.Status = "succeeded"
	case s.Status == "" && s.FailureCode != "":
		s.Status = "failed"
	case s.Status == "":
		s.Status = "pending"
	}
	if s.PaymentMethod == "" {
		s.PaymentMethod = firstText(n.obj("source").str("object"), n.obj("card").str("object"))
	}
	return s
}

func disputeStateOf(n node) DisputeState {
	return DisputeState{
		ID: n.own(), Charge: n.id("charge"), Status: n.str("status"), Reason: n.str("reason"), Currency: n.str("currency"),
		Created: n.when("created"), EvidenceDueAt: n.obj("evidence_details").when("due_by"), Amount: n.numPtr("amount"),
	}
}

func customerStateOf(n node) CustomerState {
	s := CustomerState{
		ID: n.own(), Currency: n.str("currency"), Country: CountryCode(n.obj("address").str("country")), Created: n.when("created"),
		Balance: n.numPtr("balance"), Delinquent: n.truth("delinquent"),
	}
	if s.Balance == nil {
		s.Balance = n.numPtr("account_balance")
	}
	settings := n.obj("invoice_settings")
	s.HasPaymentMethod = settings.isSet("default_payment_method") || n.isSet("default_source")
	s.PaymentMethod = firstText(settings.obj("default_payment_method").str("type"), n.obj("default_source").str("object"),
		methodOfID(firstText(settings.id("default_payment_method"), n.id("default_source"))))
	if n.isSet("cash_balance") {
		s.CashBalance, s.CashBalanceKnown = cashOf(n.obj("cash_balance"))
	}
	return s
}

// CountryCode is a code of the form of ISO 3166-1 alpha-2 in capitals, and empty for
// anything else: a field that people fill in by hand may hold everything.
func CountryCode(s string) string {
	if len(s) != 2 {
		return ""
	}
	s = strings.ToUpper(s)
	for _, c := range s {
		if c < 'A' || c > 'Z' {
			return ""
		}
	}
	return s
}

// methodOfID tells what the prefix of a source tells.
func methodOfID(id string) string {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "card":
		return "card"
	case "ba":
		return "bank_account"
	default:
		return ""
	}
}

// cashOf writes the available cash by currency, in order; an empty balance is {}.
func cashOf(n node) (string, bool) {
	if !n.has("available") {
		return "", false
	}
	available := n.obj("available")
	out := []byte{'{'}
	for _, currency := range slices.Sorted(maps.Keys(available)) {
		minor, ok := available.num(currency)
		if _, err := money.ParseCurrency(currency); err != nil || !ok {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendQuote(out, strings.ToLower(currency))
		out = strconv.AppendInt(append(out, ':'), minor, 10)
	}
	return string(append(out, '}')), true
}

func productStateOf(n node) ProductState {
	return ProductState{ID: n.own(), Name: n.str("name"), Active: n.truth("active")}
}

// discountsOf lists the discounts of a subscription and of its items.
func discountsOf(holder node, items []node) []Discount {
	var out []Discount
	for _, on := range append([]node{holder}, items...) {
		for _, d := range discountsOn(on) {
			out = append(out, discountOf(d))
		}
	}
	return out
}

func discountOf(d node) Discount {
	coupon := couponOf(d)
	out := Discount{
		ID: d.own(), Coupon: firstText(coupon.own(), d.str("coupon"), d.obj("source").str("coupon")), Duration: coupon.str("duration"),
		AmountOff: coupon.numPtr("amount_off"), Currency: coupon.str("currency"), EndsAt: d.when("end"),
	}
	if p, ok := coupon.dec("percent_off"); ok && !p.Equal(decimal.Zero) {
		out.PercentOff = p.String()
	}
	return out
}
