package reward

import (
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
// late still sums up, and a late win after a loss restores the money.
var disputeFacts = map[string][]Kind{
	"needs_response":  {Dispute},
	"under_review":    {Dispute},
	"lost":            {Dispute, DisputeLost},
	"won":             {Dispute, DisputeWon},
	"charge_refunded": {Dispute, DisputeWon}, // the refund object books the money instead
	"prevented":       {},
}

func disputeChanged(shown show) handler {
	return func(b *builder, obj, _ node) {
		kinds, known := disputeFacts[obj.str("status")]
		if strings.HasPrefix(obj.str("status"), "warning_") {
			kinds, known = nil, true // an inquiry holds no money
		}
		if len(kinds) == 1 && b.isReinstated(obj) {
			kinds = disputeFacts["won"] // the money is back before the status says so
		}
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

// isReinstated reports whether the money of a dispute that is still under way came back:
// all of what had been withdrawn, as the balance says, or, where the payload shows no
// balance, as the event does.
func (b *builder) isReinstated(obj node) bool {
	moves := obj.list("balance_transactions")
	if len(moves) == 0 {
		return b.out.Envelope.Type == "charge.dispute.funds_reinstated"
	}
	var net int64
	for _, t := range moves {
		amount, _ := t.num("amount")
		net += amount
	}
	return net >= 0 && !balanceTime(obj, 1).IsZero()
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
