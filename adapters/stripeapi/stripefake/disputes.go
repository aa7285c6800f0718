package stripefake

import "fmt"

type dispute struct {
	head
	Amount     int64           `json:"amount"`
	Balance    []any           `json:"balance_transactions"`
	Charge     string          `json:"charge"`
	Created    int64           `json:"created"`
	Currency   string          `json:"currency"`
	Evidence   map[string]any  `json:"evidence"`
	Details    evidenceDetails `json:"evidence_details"`
	Refundable bool            `json:"is_charge_refundable"`
	Livemode   bool            `json:"livemode"`
	Metadata   meta            `json:"metadata"`
	Intent     *string         `json:"payment_intent"`
	Reason     string          `json:"reason"`
	Status     string          `json:"status"`
}

type evidenceDetails struct {
	DueBy       *int64 `json:"due_by"`
	Has         bool   `json:"has_evidence"`
	PastDue     bool   `json:"past_due"`
	Submissions int64  `json:"submission_count"`
}

// inquiry says whether the dispute is an early warning that moves no money.
func (d *dispute) inquiry() bool { return len(d.Status) > 8 && d.Status[:8] == "warning_" }

// openDispute opens a dispute; unless it is an inquiry the money is withdrawn.
func (r *realm) openDispute(ch *charge, amount int64, reason, status string) *dispute {
	d := &dispute{
		head: head{ID: r.id("dp"), Object: "dispute"}, Amount: amount, Balance: []any{}, Charge: ch.ID, Created: r.now, Currency: ch.Currency,
		Evidence: map[string]any{}, Details: evidenceDetails{DueBy: ref(r.now + 9*day)}, Livemode: r.live, Metadata: meta{}, Intent: ch.Intent,
		Reason: reason, Status: status,
	}
	d.Refundable = d.inquiry()
	r.disputes.add(d, r.now, ch.ID, deref(ch.Intent))
	r.update("charge.updated", ch, func() { ch.Disputed = true })
	r.emit("charge.dispute.created", d)
	if !d.inquiry() {
		r.emit("charge.dispute.funds_withdrawn", d)
	}
	return d
}

// closeDispute ends a dispute: won, lost or, for an inquiry, warning_closed. A
// lost dispute may still be won later; that is told as an update.
func (r *realm) closeDispute(d *dispute, outcome string) error {
	if d.Status == outcome || d.Status == "won" || (d.Status == "lost" && outcome != "won") {
		return fmt.Errorf("dispute %s is %s and cannot become %s", d.ID, d.Status, outcome)
	}
	if d.inquiry() {
		outcome = "warning_closed"
	}
	late := d.Status == "lost"
	before := render(d)
	d.Status = outcome
	after := render(d)
	prev := diff(before, after)
	if late {
		r.emitRaw("charge.dispute.updated", after, prev)
	} else {
		r.emitRaw("charge.dispute.closed", after, prev)
	}
	if outcome == "won" {
		r.emit("charge.dispute.funds_reinstated", d)
		if ch, ok := r.charges.get(d.Charge); ok {
			r.update("charge.updated", ch, func() { ch.Disputed = false })
		}
	}
	return nil
}

func (r *realm) lostDispute(ch *charge) bool {
	for _, d := range r.disputes.of(ch.ID) {
		if d.Status == "lost" || !d.Refundable {
			return true
		}
	}
	return false
}

func (r *realm) dispute(id string) (*dispute, error) {
	d, ok := r.disputes.get(id)
	if !ok {
		return nil, missing("dispute", id)
	}
	return d, nil
}

func getDispute(c *call) action { return func() (any, error) { return c.r.dispute(c.id()) } }

func updateDispute(c *call) action {
	md, submit := c.args.metadata(), c.args.flag("submit")
	texts := map[string]any{}
	if o, ok, _ := c.args.object("evidence"); ok {
		for k := range o.n.children {
			texts[k] = o.text(k)
		}
	}
	return func() (any, error) {
		d, err := c.r.dispute(c.id())
		if err != nil {
			return nil, err
		}
		m, aerr := md.apply(d.Metadata)
		if aerr != nil {
			return nil, aerr
		}
		c.r.update("charge.dispute.updated", d, func() {
			d.Metadata = m
			for k, v := range texts {
				d.Evidence[k], d.Details.Has = v, true
			}
			if submit && d.Status == "needs_response" {
				d.Status = "under_review"
				d.Details.Submissions++
			}
		})
		return d, nil
	}
}

// closeByMerchant is POST /v1/disputes/{id}/close: accepting the loss.
func closeByMerchant(c *call) action {
	return func() (any, error) {
		d, err := c.r.dispute(c.id())
		if err != nil {
			return nil, err
		}
		if err := c.r.closeDispute(d, "lost"); err != nil {
			return nil, invalid("", "", "This dispute is already closed.")
		}
		return d, nil
	}
}

func listDisputes(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	ch, pi := c.args.text("charge"), c.args.text("payment_intent")
	return func() (any, error) {
		from := c.r.disputes.all
		switch {
		case ch != "":
			from = c.r.disputes.of(ch)
		case pi != "":
			from = c.r.disputes.of(pi)
		}
		return page(c.r.disputes, from, p, "/v1/disputes", "dispute", nil)
	}
}
