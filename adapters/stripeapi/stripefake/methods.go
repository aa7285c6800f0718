package stripefake

import "strings"

// paymentMethod is a card. Its behavior comes from the test token it was made
// from; tokens work in live mode too, because the fake has no real cards.
type paymentMethod struct {
	head
	BillingDetails billingDetails `json:"billing_details"`
	Card           card           `json:"card"`
	Created        int64          `json:"created"`
	Customer       *string        `json:"customer"`
	Livemode       bool           `json:"livemode"`
	Metadata       meta           `json:"metadata"`
	Type           string         `json:"type"`

	behavior behavior
}

type billingDetails struct {
	Address address `json:"address"`
	Email   *string `json:"email"`
	Name    *string `json:"name"`
	Phone   *string `json:"phone"`
}

type card struct {
	Brand    string  `json:"brand"`
	Checks   any     `json:"checks"`
	Country  string  `json:"country"`
	ExpMonth int     `json:"exp_month"`
	ExpYear  int     `json:"exp_year"`
	Funding  string  `json:"funding"`
	Last4    string  `json:"last4"`
	Networks any     `json:"networks"`
	Secure   any     `json:"three_d_secure_usage"`
	Wallet   any     `json:"wallet"`
	Print    *string `json:"fingerprint"`
}

type behavior int

const (
	pays behavior = iota
	declines
	disputed
	refundPends
	refundFails
)

// tokens are the test payment methods and sources that the fake knows.
var tokens = map[string]struct {
	behavior behavior
	last4    string
}{
	"visa": {pays, "4242"}, "mastercard": {pays, "4444"}, "us": {pays, "4242"}, "de": {pays, "3000"}, "gb": {pays, "0000"},
	"chargeDeclined": {declines, "0002"}, "chargeCustomerFail": {declines, "0341"}, "chargeDeclinedInsufficientFunds": {declines, "9995"},
	"createDispute": {disputed, "0259"}, "pendingRefund": {refundPends, "7726"}, "refundFail": {refundFails, "5126"},
}

func tokenName(token string) string {
	return strings.TrimPrefix(strings.TrimPrefix(token, "pm_card_"), "tok_")
}

// knowsMethod says whether a token or the id of a method can be used.
func (r *realm) knowsMethod(id string) bool {
	if _, ok := tokens[tokenName(id)]; ok && tokenName(id) != id {
		return true
	}
	_, ok := r.methods.get(id)
	return ok
}

// attach gives the customer the method, or a new one made from a token.
func (r *realm) attach(customer, id string) *paymentMethod {
	if pm, ok := r.methods.get(id); ok {
		if pm.Customer == nil || *pm.Customer != customer {
			pm.Customer = &customer
			r.methods.link(pm, customer)
			r.emit("payment_method.attached", pm)
		}
		return pm
	}
	t, prefix := tokens[tokenName(id)], "pm"
	if strings.HasPrefix(id, "tok_") {
		prefix = "card"
	}
	pm := &paymentMethod{
		head: head{ID: r.id(prefix), Object: "payment_method"}, Created: r.now, Livemode: r.live, Metadata: meta{}, Type: "card",
		Card:     card{Brand: "visa", Country: "US", ExpMonth: 12, ExpYear: 2034, Funding: "credit", Last4: t.last4},
		Customer: &customer, behavior: t.behavior,
	}
	r.methods.add(pm, r.now, customer)
	r.emit("payment_method.attached", pm)
	return pm
}

func attachMethod(c *call) action {
	cus := c.args.require("customer")
	return func() (any, error) {
		cu, err := c.r.customer(cus)
		if err != nil {
			return nil, err
		}
		if !c.r.knowsMethod(c.id()) {
			return nil, missing("PaymentMethod", c.id())
		}
		return c.r.attach(cu.ID, c.id()), nil
	}
}

func detachMethod(c *call) action {
	return func() (any, error) {
		r := c.r
		pm, ok := r.methods.get(c.id())
		if !ok {
			return nil, missing("PaymentMethod", c.id())
		}
		if pm.Customer == nil {
			return nil, invalid("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
		}
		owner := *pm.Customer
		r.methods.unlink(pm, owner)
		r.update("payment_method.detached", pm, func() { pm.Customer = nil })
		if cu, found := r.customers.get(owner); found && cu.InvoiceSettings.DefaultMethod != nil && *cu.InvoiceSettings.DefaultMethod == pm.ID {
			r.update("customer.updated", cu, func() { cu.InvoiceSettings.DefaultMethod = nil })
		}
		return pm, nil
	}
}

func getMethod(c *call) action {
	return func() (any, error) {
		pm, ok := c.r.methods.get(c.id())
		if !ok {
			return nil, missing("PaymentMethod", c.id())
		}
		return pm, nil
	}
}

func listMethods(c *call) action {
	p := c.args.paging()
	cus := c.args.text("customer")
	c.args.enum("type", "card")
	return func() (any, error) {
		return page(c.r.methods, c.r.methods.of(cus), p, "/v1/payment_methods", "PaymentMethod", nil)
	}
}

// methodFor is the method that pays: the first that is set.
func (r *realm) methodFor(cu *customer, ids ...*string) *paymentMethod {
	ids = append(ids, cu.InvoiceSettings.DefaultMethod, cu.DefaultSource)
	for _, id := range ids {
		if id == nil {
			continue
		}
		if pm, ok := r.methods.get(*id); ok && pm.Customer != nil {
			return pm
		}
	}
	return nil
}
