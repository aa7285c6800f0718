package stripefake

import "slices"

func updateSub(c *call) action {
	a := c.args
	p := a.sub()
	var pause *pauseRule
	pauseGiven := a.has("pause_collection")
	if o, ok, empty := a.object("pause_collection"); ok && !empty {
		pause = &pauseRule{Behavior: o.enum("behavior", "keep_as_draft", "mark_uncollectible", "void"), ResumesAt: o.integer("resumes_at")}
		o.require("behavior")
	}
	anchor := a.enum("billing_cycle_anchor", "now", "unchanged")
	when := a.integer("proration_date")
	return func() (any, error) {
		r := c.r
		s, err := r.sub(c.id())
		if err != nil {
			return nil, err
		}
		if s.ended() {
			return nil, invalid("", "", "A canceled subscription can only update its cancellation_details and metadata.")
		}
		cu, err := r.customer(s.Customer)
		if err != nil {
			return nil, err
		}
		items, err := r.changedItems(s, p)
		if err != nil {
			return nil, err
		}
		trial, aerr := r.newTrialEnd(s, p)
		if aerr != nil {
			return nil, aerr
		}
		before := render(s)
		if err := r.applySub(s, cu, p); err != nil {
			return nil, err
		}
		if pauseGiven {
			r.setPause(s, pause)
		}
		r.setCancellation(s, p)
		after := r.changeItems(s, cu, items, p.prorat, anchor == "now", when)
		if trial != nil {
			s.TrialEnd, s.Anchor, s.PeriodEnd = trial, *trial, *trial
			if s.Status != "trialing" {
				s.Status, s.TrialStart, s.PeriodStart = "trialing", ref(r.now), r.now
			}
			if *trial > r.now {
				r.scheduleTrial(s)
			}
		}
		now := render(s)
		if prev := diff(before, now); prev != nil {
			r.emitRaw("customer.subscription.updated", now, prev)
		}
		if trial != nil && *trial <= r.now {
			r.endTrial(s)
		}
		if after != nil {
			after()
		}
		return s, nil
	}
}

// newTrialEnd reads trial_end of an update; "now" ends a trial at once.
func (r *realm) newTrialEnd(s *subscription, p subParams) (*int64, *apiError) {
	switch p.trialEnd {
	case "":
		return nil, nil
	case "now":
		if s.Status != "trialing" {
			return nil, nil
		}
		return ref(r.now), nil
	}
	at, err := unixTime("trial_end", p.trialEnd)
	if err == nil && at <= r.now {
		err = invalid("", "trial_end", "Invalid timestamp: must be an integer Unix timestamp in the future.")
	}
	return &at, err
}

func (r *realm) setPause(s *subscription, pause *pauseRule) {
	s.Pause = pause
	if pause == nil || pause.ResumesAt == nil {
		return
	}
	at := *pause.ResumesAt
	r.at(at, func() {
		if s.Pause != nil && s.Pause.ResumesAt != nil && *s.Pause.ResumesAt == at {
			r.update("customer.subscription.updated", s, func() { s.Pause = nil })
		}
	})
}

func (r *realm) setCancellation(s *subscription, p subParams) {
	if p.comment != nil {
		s.Cancellation.Comment = p.comment
	}
	if p.feedback != nil {
		s.Cancellation.Feedback = p.feedback
	}
	if p.cancelAtEnd != nil && *p.cancelAtEnd != s.CancelAtEnd {
		s.CancelAtEnd = *p.cancelAtEnd
		s.CancelAt, s.CanceledAt, s.Cancellation.Reason = nil, nil, nil
		if s.CancelAtEnd {
			s.CancelAt, s.CanceledAt, s.Cancellation.Reason = ref(s.PeriodEnd), ref(r.now), ref("cancellation_requested")
		}
	}
	if p.cancelAtGiven {
		s.CancelAt, s.CanceledAt, s.Cancellation.Reason, s.CancelAtEnd = p.cancelAt, nil, nil, false
		if p.cancelAt != nil {
			s.CanceledAt, s.Cancellation.Reason = ref(r.now), ref("cancellation_requested")
			r.scheduleCancelAt(s)
		}
	}
}

