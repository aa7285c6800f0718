package stripefake

import (
	"slices"
	"strconv"
	"strings"
)

type customer struct {
	head
	Address             *address        `json:"address"`
	Balance             int64           `json:"balance"`
	Created             int64           `json:"created"`
	Currency            *string         `json:"currency"`
	DefaultSource       *string         `json:"default_source"`
	Delinquent          bool            `json:"delinquent"`
	Description         *string         `json:"description"`
	Discount            *discount       `json:"discount"`
	Email               *string         `json:"email"`
	InvoicePrefix       string          `json:"invoice_prefix"`
	InvoiceSettings     invoiceSettings `json:"invoice_settings"`
	Livemode            bool            `json:"livemode"`
	Metadata            meta            `json:"metadata"`
	Name                *string         `json:"name"`
	NextInvoiceSequence int64           `json:"next_invoice_sequence"`
	Phone               *string         `json:"phone"`
	PreferredLocales    []string        `json:"preferred_locales"`
	Shipping            any             `json:"shipping"`
	TaxExempt           string          `json:"tax_exempt"`
	TestClock           any             `json:"test_clock"`
}

type invoiceSettings struct {
	CustomFields  any     `json:"custom_fields"`
	DefaultMethod *string `json:"default_payment_method"`
	Footer        *string `json:"footer"`
	Rendering     any     `json:"rendering_options"`
}

type address struct {
	City       *string `json:"city"`
	Country    *string `json:"country"`
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	PostalCode *string `json:"postal_code"`
	State      *string `json:"state"`
}

// customerParams are the parameters that creation and update share.
type customerParams struct {
	email, name, phone, description, method, source, coupon, defaultMethod, defaultSource, footer *string
	taxExempt                                                                                     string
	prefix                                                                                        *string
	sequence                                                                                      *int64
	balance                                                                                       *int64
	address                                                                                       *address
	clearAddress, settings                                                                        bool
	locales                                                                                       []string
	md                                                                                            metaPatch
}

func (a args) customer() customerParams {
	p := customerParams{
		email: a.str("email", 512), name: a.str("name", 256), phone: a.str("phone", 20), description: a.str("description", 5000),
		source: a.str("source", 5000), coupon: a.str("coupon", 5000), taxExempt: a.enum("tax_exempt", "none", "exempt", "reverse"),
		balance: a.integer("balance"), md: a.metadata(), prefix: a.str("invoice_prefix", 12), sequence: a.integer("next_invoice_sequence"),
		locales: a.strings("preferred_locales"),
	}
	if o, ok, empty := a.object("invoice_settings"); ok && !empty {
		p.settings = true
		p.defaultMethod, p.footer = o.str("default_payment_method", 5000), o.str("footer", 5000)
		o.ignore("custom_fields", "rendering_options")
	}
	p.address, p.clearAddress = a.address()
	a.ignore("shipping", "tax")
	return p
}

func (a args) address() (*address, bool) {
	o, ok, empty := a.object("address")
	if !ok || empty {
		return nil, empty
	}
	return &address{
		City: o.str("city", 5000), Country: o.str("country", 5000), Line1: o.str("line1", 5000), Line2: o.str("line2", 5000),
		PostalCode: o.str("postal_code", 5000), State: o.str("state", 5000),
	}, false
}

// orNil turns Stripe's "empty string unsets" into null.
func orNil(v *string) *string {
	if v == nil || *v == "" {
		return nil
	}
	return v
}

func setText(dst **string, v *string) {
	if v != nil {
		*dst = orNil(v)
	}
}

func ref[T any](v T) *T { return &v }

