package stripeapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/domain/reward"
)

// invoiceAge is how long before its payment an invoice may have been created.
// Stripe filters invoices by creation only.
const invoiceAge = 400

// PaidInvoice is an invoice that was paid in a period.
type PaidInvoice struct {
	ID       string
	Customer string
	PaidAt   time.Time
	// CashNetMinor is what Stripe collected, without tax; 0 when nothing was.
	CashNetMinor int64
	Currency     string
	// OwnInvoice is an outcome invoice of ours, which is never anybody's revenue.
	OwnInvoice   bool
	Subscription string
}

// Refund is a refund created in a period, whatever became of it.
type Refund struct {
	ID string
	// Charge may be empty: not every payment has one.
	Charge string
	// FromCashBalance: it went out of a customer's cash balance and returned no payment.
	FromCashBalance bool
	AmountMinor     int64
	Currency        string
	Status          string
	Created         time.Time
}

// Dispute is a dispute created in a period, whatever became of it.
type Dispute struct {
	ID          string
	Charge      string
	AmountMinor int64
	Currency    string
	Status      string
	Created     time.Time
}

// PaidInvoices calls each for every invoice paid in [from, to), newest creation
// first. It stops at the first error of each.
func (r *SourceReader) PaidInvoices(ctx context.Context, connectionID string, from, to time.Time, each func(PaidInvoice) error) error {
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return err
	}
	params := &stripe.InvoiceListParams{
		Status:       stripe.String("paid"),
		CreatedRange: createdIn(from.AddDate(0, 0, -invoiceAge), to),
	}
	ours, err := r.c.ours(ctx, connectionID)
	if err != nil {
		return err
	}
	return s.list(ctx, "invoice.list", "/v1/invoices", params, func(raw json.RawMessage) (bool, error) {
		inv, paid, err := decodePaid(raw)
		inv.OwnInvoice = inv.OwnInvoice || ours[inv.ID]
		if err != nil || !paid || inv.PaidAt.Before(from) || !inv.PaidAt.Before(to) {
			return true, err
		}
		return true, each(inv)
	})
}

// createdIn is the half-open range of seconds that holds every instant of [from, to).
func createdIn(from, to time.Time) *stripe.RangeQueryParams {
	end := to.Unix()
	if to.Nanosecond() > 0 {
		end++
	}
	return &stripe.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThan: end}
}

func decodePaid(raw json.RawMessage) (inv PaidInvoice, paid bool, err error) {
	var o struct {
		ID                string            `json:"id"`
		Object            string            `json:"object"`
		Status            string            `json:"status"`
		Customer          ref               `json:"customer"`
		Subscription      ref               `json:"subscription"`
		Currency          string            `json:"currency"`
		AmountPaid        *int64            `json:"amount_paid"`
		OutOfBand         bool              `json:"paid_out_of_band"`
		Total             *int64            `json:"total"`
		TotalExcludingTax *int64            `json:"total_excluding_tax"`
		Tax               *int64            `json:"tax"`
		Metadata          map[string]string `json:"metadata"`
		Transitions       struct {
			PaidAt *int64 `json:"paid_at"`
		} `json:"status_transitions"`
	}
	if err := json.Unmarshal(raw, &o); err != nil || o.Object != "invoice" || o.ID == "" {
		return inv, false, badAnswer("an invoice")
	}
	if o.Status != "paid" || o.Transitions.PaidAt == nil {
		return inv, false, nil
	}
	if o.AmountPaid == nil || o.Total == nil || o.Currency == "" {
		return inv, false, badAnswer("a complete invoice")
	}
	cash := *o.AmountPaid
	if o.OutOfBand {
		cash = 0 // it never passed through Stripe
	}
	return PaidInvoice{
		ID: o.ID, Customer: string(o.Customer), PaidAt: time.Unix(*o.Transitions.PaidAt, 0).UTC(),
		CashNetMinor: cashNet(cash, *o.Total, o.TotalExcludingTax, o.Tax), Currency: o.Currency,
		OwnInvoice: o.Metadata[metadataKey] != "", Subscription: string(o.Subscription),
	}, true, nil
}

// cashNet is the tax-free share of the cash, by the same rule as the reward facts,
// so that a reconciliation compares like with like.
func cashNet(cash, total int64, excludingTax, tax *int64) int64 {
	net := total
	switch {
	case excludingTax != nil:
		net = *excludingTax
	case tax != nil:
		net = total - *tax
	}
	if share, ok := reward.CashNet(cash, net, total); ok {
		return share
	}
	return cash
}

// movement is what refunds and disputes have in common on the wire.
type movement struct {
	ID       string `json:"id"`
	Charge   ref    `json:"charge"`
	Intent   ref    `json:"payment_intent"`
	Amount   *int64 `json:"amount"`
	Currency string `json:"currency"`
	Status   string `json:"status"`
	Created  int64  `json:"created"`
}

func decodeMovement(raw json.RawMessage, what string) (movement, error) {
	var m movement
	if err := json.Unmarshal(raw, &m); err != nil || m.ID == "" || m.Amount == nil || m.Currency == "" {
		return movement{}, badAnswer(what)
	}
	return m, nil
}

// ofNoPayment reports that a refund went out of a customer's cash balance, which no payment
// brought in: it names neither a charge nor a payment.
func (m movement) ofNoPayment() bool { return m.Charge == "" && m.Intent == "" }

func (m movement) inside(from, to time.Time) bool {
	at := time.Unix(m.Created, 0)
	return !at.Before(from) && at.Before(to)
}

// Refunds returns every refund created in [from, to), newest first.
func (r *SourceReader) Refunds(ctx context.Context, connectionID string, from, to time.Time) ([]Refund, error) {
	var out []Refund
	err := r.movements(ctx, connectionID, "refund", &stripe.RefundListParams{CreatedRange: createdIn(from, to)}, func(m movement) {
		if m.inside(from, to) {
			out = append(out, Refund{
				ID: m.ID, Charge: string(m.Charge), FromCashBalance: m.ofNoPayment(), AmountMinor: *m.Amount, Currency: m.Currency, Status: m.Status,
				Created: time.Unix(m.Created, 0).UTC(),
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Disputes returns every dispute created in [from, to), newest first.
func (r *SourceReader) Disputes(ctx context.Context, connectionID string, from, to time.Time) ([]Dispute, error) {
	var out []Dispute
	err := r.movements(ctx, connectionID, "dispute", &stripe.DisputeListParams{CreatedRange: createdIn(from, to)}, func(m movement) {
		if m.inside(from, to) {
			out = append(out, Dispute{ID: m.ID, Charge: string(m.Charge), AmountMinor: *m.Amount, Currency: m.Currency, Status: m.Status, Created: time.Unix(m.Created, 0).UTC()})
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (r *SourceReader) movements(ctx context.Context, connectionID, kind string, params stripe.ListParamsContainer, each func(movement)) error {
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return err
	}
	return s.list(ctx, kind+".list", "/v1/"+kind+"s", params, func(raw json.RawMessage) (bool, error) {
		m, err := decodeMovement(raw, "a "+kind)
		if err != nil {
			return false, err
		}
		each(m)
		return true, nil
	})
}
