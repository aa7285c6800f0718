package stripefake

import (
	"math/big"
	"strconv"
	"time"
)

type coupon struct {
	head
	AmountOff   *int64   `json:"amount_off"`
	Created     int64    `json:"created"`
	Currency    *string  `json:"currency"`
	Duration    string   `json:"duration"`
	Months      *int64   `json:"duration_in_months"`
	Livemode    bool     `json:"livemode"`
	MaxRedeem   *int64   `json:"max_redemptions"`
	Metadata    meta     `json:"metadata"`
	Name        *string  `json:"name"`
	PercentOff  *float64 `json:"percent_off"`
	RedeemBy    *int64   `json:"redeem_by"`
	TimesRedeem int64    `json:"times_redeemed"`
	Valid       bool     `json:"valid"`
}

// discount is a coupon in use by a customer, a subscription or an invoice.
type discount struct {
	Checkout     any     `json:"checkout_session"`
	Coupon       *coupon `json:"coupon"`
	Customer     string  `json:"customer"`
	End          *int64  `json:"end"`
	ID           string  `json:"id"`
	Invoice      *string `json:"invoice"`
	InvoiceItem  *string `json:"invoice_item"`
	Object       string  `json:"object"`
	Promotion    any     `json:"promotion_code"`
	Start        int64   `json:"start"`
	Subscription *string `json:"subscription"`
}

// deletedDiscount is the tombstone of a discount: it has no end any more.
type deletedDiscount struct {
	Checkout     any     `json:"checkout_session"`
	Coupon       *coupon `json:"coupon"`
	Customer     string  `json:"customer"`
	Deleted      bool    `json:"deleted"`
	ID           string  `json:"id"`
	Invoice      *string `json:"invoice"`
	InvoiceItem  *string `json:"invoice_item"`
	Object       string  `json:"object"`
	Promotion    any     `json:"promotion_code"`
	Start        int64   `json:"start"`
	Subscription *string `json:"subscription"`
}

func (d *discount) tombstone() deletedDiscount {
	return deletedDiscount{
		Coupon: d.Coupon, Customer: d.Customer, Deleted: true, ID: d.ID, Invoice: d.Invoice, InvoiceItem: d.InvoiceItem,
		Object: d.Object, Start: d.Start, Subscription: d.Subscription,
	}
}

func createCoupon(c *call) action {
	a := c.args
	id, name, md := a.text("id"), a.str("name", 40), a.metadata()
	percent, off, cur := a.number("percent_off"), a.integer("amount_off"), a.currency()
	duration, months := a.enum("duration", "forever", "once", "repeating"), a.integer("duration_in_months")
	most, by := a.integer("max_redemptions"), a.integer("redeem_by")
	switch {
	case (percent == nil) == (off == nil):
		a.fail(invalid("", "percent_off", "You must pass exactly one of percent_off and amount_off."))
	case percent != nil && (*percent <= 0 || *percent > 100):
		a.fail(invalid("", "percent_off", "Invalid percent_off: must be greater than 0 and at most 100"))
	case off != nil && cur == "":
		a.fail(invalid("parameter_missing", "currency", "You must pass currency when passing amount_off."))
	case duration == "repeating" && months == nil:
		a.fail(invalid("parameter_missing", "duration_in_months", "You must pass duration_in_months when passing duration=repeating."))
	}
	if duration == "" {
		duration = "once"
	}
	return func() (any, error) {
		r := c.r
		m, err := md.fresh()
		if err != nil {
			return nil, err
		}
		if id == "" {
			id = r.id("coupon")
		}
		if _, ok := r.coupons.get(id); ok {
			return nil, invalid("resource_already_exists", "id", "Coupon already exists.")
		}
		cp := &coupon{
			head: head{ID: id, Object: "coupon"}, AmountOff: off, Created: r.now, Duration: duration, Months: months, Livemode: r.live,
			MaxRedeem: most, Metadata: m, Name: orNil(name), PercentOff: percent, RedeemBy: by, Valid: true,
		}
		if off != nil {
			cp.Currency = &cur
		}
		r.coupons.add(cp, r.now)
		r.emit("coupon.created", cp)
		return cp, nil
	}
}

func getCoupon(c *call) action {
	return func() (any, error) {
		cp, ok := c.r.coupons.get(c.id())
		if !ok {
			return nil, missing("coupon", c.id())
		}
		return cp, nil
	}
}

func listCoupons(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	return func() (any, error) { return page(c.r.coupons, c.r.coupons.all, p, "/v1/coupons", "coupon", nil) }
}

func deleteCoupon(c *call) action {
	return func() (any, error) {
		cp, ok := c.r.coupons.get(c.id())
		if !ok {
			return nil, missing("coupon", c.id())
		}
		c.r.coupons.remove(cp)
		c.r.emit("coupon.deleted", cp)
		return deleted{cp.ID, cp.Object, true}, nil
	}
}

// couponFor finds a coupon that can still be redeemed.
func (r *realm) couponFor(id, param string) (*coupon, error) {
	cp, ok := r.coupons.get(id)
	if !ok {
		return nil, missingParam("coupon", id, param)
	}
	if (cp.MaxRedeem != nil && cp.TimesRedeem >= *cp.MaxRedeem) || (cp.RedeemBy != nil && *cp.RedeemBy < r.now) {
		return nil, invalid("coupon_expired", param, "Coupon expired: %s", id)
	}
	return cp, nil
}

func (r *realm) newDiscount(cp *coupon, customer string, sub *string) *discount {
	cp.TimesRedeem++
	d := &discount{Coupon: cp, Customer: customer, ID: r.id("di"), Object: "discount", Start: r.now, Subscription: sub}
	if cp.Duration == "repeating" {
		d.End = ref(time.Unix(r.now, 0).UTC().AddDate(0, int(*cp.Months), 0).Unix())
	}
	return d
}

// active says whether the discount still applies at a time.
func (d *discount) active(now int64) bool { return d != nil && (d.End == nil || now < *d.End) }

// off is the reduction of an amount; amount-off coupons reduce only their own
// currency, and left is what remains of them on this invoice.
func (d *discount) off(amount int64, currency string, left *int64) int64 {
	if d.Coupon.PercentOff != nil {
		pct, _ := new(big.Rat).SetString(strconv.FormatFloat(*d.Coupon.PercentOff, 'f', -1, 64)) // 33.3 as written, not as a binary fraction
		return round(pct.Mul(pct, big.NewRat(amount, 100)))
	}
	if d.Coupon.Currency == nil || *d.Coupon.Currency != currency {
		return 0
	}
	cut := min(amount, *left)
	*left -= cut
	return cut
}
