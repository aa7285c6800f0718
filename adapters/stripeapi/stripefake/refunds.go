package stripefake

import "fmt"

type refund struct {
	head
	Amount         int64   `json:"amount"`
	Balance        *string `json:"balance_transaction"`
	Charge         *string `json:"charge"`
	Created        int64   `json:"created"`
	Currency       string  `json:"currency"`
	FailureBalance string  `json:"failure_balance_transaction,omitempty"`
	FailureReason  string  `json:"failure_reason,omitempty"`
	Metadata       meta    `json:"metadata"`
	Intent         *string `json:"payment_intent"`
	Reason         *string `json:"reason"`
	Receipt        any     `json:"receipt_number"`
	Status         string  `json:"status"`
}

// moveRefund names the balance transactions of a refund: one once money has left, another
// one when it came back. The transactions themselves are not modelled.
func (r *realm) moveRefund(re *refund) {
	switch {
	case re.Status == "succeeded" && re.Balance == nil:
		re.Balance = ref(r.id("txn"))
	case (re.Status == "failed" || re.Status == "canceled") && re.Balance != nil:
		re.FailureBalance = r.id("txn")
	}
}

func createRefund(c *call) action {
	a := c.args
	ch, pi, amount := a.text("charge"), a.text("payment_intent"), a.integer("amount")
	reason, md := a.enum("reason", "duplicate", "fraudulent", "requested_by_customer"), a.metadata()
	if (ch == "") == (pi == "") {
		a.fail(invalid("parameter_missing", "charge", "You must pass exactly one of charge and payment_intent."))
	}
	return func() (any, error) {
		r := c.r
		m, aerr := md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		if pi != "" {
			intent, ok := r.intents.get(pi)
			if !ok {
				return nil, missingParam("payment_intent", pi, "payment_intent")
			}
			ch = deref(intent.LatestCharge)
		}
		of, ok := r.charges.get(ch)
		if !ok {
			return nil, missingParam("charge", ch, "charge")
		}
		re, err := r.refund(of, amount, reason)
		if err != nil {
			return nil, err
		}
		re.Metadata = m
		r.tellRefund(re, of)
		return re, nil
	}
}

// refund moves money back; tellRefund emits its events.
func (r *realm) refund(ch *charge, amount *int64, reason string) (*refund, error) {
	left := ch.Amount - ch.Refunded
	switch {
	case !ch.Paid:
		return nil, invalid("charge_not_refundable", "charge", "Charge %s has failed and can't be refunded.", ch.ID)
	case left == 0:
		return nil, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", ch.ID)
	case ch.Disputed && r.lostDispute(ch):
		return nil, invalid("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", ch.ID)
	}
	if amount == nil {
		amount = &left
	}
	if *amount <= 0 || *amount > left {
		return nil, invalid("", "amount", "Refund amount (%d) is greater than unrefunded amount on charge (%d), or not positive.", *amount, left)
	}
	re := &refund{
		head: head{ID: r.id("re"), Object: "refund"}, Amount: *amount, Charge: &ch.ID, Created: r.now, Currency: ch.Currency, Metadata: meta{},
		Intent: ch.Intent, Status: "succeeded",
	}
	if reason != "" {
		re.Reason = &reason
	}
	switch ch.behavior {
	case refundPends:
		re.Status = "pending"
		r.at(r.now+day, func() { _ = r.setRefund(re, "succeeded", "") }) // it may have been settled by hand meanwhile
	case refundFails:
		r.at(r.now+day, func() { _ = r.setRefund(re, "failed", "expired_or_canceled_card") }) // ditto
	default: // it succeeds at once
	}
	r.moveRefund(re)
	ch.Refunded += re.Amount
	ch.IsRefunded = ch.Refunded == ch.Amount
	r.refunds.add(re, r.now, ch.ID, deref(ch.Intent))
	return re, nil
}

// tellRefund emits what a new refund says: the cumulative state of the charge
// and the refund itself.
func (r *realm) tellRefund(re *refund, ch *charge) {
	prev := map[string]any{"amount_refunded": ch.Refunded - re.Amount}
	if ch.IsRefunded {
		prev["refunded"] = false
	}
	r.emitRaw("charge.refunded", render(ch), render(prev))
	r.emit("refund.created", re)
}

// setRefund moves a refund on: pending to succeeded, pending or succeeded to
// failed or canceled; a failure gives the money back to the charge.
func (r *realm) setRefund(re *refund, status, reason string) error {
	if re.Status == status || re.Status == "failed" || re.Status == "canceled" || status == "pending" {
		return fmt.Errorf("refund %s cannot go from %s to %s", re.ID, re.Status, status)
	}
	before := render(re)
	re.Status, re.FailureReason = status, reason
	r.moveRefund(re)
	after := render(re)
	prev := diff(before, after)
	if ch, ok := r.charges.get(deref(re.Charge)); ok && status != "succeeded" {
		r.update("charge.updated", ch, func() {
			ch.Refunded -= re.Amount
			ch.IsRefunded = false
		})
	}
	r.emitRaw("refund.updated", after, prev)
	r.emitRaw("charge.refund.updated", after, prev)
	return nil
}

func getRefund(c *call) action {
	return func() (any, error) {
		re, ok := c.r.refunds.get(c.id())
		if !ok {
			return nil, missing("refund", c.id())
		}
		return re, nil
	}
}

func updateRefund(c *call) action {
	md := c.args.metadata()
	return func() (any, error) {
		re, ok := c.r.refunds.get(c.id())
		if !ok {
			return nil, missing("refund", c.id())
		}
		m, err := md.apply(re.Metadata)
		if err != nil {
			return nil, err
		}
		before := render(re)
		re.Metadata = m
		after := render(re)
		if prev := diff(before, after); prev != nil {
			c.r.emitRaw("refund.updated", after, prev)
			c.r.emitRaw("charge.refund.updated", after, prev)
		}
		return re, nil
	}
}

func listRefunds(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	ch, pi := c.args.text("charge"), c.args.text("payment_intent")
	return func() (any, error) {
		from := c.r.refunds.all
		switch {
		case ch != "":
			from = c.r.refunds.of(ch)
		case pi != "":
			from = c.r.refunds.of(pi)
		}
		return page(c.r.refunds, from, p, "/v1/refunds", "refund", nil)
	}
}
