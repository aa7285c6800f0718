package stripefake

import "slices"

type invoice struct {
	head
	AccountCountry    string           `json:"account_country"`
	AccountName       *string          `json:"account_name"`
	AccountTaxIDs     any              `json:"account_tax_ids"`
	AmountDue         int64            `json:"amount_due"`
	AmountPaid        int64            `json:"amount_paid"`
	AmountRemaining   int64            `json:"amount_remaining"`
	AmountShipping    int64            `json:"amount_shipping"`
	Application       any              `json:"application"`
	ApplicationFee    any              `json:"application_fee_amount"`
	AttemptCount      int64            `json:"attempt_count"`
	Attempted         bool             `json:"attempted"`
	AutoAdvance       bool             `json:"auto_advance"`
	AutomaticTax      automaticTax     `json:"automatic_tax"`
	BillingReason     string           `json:"billing_reason"`
	Charge            *string          `json:"charge"`
	Collection        string           `json:"collection_method"`
	Created           int64            `json:"created"`
	Currency          string           `json:"currency"`
	CustomFields      []customField    `json:"custom_fields"`
	Customer          string           `json:"customer"`
	CustomerAddress   *address         `json:"customer_address"`
	CustomerEmail     *string          `json:"customer_email"`
	CustomerName      *string          `json:"customer_name"`
	CustomerPhone     *string          `json:"customer_phone"`
	CustomerShipping  any              `json:"customer_shipping"`
	CustomerTaxExempt string           `json:"customer_tax_exempt"`
	CustomerTaxIDs    []any            `json:"customer_tax_ids"`
	DefaultMethod     *string          `json:"default_payment_method"`
	DefaultSource     *string          `json:"default_source"`
	DefaultTaxRates   []any            `json:"default_tax_rates"`
	Description       *string          `json:"description"`
	Discount          *discount        `json:"discount"`
	Discounts         []string         `json:"discounts"`
	DueDate           *int64           `json:"due_date"`
	EffectiveAt       *int64           `json:"effective_at"`
	EndingBalance     *int64           `json:"ending_balance"`
	Footer            *string          `json:"footer"`
	FromInvoice       any              `json:"from_invoice"`
	HostedURL         *string          `json:"hosted_invoice_url"`
	PDF               *string          `json:"invoice_pdf"`
	Issuer            issuer           `json:"issuer"`
	FinalizationError *taxError        `json:"last_finalization_error"`
	LatestRevision    any              `json:"latest_revision"`
	Lines             lineList         `json:"lines"`
	Livemode          bool             `json:"livemode"`
	Metadata          meta             `json:"metadata"`
	NextAttempt       *int64           `json:"next_payment_attempt"`
	Number            *string          `json:"number"`
	OnBehalfOf        any              `json:"on_behalf_of"`
	Paid              bool             `json:"paid"`
	PaidOutOfBand     bool             `json:"paid_out_of_band"`
	PaymentIntent     *string          `json:"payment_intent"`
	PaymentSettings   invoicePayment   `json:"payment_settings"`
	PeriodEnd         int64            `json:"period_end"`
	PeriodStart       int64            `json:"period_start"`
	PostCredit        int64            `json:"post_payment_credit_notes_amount"`
	PreCredit         int64            `json:"pre_payment_credit_notes_amount"`
	Quote             any              `json:"quote"`
	Receipt           any              `json:"receipt_number"`
	Rendering         any              `json:"rendering"`
	ShippingCost      any              `json:"shipping_cost"`
	ShippingDetails   any              `json:"shipping_details"`
	StartingBalance   int64            `json:"starting_balance"`
	Descriptor        *string          `json:"statement_descriptor"`
	Status            string           `json:"status"`
	Transitions       transitions      `json:"status_transitions"`
	Subscription      *string          `json:"subscription"`
	SubDetails        subDetails       `json:"subscription_details"`
	Subtotal          int64            `json:"subtotal"`
	SubtotalExTax     int64            `json:"subtotal_excluding_tax"`
	Tax               *int64           `json:"tax"`
	TestClock         any              `json:"test_clock"`
	Total             int64            `json:"total"`
	DiscountAmounts   []discountAmount `json:"total_discount_amounts"`
	TotalExTax        int64            `json:"total_excluding_tax"`
	TaxAmounts        []any            `json:"total_tax_amounts"`
	TransferData      any              `json:"transfer_data"`
	DeliveredAt       *int64           `json:"webhooks_delivered_at"`

	lines    []*line
	applied  []*discount // own discounts; nil inherits nothing
	daysDue  *int64
	numbered bool // number given by the caller
	manual   bool // created through the API, not by a subscription
}

