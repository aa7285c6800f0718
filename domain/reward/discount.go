package reward

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// part is what one item brings in a month, and the factor from its billing interval to a
// month.
type part struct {
	monthly, every *big.Rat
	product        string
}

type parts []*part

// maxStacked is more discounts than Stripe stacks. It bounds the work that a body can ask for.
const maxStacked = 50

func (p parts) total() *big.Rat {
	sum := new(big.Rat)
	for _, one := range p {
		sum.Add(sum, one.monthly)
	}
	return sum
}

func (p parts) multiply(by *big.Rat) {
	for _, one := range p {
		one.monthly = new(big.Rat).Mul(one.monthly, by)
	}
}

// discount takes the lasting discounts of an item or of a subscription off. It reports
// whether the payload tells what all of them come to.
func (p parts) discount(holder node, currency string) bool {
	list := discountsOn(holder)
	if len(list) > maxStacked {
		return false
	}
	known := true
	for _, d := range list {
		known = p.reduce(couponOf(d), currency) && known
	}
	return known
}

// reduce takes one coupon off the parts whose products it covers: a share of each, or an
// amount of every billing interval, spread in proportion and never below zero.
func (p parts) reduce(coupon node, currency string) (known bool) {
	if len(coupon) == 0 {
		return false
	}
	if coupon.str("duration") == "once" {
		return true
	}
	covered, known := p.covered(coupon)
	if !known {
		return false
	}
	if percent, ok := coupon.dec("percent_off"); ok {
		left := new(big.Rat).Sub(big.NewRat(100, 1), percent.Rat())
		covered.multiply(positive(left.Quo(left, big.NewRat(100, 1))))
		return true
	}
	amount, ok := amountOff(coupon, currency)
	every, one := covered.interval()
	if !ok || !one {
		return false
	}
	if total := covered.total(); total.Sign() > 0 {
		left := new(big.Rat).Sub(total, new(big.Rat).Mul(amount.Rat(), every))
		covered.multiply(positive(left.Quo(left, total)))
	}
	return true
}

// covered are the parts that a coupon applies to: all, unless it names products. known is
// false when it names some and a part does not say whose it is.
func (p parts) covered(coupon node) (covered parts, known bool) {
	only := coupon.obj("applies_to").elements("products")
	if len(only) == 0 {
		return p, true
	}
	named := map[string]bool{}
	for _, product := range only {
		named[product.id()] = true
	}
	for _, one := range p {
		if one.product == "" {
			return nil, false
		}
		if named[one.product] {
			covered = append(covered, one)
		}
	}
	return covered, true
}

// interval is the one billing interval of all parts, as a factor to a month; ok is false
// when there are several. An amount comes off once an invoice, and invoices follow it.
func (p parts) interval() (every *big.Rat, ok bool) {
	every = new(big.Rat)
	for k, one := range p {
		if k > 0 && one.every.Cmp(every) != 0 {
			return nil, false
		}
		every = one.every
	}
	return every, true
}

// amountOff is what a coupon takes off in a currency, which its own or one of its options is.
func amountOff(coupon node, currency string) (decimal.Decimal, bool) {
	if own := coupon.str("currency"); own != "" && own != currency {
		coupon = coupon.obj("currency_options", currency)
	}
	return coupon.dec("amount_off")
}

func positive(r *big.Rat) *big.Rat {
	if r.Sign() < 0 {
		return new(big.Rat)
	}
	return r
}

// discountsOn lists the discounts of a subscription or an item. Some versions carry both
// fields: one discount in full, and the names of all that are stacked. What is only named
// has nothing but its ID.
func discountsOn(holder node) []node {
	list := holder.list("discounts")
	full := holder.obj("discount")
	if len(full) > 0 && len(list) < 2 {
		return []node{full}
	}
	for k, named := range holder.elements("discounts") {
		id, isName := named.string()
		switch {
		case isName && id != "" && id == full.own():
			list[k] = full
		case isName:
			list[k] = node{"id": named}
		}
	}
	return list
}

// couponOf is the coupon of a discount; since clover it is the discount's source.
func couponOf(d node) node {
	if coupon := d.obj("coupon"); len(coupon) > 0 {
		return coupon
	}
	return d.obj("source", "coupon")
}
