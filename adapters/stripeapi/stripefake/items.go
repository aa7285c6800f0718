package stripefake

import "math/big"

type invoiceItem struct {
	head
	Amount       int64    `json:"amount"`
	Currency     string   `json:"currency"`
	Customer     string   `json:"customer"`
	Date         int64    `json:"date"`
	Description  *string  `json:"description"`
	Discountable bool     `json:"discountable"`
	Discounts    []string `json:"discounts"`
	Invoice      *string  `json:"invoice"`
	Livemode     bool     `json:"livemode"`
	Metadata     meta     `json:"metadata"`
	Period       period   `json:"period"`
	Price        *price   `json:"price"`
	Proration    bool     `json:"proration"`
	Quantity     int64    `json:"quantity"`
	Subscription *string  `json:"subscription"`
	TaxRates     []any    `json:"tax_rates"`
	TestClock    any      `json:"test_clock"`
	UnitAmount   *int64   `json:"unit_amount"`
	UnitDecimal  string   `json:"unit_amount_decimal"`

	unit *big.Rat
}

// itemParams are the parameters that creation and update share.
type itemParams struct {
	amount, quantity *int64
	unit             *big.Rat
	description      *string
	discountable     *bool
	period           *period
	price            string
	priceData        *priceSpec
	md               metaPatch
}

func (a args) item() itemParams {
	p := itemParams{
		amount: a.integer("amount"), quantity: a.integer("quantity"), unit: a.decimal("unit_amount_decimal"),
		description: a.str("description", 5000), discountable: a.boolean("discountable"), price: a.text("price"), md: a.metadata(),
	}
	if u := a.integer("unit_amount"); u != nil {
		p.unit = new(big.Rat).SetInt64(*u)
	}
	if o, ok, empty := a.object("price_data"); ok && !empty {
		spec := o.priceSpec()
		p.priceData = &spec
	}
	if o, ok, empty := a.object("period"); ok && !empty {
		start, end := o.integer("start"), o.integer("end")
		switch {
		case start == nil || end == nil:
			a.fail(invalid("parameter_missing", "period", "Missing required param: period must have both start and end."))
		case *end < *start:
			a.fail(invalid("", "period[end]", "The period's end must not be before its start."))
		default:
			p.period = &period{Start: *start, End: *end}
		}
	}
	if p.quantity != nil && *p.quantity < 0 {
		a.fail(invalid("parameter_invalid_integer", "quantity", "Invalid non-negative integer"))
	}
	if p.amount != nil && (p.unit != nil || p.quantity != nil) {
		a.fail(invalid("", "amount", "You may only specify one of these parameters: amount, unit_amount/quantity."))
	}
	a.enum("tax_behavior", "exclusive", "inclusive", "unspecified")
	a.str("tax_code", 5000)
	if n := a.take("tax_rates"); n != nil {
		a.fail(invalid("", "tax_rates", "Invalid array: tax rates are not modelled by this server; leave tax_rates out"))
	}
	return p
}

func createItem(c *call) action {
	a := c.args
	cus, currency, inv, sub := a.require("customer"), a.currency(), a.text("invoice"), a.text("subscription")
	p := a.item()
	if p.amount == nil && p.unit == nil && p.price == "" && p.priceData == nil {
		a.fail(invalid("parameter_missing", "amount", "One of the following params is required: amount, unit_amount, price, price_data."))
	}
	if currency == "" && p.price == "" && p.priceData == nil {
		a.fail(invalid("parameter_missing", "currency", "Missing required param: currency."))
	}
	return func() (any, error) {
		r := c.r
		cu, err := r.customer(cus)
		if err != nil {
			return nil, err
		}
		m, aerr := p.md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		it := &invoiceItem{
			head: head{Object: "invoiceitem"}, Currency: currency, Customer: cu.ID, Date: r.now, Discountable: true, Discounts: []string{},
			Livemode: r.live, Metadata: m, Period: period{r.now, r.now}, Quantity: 1, TaxRates: []any{},
		}
		if sub != "" {
			it.Subscription = &sub
		}
		if err := r.priceItem(it, p); err != nil {
			return nil, err
		}
		in, err := r.invoiceForItem(inv, it, 1)
		if err != nil {
			return nil, err
		}
		it.Discountable = it.Amount >= 0
		it.apply(p)
		r.addItem(it, in)
		return it, nil
	}
}

