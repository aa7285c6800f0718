package stripefake

func (r *realm) invoice(id string) (*invoice, error) {
	in, ok := r.invoices.get(id)
	if !ok {
		e := missing("invoice", id)
		if other, found := r.acct.otherSide(r, id); found {
			return nil, e.wrongMode(other)
		}
		return nil, e
	}
	return in, nil
}

func getInvoice(c *call) action {
	return func() (any, error) { return c.r.invoice(c.id()) }
}

func listInvoices(c *call) action {
	a, p := c.args, c.args.paging()
	p.created = a.created("created")
	due := a.created("due_date")
	cus, sub := a.text("customer"), a.text("subscription")
	status := a.enum("status", "draft", "open", "paid", "uncollectible", "void")
	method := a.enum("collection_method", "charge_automatically", "send_invoice")
	return func() (any, error) {
		r := c.r
		from := r.invoices.all
		switch {
		case sub != "":
			from = r.invoices.of(sub)
		case cus != "":
			from = r.invoices.of(cus)
		case status != "":
			from = r.invoices.of("status:" + status)
		}
		return page(r.invoices, from, p, "/v1/invoices", "invoice", func(in *invoice) bool {
			return (cus == "" || in.Customer == cus) && (status == "" || in.Status == status) && (method == "" || in.Collection == method) &&
				(due == timeRange{} || (in.DueDate != nil && !due.above(*in.DueDate) && !due.below(*in.DueDate)))
		})
	}
}

func listLines(c *call) action {
	p := c.args.paging()
	return func() (any, error) {
		in, err := c.r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		out := &list{Object: "list", Data: []any{}, URL: in.Lines.URL}
		find := func(id, param string) (int, error) {
			for i, l := range in.lines {
				if l.ID == id {
					return i, nil
				}
			}
			return 0, missingParam("line item", id, param)
		}
		start, end := 0, len(in.lines)
		if p.after != "" {
			i, err := find(p.after, "starting_after")
			if err != nil {
				return nil, err
			}
			start = i + 1
		}
		if p.before != "" {
			i, err := find(p.before, "ending_before")
			if err != nil {
				return nil, err
			}
			start, end = max(0, i-p.limit), i
			out.HasMore = start > 0
		} else if end-start > p.limit {
			end, out.HasMore = start+p.limit, true
		}
		for _, l := range in.lines[start:end] {
			out.Data = append(out.Data, l)
		}
		return out, nil
	}
}

func updateInvoice(c *call) action {
	p := c.args.invoice()
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status == "paid" || in.Status == "void" {
			if p.autoAdvance != nil && *p.autoAdvance {
				return nil, notEditable(in, "auto_advance")
			}
		}
		if in.Status != "draft" && p.touchesMoney() {
			return nil, notEditable(in, "")
		}
		cu, err := r.customer(in.Customer)
		if err != nil {
			return nil, err
		}
		advanced := in.AutoAdvance
		before := render(in)
		if in.Status == "draft" {
			err = r.applyInvoice(in, cu, p)
			r.total(in)
		} else {
			err = r.applyFinal(in, cu, p)
		}
		if err != nil {
			return nil, err
		}
		after := render(in)
		if prev := diff(before, after); prev != nil {
			r.emitRaw("invoice.updated", after, prev)
		}
		if in.AutoAdvance && !advanced {
			r.scheduleAdvance(in)
			r.scheduleCollection(in, hour)
		}
		return in, nil
	}
}

// touchesMoney says whether an update needs a draft.
func (p invoiceParams) touchesMoney() bool {
	return p.collection != "" || p.days != nil || p.discountsGiven || p.tax != nil || p.number != nil || p.descriptor != nil || p.fieldsGiven || p.footer != nil
}

func notEditable(in *invoice, param string) *apiError {
	return invalid("invoice_not_editable", param, "Finalized invoices can't be updated in this way: invoice %s is %s.", in.ID, in.Status)
}

// applyFinal changes what stays editable after finalization.
func (r *realm) applyFinal(in *invoice, cu *customer, p invoiceParams) error {
	if p.dueDate != nil && in.Collection != "send_invoice" {
		return notEditable(in, "due_date")
	}
	if p.method != nil && *p.method != "" && !r.knowsMethod(*p.method) {
		return missingParam("PaymentMethod", *p.method, "default_payment_method")
	}
	m, aerr := p.md.apply(in.Metadata)
	if aerr != nil {
		return aerr
	}
	in.Metadata = m
	if p.dueDate != nil {
		in.DueDate = p.dueDate
	}
	r.applyInvoiceTexts(in, cu, p)
	return nil
}

