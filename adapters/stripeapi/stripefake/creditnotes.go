package stripefake

import "fmt"

type creditNote struct {
	head
	Amount          int64            `json:"amount"`
	Shipping        int64            `json:"amount_shipping"`
	Created         int64            `json:"created"`
	Currency        string           `json:"currency"`
	Customer        string           `json:"customer"`
	BalanceTx       any              `json:"customer_balance_transaction"`
	DiscountAmount  int64            `json:"discount_amount"`
	DiscountAmounts []discountAmount `json:"discount_amounts"`
	EffectiveAt     int64            `json:"effective_at"`
	Invoice         string           `json:"invoice"`
	Lines           noteLineList     `json:"lines"`
	Livemode        bool             `json:"livemode"`
	Memo            *string          `json:"memo"`
	Metadata        meta             `json:"metadata"`
	Number          string           `json:"number"`
	OutOfBand       *int64           `json:"out_of_band_amount"`
	PDF             string           `json:"pdf"`
	Reason          *string          `json:"reason"`
	Refund          *string          `json:"refund"`
	ShippingCost    any              `json:"shipping_cost"`
	Status          string           `json:"status"`
	Subtotal        int64            `json:"subtotal"`
	SubtotalExTax   int64            `json:"subtotal_excluding_tax"`
	TaxAmounts      []any            `json:"tax_amounts"`
	Total           int64            `json:"total"`
	TotalExTax      int64            `json:"total_excluding_tax"`
	Type            string           `json:"type"`
	VoidedAt        *int64           `json:"voided_at"`

	credited int64
}

type noteLineList struct {
	Object  string      `json:"object"`
	Data    []*noteLine `json:"data"`
	HasMore bool        `json:"has_more"`
	URL     string      `json:"url"`
}

type noteLine struct {
	ID              string           `json:"id"`
	Object          string           `json:"object"`
	Amount          int64            `json:"amount"`
	AmountExTax     int64            `json:"amount_excluding_tax"`
	Description     *string          `json:"description"`
	DiscountAmount  int64            `json:"discount_amount"`
	DiscountAmounts []discountAmount `json:"discount_amounts"`
	InvoiceLine     string           `json:"invoice_line_item,omitempty"`
	Livemode        bool             `json:"livemode"`
	Quantity        *int64           `json:"quantity"`
	TaxAmounts      []any            `json:"tax_amounts"`
	TaxRates        []any            `json:"tax_rates"`
	Type            string           `json:"type"`
	UnitAmount      *int64           `json:"unit_amount"`
	UnitDecimal     *string          `json:"unit_amount_decimal"`
	UnitExTax       *string          `json:"unit_amount_excluding_tax"`
}

type noteLineParams struct {
	typ, line              string
	amount, quantity, unit *int64
	description            *string
}

type noteParams struct {
	invoice                           string
	amount, credit, refund, outOfBand *int64
	existing, reason                  string
	memo                              *string
	md                                metaPatch
	lines                             []noteLineParams
}

