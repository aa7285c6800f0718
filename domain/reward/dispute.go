package reward

import (
	"slices"
	"strings"
	"time"
)

// show says which signal a dispute event displays; its facts do not depend on it.
type show int

const (
	showNothing show = iota
	showHold
	showOutcome
)

// disputeFacts lists, per status, what has become of the disputed money. Every status
// past the hold repeats the hold, so that a dispute whose created event was lost or
// late still sums up, and a late win after a loss restores the money. Money that the
// balance shows back before the dispute is won stays held: the dispute may be lost after
// all, and what is booked is not taken away again.
var disputeFacts = map[string][]Kind{
	"needs_response":  {Dispute},
	"under_review":    {Dispute},
	"lost":            {Dispute, DisputeLost},
	"won":             {Dispute, DisputeWon},
	"charge_refunded": {Dispute, DisputeWon}, // the refund object books the money instead
	"prevented":       {},
}

// kindsOfDispute lists the facts of a status; known is false when it is none of Stripe's.
func kindsOfDispute(status string) (kinds []Kind, known bool) {
	if strings.HasPrefix(status, "warning_") {
		return nil, true // an inquiry holds no money
	}
	kinds, known = disputeFacts[status]
	return kinds, known
}

// DisputeMoney reports whether a dispute of this status took its amount off the account, and
// whether it gave the amount back for good. It is the rule of the facts, for whoever reads
// disputes from a list. A status that is not known has taken the money: the facts of it wait,
// and a difference shows.
func DisputeMoney(status string) (taken, back bool) {
	kinds, known := kindsOfDispute(status)
	return !known || slices.Contains(kinds, Dispute), slices.Contains(kinds, DisputeWon)
}

func disputeChanged(shown show) handler {
	return func(b *builder, obj, _ node) {
		kinds, known := kindsOfDispute(obj.str("status"))
		id := obj.own()
		if !known {
			b.anomaly(anomalyStatus, "dispute", id)
			return
		}
		if len(kinds) == 0 {
			b.ignore(ignoredNoEffect)
			return
		}
		currency, ok := b.currency(obj, "dispute")
		if !ok {
			return
		}
		amount, ok := obj.num("amount")
		if !ok || amount < 0 {
			b.anomaly(anomalyAmount, "dispute", id)
			return
		}
		for _, kind := range kinds {
			b.fact(disputeFact(kind, id, currency, amount, obj))
			decided := kind != Dispute && obj.str("status") != "charge_refunded" // nobody won what was given back
			if (shown == showHold && kind == Dispute) || (shown == showOutcome && decided) {
				b.signal(Signal{Kind: kind, Amount: ptr(amount), Currency: currency})
			}
		}
		b.read("charge", obj.id("charge"), "invoice_of_dispute")
	}
}

func disputeFact(kind Kind, id, currency string, amount int64, obj node) Fact {
	f := Fact{
		Kind: kind, Key: KeyOf(kind, id), ObjectID: id, Charge: obj.id("charge"), Currency: currency,
		Flags: Flags{Gross: true},
	}
	switch kind {
	case DisputeWon:
		f.Amount, f.EffectiveAt = ptr(amount), balanceTime(obj, 1)
	case DisputeLost:
		f.Amount = ptr(0) // the hold has taken the money already
	default:
		f.Amount, f.EffectiveAt = ptr(-amount), firstTime(balanceTime(obj, -1), obj.when("created"))
	}
	return f
}

// balanceTime is when money of the given sign moved on the account's balance.
func balanceTime(obj node, sign int64) time.Time {
	for _, t := range obj.list("balance_transactions") {
		if amount, ok := t.num("amount"); ok && amount*sign > 0 {
			return t.when("created")
		}
	}
	return time.Time{}
}
