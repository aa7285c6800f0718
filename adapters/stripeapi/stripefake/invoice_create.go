package stripefake

import "slices"

// invoiceParams are the parameters that creation and update share.
type invoiceParams struct {
	autoAdvance         *bool
	collection          string
	days, dueDate       *int64
	description, footer *string
	number, descriptor  *string
	method              *string
	fields              []customField
	fieldsGiven         bool
	coupons, reused     []string
	discountsGiven      bool
	tax                 *bool
	md                  metaPatch
}

func (a args) invoice() invoiceParams {
	p := invoiceParams{
		autoAdvance: a.boolean("auto_advance"), collection: a.enum("collection_method", "charge_automatically", "send_invoice"),
		days: a.integer("days_until_due"), dueDate: a.integer("due_date"), description: a.str("description", 1500),
		footer: a.str("footer", 5000), number: a.str("number", 26), descriptor: a.str("statement_descriptor", 22),
		method: a.str("default_payment_method", 5000), md: a.metadata(),
	}
	if a.has("custom_fields") {
		p.fieldsGiven = true
		for _, f := range a.list("custom_fields") {
			field := customField{Name: f.require("name"), Value: f.require("value")}
			f.str("name", 40)
			f.str("value", 140)
			p.fields = append(p.fields, field)
		}
		if len(p.fields) > 4 {
			a.fail(invalid("", "custom_fields", "You can specify up to 4 custom fields."))
		}
	}
	if a.has("discounts") {
		p.discountsGiven = true
		for _, d := range a.list("discounts") {
			coupon, reuse := d.text("coupon"), d.text("discount")
			if (coupon == "") == (reuse == "") {
				a.fail(invalid("", "discounts", "You must pass exactly one of coupon and discount in discounts."))
			}
			p.coupons, p.reused = append(p.coupons, coupon), append(p.reused, reuse)
		}
	}
	if o, ok, _ := a.object("automatic_tax"); ok {
		p.tax = o.boolean("enabled")
	}
	if p.days != nil && p.dueDate != nil {
		a.fail(invalid("", "due_date", "You may only specify one of these parameters: days_until_due, due_date."))
	}
	if p.descriptor != nil && *p.descriptor != "" && !hasLetter(*p.descriptor) {
		a.fail(invalid("", "statement_descriptor", "The statement descriptor must contain at least one alphabetic character."))
	}
	a.ignore("rendering", "payment_settings")
	return p
}