func (a args) note() noteParams {
	p := noteParams{
		invoice: a.require("invoice"), amount: a.integer("amount"), credit: a.integer("credit_amount"), refund: a.integer("refund_amount"),
		outOfBand: a.integer("out_of_band_amount"), existing: a.text("refund"), memo: a.str("memo", 5000), md: a.metadata(),
		reason: a.enum("reason", "duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
	}
	for _, l := range a.list("lines") {
		lp := noteLineParams{
			typ: l.enum("type", "invoice_line_item", "custom_line_item"), line: l.text("invoice_line_item"), amount: l.integer("amount"),
			quantity: l.integer("quantity"), unit: l.integer("unit_amount"), description: l.str("description", 5000),
		}
		l.require("type")
		p.lines = append(p.lines, lp)
	}
	if p.amount == nil && len(p.lines) == 0 {
		a.fail(invalid("parameter_missing", "amount", "You must specify one of amount or lines."))
	}
	return p
}

func createNote(c *call) action {
	p := c.args.note()
	return func() (any, error) {
		r := c.r
		in, ok := r.invoices.get(p.invoice)
		if !ok {
			return nil, missingParam("invoice", p.invoice, "invoice")
		}
		if in.Status != "open" && in.Status != "paid" {
			return nil, invalid("", "invoice", "You can only create credit notes for open or paid invoices; invoice %s is %s.", in.ID, in.Status)
		}
		m, aerr := p.md.fresh()
		if aerr != nil {
			return nil, aerr
		}
		cn, err := r.newNote(in, p)
		if err != nil {
			return nil, err
		}
		cn.Metadata = m
		if cn.Type == "pre_payment" {
			r.creditBefore(in, cn)
		} else if err := r.creditAfter(in, cn, p); err != nil {
			return nil, err
		}
		r.noteNumber[in.ID]++
		cn.Number = fmt.Sprintf("%s-CN-%02d", deref(in.Number), r.noteNumber[in.ID])
		r.notes.add(cn, r.now, in.ID, in.Customer)
		r.emit("credit_note.created", cn)
		if cn.Type == "pre_payment" && in.Status == "open" && in.AmountRemaining == 0 {
			r.markPaid(in, false, nil)
		}
		return cn, nil
	}
}

// newNote builds the note and checks that it fits what is left.
func (r *realm) newNote(in *invoice, p noteParams) (*creditNote, error) {
	cn := &creditNote{
		head: head{ID: r.id("cn"), Object: "credit_note"}, Created: r.now, EffectiveAt: r.now, Currency: in.Currency, Customer: in.Customer,
		DiscountAmounts: []discountAmount{}, Invoice: in.ID, Livemode: r.live, Memo: orNil(p.memo), Status: "issued", TaxAmounts: []any{}, Type: "pre_payment",
	}
	cn.PDF = "https://pay.stripe.com/credit_notes/" + r.acct.spec.ID + "/" + cn.ID + "/pdf"
	cn.Lines = noteLineList{Object: "list", Data: []*noteLine{}, URL: "/v1/credit_notes/" + cn.ID + "/lines"}
	if p.reason != "" {
		cn.Reason = &p.reason
	}
	if in.Status == "paid" {
		cn.Type = "post_payment"
	}
	for _, lp := range p.lines {
		l, err := r.noteLine(in, lp)
		if err != nil {
			return nil, err
		}
		cn.Lines.Data = append(cn.Lines.Data, l)
		cn.Amount += l.Amount
	}
	if len(p.lines) == 0 {
		cn.Amount = *p.amount
		cn.Lines.Data = append(cn.Lines.Data, r.newNoteLine("custom_line_item", cn.Amount, nil))
	}
	cn.Subtotal, cn.SubtotalExTax, cn.Total, cn.TotalExTax = cn.Amount, cn.Amount, cn.Amount, cn.Amount
	if len(p.lines) > 0 {
		r.taxNote(in, cn)
	}
	if p.amount != nil && *p.amount != cn.Amount {
		return nil, invalid("", "amount", "The amount (%d) must equal the sum of the lines (%d).", *p.amount, cn.Amount)
	}
	left := in.AmountRemaining
	if cn.Type == "post_payment" {
		left = in.Total - in.PreCredit - in.PostCredit
	}
	if cn.Amount <= 0 || cn.Amount > left {
		return nil, invalid("", "amount", "The credit note amount (%d) must be positive and at most what is left of the invoice (%d).", cn.Amount, left)
	}
	return cn, nil
}

func (r *realm) newNoteLine(typ string, amount int64, description *string) *noteLine {
	return &noteLine{
		ID: r.id("cnli"), Object: "credit_note_line_item", Amount: amount, AmountExTax: amount, Description: description,
		DiscountAmounts: []discountAmount{}, Livemode: r.live, Quantity: ref(int64(1)), TaxAmounts: []any{}, TaxRates: []any{}, Type: typ,
	}
}

func (r *realm) noteLine(in *invoice, p noteLineParams) (*noteLine, error) {
	if p.typ == "custom_line_item" {
		amount := int64(0)
		switch {
		case p.amount != nil:
			amount = *p.amount
		case p.unit != nil && p.quantity != nil:
			amount = *p.unit * *p.quantity
		case p.unit != nil:
			amount = *p.unit
		}
		l := r.newNoteLine(p.typ, amount, orNil(p.description))
		l.UnitAmount, l.Quantity = p.unit, p.quantity
		return l, nil
	}
	for _, of := range in.lines {
		if of.ID != p.line {
			continue
		}
		amount := of.Amount
		switch {
		case p.amount != nil:
			amount = *p.amount
		case p.quantity != nil:
			amount = share(of.Amount, *p.quantity, of.Quantity)
		}
		credited := amount
		for _, cn := range r.notes.of(in.ID) {
			for _, l := range cn.Lines.Data {
				if cn.Status == "issued" && l.InvoiceLine == of.ID {
					credited += l.Amount
				}
			}
		}
		if credited > of.Amount {
			return nil, invalid("", "lines", "The credited amount (%d) of line %s is more than its amount (%d).", credited, of.ID, of.Amount)
		}
		l := r.newNoteLine(p.typ, amount, of.Description)
		l.InvoiceLine, l.Quantity = of.ID, p.quantity
		return l, nil
	}
	return nil, missingParam("invoice line item", p.line, "lines[invoice_line_item]")
}

// creditBefore reduces what an open invoice still asks for.
func (r *realm) creditBefore(in *invoice, cn *creditNote) {
	r.update("invoice.updated", in, func() {
		in.PreCredit += cn.Amount
		in.AmountDue -= cn.Amount
		in.AmountRemaining -= cn.Amount
	})
	if pi, ok := r.intents.get(deref(in.PaymentIntent)); ok && in.AmountRemaining > 0 {
		pi.Amount = in.AmountRemaining
	}
}

// creditAfter pays a credit back: to the balance, the card or outside Stripe.
func (r *realm) creditAfter(in *invoice, cn *creditNote, p noteParams) error {
	value := func(v *int64) int64 {
		if v == nil {
			return 0
		}
		return *v
	}
	back := value(p.refund)
	if p.existing != "" {
		re, ok := r.refunds.get(p.existing)
		if !ok {
			return missingParam("refund", p.existing, "refund")
		}
		back, cn.Refund = re.Amount, &re.ID
	}
	if sum := value(p.credit) + back + value(p.outOfBand); sum != cn.Amount {
		return invalid("", "", "The sum of credit_amount, refund_amount and out_of_band_amount (%d) must equal the credit note amount (%d).", sum, cn.Amount)
	}
	if back > 0 && p.existing == "" {
		ch, ok := r.charges.get(deref(in.Charge))
		if !ok {
			return invalid("", "refund_amount", "Invoice %s has no charge to refund.", in.ID)
		}
		re, err := r.refund(ch, &back, "")
		if err != nil {
			return err
		}
		cn.Refund = &re.ID
		r.tellRefund(re, ch)
	}
	if cu, ok := r.customers.get(in.Customer); ok && value(p.credit) > 0 {
		cn.credited = *p.credit
		r.update("customer.updated", cu, func() { cu.Balance -= cn.credited })
	}
	cn.OutOfBand = p.outOfBand
	r.update("invoice.updated", in, func() { in.PostCredit += cn.Amount })
	return nil
}

func (r *realm) note(id string) (*creditNote, error) {
	cn, ok := r.notes.get(id)
	if !ok {
		return nil, missing("credit note", id)
	}
	return cn, nil
}

func getNote(c *call) action { return func() (any, error) { return c.r.note(c.id()) } }

func updateNote(c *call) action {
	memo, md := c.args.str("memo", 5000), c.args.metadata()
	return func() (any, error) {
		cn, err := c.r.note(c.id())
		if err != nil {
			return nil, err
		}
		m, aerr := md.apply(cn.Metadata)
		if aerr != nil {
			return nil, aerr
		}
		c.r.update("credit_note.updated", cn, func() {
			cn.Metadata = m
			setText(&cn.Memo, memo)
		})
		return cn, nil
	}
}

func listNotes(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	in, cus := c.args.text("invoice"), c.args.text("customer")
	return func() (any, error) {
		from := c.r.notes.all
		switch {
		case in != "":
			from = c.r.notes.of(in)
		case cus != "":
			from = c.r.notes.of(cus)
		}
		return page(c.r.notes, from, p, "/v1/credit_notes", "credit note", nil)
	}
}

func listNoteLines(c *call) action {
	c.args.paging()
	return func() (any, error) {
		cn, err := c.r.note(c.id())
		if err != nil {
			return nil, err
		}
		return cn.Lines, nil
	}
}

// voidNote takes a credit note back; a refund that was made stays made, so a
// note with one cannot be voided.
func voidNote(c *call) action {
	return func() (any, error) {
		r := c.r
		cn, err := r.note(c.id())
		if err != nil {
			return nil, err
		}
		in, ok := r.invoices.get(cn.Invoice)
		if cn.Status == "void" || cn.Refund != nil || !ok || (cn.Type == "pre_payment" && in.Status != "open") {
			return nil, invalid("", "", "Credit note %s can't be voided.", cn.ID)
		}
		cn.Status, cn.VoidedAt = "void", ref(r.now)
		if cu, found := r.customers.get(cn.Customer); found && cn.credited > 0 {
			r.update("customer.updated", cu, func() { cu.Balance += cn.credited })
		}
		r.update("invoice.updated", in, func() {
			if cn.Type == "post_payment" {
				in.PostCredit -= cn.Amount
				return
			}
			in.PreCredit -= cn.Amount
			in.AmountDue += cn.Amount
			in.AmountRemaining += cn.Amount
		})
		r.emit("credit_note.voided", cn)
		return cn, nil
	}
}
