package stripeapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// SourceReader reads a source account: what an event has to be joined to, and the
// money of a period for measurement and reconciliation. It cannot write.
type SourceReader struct{ c *Client }

var _ ingest.SourceReader = (*SourceReader)(nil)

// NewSourceReader makes a reader of source accounts.
func NewSourceReader(c *Client) *SourceReader { return &SourceReader{c: c} }

// Charge reads a charge with its customer and its invoice, and whether the invoice
// is one of our own. The pinned API version still names the invoice of a charge.
func (r *SourceReader) Charge(ctx context.Context, connectionID, chargeID string) (ingest.Charge, error) {
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return ingest.Charge{}, err
	}
	raw, err := s.get(ctx, "charge.get", "/v1/charges", chargeID)
	if err != nil {
		return ingest.Charge{}, err
	}
	var o struct {
		ID       string `json:"id"`
		Object   string `json:"object"`
		Customer ref    `json:"customer"`
		Invoice  ref    `json:"invoice"`
	}
	if err := json.Unmarshal(raw, &o); err != nil || o.Object != "charge" {
		return ingest.Charge{}, badAnswer("a charge")
	}
	out := ingest.Charge{ID: o.ID, Customer: string(o.Customer), Invoice: string(o.Invoice), Raw: raw}
	if out.Invoice == "" {
		return out, nil
	}
	// Read, not expanded: the answer is checked for its mode like every other.
	raw, err = s.get(ctx, "invoice.get", "/v1/invoices", out.Invoice)
	if err != nil {
		return ingest.Charge{}, err
	}
	inv, err := decodeInvoice(raw)
	if err != nil {
		return ingest.Charge{}, err
	}
	out.OwnInvoice = inv.Metadata[metadataKey] != ""
	return out, nil
}

// RefundsOf lists every refund of a charge, each as Stripe's JSON.
func (r *SourceReader) RefundsOf(ctx context.Context, connectionID, chargeID string) ([][]byte, error) {
	if !idRE.MatchString(chargeID) {
		return nil, fault.New(fault.Invalid, "stripe_id_malformed", "%q is not the ID of a Stripe object", chargeID)
	}
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	err = s.list(ctx, "refund.list", "/v1/refunds", &stripe.RefundListParams{Charge: stripe.String(chargeID)}, func(raw json.RawMessage) (bool, error) {
		out = append(out, raw)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// LatestEvent returns the newest event of the given types that Stripe still keeps
// (30 days); ok is false when there is none.
func (r *SourceReader) LatestEvent(ctx context.Context, connectionID string, types []string) (id string, created time.Time, ok bool, err error) {
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return "", time.Time{}, false, err
	}
	params := &stripe.EventListParams{Types: stripe.StringSlice(types)}
	params.Limit = stripe.Int64(1)
	err = s.list(ctx, "event.list", "/v1/events", params, func(raw json.RawMessage) (bool, error) {
		var e struct {
			ID      string `json:"id"`
			Created int64  `json:"created"`
		}
		if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" {
			return false, badAnswer("an event")
		}
		// Stripe lists the newest first.
		id, created, ok = e.ID, time.Unix(e.Created, 0).UTC(), true
		return false, nil
	})
	if err != nil {
		return "", time.Time{}, false, err
	}
	return id, created, ok, nil
}
