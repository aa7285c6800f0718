package stripeapi

import (
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
)

// metadataKey marks what is ours in Stripe's metadata; metadataLine names the line
// of an item.
const (
	metadataKey  = "lb_key"
	metadataLine = "lb_line"
)

// ref is a reference that Stripe writes as an ID, as the object itself, or as null.
type ref string

// UnmarshalJSON reads all three forms.
func (r *ref) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(r))
	}
	var o struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	*r = ref(o.ID)
	return nil
}

// rawInvoice names the fields that are read. Integers decode exactly; a missing one
// stays nil, and a fraction is an error.
type rawInvoice struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	Customer          ref               `json:"customer"`
	Status            string            `json:"status"`
	Livemode          bool              `json:"livemode"`
	Currency          string            `json:"currency"`
	AutoAdvance       bool              `json:"auto_advance"`
	CollectionMethod  string            `json:"collection_method"`
	Subtotal          *int64            `json:"subtotal"`
	Total             *int64            `json:"total"`
	TotalExcludingTax *int64            `json:"total_excluding_tax"`
	AmountDue         *int64            `json:"amount_due"`
	AmountPaid        int64             `json:"amount_paid"`
	AmountRemaining   int64             `json:"amount_remaining"`
	Number            string            `json:"number"`
	HostedURL         string            `json:"hosted_invoice_url"`
	PDF               string            `json:"invoice_pdf"`
	Created           int64             `json:"created"`
	Metadata          map[string]string `json:"metadata"`
	Discount          json.RawMessage   `json:"discount"`
	Discounts         []json.RawMessage `json:"discounts"`
	DiscountAmounts   []struct {
		Amount int64 `json:"amount"`
	} `json:"total_discount_amounts"`
	Transitions struct {
		FinalizedAt *int64 `json:"finalized_at"`
	} `json:"status_transitions"`
}

func decodeInvoice(raw json.RawMessage) (invoicing.StripeInvoice, error) {
	var r rawInvoice
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "invoice" || r.ID == "" {
		return invoicing.StripeInvoice{}, badAnswer("an invoice")
	}
	if r.Subtotal == nil || r.Total == nil || r.AmountDue == nil || r.Currency == "" || r.Status == "" {
		return invoicing.StripeInvoice{}, badAnswer("a complete invoice")
	}
	out := invoicing.StripeInvoice{
		ID: r.ID, Customer: string(r.Customer), Status: r.Status, Livemode: r.Livemode, Currency: r.Currency,
		AutoAdvance: r.AutoAdvance, CollectionMethod: r.CollectionMethod, SubtotalMinor: *r.Subtotal, TotalMinor: *r.Total,
		TotalExcludingTaxMinor: r.TotalExcludingTax, HasDiscounts: r.discounted(), AmountDueMinor: *r.AmountDue,
		AmountPaidMinor: r.AmountPaid, AmountRemainingMinor: r.AmountRemaining,
		Number: r.Number, HostedURL: r.HostedURL, PDFURL: r.PDF, Created: time.Unix(r.Created, 0).UTC(), Metadata: r.Metadata,
	}
	if at := r.Transitions.FinalizedAt; at != nil {
		t := time.Unix(*at, 0).UTC()
		out.FinalizedAt = &t
	}
	return out, nil
}

func (r rawInvoice) discounted() bool {
	if len(r.Discounts) > 0 || (len(r.Discount) > 0 && string(r.Discount) != "null") {
		return true
	}
	for _, d := range r.DiscountAmounts {
		if d.Amount != 0 {
			return true
		}
	}
	return false
}

func decodeItem(raw json.RawMessage) (invoicing.StripeItem, error) {
	var r struct {
		ID           string            `json:"id"`
		Object       string            `json:"object"`
		Invoice      ref               `json:"invoice"`
		Customer     ref               `json:"customer"`
		Amount       *int64            `json:"amount"`
		Currency     string            `json:"currency"`
		Livemode     bool              `json:"livemode"`
		Discountable bool              `json:"discountable"`
		Metadata     map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "invoiceitem" || r.ID == "" || r.Amount == nil || r.Currency == "" {
		return invoicing.StripeItem{}, badAnswer("an invoice item")
	}
	return invoicing.StripeItem{
		ID: r.ID, Invoice: string(r.Invoice), Customer: string(r.Customer), AmountMinor: *r.Amount, Currency: r.Currency,
		Livemode: r.Livemode, Discountable: r.Discountable, Metadata: r.Metadata,
	}, nil
}

func decodePayer(raw json.RawMessage) (invoicing.Payer, error) {
	var r struct {
		ID       string `json:"id"`
		Object   string `json:"object"`
		Deleted  bool   `json:"deleted"`
		Livemode bool   `json:"livemode"`
		Email    string `json:"email"`
		Settings struct {
			PaymentMethod ref `json:"default_payment_method"`
		} `json:"invoice_settings"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "customer" || r.ID == "" {
		return invoicing.Payer{}, badAnswer("a customer")
	}
	return invoicing.Payer{
		ID: r.ID, Deleted: r.Deleted, Livemode: r.Livemode, HasEmail: r.Email != "",
		HasDefaultPaymentMethod: r.Settings.PaymentMethod != "",
	}, nil
}

func idOf(raw json.RawMessage) (string, error) {
	var r struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.ID == "" {
		return "", badAnswer("a list of objects")
	}
	return r.ID, nil
}
