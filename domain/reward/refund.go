package reward

import "time"

// chargeRefunded shows the delta and books nothing: amount_refunded is cumulative,
// so only the refund objects can be counted once each.
func chargeRefunded(b *builder, obj, prev node) {
	b.read("charge", obj.own(), "refunds")
	currency, ok := b.currency(obj, "charge")
	if !ok {
		return
	}
	total, stated := obj.num("amount_refunded")
	before, _ := prev.num("amount_refunded")
	if !stated {
		b.anomaly(anomalyAmount, "charge", obj.own())
		return
	}
	if total <= before {
		b.ignore(ignoredNoEffect)
		return
	}
	b.signal(Signal{Kind: Refund, Amount: ptr(total - before), Currency: currency, Customer: obj.id("customer")})
}

// refundChanged books the money of one refund object. A refund that failed after
// money had moved is booked and taken back, so that the sum is right whichever of
// its events arrive, in whichever order.
func refundChanged(b *builder, obj, prev node) {
	if obj.str("object") == "charge" {
		// Early versions sent the charge with charge.refund.updated.
		b.read("charge", obj.own(), "refunds")
		return
	}
	id, status := obj.own(), obj.str("status")
	currency, ok := b.currency(obj, "refund")
	if !ok {
		return
	}
	amount, ok := obj.num("amount")
	if !ok || amount < 0 {
		b.anomaly(anomalyAmount, "refund", id)
		return
	}
	if !obj.isSet("charge") && !obj.isSet("payment_intent") {
		b.ignore(ignoredNoEffect) // out of a customer's cash balance, which no payment brought in
		return
	}
	f := Fact{
		Kind: Refund, Key: KeyOf(Refund, id), ObjectID: id, Charge: obj.id("charge"), Currency: currency,
		Amount: ptr(-amount), EffectiveAt: obj.when("created"), Flags: Flags{Gross: true},
	}
	switch status {
	case "succeeded", "": // no status before 2015: a refund that existed had succeeded
		b.fact(f)
	case "failed", "canceled":
		if obj.isSet("balance_transaction") || obj.isSet("failure_balance_transaction") || prev.str("status") == "succeeded" {
			b.fact(f)
			f.Key, f.Amount, f.Flags.Undo = undoKey(Refund, id), ptr(amount), true
			f.EffectiveAt = obj.obj("failure_balance_transaction").when("created")
			b.fact(f)
			break
		}
		f.Kind, f.Key, f.Amount, f.EffectiveAt = RefundFailed, KeyOf(RefundFailed, id), nil, time.Time{}
		b.fact(f)
		return
	default: // pending, requires_action: nothing has left yet
		b.ignore(ignoredNoEffect)
		return
	}
	// The invoice behind the charge decides whether this was reward revenue at all.
	b.read("charge", f.Charge, "invoice_of_refund")
}
