package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const (
	customersPath = "/v1/customers"
	invoicesPath  = "/v1/invoices"
	itemsPath     = "/v1/invoiceitems"
)

// writer carries one plan out. Its idempotency keys and parameters are functions of
// the plan and the arguments, so that a retry sends the same bytes.
type writer struct {
	wire *liveWire
	plan billing.InvoicePlan
	key  string
}

var _ invoicing.Writer = (*writer)(nil)

// callNotes is the log of a writer's requests. After the first mode violation nothing
// is sent any more.
type callNotes struct {
	mu      sync.Mutex
	calls   []invoicing.Call
	stopped error
}

func (n *callNotes) add(op string, x *exchange, err error) {
	outcome := "ok"
	if err != nil {
		outcome = fault.CodeOf(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, invoicing.Call{Operation: op, RequestID: x.requestID(), Outcome: outcome})
	if outcome == codeMode && n.stopped == nil {
		n.stopped = err
	}
}

func (n *callNotes) take() []invoicing.Call {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.calls
	n.calls = nil
	return out
}

func (n *callNotes) halted() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// Calls returns and clears the log of requests.
func (w *writer) Calls() []invoicing.Call { return w.wire.Calls() }

// ourKey reports whether metadata carries a key of ours, of whatever intent.
func ourKey(metadata map[string]string) bool {
	return strings.HasPrefix(metadata[metadataKey], keyPrefix)
}

// OurInvoices lists every invoice of the payer that carries a key of ours. It lists by
// customer and never searches: search lags behind writes.
func (w *writer) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	if err := w.wire.note.halted(); err != nil {
		return nil, err
	}
	var out []invoicing.StripeInvoice
	params := &stripe.InvoiceListParams{Customer: stripe.String(w.plan.Key.Customer)}
	err := w.wire.s.list(ctx, "invoice.list", invoicesPath, params, func(raw json.RawMessage) (bool, error) {
		inv, err := decodeInvoice(raw)
		if err == nil && ourKey(inv.Metadata) {
			out = append(out, inv)
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CreateDraft creates the draft of a generation.
func (w *writer) CreateDraft(ctx context.Context, generation int) (invoicing.StripeInvoice, error) {
	metadata, err := invoiceMetadata(w.plan)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	p := w.plan
	params := &stripe.InvoiceParams{
		Customer:                    stripe.String(p.Key.Customer),
		Currency:                    stripe.String(p.Key.Currency),
		AutoAdvance:                 stripe.Bool(false),
		PendingInvoiceItemsBehavior: stripe.String("exclude"),
		CollectionMethod:            stripe.String(string(p.CollectionMethod)),
		// Empty, not absent: absent would inherit the customer's coupon.
		Discounts: []*stripe.InvoiceDiscountParams{},
		Metadata:  metadata,
	}
	if p.CollectionMethod == billing.SendInvoice {
		params.DaysUntilDue = stripe.Int64(int64(p.DaysUntilDue))
	}
	if p.Description != "" {
		params.Description = stripe.String(p.Description)
	}
	if p.Footer != "" {
		params.Footer = stripe.String(p.Footer)
	}
	if p.PONumber != "" {
		params.CustomFields = []*stripe.InvoiceCustomFieldParams{{Name: stripe.String("PO number"), Value: stripe.String(p.PONumber)}}
	}
	return w.invoiceCall(ctx, request{
		op: "invoice.create", method: http.MethodPost, path: invoicesPath, params: params,
		key: w.key + ":g" + strconv.Itoa(generation) + ":create",
	})
}

// Items lists every item of an invoice, ours or not.
func (w *writer) Items(ctx context.Context, invoiceID string) ([]invoicing.StripeItem, error) {
	if _, err := objectPath(invoicesPath, invoiceID); err != nil {
		return nil, err
	}
	return w.items(ctx, &stripe.InvoiceItemListParams{Invoice: stripe.String(invoiceID)}, func(invoicing.StripeItem) bool { return true })
}

// OurPendingItems lists items of the payer that hang on no invoice and carry a key of ours.
func (w *writer) OurPendingItems(ctx context.Context) ([]invoicing.StripeItem, error) {
	params := &stripe.InvoiceItemListParams{Customer: stripe.String(w.plan.Key.Customer), Pending: stripe.Bool(true)}
	return w.items(ctx, params, func(i invoicing.StripeItem) bool {
		return i.Invoice == "" && ourKey(i.Metadata)
	})
}

func (w *writer) items(ctx context.Context, params *stripe.InvoiceItemListParams, keep func(invoicing.StripeItem) bool) ([]invoicing.StripeItem, error) {
	if err := w.wire.note.halted(); err != nil {
		return nil, err
	}
	var out []invoicing.StripeItem
	err := w.wire.s.list(ctx, "invoiceitem.list", itemsPath, params, func(raw json.RawMessage) (bool, error) {
		item, err := decodeItem(raw)
		if err == nil && keep(item) {
			out = append(out, item)
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AddItem adds one line of the plan to a draft.
func (w *writer) AddItem(ctx context.Context, invoiceID string, line billing.PlanLine) (invoicing.StripeItem, error) {
	// An item without an invoice would land on the customer's next subscription bill.
	if _, err := objectPath(invoicesPath, invoiceID); err != nil {
		return invoicing.StripeItem{}, err
	}
	if line.Line == "" || line.AmountMinor <= 0 {
		return invoicing.StripeItem{}, fault.New(fault.Invalid, "line_not_positive", "a line needs a name and a positive amount")
	}
	metadata, err := lineMetadata(w.plan, line)
	if err != nil {
		return invoicing.StripeItem{}, err
	}
	raw, err := w.wire.send(ctx, request{
		op: "invoiceitem.create", method: http.MethodPost, path: itemsPath, key: w.key + ":" + invoiceID + ":" + line.Line,
		params: &stripe.InvoiceItemParams{
			Customer:     stripe.String(w.plan.Key.Customer),
			Invoice:      stripe.String(invoiceID),
			Amount:       stripe.Int64(line.AmountMinor),
			Currency:     stripe.String(w.plan.Key.Currency),
			Description:  stripe.String(line.Description),
			Discountable: stripe.Bool(false),
			Period:       &stripe.InvoiceItemPeriodParams{Start: stripe.Int64(w.plan.PeriodStart), End: stripe.Int64(w.plan.PeriodEnd)},
			Metadata:     metadata,
		},
	})
	if err != nil {
		return invoicing.StripeItem{}, err
	}
	item, err := decodeItem(raw)
	return item, afterWrite(err)
}

// Invoice reads an invoice.
func (w *writer) Invoice(ctx context.Context, invoiceID string) (invoicing.StripeInvoice, error) {
	raw, err := w.wire.get(ctx, "invoice.get", invoicesPath, invoiceID)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	return decodeInvoice(raw)
}

// Finalize finalizes a draft with auto_advance off, so that nobody is charged or
// mailed before the second look. It looks at the clock after it waited for the request limit.
func (w *writer) Finalize(ctx context.Context, invoiceID string, attempt int, claimed time.Time) (invoicing.StripeInvoice, error) {
	path, err := objectPath(invoicesPath, invoiceID)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	return w.invoiceCall(ctx, request{
		op: "invoice.finalize", method: http.MethodPost, path: path + "/finalize", params: &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(false)},
		key: w.key + ":" + invoiceID + ":finalize:" + strconv.Itoa(attempt),
		last: func(now time.Time) error {
			if !invoicing.InTime(claimed, now) {
				return invoicing.ClaimOver(invoiceID)
			}
			return nil
		},
	})
}

// Label writes the plan's metadata to an invoice.
func (w *writer) Label(ctx context.Context, invoiceID string, attempt int) (invoicing.StripeInvoice, error) {
	metadata, err := invoiceMetadata(w.plan)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	return w.act(ctx, invoiceID, "label", "", "label:"+strconv.Itoa(attempt), &stripe.InvoiceParams{Metadata: metadata})
}

// Release turns auto_advance on.
func (w *writer) Release(ctx context.Context, invoiceID string, attempt int) (invoicing.StripeInvoice, error) {
	return w.act(ctx, invoiceID, "release", "", "release:"+strconv.Itoa(attempt), &stripe.InvoiceParams{AutoAdvance: stripe.Bool(true)})
}

// Send mails the invoice to the payer.
func (w *writer) Send(ctx context.Context, invoiceID string) (invoicing.StripeInvoice, error) {
	return w.persist(ctx, invoiceID, "send")
}

// Void voids a finalized invoice.
func (w *writer) Void(ctx context.Context, invoiceID string) (invoicing.StripeInvoice, error) {
	return w.persist(ctx, invoiceID, "void")
}

// persistLimit bounds the keys that persist tries in one call.
const persistLimit = 5

// persist sends an action that has no counter of its own. Stripe keeps the 500 that
// a key got and replays it for a day, so a replayed 500 moves on to the next key.
// That is safe for these two: a void is idempotent by state, and a second e-mail is
// the worst that a repeated send can do.
func (w *writer) persist(ctx context.Context, invoiceID, verb string) (invoicing.StripeInvoice, error) {
	suffix := verb
	for n := 2; ; n++ {
		inv, err := w.act(ctx, invoiceID, verb, "/"+verb, suffix, nil)
		if !fault.Is(err, fault.Indeterminate) || !replayedAnswer(err) || n > persistLimit {
			return inv, err
		}
		suffix = verb + ":" + strconv.Itoa(n)
	}
}

// act sends an action on an invoice.
func (w *writer) act(ctx context.Context, invoiceID, verb, tail, suffix string, params any) (invoicing.StripeInvoice, error) {
	path, err := objectPath(invoicesPath, invoiceID)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	return w.invoiceCall(ctx, request{
		op: "invoice." + verb, method: http.MethodPost, path: path + tail, params: params, key: w.key + ":" + invoiceID + ":" + suffix,
	})
}

// DeleteItem deletes an item. One that is already gone is deleted.
func (w *writer) DeleteItem(ctx context.Context, itemID string) error {
	return w.remove(ctx, "invoiceitem.delete", itemsPath, itemID)
}

// DeleteDraft deletes a draft, whose items must be deleted first: Stripe would move
// them to the payer's next invoice. One that is already gone is deleted.
func (w *writer) DeleteDraft(ctx context.Context, invoiceID string) error {
	return w.remove(ctx, "invoice.delete", invoicesPath, invoiceID)
}

func (w *writer) remove(ctx context.Context, op, collection, id string) error {
	path, err := objectPath(collection, id)
	if err != nil {
		return err
	}
	_, err = w.wire.send(ctx, request{op: op, method: http.MethodDelete, path: path, key: w.key + ":" + id + ":delete"})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (w *writer) invoiceCall(ctx context.Context, r request) (invoicing.StripeInvoice, error) {
	raw, err := w.wire.send(ctx, r)
	if err != nil {
		return invoicing.StripeInvoice{}, err
	}
	inv, err := decodeInvoice(raw)
	return inv, afterWrite(err)
}
