package reward

import "time"

// ownKey is the metadata key of the invoices that liftbill itself issues. What they
// bring in is the vendor's revenue, never the reward of a policy.
const ownKey = "lb_key"

// invoice is the money view of an invoice of any API version.
type invoice struct {
	ID, Customer, Subscription, Charge, Currency string

	paidKnown, paid bool
	own             bool
	paidAt          time.Time
	amountDue       int64
	total           *int64
	netTotal        *int64
	cash            int64 // collected by Stripe
	outOfBand       int64 // collected elsewhere
	cashKnown       bool
}

func invoiceOf(n node) invoice {
	details := n.obj("parent", "subscription_details")
	i := invoice{
		ID: n.own(), Customer: n.id("customer"), Charge: n.id("charge"), Currency: n.str("currency"),
		Subscription: firstText(n.id("subscription"), details.id("subscription")),
		own:          n.obj("metadata").str(ownKey) != "",
		paidKnown:    n.isSet("status") || n.isSet("paid"),
		paidAt:       n.obj("status_transitions").when("paid_at"),
		total:        n.numPtr("total"),
	}
	i.paid = n.str("status") == "paid" || (!n.isSet("status") && n.truth("paid"))
	i.amountDue, _ = n.num("amount_due")
	i.netTotal = netTotal(n, i.total)
	i.readCash(n)
	return i
}

// netTotal is the total without tax: stated, or the total less the taxes as each
// version lists them.
func netTotal(n node, total *int64) *int64 {
	if v := n.numPtr("total_excluding_tax"); v != nil {
		return v
	}
	if total == nil {
		return nil
	}
	if tax, ok := n.num("tax"); ok {
		return ptr(*total - tax)
	}
	net := *total
	for _, key := range []string{"total_taxes", "total_tax_amounts"} {
		taxes := n.list(key)
		for _, t := range taxes {
			amount, _ := t.num("amount")
			net -= amount
		}
		if len(taxes) > 0 {
			break
		}
	}
	return &net
}

// readCash separates what passed through Stripe from what did not. Up to acacia a
// flag says so and amount_paid excludes it; since basil amount_paid includes it.
func (i *invoice) readCash(n node) {
	paid, stated := n.num("amount_paid")
	i.cashKnown = stated
	if n.truth("paid_out_of_band") {
		i.cashKnown, i.outOfBand = true, paid
		if paid == 0 {
			i.outOfBand = i.amountDue
		}
		return
	}
	off, _ := n.num("amount_paid_off_stripe")
	if !n.isSet("amount_paid_off_stripe") {
		off = recorded(n.list("payments"))
	}
	i.outOfBand = min(max(off, 0), max(paid, 0))
	i.cash = paid - i.outOfBand
	if !stated && i.paid && i.Charge != "" {
		// Before amount_paid existed a paid invoice with a charge had paid what was due.
		i.cash, i.cashKnown = i.amountDue, true
	}
}

// recorded is what an invoice's payments report that Stripe did not collect.
func recorded(payments []node) int64 {
	var sum int64
	for _, p := range payments {
		if amount, ok := p.num("amount_paid"); ok && p.obj("payment").str("type") == "payment_record" {
			sum += max(amount, 0)
		}
	}
	return sum
}

// net is the tax-free share of an amount of this invoice; gross reports that the
// payload could not separate tax.
func (i invoice) net(amount int64) (net int64, gross bool) {
	if i.total == nil || i.netTotal == nil {
		return amount, true
	}
	net, ok := CashNet(amount, *i.netTotal, *i.total)
	if !ok {
		return amount, true
	}
	return net, false
}

func (i invoice) fact(kind Kind, key string) Fact {
	return Fact{
		Key: key, Kind: kind, ObjectID: i.ID, Invoice: i.ID, Customer: i.Customer,
		Subscription: i.Subscription, Charge: i.Charge,
	}
}

// invoicePaid serves invoice.paid and invoice.payment_succeeded, which are twins: one
// confirmation per invoice, and only for cash.
func invoicePaid(b *builder, obj, _ node) {
	i := invoiceOf(obj)
	switch {
	case i.own:
		b.ignore(ignoredOwn)
		return
	case !i.paidKnown:
		b.read("invoice", i.ID, "shape_unknown")
		return
	case !i.paid:
		b.ignore(ignoredNotPaid)
		return
	case b.cfg.SubscriptionOnly && i.Subscription == "":
		b.ignore(ignoredNoSub)
		return
	case i.cash <= 0 && i.outOfBand <= 0:
		b.ignore(ignoredNoCash)
		if !i.cashKnown && (i.total == nil || *i.total > 0) {
			b.read("invoice", i.ID, "amount_missing")
		}
		return
	}
	currency, ok := b.currency(obj, "invoice")
	if !ok {
		return
	}
	if i.cash > 0 {
		b.both(i.revenue(RevenueConfirmation, RevenueConfirmation, i.cash, currency))
	}
	if i.outOfBand > 0 {
		kind := RevenueOutOfBand
		if b.cfg.IncludeOutOfBand {
			kind = RevenueConfirmation
		}
		f, s := i.revenue(kind, RevenueOutOfBand, i.outOfBand, currency)
		f.Flags.OutOfBand = true
		b.both(f, s)
	}
}

// revenue books what was paid without its tax, and shows what was paid, as the signals of
// refunds, disputes and failures show Stripe's own figures.
func (i invoice) revenue(kind, keyKind Kind, amount int64, currency string) (Fact, Signal) {
	f := i.fact(kind, KeyOf(keyKind, i.ID))
	net, gross := i.net(amount)
	f.Amount, f.Currency, f.EffectiveAt = ptr(net), currency, i.paidAt
	f.Flags.Gross, f.Flags.InvoiceNet = gross, i.netTotal
	return f, Signal{Amount: ptr(amount), Currency: currency}
}

// invoicePaymentFailed shows what was due in the signal only.
func invoicePaymentFailed(b *builder, obj, _ node) {
	i := invoiceOf(obj)
	if i.own {
		b.ignore(ignoredOwn)
		return
	}
	f := failure(i.ID, i.Customer, i.Subscription, i.Currency)
	f.EffectiveAt = obj.when("period_end")
	b.both(f, Signal{Amount: ptr(i.amountDue), Currency: i.Currency})
}

// invoiceState books a state fact that moves no money.
func invoiceState(kind Kind) handler {
	return func(b *builder, obj, _ node) {
		i := invoiceOf(obj)
		if i.own {
			b.ignore(ignoredOwn)
			return
		}
		f := i.fact(kind, KeyOf(kind, i.ID))
		f.Charge = "" // the latest attempt to collect it, which may not be the last one
		moves := obj.obj("status_transitions")
		switch kind {
		case InvoiceVoided:
			f.EffectiveAt = moves.when("voided_at")
		case InvoiceUncollectible:
			f.EffectiveAt = moves.when("marked_uncollectible_at")
		default: // the event's own time
		}
		b.fact(f)
	}
}

// invoicePartlyPaid waits for the invoice: a payment and the invoice it completes
// would otherwise count the same money twice.
func invoicePartlyPaid(b *builder, obj, _ node) {
	b.ignore(ignoredPartial)
	b.read("invoice", obj.id("invoice"), "partial_payment")
}