type automaticTax struct {
	Enabled   bool    `json:"enabled"`
	Liability any     `json:"liability"`
	Status    *string `json:"status"`
}

type taxError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type"`
}

type customField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type issuer struct {
	Type string `json:"type"`
}

type invoicePayment struct {
	Mandate any `json:"default_mandate"`
	Options any `json:"payment_method_options"`
	Types   any `json:"payment_method_types"`
}

type transitions struct {
	Finalized     *int64 `json:"finalized_at"`
	Uncollectible *int64 `json:"marked_uncollectible_at"`
	Paid          *int64 `json:"paid_at"`
	Voided        *int64 `json:"voided_at"`
}

type subDetails struct {
	Metadata meta `json:"metadata"`
}

type discountAmount struct {
	Amount   int64  `json:"amount"`
	Discount string `json:"discount"`
}

type lineList struct {
	Object  string  `json:"object"`
	Data    []*line `json:"data"`
	HasMore bool    `json:"has_more"`
	URL     string  `json:"url"`
}

type line struct {
	head
	Amount          int64            `json:"amount"`
	AmountExTax     int64            `json:"amount_excluding_tax"`
	Currency        string           `json:"currency"`
	Description     *string          `json:"description"`
	DiscountAmounts []discountAmount `json:"discount_amounts"`
	Discountable    bool             `json:"discountable"`
	Discounts       []string         `json:"discounts"`
	Invoice         string           `json:"invoice"`
	InvoiceItem     string           `json:"invoice_item,omitempty"`
	Livemode        bool             `json:"livemode"`
	Metadata        meta             `json:"metadata"`
	Period          period           `json:"period"`
	Price           *price           `json:"price"`
	Proration       bool             `json:"proration"`
	ProrationInfo   prorationInfo    `json:"proration_details"`
	Quantity        int64            `json:"quantity"`
	Subscription    *string          `json:"subscription"`
	SubItem         string           `json:"subscription_item,omitempty"`
	TaxAmounts      []any            `json:"tax_amounts"`
	TaxRates        []any            `json:"tax_rates"`
	Type            string           `json:"type"`
	UnitExTax       *string          `json:"unit_amount_excluding_tax"`
}

type period struct {
	End   int64 `json:"end"`
	Start int64 `json:"start"`
}

type prorationInfo struct {
	Credited any `json:"credited_items"`
}

const (
	maxLines      = 250
	embeddedLines = 10
)

// newInvoice makes a draft that bills nothing yet.
func (r *realm) newInvoice(cu *customer, currency, reason string) *invoice {
	in := &invoice{
		head: head{ID: r.id("in"), Object: "invoice"}, AccountCountry: r.acct.spec.Country, BillingReason: reason,
		Collection: "charge_automatically", Created: r.now, Currency: currency, Customer: cu.ID, CustomerTaxIDs: []any{},
		DefaultTaxRates: []any{}, Discounts: []string{}, Issuer: issuer{"self"}, Livemode: r.live, Metadata: meta{},
		PeriodStart: r.now, PeriodEnd: r.now, Status: "draft", TaxAmounts: []any{}, DiscountAmounts: []discountAmount{},
	}
	if r.acct.spec.Name != "" {
		in.AccountName = &r.acct.spec.Name
	}
	in.Lines = lineList{Object: "list", Data: []*line{}, URL: "/v1/invoices/" + in.ID + "/lines"}
	in.copyCustomer(cu)
	return in
}

