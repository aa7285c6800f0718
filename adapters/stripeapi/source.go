package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// SourceReader reads a source account: what an event has to be joined to, and the
// money of a period for measurement and reconciliation. It cannot write.
type SourceReader struct{ c *Client }

var _ ingest.SourceReader = (*SourceReader)(nil)

// NewSourceReader makes a reader of source accounts.
func NewSourceReader(c *Client) *SourceReader { return &SourceReader{c: c} }

// collections is where objects are read by their ID. A charge comes with its invoice,
// which tells whether it is one of ours; the pinned version still names it.
var collections = map[string]struct{ path, expand string }{
	"charge":       {"/v1/charges", "invoice"},
	"invoice":      {"/v1/invoices", ""},
	"subscription": {"/v1/subscriptions", ""},
	"customer":     {"/v1/customers", ""},
	"refund":       {"/v1/refunds", ""},
	"dispute":      {"/v1/disputes", ""},
	"credit_note":  {"/v1/credit_notes", ""},
	"product":      {"/v1/products", ""},
}

// Object reads one object in the pinned version, as Stripe's JSON: a charge (with its
// invoice), an invoice, a subscription, a customer, a refund, a dispute, a credit note or a product.
func (r *SourceReader) Object(ctx context.Context, connectionID, object, id string) ([]byte, error) {
	where, known := collections[object]
	if !known {
		return nil, fault.New(fault.Invalid, "stripe_object_unknown", "objects of the kind %q are not read", object)
	}
	path, err := objectPath(where.path, id)
	if err != nil {
		return nil, err
	}
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	req := request{op: object + ".get", method: http.MethodGet, path: path}
	if where.expand != "" {
		req.params = &stripe.ChargeParams{Expand: []*string{stripe.String(where.expand)}}
	}
	raw, err := s.call(ctx, req)
	if err != nil {
		return nil, err
	}
	var o struct {
		Object  string          `json:"object"`
		Invoice json.RawMessage `json:"invoice"`
	}
	if err := json.Unmarshal(raw, &o); err != nil || o.Object != object {
		return nil, badAnswer("the " + object + " that was asked for")
	}
	return raw, checkNested(o.Invoice, s)
}

// checkNested checks the mode of an object that came inside another one.
func checkNested(raw json.RawMessage, s *session) error {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	return checkLivemode(raw, s.env, s.role.strict)
}

// Charge reads whose money a charge was.
func (r *SourceReader) Charge(ctx context.Context, connectionID, chargeID string) (reward.Owner, error) {
	raw, err := r.Object(ctx, connectionID, "charge", chargeID)
	if err != nil {
		return reward.Owner{}, err
	}
	got, err := reward.ClassifyObject(raw, r.c.cfg.Clock.Now(), reward.Config{})
	if err != nil || got.Owner == nil {
		return reward.Owner{}, badAnswer("a charge with its invoice")
	}
	ours, err := r.c.ours(ctx, connectionID)
	if err != nil {
		return reward.Owner{}, err
	}
	got.Owner.OwnInvoice = got.Owner.OwnInvoice || ours[got.Owner.Invoice]
	return *got.Owner, nil
}

// TakeReads returns how many requests readers of the connection have sent from this
// process since it was last asked, repetitions by the SDK included.
func (r *SourceReader) TakeReads(connectionID string) int {
	return int(r.c.readsOf(connectionID).Swap(0))
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
