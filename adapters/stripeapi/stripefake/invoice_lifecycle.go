package stripefake

import "strings"

// finalize turns a draft into an open invoice, or a paid one if there is
// nothing to collect. automatic: by the clock, so collection starts at once.
func (r *realm) finalize(in *invoice, automatic bool) error {
	cu, ok := r.customers.get(in.Customer)
	if !ok || cu.gone {
		return missingParam("customer", in.Customer, "customer")
	}
	if in.AutomaticTax.Enabled && (cu.Address == nil || cu.Address.Country == nil) {
		return r.taxFails(in)
	}
	r.total(in)
	in.copyCustomer(cu)
	in.FinalizationError = nil
	if in.AutomaticTax.Enabled {
		in.AutomaticTax.Status = ref("complete")
	}
	if !in.numbered {
		in.Number = ref(cu.number())
	}
	if in.Collection == "send_invoice" && in.daysDue != nil {
		in.DueDate = ref(r.now + *in.daysDue*day)
	}
	secret := strings.ToLower(randomString(r.rng, 24))
	base := "https://invoice.stripe.com/i/" + r.acct.spec.ID + "/" + r.mode() + "_" + secret
	in.HostedURL, in.PDF = ref(base), ref("https://pay.stripe.com/invoice/"+r.acct.spec.ID+"/"+r.mode()+"_"+secret+"/pdf")
	in.Transitions.Finalized, in.EffectiveAt, in.DeliveredAt = ref(r.now), ref(r.now), ref(r.now)
	r.setStatus(in, "open")
	r.useBalance(in, cu)
	r.useDiscounts(in, cu)
	if in.AmountDue == 0 {
		in.Attempted, in.NextAttempt = true, nil
		r.emit("invoice.finalized", in)
		r.markPaid(in, false, nil)
		return nil
	}
	r.newInvoiceIntent(in, cu)
	in.NextAttempt = nil
	if in.Collection == "charge_automatically" && in.AutoAdvance {
		in.NextAttempt = ref(r.now + hour)
	}
	r.emit("invoice.finalized", in)
	switch {
	case in.Collection == "send_invoice" && automatic:
		r.emit("invoice.sent", in)
	case automatic:
		_ = r.collect(in, nil) // a failed payment is told by events
	default:
		r.scheduleCollection(in, hour)
	}
	return nil
}

func (r *realm) taxFails(in *invoice) error {
	e := invalid("customer_tax_location_invalid", "", "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.")
	in.FinalizationError = &taxError{Code: e.code, Message: e.message, Type: e.typ}
	in.AutomaticTax.Status = ref("requires_location_inputs")
	r.emit("invoice.finalization_failed", in)
	return e
}

// useBalance applies the customer's balance and Stripe's minimum charge: an
// amount due below it is not collected but carried as a debit balance.
func (r *realm) useBalance(in *invoice, cu *customer) {
	in.StartingBalance = cu.Balance
	due := in.Total + cu.Balance
	ending := int64(0)
	switch {
	case due <= 0:
		ending, due = due, 0
	case due < minimum(in.Currency):
		ending, due = due, 0
	}
	in.AmountDue, in.AmountRemaining = due, due
	in.EndingBalance = &ending
	if ending != cu.Balance {
		r.update("customer.updated", cu, func() { cu.Balance = ending })
	}
}

// useDiscounts ends discounts that apply to one invoice only.
func (r *realm) useDiscounts(in *invoice, cu *customer) {
	for _, d := range in.applied {
		if d.Coupon.Duration != "once" || in.Subtotal == 0 {
			continue
		}
		if cu.Discount == d {
			r.update("customer.updated", cu, func() { cu.Discount = nil })
			r.emit("customer.discount.deleted", d)
		}
		if s := lookupSub(r, deref(in.Subscription)); s != nil && s.Discount == d {
			r.update("customer.subscription.updated", s, func() { s.Discount = nil })
		}
	}
}

// markPaid settles an invoice.
func (r *realm) markPaid(in *invoice, outside bool, ch *charge) {
	r.setStatus(in, "paid")
	in.Paid, in.PaidOutOfBand, in.Attempted = true, outside, true
	in.NextAttempt, in.AutoAdvance = nil, false
	in.Transitions.Paid = ref(r.now)
	if ch != nil {
		in.Charge = &ch.ID
	}
	if !outside {
		in.AmountPaid, in.AmountRemaining = in.AmountDue, 0
	} else if pi, ok := r.intents.get(deref(in.PaymentIntent)); ok {
		// amount_paid counts money through Stripe only in this API version.
		r.update("payment_intent.canceled", pi, func() { pi.Status, pi.CanceledAt = "canceled", ref(r.now) })
	}
	r.emit("invoice.paid", in)
	if !outside {
		r.emit("invoice.payment_succeeded", in)
	}
	r.invoicePaid(in)
}

// scheduleCollection attempts payment of an open, automatically advancing
// invoice after a while.
func (r *realm) scheduleCollection(in *invoice, wait int64) {
	if in.Status != "open" || !in.AutoAdvance || in.Collection != "charge_automatically" {
		return
	}
	attempts := in.AttemptCount
	due := r.now + wait
	in.NextAttempt = &due
	r.at(due, func() {
		if in.Status == "open" && in.AutoAdvance && in.AttemptCount == attempts {
			_ = r.collect(in, nil) // a failed payment is told by events
		}
	})
}

// retryAfter are the waits between payment attempts; after the last one the
// subscription ends the way the account is set up.
var retryAfter = []int64{3 * day, 5 * day, 7 * day}

// collect charges an open invoice once.
func (r *realm) collect(in *invoice, token *string) error {
	cu, ok := r.customers.get(in.Customer)
	if !ok || cu.gone {
		return missingParam("customer", in.Customer, "customer")
	}
	var method *string
	if token != nil && *token != "" {
		method = &r.attach(cu.ID, *token).ID
	}
	var subMethod *string
	if s := lookupSub(r, deref(in.Subscription)); s != nil {
		subMethod = s.DefaultMethod
	}
	pm := r.methodFor(cu, method, in.DefaultMethod, subMethod)
	in.AttemptCount++
	in.Attempted = true
	if pm == nil && token == nil && in.AttemptCount == 1 && r.current != nil && in.manual {
		in.AttemptCount, in.Attempted = 0, false
		return invalid("resource_missing", "", "There is no default payment method set on this Customer or Invoice. Please set one or pass a payment_method.")
	}
	ch, err := r.chargeInvoice(in, pm)
	if err == nil {
		r.markPaid(in, false, ch)
		return nil
	}
	r.paymentFailed(in)
	return err
}

// paymentFailed tells of a failed attempt and plans the next one.
func (r *realm) paymentFailed(in *invoice) {
	in.NextAttempt = nil
	last := int(in.AttemptCount) > len(retryAfter)
	if in.AutoAdvance && !last {
		wait := retryAfter[in.AttemptCount-1]
		in.NextAttempt = ref(r.now + wait)
		r.emit("invoice.payment_failed", in)
		r.scheduleCollection(in, wait)
	} else {
		r.emit("invoice.payment_failed", in)
	}
	r.invoiceUnpaid(in, last)
}