// priceItem settles what the item costs.
func (r *realm) priceItem(it *invoiceItem, p itemParams) error {
	if p.quantity != nil {
		it.Quantity = *p.quantity
	}
	switch {
	case p.price != "":
		pr, ok := r.prices.get(p.price)
		if !ok {
			return missingParam("price", p.price, "price")
		}
		if pr.Type != "one_time" {
			return invalid("", "price", "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.")
		}
		if it.Currency != "" && it.Currency != pr.Currency {
			return invalid("", "currency", "The currency of the price is %s, not %s.", pr.Currency, it.Currency)
		}
		it.Price, it.unit, it.Currency = pr, pr.unit, pr.Currency
	case p.priceData != nil:
		pr, err := r.newPrice(*p.priceData, meta{})
		if err != nil {
			return err
		}
		it.Price, it.unit, it.Currency = pr, pr.unit, pr.Currency
	case p.amount != nil:
		it.unit, it.Quantity = new(big.Rat).SetInt64(*p.amount), 1
	case p.unit != nil:
		it.unit = p.unit
	}
	it.Amount = round(new(big.Rat).Mul(it.unit, big.NewRat(it.Quantity, 1)))
	it.UnitDecimal, it.UnitAmount = decimalText(it.unit), nil
	if it.unit.IsInt() {
		it.UnitAmount = ref(it.unit.Num().Int64())
	}
	if e := checkAmount(it.Amount, it.Currency, "amount"); e != nil {
		return e
	}
	return nil
}

func (it *invoiceItem) apply(p itemParams) {
	setText(&it.Description, p.description)
	if p.discountable != nil {
		it.Discountable = *p.discountable
	}
	if p.period != nil {
		it.Period = *p.period
	}
}

// invoiceForItem checks that an item may stand on an invoice.
func (r *realm) invoiceForItem(id string, it *invoiceItem, more int) (*invoice, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // no invoice named: the item stays pending
	}
	in, ok := r.invoices.get(id)
	switch {
	case !ok:
		return nil, missingParam("invoice", id, "invoice")
	case in.Status != "draft":
		return nil, invalid("invoice_not_editable", "invoice", "Invoice %s is %s: items can only be added to a draft invoice.", id, in.Status)
	case in.Customer != it.Customer:
		return nil, invalid("", "invoice", "The invoice %s does not belong to customer %s.", id, it.Customer)
	case in.Currency != it.Currency:
		return nil, invalid("", "currency", "The currency of the invoice item (%s) must match the currency of the invoice (%s).", it.Currency, in.Currency)
	case len(in.lines)+more > maxLines:
		return nil, invalid("invoice_too_many_line_items", "invoice", "An invoice can have at most %d line items.", maxLines)
	}
	return in, nil
}

// addItem stores an item and, if it has an invoice, its line.
func (r *realm) addItem(it *invoiceItem, in *invoice) {
	it.ID = r.id("ii")
	if it.Price == nil {
		it.Price = r.itemPrice(it)
	}
	r.items.add(it, r.now, it.Customer)
	r.emitItem(it, in)
}

func (r *realm) emitItem(it *invoiceItem, in *invoice) {
	if in == nil {
		r.items.link(it, "pending:"+it.Customer)
		r.emit("invoiceitem.created", it)
		return
	}
	r.moveItem(it, &in.ID)
	r.emit("invoiceitem.created", it)
	r.refill(in, func() { r.addLine(in, it) })
}

