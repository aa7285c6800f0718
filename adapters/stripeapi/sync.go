package stripeapi

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

var _ sourcesync.Source = (*SourceReader)(nil)

// wantedEvents are the types that are kept of what /v1/events shows: those that an
// endpoint of ours is sent, and whatever else the classifier reads. They are more than
// the 20 that one request may name, so that all types are fetched and the rest is left
// out here.
var wantedEvents = func() map[string]bool {
	out := map[string]bool{}
	for _, t := range slices.Concat(sourceEvents, issuerEvents, newerEvents) {
		out[t] = true
	}
	for _, t := range reward.EventTypes() {
		out[t] = true
	}
	return out
}()

// Events fetches one page of the events created in the window, newest first. after
// continues behind an earlier page.
func (r *SourceReader) Events(ctx context.Context, connectionID string, from, to time.Time, after string) (sourcesync.EventPage, error) {
	params := &stripe.EventListParams{CreatedRange: createdIn(from, to)}
	page, err := r.page(ctx, connectionID, "event.list", "/v1/events", params, &params.ListParams, after)
	if err != nil {
		return sourcesync.EventPage{}, err
	}
	out := sourcesync.EventPage{Next: page.next, Oldest: page.oldest}
	for _, raw := range page.data {
		var e struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" || e.Type == "" {
			return sourcesync.EventPage{}, badAnswer("a list of events")
		}
		if wantedEvents[e.Type] {
			out.Events = append(out.Events, raw)
		} else {
			out.Others++
		}
	}
	return out, nil
}

// Objects fetches one page of the objects of a kind created in the window, newest first.
// Charges come with their invoices; subscriptions of every status are listed.
func (r *SourceReader) Objects(ctx context.Context, connectionID string, kind sourcesync.Resource, from, to time.Time, after string) (sourcesync.ObjectPage, error) {
	created := createdIn(from, to)
	var params stripe.ListParamsContainer
	switch kind {
	case sourcesync.Customers:
		params = &stripe.CustomerListParams{CreatedRange: created}
	case sourcesync.Subscriptions:
		params = &stripe.SubscriptionListParams{CreatedRange: created, Status: stripe.String("all")}
	case sourcesync.Invoices:
		params = &stripe.InvoiceListParams{CreatedRange: created}
	case sourcesync.Charges:
		params = &stripe.ChargeListParams{CreatedRange: created, Expand: []*string{stripe.String("data.invoice")}}
	case sourcesync.Refunds:
		params = &stripe.RefundListParams{CreatedRange: created}
	case sourcesync.Disputes:
		params = &stripe.DisputeListParams{CreatedRange: created}
	case sourcesync.CreditNotes:
		params = &stripe.CreditNoteListParams{CreatedRange: created}
	default:
		return sourcesync.ObjectPage{}, fault.New(fault.Invalid, "stripe_object_unknown", "objects of the kind %q are not listed", kind)
	}
	page, err := r.page(ctx, connectionID, string(kind)+".list", "/v1/"+string(kind), params, params.GetListParams(), after)
	if err != nil {
		return sourcesync.ObjectPage{}, err
	}
	return sourcesync.ObjectPage{Objects: page.data, Next: page.next, Oldest: page.oldest}, nil
}

// Lines lists all lines of an invoice, each as Stripe's JSON.
func (r *SourceReader) Lines(ctx context.Context, connectionID, invoiceID string) ([][]byte, error) {
	path, err := objectPath("/v1/invoices", invoiceID)
	if err != nil {
		return nil, err
	}
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	err = s.list(ctx, "line.list", path+"/lines", &stripe.InvoiceListLinesParams{}, func(raw json.RawMessage) (bool, error) {
		out = append(out, raw)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rawPage is a page whose next is empty at the end.
type rawPage struct {
	data   [][]byte
	next   string
	oldest time.Time
}

func (r *SourceReader) page(ctx context.Context, connectionID, op, path string, params any, lp *stripe.ListParams, after string) (rawPage, error) {
	if after != "" {
		if !idRE.MatchString(after) {
			return rawPage{}, fault.New(fault.Invalid, "stripe_id_malformed", "%q is not the ID of a Stripe object", after)
		}
		lp.StartingAfter = stripe.String(after)
	}
	lp.Limit = stripe.Int64(pageSize)
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return rawPage{}, err
	}
	p, err := s.listPage(ctx, op, path, params)
	if err != nil {
		return rawPage{}, err
	}
	out := rawPage{data: make([][]byte, len(p.Data))}
	for i, raw := range p.Data {
		var o struct {
			Created int64           `json:"created"`
			Invoice json.RawMessage `json:"invoice"`
		}
		if err := json.Unmarshal(raw, &o); err != nil || o.Created == 0 {
			return rawPage{}, badAnswer("a list of dated objects")
		}
		out.oldest = time.Unix(o.Created, 0).UTC() // Stripe lists the newest first
		if err := checkNested(o.Invoice, s); err != nil {
			return rawPage{}, err
		}
		out.data[i] = raw
	}
	if p.HasMore && len(p.Data) > 0 {
		out.next, err = idOf(p.Data[len(p.Data)-1])
	}
	return out, err
}