// copyCustomer takes the customer's data, which follows it until finalization.
func (in *invoice) copyCustomer(cu *customer) {
	in.CustomerAddress, in.CustomerEmail, in.CustomerName, in.CustomerPhone = cu.Address, cu.Email, cu.Name, cu.Phone
	in.CustomerTaxExempt = cu.TaxExempt
	if in.Footer == nil {
		in.Footer = cu.InvoiceSettings.Footer
	}
}

// setDiscounts makes the discounts the invoice's own.
func (in *invoice) setDiscounts(ds []*discount) {
	in.applied, in.Discounts, in.Discount = ds, []string{}, nil
	for _, d := range ds {
		in.Discounts = append(in.Discounts, d.ID)
	}
	if len(ds) > 0 {
		in.Discount = ds[0]
	}
}

// total recomputes the amounts of a draft from its lines.
func (r *realm) total(in *invoice) {
	in.Subtotal = 0
	for _, l := range in.lines {
		in.Subtotal += l.Amount
		l.DiscountAmounts, l.Discounts = []discountAmount{}, []string{}
	}
	in.DiscountAmounts = []discountAmount{}
	cut := int64(0)
	for _, d := range in.applied {
		sum, left := int64(0), int64(0)
		if d.Coupon.AmountOff != nil {
			left = *d.Coupon.AmountOff
		}
		for _, l := range in.lines {
			if !l.Discountable || l.Amount <= 0 {
				continue
			}
			before := l.Amount
			for _, a := range l.DiscountAmounts {
				before -= a.Amount
			}
			a := d.off(before, in.Currency, &left)
			l.DiscountAmounts = append(l.DiscountAmounts, discountAmount{a, d.ID})
			sum += a
		}
		cut += sum
		in.DiscountAmounts = append(in.DiscountAmounts, discountAmount{sum, d.ID})
	}
	in.SubtotalExTax = in.Subtotal
	in.Total = in.Subtotal - cut
	in.TotalExTax = in.Total
	if in.AutomaticTax.Enabled {
		r.tax(in)
	}
	if cu, ok := r.customers.get(in.Customer); ok {
		in.StartingBalance = cu.Balance
	}
	in.AmountDue = max(0, in.Total+in.StartingBalance)
	if in.Total < 0 {
		in.AmountDue = 0
	}
	in.AmountRemaining = in.AmountDue
	in.embed()
}

// embed shows the first page of the lines in the invoice.
func (in *invoice) embed() {
	in.Lines.Data = in.lines[:min(len(in.lines), embeddedLines)]
	in.Lines.HasMore = len(in.lines) > embeddedLines
	if in.Lines.Data == nil {
		in.Lines.Data = []*line{}
	}
}

// addLine appends a line made from an item.
func (r *realm) addLine(in *invoice, it *invoiceItem) {
	l := &line{head: head{ID: r.id("il"), Object: "line_item"}, Invoice: in.ID, Livemode: r.live, Type: "invoiceitem", InvoiceItem: it.ID, TaxAmounts: []any{}, TaxRates: []any{}}
	l.copyItem(it)
	in.lines = append(in.lines, l)
}

func (l *line) copyItem(it *invoiceItem) {
	l.Amount, l.AmountExTax, l.Currency, l.Description = it.Amount, it.Amount, it.Currency, it.Description
	l.Discountable, l.Metadata, l.Period, l.Price = it.Discountable, it.Metadata, it.Period, it.Price
	l.Proration, l.Quantity, l.Subscription = it.Proration, it.Quantity, it.Subscription
	l.UnitExTax = ref(it.UnitDecimal)
}

func (in *invoice) lineOf(itemID string) *line {
	for _, l := range in.lines {
		if l.InvoiceItem == itemID {
			return l
		}
	}
	return nil
}

func (in *invoice) dropLine(itemID string) {
	in.lines = slices.DeleteFunc(in.lines, func(l *line) bool { return l.InvoiceItem == itemID })
}

// refill recomputes a draft after a change to its lines, with its event.
func (r *realm) refill(in *invoice, change func()) {
	r.update("invoice.updated", in, func() {
		change()
		r.total(in)
	})
}
