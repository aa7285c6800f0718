package stripefake

type paymentIntent struct {
	head
	Amount        int64    `json:"amount"`
	Capturable    int64    `json:"amount_capturable"`
	Received      int64    `json:"amount_received"`
	Application   any      `json:"application"`
	Fee           any      `json:"application_fee_amount"`
	Automatic     any      `json:"automatic_payment_methods"`
	CanceledAt    *int64   `json:"canceled_at"`
	CancelReason  *string  `json:"cancellation_reason"`
	CaptureMethod string   `json:"capture_method"`
	ClientSecret  string   `json:"client_secret"`
	Confirmation  string   `json:"confirmation_method"`
	Created       int64    `json:"created"`
	Currency      string   `json:"currency"`
	Customer      *string  `json:"customer"`
	Description   *string  `json:"description"`
	Invoice       *string  `json:"invoice"`
	LastError     any      `json:"last_payment_error"`
	LatestCharge  *string  `json:"latest_charge"`
	Livemode      bool     `json:"livemode"`
	Metadata      meta     `json:"metadata"`
	NextAction    any      `json:"next_action"`
	Method        *string  `json:"payment_method"`
	MethodTypes   []string `json:"payment_method_types"`
	Receipt       *string  `json:"receipt_email"`
	Status        string   `json:"status"`
}

type charge struct {
	head
	Amount         int64          `json:"amount"`
	Captured       int64          `json:"amount_captured"`
	Refunded       int64          `json:"amount_refunded"`
	Application    any            `json:"application"`
	Balance        any            `json:"balance_transaction"`
	BillingDetails billingDetails `json:"billing_details"`
	IsCaptured     bool           `json:"captured"`
	Created        int64          `json:"created"`
	Currency       string         `json:"currency"`
	Customer       *string        `json:"customer"`
	Description    *string        `json:"description"`
	Disputed       bool           `json:"disputed"`
	FailureCode    *string        `json:"failure_code"`
	FailureMessage *string        `json:"failure_message"`
	Invoice        *string        `json:"invoice"`
	Livemode       bool           `json:"livemode"`
	Metadata       meta           `json:"metadata"`
	Paid           bool           `json:"paid"`
	Intent         *string        `json:"payment_intent"`
	Method         *string        `json:"payment_method"`
	IsRefunded     bool           `json:"refunded"`
	Status         string         `json:"status"`

	behavior behavior
}

func (r *realm) newIntent(amount int64, currency string, cu *customer) *paymentIntent {
	pi := &paymentIntent{
		head: head{ID: r.id("pi"), Object: "payment_intent"}, Amount: amount, CaptureMethod: "automatic", Confirmation: "automatic",
		Created: r.now, Currency: currency, Livemode: r.live, Metadata: meta{}, MethodTypes: []string{"card"}, Status: "requires_payment_method",
	}
	pi.ClientSecret = pi.ID + "_secret_" + randomString(r.rng, 24)
	if cu != nil {
		pi.Customer = &cu.ID
	}
	return pi
}

// newInvoiceIntent is made at finalization and carries all payment attempts.
func (r *realm) newInvoiceIntent(in *invoice, cu *customer) {
	pi := r.newIntent(in.AmountDue, in.Currency, cu)
	pi.Invoice = &in.ID
	in.PaymentIntent = &pi.ID
	r.intents.add(pi, r.now, cu.ID)
	r.emit("payment_intent.created", pi)
}

// chargeInvoice makes one payment attempt.
func (r *realm) chargeInvoice(in *invoice, pm *paymentMethod) (*charge, error) {
	pi, ok := r.intents.get(deref(in.PaymentIntent))
	if !ok {
		return nil, serverError()
	}
	pi.Amount = in.AmountRemaining
	if pm == nil {
		r.update("payment_intent.payment_failed", pi, func() { pi.Status = "requires_payment_method" })
		return nil, invalid("resource_missing", "", "This customer has no attached payment source or default payment method.")
	}
	ch, err := r.confirm(pi, pm)
	in.Charge = &ch.ID
	return ch, err
}

