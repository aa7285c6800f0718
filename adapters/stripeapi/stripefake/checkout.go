package stripefake

import (
	"fmt"
	"net/http"
)

// checkoutSession is a page of Stripe's in setup mode; the other modes are not modelled.
type checkoutSession struct {
	head
	AutomaticTax   map[string]any `json:"automatic_tax"`
	CancelURL      *string        `json:"cancel_url"`
	Created        int64          `json:"created"`
	Currency       *string        `json:"currency"`
	CustomFields   []any          `json:"custom_fields"`
	CustomText     map[string]any `json:"custom_text"`
	Customer       *string        `json:"customer"`
	ExpiresAt      int64          `json:"expires_at"`
	Livemode       bool           `json:"livemode"`
	Metadata       meta           `json:"metadata"`
	Mode           string         `json:"mode"`
	MethodTypes    []string       `json:"payment_method_types"`
	PaymentStatus  string         `json:"payment_status"`
	SetupIntent    *string        `json:"setup_intent"`
	ShippingOption []any          `json:"shipping_options"`
	Status         string         `json:"status"`
	SuccessURL     *string        `json:"success_url"`
	URL            *string        `json:"url"`
}

type setupIntent struct {
	head
	ClientSecret string   `json:"client_secret"`
	Created      int64    `json:"created"`
	Customer     *string  `json:"customer"`
	Livemode     bool     `json:"livemode"`
	Metadata     meta     `json:"metadata"`
	Method       *string  `json:"payment_method"`
	MethodTypes  []string `json:"payment_method_types"`
	Status       string   `json:"status"`
	Usage        string   `json:"usage"`
}

func createSession(c *call) action {
	a := c.args
	mode, cus, currency := a.enum("mode", "payment", "setup", "subscription"), a.require("customer"), a.currency()
	success, cancel := a.str("success_url", 5000), a.str("cancel_url", 5000)
	types, md, inner := a.strings("payment_method_types"), a.metadata(), metaPatch{}
	if o, ok, empty := a.object("setup_intent_data"); ok && !empty {
		inner = o.metadata()
		o.ignore("description")
	}
	switch {
	case mode != "setup":
		a.fail(invalid("", "mode", "Only sessions in setup mode are modelled by this server."))
	case len(types) == 0 && currency == "":
		a.fail(invalid("parameter_missing", "currency", "Missing required param: currency."))
	case success == nil:
		a.fail(invalid("parameter_missing", "success_url", "Missing required param: success_url."))
	}
	return func() (any, error) {
		r := c.r
		cu, err := r.customer(cus)
		if err != nil {
			return nil, err
		}
		m, aerr := md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		im, aerr := inner.fresh()
		if aerr != nil {
			return nil, aerr
		}
		si := &setupIntent{
			head: head{ID: r.id("seti"), Object: "setup_intent"}, Created: r.now, Customer: &cu.ID, Livemode: r.live, Metadata: im,
			MethodTypes: []string{"card"}, Status: "requires_payment_method", Usage: "off_session",
		}
		si.ClientSecret = si.ID + "_secret_" + randomString(r.rng, 31)
		r.setups.add(si, r.now)
		r.emit("setup_intent.created", si)
		cs := r.newSession(cu, si, m)
		cs.CancelURL, cs.SuccessURL = cancel, success
		if currency != "" {
			cs.Currency = &currency
		}
		r.sessions.add(cs, r.now, cu.ID)
		r.at(cs.ExpiresAt, func() {
			if cs.Status == "open" {
				cs.Status, cs.URL = "expired", nil
				r.emit("checkout.session.expired", cs)
			}
		})
		return cs, nil
	}
}

// newSession is an open page that expires after a day.
func (r *realm) newSession(cu *customer, si *setupIntent, m meta) *checkoutSession {
	cs := &checkoutSession{
		head:         head{ID: "cs_" + r.mode() + "_" + randomString(r.rng, 58), Object: "checkout.session"},
		AutomaticTax: map[string]any{"enabled": false, "liability": nil, "status": nil}, Created: r.now, CustomFields: []any{},
		CustomText: map[string]any{"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil},
		Customer:   &cu.ID, ExpiresAt: r.now + day, Livemode: r.live, Metadata: m, Mode: "setup", MethodTypes: []string{"card"},
		PaymentStatus: "no_payment_required", SetupIntent: &si.ID, ShippingOption: []any{}, Status: "open",
	}
	cs.URL = ref("https://checkout.stripe.com/c/pay/" + cs.ID)
	return cs
}

func getSession(c *call) action {
	return func() (any, error) {
		cs, ok := c.r.sessions.get(c.id())
		if !ok {
			return nil, missing("checkout.session", c.id())
		}
		return cs, nil
	}
}

func getSetupIntent(c *call) action {
	return func() (any, error) {
		si, ok := c.r.setups.get(c.id())
		if !ok {
			return nil, missing("setupintent", c.id())
		}
		return si, nil
	}
}

// CompleteCheckout is the customer who enters a payment method on an open page; the
// method is a token such as pm_card_visa. It does not become the customer's default.
func (s *Server) CompleteCheckout(acct, mode, sessionID, token string) error {
	r, err := s.realm(acct, mode)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	cs, ok := r.sessions.get(sessionID)
	if !ok || cs.Status != "open" {
		return fmt.Errorf("stripefake: no open checkout session %q", sessionID)
	}
	si, ok := r.setups.get(*cs.SetupIntent)
	if !ok || !r.knowsMethod(token) {
		return fmt.Errorf("stripefake: unknown payment method %q", token)
	}
	si.Method, si.Status = ref(r.attach(*cs.Customer, token).ID), "succeeded"
	r.emit("setup_intent.succeeded", si)
	cs.Status, cs.URL = "complete", nil
	r.emit("checkout.session.completed", cs)
	return nil
}

func (s *Server) controlCompleteCheckout(req *http.Request) (any, error) {
	in, err := decode[struct {
		place
		ID     string `json:"id"`
		Method string `json:"payment_method"`
	}](req)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": in.ID}, s.CompleteCheckout(in.Account, in.Mode, in.ID, in.Method)
}