// itemChange is one item before and after an update.
type itemChange struct {
	item     *subItem // nil: new
	price    *price
	quantity int64
	md       meta
	gone     bool
}

// changedItems validates the items of an update without touching them.
func (r *realm) changedItems(s *subscription, p subParams) ([]itemChange, error) {
	var out []itemChange
	for _, ip := range p.items {
		ch := itemChange{quantity: 1, gone: ip.deleted, md: meta{}}
		if ip.id != "" {
			i := slices.IndexFunc(s.Items.Data, func(it *subItem) bool { return it.ID == ip.id })
			if i < 0 {
				return nil, missingParam("subscription item", ip.id, "items[id]")
			}
			ch.item = s.Items.Data[i]
			ch.price, ch.quantity, ch.md = ch.item.Price, ch.item.Quantity, ch.item.Metadata
		}
		if ip.price != "" || ip.data != nil || ch.item == nil {
			pr, err := r.subPrice(ip)
			if err != nil {
				return nil, err
			}
			if pr.Currency != s.Currency {
				return nil, invalid("", "items", "The currency of a subscription can't be changed from %s to %s.", s.Currency, pr.Currency)
			}
			ch.price = pr
		}
		if ip.quantity != nil {
			ch.quantity = *ip.quantity
		}
		m, aerr := ip.md.apply(ch.md)
		if aerr != nil {
			return nil, aerr
		}
		ch.md = m
		out = append(out, ch)
	}
	return out, checkItems(s, out)
}

// checkItems refuses a subscription without items or with mixed intervals.
func checkItems(s *subscription, changes []itemChange) error {
	left := map[*subItem]*price{}
	for _, it := range s.Items.Data {
		left[it] = it.Price
	}
	var added []*price
	for _, ch := range changes {
		switch {
		case ch.item == nil:
			added = append(added, ch.price)
		case ch.gone:
			delete(left, ch.item)
		default:
			left[ch.item] = ch.price
		}
	}
	for _, pr := range left {
		added = append(added, pr)
	}
	if len(added) == 0 {
		return invalid("", "items", "A subscription must have at least one active plan.")
	}
	for _, pr := range added {
		if !compatible(pr, added[0]) {
			return invalid("", "items", "All prices on a subscription must have the same currency, `recurring.interval` and `recurring.interval_count`.")
		}
	}
	return nil
}

// changeItems applies the change and prorates the running period. What it
// returns invoices the change, after the subscription's event.
func (r *realm) changeItems(s *subscription, cu *customer, changes []itemChange, prorate string, reset bool, when *int64) func() {
	old := *s.recurring()
	billed := s.live()
	at := r.now
	if when != nil {
		at = min(max(*when, s.PeriodStart), s.PeriodEnd)
	}
	for _, ch := range changes {
		r.changeItem(s, cu, ch, billed && prorate != "none", at)
	}
	rec := s.recurring()
	moved := len(changes) > 0 && (rec.Interval != old.Interval || rec.Count != old.Count)
	switch {
	case billed && (moved || reset):
		s.Anchor, s.PeriodStart = r.now, r.now
		s.PeriodEnd = s.periodAfter(r.now)
		r.scheduleRenewal(s)
		in := r.subInvoice(s, cu, "subscription_update", true)
		return func() { r.billUpdate(in, s) }
	case billed && prorate == "always_invoice" && len(r.pendingOf(s)) > 0:
		in := r.subInvoice(s, cu, "subscription_update", false)
		return func() { r.billUpdate(in, s) }
	}
	return nil
}

// billUpdate finalizes and collects the invoice of a change at once.
func (r *realm) billUpdate(in *invoice, s *subscription) {
	in.AutoAdvance = false // no draft hour: it is finalized right here
	r.openDraft(in, r.pendingOf(s))
	in.AutoAdvance = true
	_ = r.finalize(in, true) // what stands in the way is kept on the invoice
}