// deleteInvoice deletes a draft. Its items survive and become pending: the
// customer's next invoice that includes pending items will bill them.
func deleteInvoice(c *call) action {
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status != "draft" || !in.manual {
			return nil, invalid("invoice_not_editable", "", "You can only delete draft invoices; invoice %s is %s.", in.ID, in.Status)
		}
		for _, l := range in.lines {
			if it, ok := r.items.get(l.InvoiceItem); ok {
				r.moveItem(it, nil)
			}
		}
		r.invoices.remove(in)
		r.emit("invoice.deleted", in)
		return deleted{in.ID, in.Object, true}, nil
	}
}

func finalizeInvoice(c *call) action {
	advance := c.args.boolean("auto_advance")
	return func() (any, error) {
		in, err := c.r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status != "draft" {
			return nil, invalid("invoice_not_editable", "", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
		}
		if advance != nil {
			in.AutoAdvance = *advance
		}
		if err := c.r.finalize(in, false); err != nil {
			return nil, err
		}
		return in, nil
	}
}

func sendInvoice(c *call) action {
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Collection != "send_invoice" {
			return nil, invalid("", "", "You can only manually send an invoice if its collection method is 'send_invoice'.")
		}
		if in.Status == "void" {
			return nil, invalid("status_transition_invalid", "", "You cannot send a voided invoice.")
		}
		if in.Status == "draft" {
			if err := r.finalize(in, false); err != nil {
				return nil, err
			}
		}
		r.emit("invoice.sent", in)
		return in, nil
	}
}

func payInvoice(c *call) action {
	a := c.args
	outside := a.flag("paid_out_of_band")
	method := a.str("payment_method", 5000)
	if source := a.str("source", 5000); method == nil {
		method = source
	}
	a.ignore("off_session", "forgive")
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status == "draft" {
			if err := r.finalize(in, false); err != nil {
				return nil, err
			}
			if in.Status == "paid" {
				return in, nil
			}
		}
		if in.Status == "paid" {
			return nil, invalid("", "", "Invoice is already paid")
		}
		if in.Status == "void" {
			return nil, invalid("status_transition_invalid", "", "You cannot pay a voided invoice.")
		}
		if outside {
			r.markPaid(in, true, nil)
			return in, nil
		}
		if method != nil && *method != "" && !r.knowsMethod(*method) {
			return nil, missingParam("PaymentMethod", *method, "payment_method")
		}
		if err := r.collect(in, method); err != nil {
			return nil, err
		}
		return in, nil
	}
}

func voidInvoice(c *call) action {
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status != "open" && in.Status != "uncollectible" {
			return nil, invalid("status_transition_invalid", "", "You can only void an invoice that is open or uncollectible; invoice %s is %s.", in.ID, in.Status)
		}
		r.void(in)
		return in, nil
	}
}

// void cancels an invoice and returns the balance that it had used.
func (r *realm) void(in *invoice) {
	r.setStatus(in, "void")
	in.Transitions.Voided, in.AutoAdvance, in.NextAttempt = ref(r.now), false, nil
	in.AmountRemaining = 0
	if pi, ok := r.intents.get(deref(in.PaymentIntent)); ok {
		r.update("payment_intent.canceled", pi, func() { pi.Status, pi.CanceledAt = "canceled", ref(r.now) })
	}
	if cu, ok := r.customers.get(in.Customer); ok && in.EndingBalance != nil && *in.EndingBalance != in.StartingBalance {
		r.update("customer.updated", cu, func() { cu.Balance += in.StartingBalance - *in.EndingBalance })
	}
	r.emit("invoice.voided", in)
}

func deref(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}

func markUncollectible(c *call) action {
	return func() (any, error) {
		r := c.r
		in, err := r.invoice(c.id())
		if err != nil {
			return nil, err
		}
		if in.Status != "open" {
			return nil, invalid("status_transition_invalid", "", "You can only mark an open invoice as uncollectible; invoice %s is %s.", in.ID, in.Status)
		}
		r.setStatus(in, "uncollectible")
		in.Transitions.Uncollectible, in.AutoAdvance, in.NextAttempt = ref(r.now), false, nil
		r.emit("invoice.marked_uncollectible", in)
		return in, nil
	}
}

// setStatus keeps the status index.
func (r *realm) setStatus(in *invoice, status string) {
	r.invoices.unlink(in, "status:"+in.Status)
	in.Status = status
	r.invoices.link(in, "status:"+status)
}
