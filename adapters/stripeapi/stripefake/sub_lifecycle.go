package stripefake

import (
	"slices"
	"strconv"
	"time"
)

func unixTime(param, v string) (int64, *apiError) {
	at, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, invalid("parameter_invalid_integer", param, "Invalid timestamp: %s; must be an integer Unix timestamp", v)
	}
	return at, nil
}

// periodAmount is what one period costs before discounts.
func (r *realm) periodAmount(s *subscription) int64 {
	sum := int64(0)
	for _, it := range s.Items.Data {
		sum += it.Price.amount(it.Quantity)
	}
	return sum
}

// subInvoice is a draft for a period of the subscription.
func (r *realm) subInvoice(s *subscription, cu *customer, reason string, lines bool) *invoice {
	in := r.newInvoice(cu, s.Currency, reason)
	in.Subscription, in.SubDetails.Metadata = &s.ID, s.Metadata
	in.Collection, in.daysDue = s.Collection, s.DaysUntilDue
	in.AutoAdvance = s.Pause == nil
	if in.Collection == "send_invoice" && in.daysDue != nil {
		in.DueDate = ref(r.now + *in.daysDue*day)
	}
	switch {
	case s.Discount.active(r.now):
		in.setDiscounts([]*discount{s.Discount})
	case cu.Discount.active(r.now):
		in.setDiscounts([]*discount{cu.Discount})
	}
	if lines {
		for _, it := range s.Items.Data {
			r.addPeriodLine(in, s, it)
		}
	}
	s.LatestInvoice = &in.ID
	return in
}

func (r *realm) addPeriodLine(in *invoice, s *subscription, it *subItem) {
	amount, name := it.Price.amount(it.Quantity), "subscription"
	if p, ok := r.products.get(it.Price.Product); ok {
		name = p.Name
	}
	text := strconv.FormatInt(it.Quantity, 10) + " × " + name
	if s.Status == "trialing" {
		amount, text = 0, "Trial period for "+name
	}
	in.lines = append(in.lines, &line{
		head: head{ID: r.id("il"), Object: "line_item"}, Amount: amount, AmountExTax: amount, Currency: s.Currency, Description: &text,
		Discountable: true, Invoice: in.ID, Livemode: r.live, Metadata: s.Metadata, Period: period{Start: s.PeriodStart, End: s.PeriodEnd},
		Price: it.Price, Quantity: it.Quantity, Subscription: &s.ID, SubItem: it.ID, TaxAmounts: []any{}, TaxRates: []any{}, Type: "subscription",
		UnitExTax: ref(it.Price.UnitDecimal),
	})
}

// pendingOf are the pending items that the subscription's next invoice sweeps
// up: its own prorations and the customer's items of no subscription.
func (r *realm) pendingOf(s *subscription) []*invoiceItem {
	var out []*invoiceItem
	for _, it := range slices.Backward(r.items.of("pending:" + s.Customer)) {
		if it.Currency == s.Currency && (it.Subscription == nil || *it.Subscription == s.ID) && len(out) < maxLines-len(s.Items.Data) {
			out = append(out, it)
		}
	}
	return out
}

// firstInvoice bills the first period at once; a trial gets a paid zero invoice.
func (r *realm) firstInvoice(s *subscription, cu *customer, charge bool) {
	in := r.subInvoice(s, cu, "subscription_create", true)
	sends := in.Collection == "send_invoice" && r.periodAmount(s) > 0 && s.Status != "trialing"
	in.AutoAdvance = sends
	r.openDraft(in, r.pendingOf(s))
	if sends {
		return
	}
	in.AutoAdvance = true
	if err := r.finalize(in, false); err != nil {
		return
	}
	if in.Status == "paid" && s.Status == "incomplete" {
		s.Status = "active" // fully discounted
	}
	if charge && in.Status == "open" {
		_ = r.collect(in, nil) // a failed payment leaves the subscription incomplete
	}
}

// expireIncomplete gives up a subscription whose first payment never came.
func (r *realm) expireIncomplete(s *subscription) {
	if s.Status != "incomplete" {
		return
	}
	r.update("customer.subscription.updated", s, func() { s.Status, s.EndedAt = "incomplete_expired", ref(r.now) })
	if in, ok := r.invoices.get(deref(s.LatestInvoice)); ok && in.Status == "open" {
		r.void(in)
	}
}

func (r *realm) scheduleTrial(s *subscription) {
	end := *s.TrialEnd
	still := func() bool { return s.Status == "trialing" && s.TrialEnd != nil && *s.TrialEnd == end }
	r.at(max(r.now, end-3*day), func() {
		if still() {
			r.emit("customer.subscription.trial_will_end", s)
		}
	})
	r.at(end, func() {
		if still() {
			r.endTrial(s)
		}
	})
}

