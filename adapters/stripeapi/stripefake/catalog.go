package stripefake

import (
	"math/big"
	"slices"
)

type product struct {
	head
	Active       bool     `json:"active"`
	Created      int64    `json:"created"`
	DefaultPrice *string  `json:"default_price"`
	Description  *string  `json:"description"`
	Features     []any    `json:"features"`
	Images       []string `json:"images"`
	Livemode     bool     `json:"livemode"`
	Metadata     meta     `json:"metadata"`
	Name         string   `json:"name"`
	Dimensions   any      `json:"package_dimensions"`
	Shippable    any      `json:"shippable"`
	Descriptor   any      `json:"statement_descriptor"`
	TaxCode      any      `json:"tax_code"`
	UnitLabel    *string  `json:"unit_label"`
	Updated      int64    `json:"updated"`
	URL          *string  `json:"url"`
}

type price struct {
	head
	Active        bool       `json:"active"`
	BillingScheme string     `json:"billing_scheme"`
	Created       int64      `json:"created"`
	Currency      string     `json:"currency"`
	CustomAmount  any        `json:"custom_unit_amount"`
	Livemode      bool       `json:"livemode"`
	LookupKey     *string    `json:"lookup_key"`
	Metadata      meta       `json:"metadata"`
	Nickname      *string    `json:"nickname"`
	Product       string     `json:"product"`
	Recurring     *recurring `json:"recurring"`
	TaxBehavior   string     `json:"tax_behavior"`
	TiersMode     any        `json:"tiers_mode"`
	Transform     any        `json:"transform_quantity"`
	Type          string     `json:"type"`
	UnitAmount    *int64     `json:"unit_amount"`
	UnitDecimal   string     `json:"unit_amount_decimal"`

	unit *big.Rat
}

type recurring struct {
	Aggregate *string `json:"aggregate_usage"`
	Interval  string  `json:"interval"`
	Count     int64   `json:"interval_count"`
	Usage     string  `json:"usage_type"`
}

// amount is the price of a quantity in minor units.
func (p *price) amount(quantity int64) int64 {
	return round(new(big.Rat).Mul(p.unit, big.NewRat(quantity, 1)))
}

func createProduct(c *call) action {
	a := c.args
	name, id, md := a.require("name"), a.text("id"), a.metadata()
	active := a.boolean("active")
	desc, label, link := a.str("description", 40000), a.str("unit_label", 12), a.str("url", 5000)
	a.ignore("images", "features", "shippable", "package_dimensions", "statement_descriptor", "tax_code")
	return func() (any, error) {
		r := c.r
		m, err := md.fresh()
		if err != nil {
			return nil, err
		}
		if id == "" {
			id = r.id("prod")
		}
		if _, ok := r.products.get(id); ok {
			return nil, invalid("resource_already_exists", "id", "Product already exists.")
		}
		p := r.newProduct(id, name, m)
		p.Active = active == nil || *active
		p.Description, p.UnitLabel, p.URL = orNil(desc), orNil(label), orNil(link)
		r.emit("product.created", p)
		return p, nil
	}
}

func (r *realm) newProduct(id, name string, m meta) *product {
	p := &product{
		head: head{ID: id, Object: "product"}, Active: true, Created: r.now, Updated: r.now, Livemode: r.live, Metadata: m,
		Name: name, Features: []any{}, Images: []string{},
	}
	r.products.add(p, r.now)
	return p
}

func getProduct(c *call) action {
	return func() (any, error) {
		p, ok := c.r.products.get(c.id())
		if !ok {
			return nil, missing("product", c.id())
		}
		return p, nil
	}
}

func updateProduct(c *call) action {
	a := c.args
	name, md, active := a.str("name", 5000), a.metadata(), a.boolean("active")
	desc, def := a.str("description", 40000), a.str("default_price", 5000)
	return func() (any, error) {
		r := c.r
		p, ok := r.products.get(c.id())
		if !ok {
			return nil, missing("product", c.id())
		}
		m, err := md.apply(p.Metadata)
		if err != nil {
			return nil, err
		}
		r.update("product.updated", p, func() {
			p.Metadata, p.Updated = m, r.now
			if name != nil && *name != "" {
				p.Name = *name
			}
			if active != nil {
				p.Active = *active
			}
			setText(&p.Description, desc)
			setText(&p.DefaultPrice, def)
		})
		return p, nil
	}
}

func listProducts(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	active, ids := c.args.boolean("active"), c.args.strings("ids")
	return func() (any, error) {
		return page(c.r.products, c.r.products.all, p, "/v1/products", "product", func(o *product) bool {
			return (active == nil || *active == o.Active) && (len(ids) == 0 || slices.Contains(ids, o.ID))
		})
	}
}