func (r *realm) changeItem(s *subscription, cu *customer, ch itemChange, prorate bool, at int64) {
	it := ch.item
	if it != nil && prorate && (ch.gone || ch.price != it.Price || ch.quantity != it.Quantity) {
		r.prorate(s, cu, it.Price, it.Quantity, at, -1)
	}
	switch {
	case ch.gone:
		s.Items.Data = slices.DeleteFunc(slices.Clone(s.Items.Data), func(o *subItem) bool { return o == it })
		r.subItems.remove(it)
		return
	case it == nil:
		it = &subItem{head: head{ID: r.id("si"), Object: "subscription_item"}, Created: r.now, Subscription: s.ID, TaxRates: []any{}}
		r.subItems.add(it, r.now, s.ID)
		s.Items.Data = append(slices.Clone(s.Items.Data), it)
	case ch.price == it.Price && ch.quantity == it.Quantity:
		it.Metadata = ch.md
		return
	}
	it.Price, it.Quantity, it.Metadata = ch.price, ch.quantity, ch.md
	same := ch.item == nil || ch.price.Recurring.Interval == s.recurring().Interval
	if prorate && same {
		r.prorate(s, cu, ch.price, ch.quantity, at, 1)
	}
}

// prorate makes the pending item for the rest of the period: a credit for the
// old price (sign -1) or a charge for the new one.
func (r *realm) prorate(s *subscription, cu *customer, pr *price, quantity, at, sign int64) {
	amount := sign * share(pr.amount(quantity), s.PeriodEnd-at, s.PeriodEnd-s.PeriodStart)
	if amount == 0 {
		return
	}
	text := map[int64]string{-1: "Unused time on ", 1: "Remaining time on "}[sign]
	if p, ok := r.products.get(pr.Product); ok {
		text += p.Name
	}
	text += " after " + unixUTC(at).Format("2 Jan 2006")
	it := &invoiceItem{
		head: head{Object: "invoiceitem"}, Amount: amount, Currency: s.Currency, Customer: cu.ID, Date: r.now, Description: &text,
		Discounts: []string{}, Livemode: r.live, Metadata: meta{}, Period: period{Start: at, End: s.PeriodEnd}, Price: pr, Proration: true,
		Quantity: quantity, Subscription: &s.ID, TaxRates: []any{}, UnitAmount: pr.UnitAmount, UnitDecimal: pr.UnitDecimal, unit: pr.unit,
	}
	r.addItem(it, nil)
}

func cancelSub(c *call) action {
	comment, feedback := c.args.cancellationDetails()
	for _, k := range []string{"invoice_now", "prorate"} {
		if c.args.flag(k) {
			c.args.fail(invalid("", k, "This server does not model %s on cancellation; bill the rest with an invoice item instead.", k))
		}
	}
	return func() (any, error) {
		s, err := c.r.sub(c.id())
		if err != nil {
			return nil, err
		}
		if s.ended() {
			return nil, missing("subscription", c.id())
		}
		c.r.cancel(s, ending{reason: "cancellation_requested", comment: comment, feedback: feedback})
		return s, nil
	}
}

func resumeSub(c *call) action {
	c.args.enum("billing_cycle_anchor", "now", "unchanged")
	c.args.enum("proration_behavior", "create_prorations", "none", "always_invoice")
	return func() (any, error) {
		r := c.r
		s, err := r.sub(c.id())
		if err != nil {
			return nil, err
		}
		if s.Status != "paused" {
			return nil, invalid("", "", "Only paused subscriptions can be resumed; this one is %s.", s.Status)
		}
		cu, err := r.customer(s.Customer)
		if err != nil {
			return nil, err
		}
		s.Anchor = r.now
		r.nextPeriod(s, cu, "active")
		r.emit("customer.subscription.resumed", s)
		return s, nil
	}
}

func deleteSubDiscount(c *call) action {
	return func() (any, error) {
		s, err := c.r.sub(c.id())
		if err != nil {
			return nil, err
		}
		if s.Discount == nil {
			return nil, invalid("", "", "No active discount for subscription: %s", s.ID)
		}
		d := s.Discount
		c.r.update("customer.subscription.updated", s, func() { s.Discount = nil })
		c.r.emit("customer.discount.deleted", d)
		return d.tombstone(), nil
	}
}
