package stripefake

type subItemParams struct {
	id, price string
	data      *priceSpec
	quantity  *int64
	deleted   bool
	md        metaPatch
}

// subParams are the parameters that creation and update share.
type subParams struct {
	items                        []subItemParams
	trialEnd                     string
	trialDays                    *int64
	method, description, coupon  *string
	collection, behavior, prorat string
	days                         *int64
	cancelAtEnd                  *bool
	cancelAt                     *int64
	cancelAtGiven                bool
	missingMethod                string
	comment, feedback            *string
	md                           metaPatch
}

func (a args) sub() subParams {
	p := subParams{
		trialEnd: a.text("trial_end"), method: a.str("default_payment_method", 5000), description: a.str("description", 500), coupon: a.str("coupon", 5000),
		collection: a.enum("collection_method", "charge_automatically", "send_invoice"),
		behavior:   a.enum("payment_behavior", "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"),
		prorat:     a.enum("proration_behavior", "create_prorations", "none", "always_invoice"),
		days:       a.integer("days_until_due"), cancelAtEnd: a.boolean("cancel_at_period_end"), cancelAtGiven: a.has("cancel_at"),
		cancelAt: a.integer("cancel_at"), md: a.metadata(),
	}
	for _, it := range a.list("items") {
		ip := subItemParams{id: it.text("id"), price: it.text("price"), quantity: it.integer("quantity"), deleted: it.flag("deleted"), md: it.metadata()}
		if o, ok, _ := it.object("price_data"); ok {
			spec := o.priceSpec()
			ip.data = &spec
		}
		if ip.quantity != nil && *ip.quantity < 0 {
			a.fail(invalid("parameter_invalid_integer", it.name("quantity"), "Invalid non-negative integer"))
		}
		p.items = append(p.items, ip)
	}
	if o, ok, _ := a.object("trial_settings"); ok {
		if e, found, _ := o.object("end_behavior"); found {
			p.missingMethod = e.enum("missing_payment_method", "cancel", "create_invoice", "pause")
		}
	}
	p.comment, p.feedback = a.cancellationDetails()
	a.ignore("off_session", "payment_settings", "trial_from_plan")
	return p
}

func (a args) cancellationDetails() (comment, feedback *string) {
	o, ok, empty := a.object("cancellation_details")
	if !ok || empty {
		return nil, nil
	}
	comment = o.str("comment", 5000)
	if f := o.enum("feedback", "customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex", "too_expensive", "unused"); f != "" {
		feedback = &f
	}
	return comment, feedback
}

func createSub(c *call) action {
	a := c.args
	cus, currency := a.require("customer"), a.currency()
	p := a.sub()
	p.trialDays = a.integer("trial_period_days")
	if len(p.items) == 0 {
		a.fail(invalid("parameter_missing", "items", "Missing required param: items."))
	}
	if p.trialEnd != "" && p.trialDays != nil {
		a.fail(invalid("", "trial_end", "You may only specify one of these parameters: trial_end, trial_period_days."))
	}
	return func() (any, error) {
		r := c.r
		cu, err := r.customer(cus)
		if err != nil {
			return nil, err
		}
		s := r.newSub(cu)
		if err := r.fillItems(s, p, currency); err != nil {
			return nil, err
		}
		if err := r.applySub(s, cu, p); err != nil {
			return nil, err
		}
		if err := r.setTrial(s, p); err != nil {
			return nil, err
		}
		if err := r.startSub(s, cu, p.behavior); err != nil {
			return nil, err
		}
		return s, nil
	}
}

func (r *realm) newSub(cu *customer) *subscription {
	s := &subscription{
		head: head{ID: r.id("sub"), Object: "subscription"}, Anchor: r.now, Collection: "charge_automatically", Created: r.now, Customer: cu.ID,
		DefaultTaxRates: []any{}, Livemode: r.live, Metadata: meta{}, StartDate: r.now, Status: "active", PaymentSettings: subPayment{Save: "off"},
		TrialSettings: trialSettings{endBehavior{"create_invoice"}},
	}
	s.Items = subItemList{Object: "list", Data: []*subItem{}, URL: "/v1/subscription_items?subscription=" + s.ID}
	return s
}

// fillItems builds the items of a new subscription.
func (r *realm) fillItems(s *subscription, p subParams, currency string) error {
	for _, ip := range p.items {
		pr, err := r.subPrice(ip)
		if err != nil {
			return err
		}
		if currency != "" && pr.Currency != currency {
			return invalid("", "currency", "The price %s is in %s, not %s.", pr.ID, pr.Currency, currency)
		}
		if len(s.Items.Data) > 0 && !compatible(s.Items.Data[0].Price, pr) {
			return invalid("", "items", "All prices on a subscription must have the same currency, `recurring.interval` and `recurring.interval_count`.")
		}
		it, aerr := r.newSubItem(s, pr, ip)
		if aerr != nil {
			return aerr
		}
		s.Items.Data = append(s.Items.Data, it)
	}
	s.Currency = s.Items.Data[0].Price.Currency
	for _, other := range r.subs.of(s.Customer) {
		if !other.ended() && other.Currency != s.Currency {
			return invalid("", "currency", "You cannot combine currencies on a single customer. This customer has an active subscription with currency %s.", other.Currency)
		}
	}
	return nil
}