func createCustomer(c *call) action {
	p := c.args.customer()
	p.method = c.args.str("payment_method", 5000)
	return func() (any, error) {
		r := c.r
		m, aerr := p.md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		cu := &customer{
			head: head{ID: r.id("cus"), Object: "customer"}, Created: r.now, Livemode: r.live, Metadata: m,
			InvoicePrefix: strings.ToUpper(randomString(r.rng, 8)), NextInvoiceSequence: 1, TaxExempt: "none", PreferredLocales: []string{},
		}
		if err := r.applyCustomer(cu, p); err != nil {
			return nil, err
		}
		r.customers.add(cu, r.now)
		r.indexEmail(cu, nil)
		r.emit("customer.created", cu)
		if cu.Discount != nil {
			r.emit("customer.discount.created", cu.Discount)
		}
		return cu, nil
	}
}

// applyCustomer checks everything that can be wrong before it changes anything.
func (r *realm) applyCustomer(cu *customer, p customerParams) error {
	var cp *coupon
	if p.coupon != nil && *p.coupon != "" {
		var err error
		if cp, err = r.couponFor(*p.coupon, "coupon"); err != nil {
			return err
		}
	}
	for _, token := range []*string{p.method, p.source, p.defaultMethod} {
		if token != nil && *token != "" && !r.knowsMethod(*token) {
			return missingParam("PaymentMethod", *token, "payment_method")
		}
	}
	setText(&cu.Email, p.email)
	setText(&cu.Name, p.name)
	setText(&cu.Phone, p.phone)
	setText(&cu.Description, p.description)
	if p.taxExempt != "" {
		cu.TaxExempt = p.taxExempt
	}
	if p.balance != nil {
		cu.Balance = *p.balance
	}
	if p.prefix != nil && *p.prefix != "" {
		cu.InvoicePrefix = *p.prefix
	}
	if p.sequence != nil {
		cu.NextInvoiceSequence = *p.sequence
	}
	if p.address != nil || p.clearAddress {
		cu.Address = p.address
	}
	if len(p.locales) > 0 {
		cu.PreferredLocales = p.locales
	}
	r.applyCustomerMethods(cu, p)
	switch {
	case cp != nil:
		cu.Discount = r.newDiscount(cp, cu.ID, nil)
	case p.coupon != nil:
		cu.Discount = nil
	}
	return nil
}

func (r *realm) applyCustomerMethods(cu *customer, p customerParams) {
	attached := map[string]*paymentMethod{}
	attach := func(token string) *paymentMethod {
		if attached[token] == nil {
			attached[token] = r.attach(cu.ID, token)
		}
		return attached[token]
	}
	if p.method != nil && *p.method != "" {
		attach(*p.method)
	}
	if p.source != nil && *p.source != "" {
		cu.DefaultSource = ref(attach(*p.source).ID)
	}
	if p.settings {
		setText(&cu.InvoiceSettings.Footer, p.footer)
		if p.defaultMethod != nil {
			cu.InvoiceSettings.DefaultMethod = nil
			if *p.defaultMethod != "" {
				cu.InvoiceSettings.DefaultMethod = ref(attach(*p.defaultMethod).ID)
			}
		}
	}
}

func (r *realm) indexEmail(cu *customer, old *string) {
	if old != nil {
		r.customers.unlink(cu, "email:"+*old)
	}
	if cu.Email != nil {
		r.customers.link(cu, "email:"+*cu.Email)
	}
}

// customer finds the living customer that the parameter "customer" names.
func (r *realm) customer(id string) (*customer, error) {
	cu, ok := r.customers.get(id)
	if !ok || cu.gone {
		e := missingParam("customer", id, "customer")
		if other, found := r.acct.otherSide(r, id); found {
			return nil, e.wrongMode(other)
		}
		return nil, e
	}
	return cu, nil
}

func getCustomer(c *call) action {
	return func() (any, error) {
		cu, ok := c.r.customers.get(c.id())
		if !ok {
			e := missing("customer", c.id())
			if other, found := c.r.acct.otherSide(c.r, c.id()); found {
				return nil, e.wrongMode(other)
			}
			return nil, e
		}
		if cu.gone {
			return deleted{cu.ID, cu.Object, true}, nil
		}
		return cu, nil
	}
}