// confirm charges the method for the intent.
func (r *realm) confirm(pi *paymentIntent, pm *paymentMethod) (*charge, error) {
	ch := &charge{
		head: head{ID: r.id("ch"), Object: "charge"}, Amount: pi.Amount, BillingDetails: pm.BillingDetails, Created: r.now, Currency: pi.Currency,
		Customer: pi.Customer, Description: pi.Description, Invoice: pi.Invoice, Livemode: r.live, Metadata: meta{}, Intent: &pi.ID, Method: &pm.ID,
		behavior: pm.behavior,
	}
	r.charges.add(ch, r.now, deref(pi.Customer), pi.ID)
	pi.LatestCharge = &ch.ID
	if pm.behavior == declines {
		ch.Status, ch.FailureCode, ch.FailureMessage = "failed", ref("card_declined"), ref("Your card was declined.")
		declined := cardDeclined(ch.ID)
		pi.Status, pi.Method = "requires_payment_method", nil
		pi.LastError = map[string]any{"code": declined.code, "decline_code": declined.declineCode, "message": declined.message, "type": declined.typ, "charge": ch.ID}
		r.emit("charge.failed", ch)
		r.emit("payment_intent.payment_failed", pi)
		return ch, declined
	}
	ch.Status, ch.Paid, ch.IsCaptured, ch.Captured = "succeeded", true, true, ch.Amount
	pi.Status, pi.Received, pi.Method, pi.LastError = "succeeded", ch.Amount, &pm.ID, nil
	r.emit("charge.succeeded", ch)
	r.emit("payment_intent.succeeded", pi)
	if pm.behavior == disputed {
		r.at(r.now+hour, func() { r.openDispute(ch, ch.Amount, "fraudulent", "needs_response") })
	}
	return ch, nil
}

func createIntent(c *call) action {
	a := c.args
	amount, cur := a.integer("amount"), a.currency()
	a.require("amount")
	a.require("currency")
	cus, method, md := a.text("customer"), a.text("payment_method"), a.metadata()
	desc, confirm := a.str("description", 1000), a.flag("confirm")
	a.ignore("payment_method_types", "off_session", "automatic_payment_methods")
	if amount != nil && cur != "" {
		if e := checkAmount(*amount, cur, "amount"); e != nil {
			a.fail(e)
		} else if *amount < minimum(cur) {
			a.fail(invalid("amount_too_small", "amount", "Amount must be at least %d %s", minimum(cur), cur))
		}
	}
	return func() (any, error) {
		r := c.r
		m, aerr := md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		var cu *customer
		if cus != "" {
			var err error
			if cu, err = r.customer(cus); err != nil {
				return nil, err
			}
		}
		if method != "" && !r.knowsMethod(method) {
			return nil, missingParam("PaymentMethod", method, "payment_method")
		}
		pi := r.newIntent(*amount, cur, cu)
		pi.Metadata, pi.Description = m, orNil(desc)
		r.intents.add(pi, r.now, cus)
		r.emit("payment_intent.created", pi)
		if method == "" {
			return pi, nil
		}
		pm := r.attach(cus, method)
		pi.Method, pi.Status = &pm.ID, "requires_confirmation"
		if confirm {
			if _, err := r.confirm(pi, pm); err != nil {
				return nil, err
			}
		}
		return pi, nil
	}
}

func confirmIntent(c *call) action {
	method := c.args.text("payment_method")
	return func() (any, error) {
		r := c.r
		pi, ok := r.intents.get(c.id())
		if !ok {
			return nil, missing("payment_intent", c.id())
		}
		if pi.Status == "succeeded" || pi.Status == "canceled" {
			return nil, invalid("payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it has a status of %s.", pi.Status)
		}
		if method == "" {
			method = deref(pi.Method)
		}
		if method == "" || !r.knowsMethod(method) {
			return nil, missingParam("PaymentMethod", method, "payment_method")
		}
		ch, err := r.confirm(pi, r.attach(deref(pi.Customer), method))
		if err != nil {
			return nil, err
		}
		if in, found := r.invoices.get(deref(pi.Invoice)); found && in.Status == "open" {
			r.markPaid(in, false, ch)
		}
		return pi, nil
	}
}

func getIntent(c *call) action {
	return func() (any, error) {
		pi, ok := c.r.intents.get(c.id())
		if !ok {
			return nil, missing("payment_intent", c.id())
		}
		return pi, nil
	}
}

func listIntents(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	cus := c.args.text("customer")
	return func() (any, error) {
		from := c.r.intents.all
		if cus != "" {
			from = c.r.intents.of(cus)
		}
		return page(c.r.intents, from, p, "/v1/payment_intents", "payment_intent", nil)
	}
}

func getCharge(c *call) action {
	return func() (any, error) {
		ch, ok := c.r.charges.get(c.id())
		if !ok {
			return nil, missing("charge", c.id())
		}
		return ch, nil
	}
}

func listCharges(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	cus, pi := c.args.text("customer"), c.args.text("payment_intent")
	return func() (any, error) {
		from := c.r.charges.all
		switch {
		case pi != "":
			from = c.r.charges.of(pi)
		case cus != "":
			from = c.r.charges.of(cus)
		}
		return page(c.r.charges, from, p, "/v1/charges", "charge", func(ch *charge) bool { return cus == "" || deref(ch.Customer) == cus })
	}
}