func hasLetter(s string) bool {
	return slices.ContainsFunc([]rune(s), func(c rune) bool { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') })
}

// apply puts the shared parameters on a draft; everything is checked first.
func (r *realm) applyInvoice(in *invoice, cu *customer, p invoiceParams) error {
	collection := in.Collection
	if p.collection != "" {
		collection = p.collection
	}
	days, due := in.daysDue, in.DueDate
	if p.days != nil {
		days, due = p.days, nil
	}
	if p.dueDate != nil {
		days, due = nil, p.dueDate
	}
	sends := collection == "send_invoice"
	switch {
	case !sends && (p.days != nil || p.dueDate != nil):
		return invalid("", "days_until_due", "You can only pass days_until_due or due_date if the invoice's collection_method is 'send_invoice'.")
	case sends && days == nil && due == nil:
		return invalid("parameter_missing", "days_until_due", "If an invoice's collection_method is 'send_invoice', you must specify `due_date` or `days_until_due`.")
	case sends && days != nil && *days < 0:
		return invalid("", "days_until_due", "Invalid days_until_due: must be at least 0")
	case sends && p.dueDate != nil && *p.dueDate < r.now:
		return invalid("", "due_date", "Invalid due_date: must be in the future")
	}
	if p.method != nil && *p.method != "" && !r.knowsMethod(*p.method) {
		return missingParam("PaymentMethod", *p.method, "default_payment_method")
	}
	if p.number != nil && *p.number != "" && len(r.invoices.of("number:"+*p.number)) > 0 {
		return invalid("", "number", "The invoice number '%s' is already in use.", *p.number)
	}
	ds, err := r.invoiceDiscounts(cu, p)
	if err != nil {
		return err
	}
	m, aerr := p.md.apply(in.Metadata)
	if aerr != nil {
		return aerr
	}
	in.Collection, in.daysDue, in.DueDate, in.Metadata = collection, days, due, m
	if sends && days != nil {
		in.DueDate = ref(r.now + *days*day)
	}
	if !sends {
		in.daysDue, in.DueDate = nil, nil
	}
	if p.discountsGiven {
		in.setDiscounts(ds)
	}
	r.applyInvoiceTexts(in, cu, p)
	return nil
}

func (r *realm) applyInvoiceTexts(in *invoice, cu *customer, p invoiceParams) {
	setText(&in.Description, p.description)
	setText(&in.Footer, p.footer)
	setText(&in.Descriptor, p.descriptor)
	if p.number != nil {
		in.Number, in.numbered = orNil(p.number), *p.number != ""
		if in.numbered {
			r.invoices.link(in, "number:"+*p.number)
		}
	}
	if p.method != nil {
		in.DefaultMethod = nil
		if *p.method != "" {
			in.DefaultMethod = ref(r.attach(cu.ID, *p.method).ID)
		}
	}
	if p.autoAdvance != nil {
		in.AutoAdvance = *p.autoAdvance
	}
	if p.fieldsGiven {
		in.CustomFields = p.fields
	}
	if p.tax != nil {
		in.AutomaticTax.Enabled = *p.tax
	}
}

func (r *realm) invoiceDiscounts(cu *customer, p invoiceParams) ([]*discount, error) {
	var out []*discount
	for i, id := range p.coupons {
		if id != "" {
			cp, err := r.couponFor(id, "discounts")
			if err != nil {
				return nil, err
			}
			out = append(out, r.newDiscount(cp, cu.ID, nil))
			continue
		}
		if cu.Discount == nil || cu.Discount.ID != p.reused[i] {
			return nil, missingParam("discount", p.reused[i], "discounts")
		}
		out = append(out, cu.Discount)
	}
	return out, nil
}

func createInvoice(c *call) action {
	a := c.args
	cus, currency := a.text("customer"), a.currency()
	sub := a.text("subscription")
	behavior := a.enum("pending_invoice_items_behavior", "exclude", "include", "include_and_require")
	p := a.invoice()
	if cus == "" && sub == "" {
		a.fail(invalid("parameter_missing", "customer", "Missing required param: customer."))
	}
	if sub != "" && behavior != "" {
		a.fail(invalid("", "subscription", "You may only specify one of these parameters: subscription, pending_invoice_items_behavior."))
	}
	return func() (any, error) {
		r := c.r
		if sub != "" {
			s, ok := r.subs.get(sub)
			if !ok {
				return nil, missingParam("subscription", sub, "subscription")
			}
			cus, currency = s.Customer, s.Currency
		}
		cu, err := r.customer(cus)
		if err != nil {
			return nil, err
		}
		pending, currency, err := r.pendingFor(cu, currency, sub, behavior == "include" || sub != "")
		if err != nil {
			return nil, err
		}
		in := r.newInvoice(cu, currency, "manual")
		in.manual = true
		if sub != "" {
			in.Subscription = &sub
			in.SubDetails.Metadata = lookupSub(r, sub).Metadata
		}
		if !p.discountsGiven && cu.Discount.active(r.now) {
			in.setDiscounts([]*discount{cu.Discount})
		}
		if err := r.applyInvoice(in, cu, p); err != nil {
			return nil, err
		}
		r.openDraft(in, pending)
		return in, nil
	}
}

func lookupSub(r *realm, id string) *subscription {
	s, _ := r.subs.get(id)
	return s
}

// pendingFor collects the pending items that a new invoice would take, newest
// first, and settles its currency.
func (r *realm) pendingFor(cu *customer, currency, sub string, include bool) ([]*invoiceItem, string, error) {
	var out []*invoiceItem
	for _, it := range slices.Backward(r.items.of(cu.ID)) {
		if it.Invoice != nil || it.gone || (sub != "" && (it.Subscription == nil || *it.Subscription != sub)) {
			continue
		}
		if currency == "" && include {
			currency = it.Currency
		}
		if it.Currency == currency {
			out = append(out, it)
		}
	}
	if currency == "" && cu.Currency != nil {
		currency = *cu.Currency
	}
	if currency == "" {
		currency = r.acct.spec.Currency
	}
	if !include {
		return nil, currency, nil
	}
	if len(out) == 0 {
		return nil, "", invalid("invoice_no_customer_line_items", "", "Nothing to invoice for customer")
	}
	if len(out) > maxLines {
		out = out[:maxLines]
	}
	return out, currency, nil
}

// openDraft stores a draft with its lines and schedules its advancement.
func (r *realm) openDraft(in *invoice, pending []*invoiceItem) {
	for _, it := range pending {
		r.moveItem(it, &in.ID)
		r.addLine(in, it)
	}
	r.total(in)
	refs := []string{in.Customer, "status:draft"}
	if in.Subscription != nil {
		refs = append(refs, *in.Subscription)
	}
	r.invoices.add(in, r.now, refs...)
	if cu, ok := r.customers.get(in.Customer); ok && cu.Currency == nil {
		r.update("customer.updated", cu, func() { cu.Currency = &in.Currency })
	}
	r.emit("invoice.created", in)
	r.scheduleAdvance(in)
}

// scheduleAdvance finalizes an automatically advancing draft an hour later.
func (r *realm) scheduleAdvance(in *invoice) {
	if !in.AutoAdvance {
		return
	}
	due := r.now + hour
	if in.Status == "draft" {
		in.NextAttempt = &due
	}
	r.at(due, func() {
		if in.Status == "draft" && in.AutoAdvance && !in.gone {
			_ = r.finalize(in, true) // what stands in the way is kept in last_finalization_error
		}
	})
}