// otherSide says whether an object with the id exists in the other mode. It is
// asked while r is locked, so it only tries the other lock: the hint is worth
// less than a deadlock.
func (a *account) otherSide(r *realm, id string) (live, found bool) {
	other := a.realms[!r.live]
	if !other.mu.TryLock() {
		return false, false
	}
	defer other.mu.Unlock()
	return other.live, other.find(id) != nil
}

func listCustomers(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	email := c.args.text("email")
	c.args.ignore("test_clock")
	return func() (any, error) {
		from := c.r.customers.all
		if email != "" {
			from = c.r.customers.of("email:" + email)
		}
		return page(c.r.customers, from, p, "/v1/customers", "customer", nil)
	}
}

func updateCustomer(c *call) action {
	p := c.args.customer()
	p.defaultSource = c.args.str("default_source", 5000)
	return func() (any, error) {
		r := c.r
		cu, ok := r.customers.get(c.id())
		if !ok || cu.gone {
			return nil, missing("customer", c.id())
		}
		m, aerr := p.md.apply(cu.Metadata)
		if aerr != nil {
			return nil, aerr
		}
		if p.defaultSource != nil && *p.defaultSource != "" {
			if pm, found := r.methods.get(*p.defaultSource); !found || pm.Customer == nil || *pm.Customer != cu.ID {
				return nil, missingParam("source", *p.defaultSource, "default_source")
			}
		}
		before, oldEmail, oldDiscount := render(cu), cu.Email, cu.Discount
		if err := r.applyCustomer(cu, p); err != nil {
			return nil, err
		}
		cu.Metadata = m
		if p.defaultSource != nil {
			cu.DefaultSource = orNil(p.defaultSource)
		}
		r.indexEmail(cu, oldEmail)
		after := render(cu)
		if prev := diff(before, after); prev != nil {
			r.emitRaw("customer.updated", after, prev)
		}
		r.discountEvents(oldDiscount, cu.Discount)
		return cu, nil
	}
}

func (r *realm) discountEvents(before, after *discount) {
	switch {
	case before == after:
	case before == nil:
		r.emit("customer.discount.created", after)
	case after == nil:
		r.emit("customer.discount.deleted", before)
	default:
		r.emitRaw("customer.discount.updated", render(after), diff(render(before), render(after)))
	}
}

// deleteCustomer cancels the subscriptions at once, removes drafts' automatic
// advancement and leaves a tombstone.
func deleteCustomer(c *call) action {
	return func() (any, error) {
		r := c.r
		cu, ok := r.customers.get(c.id())
		if !ok || cu.gone {
			return nil, missing("customer", c.id())
		}
		for _, s := range slices.Clone(r.subs.of(cu.ID)) {
			if !s.ended() {
				r.cancel(s, ending{reason: "cancellation_requested"})
			}
		}
		cu.gone = true
		if cu.Email != nil {
			r.customers.unlink(cu, "email:"+*cu.Email)
		}
		for _, pm := range slices.Clone(r.methods.of(cu.ID)) {
			pm.Customer = nil
			r.methods.unlink(pm, cu.ID)
		}
		r.emit("customer.deleted", cu)
		return deleted{cu.ID, cu.Object, true}, nil
	}
}

func deleteCustomerDiscount(c *call) action {
	return func() (any, error) {
		r := c.r
		cu, ok := r.customers.get(c.id())
		if !ok || cu.gone {
			return nil, missing("customer", c.id())
		}
		if cu.Discount == nil {
			return nil, invalid("", "", "No active discount for customer: %s", cu.ID)
		}
		d := cu.Discount
		cu.Discount = nil
		r.emit("customer.discount.deleted", d)
		return d.tombstone(), nil
	}
}

// number is the next invoice number of the customer.
func (cu *customer) number() string {
	n := strconv.FormatInt(cu.NextInvoiceSequence, 10)
	cu.NextInvoiceSequence++
	return cu.InvoicePrefix + "-" + strings.Repeat("0", max(0, 4-len(n))) + n
}