// endTrial is the moment at which a trial becomes a paying subscription, or not.
func (r *realm) endTrial(s *subscription) {
	cu, ok := r.customers.get(s.Customer)
	if !ok {
		return
	}
	if s.CancelAtEnd || (s.CancelAt != nil && *s.CancelAt <= r.now) {
		r.cancel(s, ending{reason: "cancellation_requested"})
		return
	}
	if s.Collection == "charge_automatically" && r.methodFor(cu, s.DefaultMethod) == nil {
		switch s.TrialSettings.EndBehavior.MissingMethod {
		case "cancel":
			r.cancel(s, ending{reason: "payment_failed"})
			return
		case "pause":
			r.update("customer.subscription.updated", s, func() { s.Status = "paused" })
			r.emit("customer.subscription.paused", s)
			return
		}
	}
	r.nextPeriod(s, cu, "active")
}

func (r *realm) scheduleRenewal(s *subscription) {
	end := s.PeriodEnd
	r.at(end, func() {
		if s.PeriodEnd != end || !s.live() {
			return
		}
		if s.CancelAtEnd {
			r.cancel(s, ending{reason: "cancellation_requested"})
			return
		}
		if cu, ok := r.customers.get(s.Customer); ok {
			r.nextPeriod(s, cu, s.Status)
		}
	})
}

// nextPeriod moves to the period that begins now and drafts its invoice, which
// is finalized and collected an hour later.
func (r *realm) nextPeriod(s *subscription, cu *customer, status string) {
	var in *invoice
	r.update("customer.subscription.updated", s, func() {
		s.Status = status
		s.PeriodStart, s.PeriodEnd = r.now, s.periodAfter(r.now)
		in = r.subInvoice(s, cu, "subscription_cycle", true)
	})
	in.PeriodStart, in.PeriodEnd = s.PeriodStart, s.PeriodStart
	if status == "unpaid" {
		in.AutoAdvance = false // drafts of an unpaid subscription wait for a human
	}
	r.openDraft(in, r.pendingOf(s))
	r.scheduleRenewal(s)
	if s.Pause != nil && s.Pause.Behavior != "keep_as_draft" {
		r.at(r.now+hour, func() { r.pausedInvoice(in, s) })
	}
}

// pausedInvoice does to an invoice what pause_collection asks for.
func (r *realm) pausedInvoice(in *invoice, s *subscription) {
	if in.Status != "draft" || s.Pause == nil {
		return
	}
	if r.finalize(in, false) != nil || in.Status != "open" {
		return
	}
	if s.Pause.Behavior == "void" {
		r.void(in)
		return
	}
	r.setStatus(in, "uncollectible")
	in.Transitions.Uncollectible = ref(r.now)
	r.emit("invoice.marked_uncollectible", in)
}

// ending says why a subscription ends.
type ending struct {
	reason            string
	comment, feedback *string
}

// cancel ends a subscription now.
func (r *realm) cancel(s *subscription, why ending) {
	if s.CanceledAt == nil {
		s.CanceledAt = ref(r.now)
	}
	s.Status, s.EndedAt = "canceled", ref(r.now)
	s.Cancellation.Reason = &why.reason
	if why.comment != nil {
		s.Cancellation.Comment = why.comment
	}
	if why.feedback != nil {
		s.Cancellation.Feedback = why.feedback
	}
	for _, in := range r.invoices.of(s.ID) {
		if (in.Status == "draft" || in.Status == "open") && in.AutoAdvance {
			r.update("invoice.updated", in, func() { in.AutoAdvance, in.NextAttempt = false, nil })
		}
	}
	r.emit("customer.subscription.deleted", s)
}

func (r *realm) scheduleCancelAt(s *subscription) {
	at := *s.CancelAt
	r.at(at, func() {
		if s.CancelAt != nil && *s.CancelAt == at && !s.ended() && !s.CancelAtEnd {
			r.cancel(s, ending{reason: "cancellation_requested"})
		}
	})
}

// invoicePaid tells the subscription that money came.
func (r *realm) invoicePaid(in *invoice) {
	s := lookupSub(r, deref(in.Subscription))
	if s == nil {
		return
	}
	switch s.Status {
	case "incomplete":
		if !s.announced {
			s.Status = "active" // its created event is still to come and shows it
			return
		}
		r.update("customer.subscription.updated", s, func() { s.Status = "active" })
	case "past_due", "unpaid":
		for _, other := range r.invoices.of(s.ID) {
			if other.Status == "open" && other.AttemptCount > 0 {
				return
			}
		}
		r.update("customer.subscription.updated", s, func() { s.Status = "active" })
	}
}

// invoiceUnpaid tells the subscription that a payment failed.
func (r *realm) invoiceUnpaid(in *invoice, last bool) {
	s := lookupSub(r, deref(in.Subscription))
	if s == nil || !s.live() {
		return
	}
	if s.Status == "active" {
		r.update("customer.subscription.updated", s, func() { s.Status = "past_due" })
	}
	if !last || s.Status != "past_due" {
		return
	}
	switch r.acct.spec.DunningEnd {
	case "cancel":
		r.cancel(s, ending{reason: "payment_failed"})
	case "unpaid":
		r.update("customer.subscription.updated", s, func() { s.Status = "unpaid" })
	}
}

func unixUTC(at int64) time.Time { return time.Unix(at, 0).UTC() }