// priceSpec is a price as parameters describe it, also inline as price_data.
type priceSpec struct {
	currency, product, productName string
	unit                           *big.Rat
	recurring                      *recurring
}

func (a args) priceSpec() priceSpec {
	a.require("currency")
	p := priceSpec{currency: a.currency(), product: a.text("product")}
	amount := a.integer("unit_amount")
	p.unit = a.decimal("unit_amount_decimal")
	if amount != nil {
		if p.unit != nil {
			a.fail(invalid("", a.name("unit_amount_decimal"), "You may only specify one of these parameters: unit_amount, unit_amount_decimal."))
		}
		if e := checkAmount(*amount, p.currency, a.name("unit_amount")); e != nil {
			a.fail(e)
		}
		p.unit = new(big.Rat).SetInt64(*amount)
	}
	if p.unit == nil {
		a.fail(invalid("parameter_missing", a.name("unit_amount"), "Missing required param: %s.", a.name("unit_amount")))
	}
	if o, ok, empty := a.object("recurring"); ok && !empty {
		rec := &recurring{Interval: o.enum("interval", "day", "week", "month", "year"), Count: 1, Usage: "licensed"}
		o.require("interval")
		if n := o.integer("interval_count"); n != nil {
			rec.Count = *n
		}
		o.enum("usage_type", "licensed")
		o.ignore("trial_period_days", "aggregate_usage")
		p.recurring = rec
	}
	a.enum("tax_behavior", "exclusive", "inclusive", "unspecified")
	return p
}

func createPrice(c *call) action {
	a := c.args
	spec, md, active := a.priceSpec(), a.metadata(), a.boolean("active")
	nick, key := a.str("nickname", 5000), a.str("lookup_key", 200)
	a.enum("billing_scheme", "per_unit")
	if o, ok, _ := a.object("product_data"); ok {
		spec.productName = o.require("name")
		o.ignore("active", "id", "metadata", "statement_descriptor", "tax_code", "unit_label")
	}
	if spec.product == "" && spec.productName == "" {
		a.fail(invalid("parameter_missing", "product", "Missing required param: product."))
	}
	return func() (any, error) {
		m, err := md.fresh()
		if err != nil {
			return nil, err
		}
		p, perr := c.r.newPrice(spec, m)
		if perr != nil {
			return nil, perr
		}
		p.Active = active == nil || *active
		p.Nickname, p.LookupKey = orNil(nick), orNil(key)
		c.r.emit("price.created", p)
		return p, nil
	}
}

func (r *realm) newPrice(spec priceSpec, m meta) (*price, error) {
	switch {
	case spec.product == "":
		name := spec.productName
		if name == "" {
			name = "One-time charge"
		}
		spec.product = r.newProduct(r.id("prod"), name, meta{}).ID
	default:
		if _, ok := r.products.get(spec.product); !ok {
			return nil, missingParam("product", spec.product, "product")
		}
	}
	p := &price{
		head: head{ID: r.id("price"), Object: "price"}, Active: true, BillingScheme: "per_unit", Created: r.now, Currency: spec.currency,
		Livemode: r.live, Metadata: m, Product: spec.product, Recurring: spec.recurring, TaxBehavior: "unspecified", Type: "one_time",
		UnitDecimal: decimalText(spec.unit), unit: spec.unit,
	}
	if spec.unit.IsInt() {
		p.UnitAmount = ref(spec.unit.Num().Int64())
	}
	if spec.recurring != nil {
		p.Type = "recurring"
	}
	r.prices.add(p, r.now, spec.product)
	return p, nil
}

func getPrice(c *call) action {
	return func() (any, error) {
		p, ok := c.r.prices.get(c.id())
		if !ok {
			return nil, missing("price", c.id())
		}
		return p, nil
	}
}

func updatePrice(c *call) action {
	md, active, nick := c.args.metadata(), c.args.boolean("active"), c.args.str("nickname", 5000)
	return func() (any, error) {
		p, ok := c.r.prices.get(c.id())
		if !ok {
			return nil, missing("price", c.id())
		}
		m, err := md.apply(p.Metadata)
		if err != nil {
			return nil, err
		}
		c.r.update("price.updated", p, func() {
			p.Metadata = m
			if active != nil {
				p.Active = *active
			}
			setText(&p.Nickname, nick)
		})
		return p, nil
	}
}

func listPrices(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	prod, cur := c.args.text("product"), c.args.currency()
	active, typ := c.args.boolean("active"), c.args.enum("type", "one_time", "recurring")
	return func() (any, error) {
		from := c.r.prices.all
		if prod != "" {
			from = c.r.prices.of(prod)
		}
		return page(c.r.prices, from, p, "/v1/prices", "price", func(o *price) bool {
			return (active == nil || *active == o.Active) && (cur == "" || cur == o.Currency) && (typ == "" || typ == o.Type)
		})
	}
}
