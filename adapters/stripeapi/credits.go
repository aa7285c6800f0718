package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const creditsPath = "/v1/credit_notes"

// metadataCredit names the correction that a credit note is for.
const metadataCredit = "lb_adj"

// Credits opens writers of credit notes, for live issuers only.
type Credits struct{ c *Client }

var _ invoicing.Credits = (*Credits)(nil)

// NewCredits makes the source of credit writers.
func NewCredits(c *Client) *Credits { return &Credits{c} }

// OpenCredit opens the writer of one authorised credit note. The account's switch, the
// connection and its key are looked at again, as for an invoice.
func (s *Credits) OpenCredit(ctx context.Context, c billing.Credit) (invoicing.CreditWriter, error) {
	if !c.Valid() {
		return nil, modeViolation("nobody authorised this credit note")
	}
	plan := c.Plan()
	if err := s.c.stillOpen(ctx, plan.AccountID); err != nil {
		return nil, err
	}
	i, _, err := s.c.readyIssuer(ctx, plan.Key.IssuerConnection)
	if err != nil {
		return nil, err
	}
	return &creditWriter{wire: s.c.liveWire(creditRole, i.key, i.conn.ID), plan: plan, order: c.Order()}, nil
}

// creditWriter makes one credit note. Its key and parameters are functions of the order.
type creditWriter struct {
	wire  *liveWire
	plan  billing.InvoicePlan
	order billing.CreditOrder
}

// Calls returns and clears the log of requests.
func (w *creditWriter) Calls() []invoicing.Call { return w.wire.Calls() }

// Invoice reads an invoice.
func (w *creditWriter) Invoice(ctx context.Context, invoiceID string) (invoicing.StripeInvoice, error) {
	raw, err := w.wire.get(ctx, "invoice.get", invoicesPath, invoiceID)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	return decodeInvoice(raw)
}

// CreditNotes lists every credit note of the invoice.
func (w *creditWriter) CreditNotes(ctx context.Context) ([]invoicing.CreditNote, error) {
	if err := w.wire.note.halted(); err != nil {
		return nil, err
	}
	var out []invoicing.CreditNote
	params := &stripe.CreditNoteListParams{Invoice: stripe.String(w.order.InvoiceID)}
	err := w.wire.s.list(ctx, "credit_note.list", creditsPath, params, func(raw json.RawMessage) (bool, error) {
		n, err := decodeCreditNote(raw)
		out = append(out, n)
		return true, err
	})
	return out, err
}

// Create makes the note on the order's line. Its key is the order's.
func (w *creditWriter) Create(ctx context.Context, keyNumber int) (invoicing.CreditNote, error) {
	line, err := w.line(ctx)
	if err != nil {
		return invoicing.CreditNote{}, err
	}
	o := w.order
	params := &stripe.CreditNoteParams{
		Invoice: stripe.String(o.InvoiceID), Reason: stripe.String("order_change"), Memo: stripe.String(o.Memo),
		Lines: []*stripe.CreditNoteLineParams{{
			Type: stripe.String("invoice_line_item"), InvoiceLineItem: stripe.String(line), Amount: stripe.Int64(o.AmountMinor),
		}},
		Metadata: map[string]string{metadataKey: w.plan.Key.StripeKey(), metadataCredit: o.ID, metadataLine: o.Line},
	}
	if o.After {
		whole, err := w.withTax(ctx, line)
		if err != nil {
			return invoicing.CreditNote{}, err
		}
		params.CreditAmount = stripe.Int64(whole) // to the payer's balance; nothing is refunded by us
	}
	raw, err := w.wire.send(ctx, request{
		op: "credit_note.create", method: http.MethodPost, path: creditsPath, params: params,
		key: w.plan.Key.StripeKey() + ":cn:" + o.ID + ":" + strconv.Itoa(keyNumber),
	})
	if err != nil {
		return invoicing.CreditNote{}, err
	}
	n, err := decodeCreditNote(raw)
	return n, afterWrite(err)
}

// withTax is what the note comes to with the tax that Stripe takes off with the line. A note
// after payment has to name where all of it goes, and Stripe alone knows its tax.
func (w *creditWriter) withTax(ctx context.Context, line string) (int64, error) {
	o := w.order
	raw, err := w.wire.send(ctx, request{op: "credit_note.preview", method: http.MethodGet, path: creditsPath + "/preview", params: &stripe.CreditNotePreviewParams{
		Invoice: stripe.String(o.InvoiceID),
		Lines: []*stripe.CreditNotePreviewLineParams{{
			Type: stripe.String("invoice_line_item"), InvoiceLineItem: stripe.String(line), Amount: stripe.Int64(o.AmountMinor),
		}},
	}})
	if err != nil {
		return 0, err
	}
	var r struct {
		Object   string `json:"object"`
		Total    *int64 `json:"total"`
		NetOfTax *int64 `json:"total_excluding_tax"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "credit_note" || r.Total == nil {
		return 0, badAnswer("the preview of a credit note")
	}
	if net := r.NetOfTax; *r.Total < o.AmountMinor || (net != nil && *net != o.AmountMinor) {
		return 0, fault.New(fault.Invalid, "credit_preview_differs", "Stripe would credit %d minor units with tax for %d of line %s", *r.Total, o.AmountMinor, o.Line).
			Fix("Make the credit note in the Stripe Dashboard, or correct it with the next cycle")
	}
	return *r.Total, nil
}

// line is the invoice's line that the item of ours became.
func (w *creditWriter) line(ctx context.Context) (string, error) {
	path, err := objectPath(invoicesPath, w.order.InvoiceID)
	if err != nil {
		return "", err
	}
	found := ""
	err = w.wire.s.list(ctx, "invoice.lines", path+"/lines", &stripe.InvoiceListLinesParams{}, func(raw json.RawMessage) (bool, error) {
		var l struct {
			ID   string `json:"id"`
			Item ref    `json:"invoice_item"`
		}
		if err := json.Unmarshal(raw, &l); err != nil || l.ID == "" {
			return false, badAnswer("a list of invoice lines")
		}
		if string(l.Item) == w.order.StripeItem {
			found = l.ID
		}
		return found == "", nil
	})
	if err == nil && found == "" {
		err = fault.New(fault.Invalid, codeMissing, "invoice %s has no line of item %s", w.order.InvoiceID, w.order.StripeItem)
	}
	return found, err
}

func decodeCreditNote(raw json.RawMessage) (invoicing.CreditNote, error) {
	var r struct {
		ID       string            `json:"id"`
		Object   string            `json:"object"`
		Invoice  ref               `json:"invoice"`
		Livemode bool              `json:"livemode"`
		Status   string            `json:"status"`
		Amount   *int64            `json:"amount"`
		NetOfTax *int64            `json:"total_excluding_tax"`
		Currency string            `json:"currency"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "credit_note" || r.ID == "" || r.Amount == nil || r.Status == "" {
		return invoicing.CreditNote{}, badAnswer("a credit note")
	}
	net := *r.Amount
	if r.NetOfTax != nil {
		net = *r.NetOfTax
	}
	return invoicing.CreditNote{
		NetMinor: net, ID: r.ID, Invoice: string(r.Invoice), Livemode: r.Livemode, Status: r.Status, AmountMinor: *r.Amount, Currency: r.Currency, Metadata: r.Metadata,
	}, nil
}
