package stripefake

// taxAmount is the tax of an invoice, of a credit note or of a line of one.
type taxAmount struct {
	Amount     int64   `json:"amount"`
	Inclusive  bool    `json:"inclusive"`
	TaxRate    string  `json:"tax_rate"`
	Reason     *string `json:"taxability_reason"`
	TaxableNet int64   `json:"taxable_amount"`
}

// SetTax makes automatic tax add a percentage to the lines of invoices that are computed from
// now on; 0, as in the beginning, adds none. One rate stands for all rules of a place.
func (s *Server) SetTax(acct, mode string, percent int64) error {
	r, err := s.realm(acct, mode)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taxPercent = percent
	return nil
}

// taxOf is the tax of an amount without it.
func (r *realm) taxOf(net int64) taxAmount {
	return taxAmount{Amount: share(net, r.taxPercent, 100), TaxRate: "txr_automatic", Reason: ref("standard_rated"), TaxableNet: net}
}

// tax adds the tax of its lines to an invoice with automatic tax.
func (r *realm) tax(in *invoice) {
	in.Tax, in.TaxAmounts = ref(int64(0)), []any{}
	if r.taxPercent == 0 {
		return
	}
	sum := taxAmount{TaxRate: "txr_automatic", Reason: ref("standard_rated")}
	for _, l := range in.lines {
		net := l.Amount
		for _, d := range l.DiscountAmounts {
			net -= d.Amount
		}
		t := r.taxOf(net)
		l.TaxAmounts = []any{t}
		sum.Amount, sum.TaxableNet = sum.Amount+t.Amount, sum.TaxableNet+net
	}
	in.Tax, in.TaxAmounts = &sum.Amount, []any{sum}
	in.Total += sum.Amount
}

// taxNote adds the tax of the invoice's lines to a credit note over them. What is credited is
// named without tax, as on every invoice with automatic tax.
func (r *realm) taxNote(in *invoice, cn *creditNote) {
	if !in.AutomaticTax.Enabled || in.Tax == nil || *in.Tax == 0 {
		return
	}
	sum := taxAmount{TaxRate: "txr_automatic", Reason: ref("standard_rated")}
	for _, l := range cn.Lines.Data {
		t := r.taxOf(l.Amount)
		l.TaxAmounts = []any{t}
		sum.Amount, sum.TaxableNet = sum.Amount+t.Amount, sum.TaxableNet+l.Amount
	}
	cn.TaxAmounts = []any{sum}
	cn.Amount += sum.Amount
	cn.Total = cn.Amount
}

// previewNote is the credit note that a create with the same lines would make.
func previewNote(c *call) action {
	p := c.args.note()
	return func() (any, error) {
		in, ok := c.r.invoices.get(p.invoice)
		if !ok {
			return nil, missingParam("invoice", p.invoice, "invoice")
		}
		cn, err := c.r.newNote(in, p)
		if err != nil {
			return nil, err
		}
		cn.Metadata = meta{}
		return cn, nil
	}
}