// itemPrice is the inline price that Stripe shows for an amount.
func (r *realm) itemPrice(it *invoiceItem) *price {
	p := &price{
		head: head{ID: r.id("price"), Object: "price"}, BillingScheme: "per_unit", Created: r.now, Currency: it.Currency, Livemode: r.live,
		Metadata: meta{}, Product: r.id("prod"), TaxBehavior: "unspecified", Type: "one_time", UnitAmount: it.UnitAmount, UnitDecimal: it.UnitDecimal, unit: it.unit,
	}
	return p
}

// moveItem attaches an item to an invoice, or makes it pending.
func (r *realm) moveItem(it *invoiceItem, to *string) {
	if it.Invoice != nil {
		r.items.unlink(it, *it.Invoice)
	} else {
		r.items.unlink(it, "pending:"+it.Customer)
	}
	it.Invoice = nil
	if to != nil {
		it.Invoice = ref(*to)
		r.items.link(it, *to)
		return
	}
	r.items.link(it, "pending:"+it.Customer)
}

func (r *realm) item(id string) (*invoiceItem, error) {
	it, ok := r.items.get(id)
	if !ok {
		return nil, missing("invoiceitem", id)
	}
	return it, nil
}

func getItem(c *call) action { return func() (any, error) { return c.r.item(c.id()) } }

func listItems(c *call) action {
	a, p := c.args, c.args.paging()
	p.created = a.created("created")
	cus, inv, pending := a.text("customer"), a.text("invoice"), a.boolean("pending")
	return func() (any, error) {
		from := c.r.items.all
		switch {
		case inv != "":
			from = c.r.items.of(inv)
		case cus != "" && pending != nil && *pending:
			from = c.r.items.of("pending:" + cus)
		case cus != "":
			from = c.r.items.of(cus)
		}
		return page(c.r.items, from, p, "/v1/invoiceitems", "invoiceitem", func(it *invoiceItem) bool {
			return (cus == "" || it.Customer == cus) && (pending == nil || *pending == (it.Invoice == nil))
		})
	}
}

// draftOf returns the item's draft invoice, or an error if it was billed.
func (r *realm) draftOf(it *invoiceItem) (*invoice, error) {
	if it.Invoice == nil {
		return nil, nil //nolint:nilnil // pending items belong to no invoice
	}
	in, ok := r.invoices.get(*it.Invoice)
	if !ok || in.Status != "draft" {
		return nil, invalid("invoice_not_editable", "", "This invoice item is already attached to the finalized invoice %s and can't be changed.", *it.Invoice)
	}
	return in, nil
}

func updateItem(c *call) action {
	p := c.args.item()
	return func() (any, error) {
		r := c.r
		it, err := r.item(c.id())
		if err != nil {
			return nil, err
		}
		in, err := r.draftOf(it)
		if err != nil {
			return nil, err
		}
		m, aerr := p.md.apply(it.Metadata)
		if aerr != nil {
			return nil, aerr
		}
		next := *it
		if p.price != "" || p.priceData != nil {
			next.Currency = ""
		}
		if err := r.priceItem(&next, p); err != nil {
			return nil, err
		}
		if next.Currency != it.Currency {
			return nil, invalid("", "price", "The currency of an invoice item can't be changed.")
		}
		next.Metadata = m
		next.apply(p)
		if next.Price == it.Price && next.Amount != it.Amount {
			next.Price = r.itemPrice(&next)
		}
		*it = next
		if in != nil {
			r.refill(in, func() { in.lineOf(it.ID).copyItem(it) })
		}
		return it, nil
	}
}

func deleteItem(c *call) action {
	return func() (any, error) {
		r := c.r
		it, err := r.item(c.id())
		if err != nil {
			return nil, err
		}
		in, err := r.draftOf(it)
		if err != nil {
			return nil, err
		}
		r.items.remove(it)
		r.emit("invoiceitem.deleted", it)
		if in != nil {
			r.refill(in, func() { in.dropLine(it.ID) })
		}
		return deleted{it.ID, it.Object, true}, nil
	}
}