func compatible(a, b *price) bool {
	return a.Currency == b.Currency && a.Recurring.Interval == b.Recurring.Interval && a.Recurring.Count == b.Recurring.Count
}

func (r *realm) newSubItem(s *subscription, pr *price, ip subItemParams) (*subItem, *apiError) {
	m, err := ip.md.fresh()
	if err != nil {
		return nil, err
	}
	it := &subItem{head: head{ID: r.id("si"), Object: "subscription_item"}, Created: r.now, Metadata: m, Price: pr, Quantity: 1, Subscription: s.ID, TaxRates: []any{}}
	if ip.quantity != nil {
		it.Quantity = *ip.quantity
	}
	r.subItems.add(it, r.now, s.ID)
	return it, nil
}

func (r *realm) subPrice(ip subItemParams) (*price, error) {
	if ip.data != nil {
		if ip.data.recurring == nil {
			return nil, invalid("parameter_missing", "items", "Missing required param: items[price_data][recurring].")
		}
		return r.newPrice(*ip.data, meta{})
	}
	pr, ok := r.prices.get(ip.price)
	switch {
	case !ok:
		return nil, missingParam("price", ip.price, "items[price]")
	case pr.Recurring == nil:
		return nil, invalid("", "items", "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.")
	case !pr.Active:
		return nil, invalid("", "items", "The price specified is inactive. This field only accepts active prices.")
	}
	return pr, nil
}

// applySub sets the plain attributes; everything is checked first.
func (r *realm) applySub(s *subscription, cu *customer, p subParams) error {
	var cp *coupon
	if p.coupon != nil && *p.coupon != "" {
		var err error
		if cp, err = r.couponFor(*p.coupon, "coupon"); err != nil {
			return err
		}
	}
	if p.method != nil && *p.method != "" && !r.knowsMethod(*p.method) {
		return missingParam("PaymentMethod", *p.method, "default_payment_method")
	}
	if p.cancelAt != nil && *p.cancelAt <= r.now {
		return invalid("", "cancel_at", "Invalid cancel_at: must be in the future")
	}
	if p.collection == "send_invoice" && p.days == nil && s.DaysUntilDue == nil {
		return invalid("parameter_missing", "days_until_due", "You must specify `days_until_due` when `collection_method` is `send_invoice`.")
	}
	m, aerr := p.md.apply(s.Metadata)
	if aerr != nil {
		return aerr
	}
	s.Metadata = m
	setText(&s.Description, p.description)
	if p.method != nil {
		s.DefaultMethod = nil
		if *p.method != "" {
			s.DefaultMethod = ref(r.attach(cu.ID, *p.method).ID)
		}
	}
	if p.collection != "" {
		s.Collection = p.collection
	}
	if p.days != nil {
		s.DaysUntilDue = p.days
	}
	if p.missingMethod != "" {
		s.TrialSettings.EndBehavior.MissingMethod = p.missingMethod
	}
	switch {
	case cp != nil:
		s.Discount = r.newDiscount(cp, cu.ID, &s.ID)
	case p.coupon != nil:
		s.Discount = nil
	}
	return nil
}

func (r *realm) setTrial(s *subscription, p subParams) error {
	end := int64(0)
	switch {
	case p.trialDays != nil && *p.trialDays > 730:
		return invalid("", "trial_period_days", "Invalid trial_period_days: must be at most 730")
	case p.trialDays != nil && *p.trialDays > 0:
		end = r.now + *p.trialDays*day
	case p.trialEnd != "" && p.trialEnd != "now":
		at, aerr := unixTime("trial_end", p.trialEnd)
		if aerr != nil {
			return aerr
		}
		if at <= r.now {
			return invalid("", "trial_end", "Invalid timestamp: must be an integer Unix timestamp in the future.")
		}
		end = at
	}
	if end == 0 {
		return nil
	}
	s.Status, s.TrialEnd, s.TrialStart, s.Anchor = "trialing", ref(end), ref(r.now), end
	return nil
}

// startSub stores the subscription, sends its first invoice and schedules its life.
func (r *realm) startSub(s *subscription, cu *customer, behavior string) error {
	s.PeriodStart = r.now
	if s.Status == "trialing" {
		s.PeriodEnd = *s.TrialEnd
	} else {
		s.PeriodEnd = s.periodAfter(r.now)
	}
	charged := s.Status != "trialing" && s.Collection == "charge_automatically" && r.periodAmount(s) > 0
	pm := r.methodFor(cu, s.DefaultMethod)
	if charged && pm == nil && behavior != "default_incomplete" {
		return invalid("resource_missing", "", "This customer has no attached payment source or default payment method. Please consider adding a default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.")
	}
	if charged && behavior == "error_if_incomplete" && pm.behavior == declines {
		return cardDeclined("")
	}
	refs := []string{s.Customer}
	if charged {
		s.Status = "incomplete"
	}
	r.subs.add(s, r.now, refs...)
	r.firstInvoice(s, cu, charged && behavior != "default_incomplete")
	if s.Status == "incomplete" {
		r.at(r.now+23*hour, func() { r.expireIncomplete(s) })
	}
	s.announced = true
	r.emit("customer.subscription.created", s)
	if s.CancelAt != nil {
		r.scheduleCancelAt(s)
	}
	if s.Status == "trialing" {
		r.scheduleTrial(s)
	} else {
		r.scheduleRenewal(s)
	}
	return nil
}
