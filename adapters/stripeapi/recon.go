package stripeapi

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/reward"
)

var _ reconcile.Stripe = (*SourceReader)(nil)

// ReconPage fetches one page of the objects of a kind created in [from, to) as a
// reconciliation sees them: what moved no money is left out.
func (r *SourceReader) ReconPage(ctx context.Context, connectionID string, kind recon.Kind, from, to time.Time, after string) (reconcile.ObjectPage, error) {
	created := createdIn(from, to)
	var params stripe.ListParamsContainer
	decode := decodeReconReturn
	switch kind {
	case recon.Payment:
		params, decode = &stripe.InvoiceListParams{CreatedRange: created, Status: stripe.String("paid")}, decodeReconInvoice
	case recon.Refund:
		params = &stripe.RefundListParams{CreatedRange: created}
	case recon.Dispute:
		params = &stripe.DisputeListParams{CreatedRange: created}
	case recon.Subscription:
		params, decode = &stripe.SubscriptionListParams{CreatedRange: created, Status: stripe.String("all")}, decodeReconSubscription
	default:
		return reconcile.ObjectPage{}, fault.New(fault.Invalid, "stripe_object_unknown", "objects of the kind %q are not listed", kind)
	}
	page, err := r.page(ctx, connectionID, string(kind)+".list", "/v1/"+string(kind)+"s", params, params.GetListParams(), after)
	if err != nil {
		return reconcile.ObjectPage{}, err
	}
	ours := map[string]bool{}
	if kind == recon.Payment {
		if ours, err = r.c.ours(ctx, connectionID); err != nil {
			return reconcile.ObjectPage{}, err
		}
	}
	out := reconcile.ObjectPage{Next: page.next, Objects: make([]recon.Object, 0, len(page.data))}
	for _, raw := range page.data {
		o, ok, err := decode(raw, kind)
		if err != nil {
			return reconcile.ObjectPage{}, err
		}
		if ok {
			o.Own = o.Own || ours[o.ID]
			out.Objects = append(out.Objects, o)
		}
	}
	return out, nil
}

// decodeReconInvoice reads a paid invoice. Its net cash follows the same rule as the
// reward facts.
func decodeReconInvoice(raw json.RawMessage, _ recon.Kind) (recon.Object, bool, error) {
	paid, ok, err := decodePaid(raw)
	if err != nil || !ok {
		return recon.Object{}, false, err
	}
	var o struct {
		Livemode          bool      `json:"livemode"`
		Charge            ref       `json:"charge"`
		Total             int64     `json:"total"`
		Subtotal          int64     `json:"subtotal"`
		TotalExcludingTax *int64    `json:"total_excluding_tax"`
		Tax               *int64    `json:"tax"`
		AmountDue         int64     `json:"amount_due"`
		AmountPaid        int64     `json:"amount_paid"`
		AmountRemaining   int64     `json:"amount_remaining"`
		OutOfBand         bool      `json:"paid_out_of_band"`
		Discounts         []amounts `json:"total_discount_amounts"`
		Taxes             []struct {
			amounts
			Inclusive bool `json:"inclusive"`
		} `json:"total_tax_amounts"`
		Shipping *struct {
			AmountTotal int64 `json:"amount_total"`
		} `json:"shipping_cost"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return recon.Object{}, false, badAnswer("an invoice")
	}
	out := recon.Object{
		Kind: recon.Payment, ID: paid.ID, Status: "paid", NetMinor: paid.CashNetMinor, CashMinor: o.AmountPaid, Currency: paid.Currency,
		CustomerID: paid.Customer, ChargeID: string(o.Charge), At: paid.PaidAt, Own: paid.OwnInvoice, Livemode: o.Livemode, Balanced: true,
	}
	if o.OutOfBand {
		out.CashMinor, out.OutOfBandMinor = 0, o.AmountPaid
		if o.AmountPaid == 0 {
			out.OutOfBandMinor = o.AmountDue
		}
	}
	switch {
	case o.Tax != nil:
		out.TaxMinor = *o.Tax
	case o.TotalExcludingTax != nil:
		out.TaxMinor = o.Total - *o.TotalExcludingTax
	}
	// total = subtotal − discounts + exclusive tax + shipping, and what is due is paid or remains.
	sum := o.Subtotal
	for _, d := range o.Discounts {
		sum -= d.Amount
	}
	for _, t := range o.Taxes {
		if !t.Inclusive {
			sum += t.Amount
		}
	}
	if o.Shipping != nil {
		sum += o.Shipping.AmountTotal
	}
	if len(o.Taxes) == 0 && o.Tax != nil && o.TotalExcludingTax != nil && o.Total != *o.TotalExcludingTax {
		sum += *o.Tax
	}
	out.Balanced = sum == o.Total && (o.OutOfBand || o.AmountDue-o.AmountPaid == o.AmountRemaining)
	return out, true, nil
}

// amounts is an entry of a list of amounts.
type amounts struct {
	Amount int64 `json:"amount"`
}

// decodeReconReturn reads a refund or a dispute. One that moved no money, or not yet, is
// left out.
func decodeReconReturn(raw json.RawMessage, kind recon.Kind) (recon.Object, bool, error) {
	m, err := decodeMovement(raw, "a "+string(kind))
	if err != nil {
		return recon.Object{}, false, err
	}
	var o struct {
		// Refunds have no livemode of their own.
		Livemode *bool           `json:"livemode"`
		Balance  json.RawMessage `json:"balance_transaction"`
		Failure  json.RawMessage `json:"failure_balance_transaction"`
		Moves    []struct {
			Amount  int64 `json:"amount"`
			Created int64 `json:"created"`
		} `json:"balance_transactions"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return recon.Object{}, false, badAnswer("a " + string(kind))
	}
	out := recon.Object{
		Kind: kind, ID: m.ID, Status: m.Status, NetMinor: *m.Amount, CashMinor: *m.Amount, Currency: m.Currency, ChargeID: string(m.Charge),
		At: time.Unix(m.Created, 0).UTC(), Balanced: true,
	}
	if o.Livemode != nil {
		out.Livemode = *o.Livemode
	}
	switch {
	case kind == recon.Refund && m.ofNoPayment():
		return out, false, nil
	case kind == recon.Refund:
		set := func(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
		switch m.Status {
		case "succeeded", "":
		case "failed", "canceled":
			if !set(o.Balance) && !set(o.Failure) {
				return out, false, nil // nothing had left
			}
			out.TakenBack = true
		default:
			return out, false, nil
		}
	default:
		taken, back := reward.DisputeMoney(m.Status)
		if !taken {
			return out, false, nil
		}
		out.TakenBack = back // the balance may show the money back before the status says so
		for _, t := range slices.Backward(o.Moves) {
			switch at := time.Unix(t.Created, 0).UTC(); {
			case t.Amount < 0:
				out.At = at
			case t.Amount > 0 && out.TakenBack:
				out.UndoneAt = at
			}
		}
	}
	return out, true, nil
}

// decodeReconSubscription reads a subscription's state.
func decodeReconSubscription(raw json.RawMessage, _ recon.Kind) (recon.Object, bool, error) {
	var o struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Customer ref    `json:"customer"`
		Currency string `json:"currency"`
		Created  int64  `json:"created"`
		Livemode bool   `json:"livemode"`
	}
	if err := json.Unmarshal(raw, &o); err != nil || o.ID == "" || o.Status == "" {
		return recon.Object{}, false, badAnswer("a subscription")
	}
	return recon.Object{
		Kind: recon.Subscription, ID: o.ID, Status: o.Status, Currency: o.Currency, CustomerID: string(o.Customer), At: time.Unix(o.Created, 0).UTC(),
		Livemode: o.Livemode, Balanced: true,
	}, true, nil
}

// Issued lists the payer's invoices that carry the key, and the invoice of the given ID
// whatever it carries, with their lines; and the payer's pending items.
func (r *SourceReader) Issued(ctx context.Context, connectionID, customer, key, invoiceID string) ([]recon.Issued, []recon.PendingItem, error) {
	s, err := r.c.reader(ctx, connectionID)
	if err != nil {
		return nil, nil, err
	}
	var out []recon.Issued
	err = s.list(ctx, "invoice.list", invoicesPath, &stripe.InvoiceListParams{Customer: stripe.String(customer)}, func(raw json.RawMessage) (bool, error) {
		inv, err := decodeIssued(raw)
		if err == nil && (inv.Key == key || inv.ID == invoiceID) {
			out = append(out, inv)
		}
		return true, err
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range out {
		if out[i].Lines, err = r.issuedLines(ctx, s, out[i].ID); err != nil {
			return nil, nil, err
		}
	}
	var pending []recon.PendingItem
	params := &stripe.InvoiceItemListParams{Customer: stripe.String(customer), Pending: stripe.Bool(true)}
	err = s.list(ctx, "invoiceitem.list", itemsPath, params, func(raw json.RawMessage) (bool, error) {
		it, err := decodeItem(raw)
		if err == nil && it.Invoice == "" {
			pending = append(pending, recon.PendingItem{ID: it.ID, AmountMinor: it.AmountMinor, Currency: it.Currency, Key: it.Metadata[metadataKey]})
		}
		return true, err
	})
	return out, pending, err
}

func decodeIssued(raw json.RawMessage) (recon.Issued, error) {
	inv, err := decodeInvoice(raw)
	if err != nil {
		return recon.Issued{}, err
	}
	out := recon.Issued{
		ID: inv.ID, Status: inv.Status, Livemode: inv.Livemode, Currency: inv.Currency, NetMinor: inv.TotalMinor, TotalMinor: inv.TotalMinor, Created: inv.Created,
		Key: inv.Metadata[metadataKey], PlanHash: inv.Metadata["lb_plan_sha256"], Period: inv.Metadata["lb_cycle"],
	}
	if inv.TotalExcludingTaxMinor != nil {
		out.NetMinor, out.TaxMinor = *inv.TotalExcludingTaxMinor, inv.TotalMinor-*inv.TotalExcludingTaxMinor
	}
	return out, nil
}

// issuedLines lists the lines of an invoice; a line shows the metadata of its item.
func (r *SourceReader) issuedLines(ctx context.Context, s *session, invoiceID string) ([]recon.IssuedLine, error) {
	path, err := objectPath(invoicesPath, invoiceID)
	if err != nil {
		return nil, err
	}
	var out []recon.IssuedLine
	err = s.list(ctx, "line.list", path+"/lines", &stripe.InvoiceListLinesParams{}, func(raw json.RawMessage) (bool, error) {
		var l struct {
			ID       string            `json:"id"`
			Amount   *int64            `json:"amount"`
			Metadata map[string]string `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &l); err != nil || l.ID == "" || l.Amount == nil {
			return false, badAnswer("the line of an invoice")
		}
		out = append(out, recon.IssuedLine{ID: l.ID, AmountMinor: *l.Amount, Key: l.Metadata[metadataKey], Line: l.Metadata[metadataLine]})
		return true, nil
	})
	return out, err
}

// comparedFields are the fields of each object that the ledger holds too, by our names.
var comparedFields = map[string]map[string]string{
	"invoice": {
		"status": "status", "currency": "currency", "customer": "customer", "subscription": "subscription", "number": "number",
		"total": "total_minor", "subtotal": "subtotal_minor", "total_excluding_tax": "total_excluding_tax_minor", "amount_due": "amount_due_minor",
		"amount_paid": "amount_paid_minor", "amount_remaining": "amount_remaining_minor", "created": "created_at", "status_transitions.paid_at": "paid_at",
	},
	"subscription": {
		"status": "status", "currency": "currency", "customer": "customer", "created": "created_at", "trial_end": "trial_end", "cancel_at": "cancel_at",
		"cancel_at_period_end": "cancel_at_period_end", "canceled_at": "canceled_at", "ended_at": "ended_at", "latest_invoice": "latest_invoice",
	},
	"refund":  {"currency": "currency", "charge": "charge", "created": "created_at"},
	"dispute": {"status": "status", "reason": "reason", "currency": "currency", "charge": "charge", "created": "created_at", "amount": "amount_minor"},
}

// ReconFields reads one object and names its fields as the ledger does: texts as they
// are, times in RFC 3339, amounts in minor units, nothing as an empty text. net_minor is
// what the object moved, with its sign in the ledger.
func (r *SourceReader) ReconFields(ctx context.Context, connectionID, object, id string) (map[string]string, error) {
	names, known := comparedFields[object]
	if !known {
		return nil, fault.New(fault.Invalid, "stripe_object_unknown", "objects of the kind %q are not compared", object)
	}
	raw, err := r.Object(ctx, connectionID, object, id)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, badAnswer("a " + object)
	}
	out := map[string]string{}
	for path, name := range names {
		out[name] = fieldText(doc, path, strings.HasSuffix(name, "_at") || name == "trial_end")
	}
	out["net_minor"], err = movedText(raw, object)
	if object == "subscription" {
		delete(out, "net_minor")
	}
	return out, err
}

// movedText is what the object moved in all.
func movedText(raw json.RawMessage, object string) (string, error) {
	decode := decodeReconReturn
	switch object {
	case "subscription":
		return "", nil
	case "invoice":
		decode = decodeReconInvoice
	}
	o, ok, err := decode(raw, recon.Kind(object))
	switch {
	case err != nil:
		return "", err
	case !ok || o.Own || o.TakenBack:
		return "0", nil
	case object == "invoice":
		return strconv.FormatInt(o.NetMinor, 10), nil
	}
	return strconv.FormatInt(-o.NetMinor, 10), nil
}

// fieldText writes one field of a decoded object.
func fieldText(doc map[string]any, path string, instant bool) string {
	head, rest, nested := strings.Cut(path, ".")
	v := doc[head]
	if nested {
		inner, _ := v.(map[string]any)
		return fieldText(inner, rest, instant)
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if n, err := v.Int64(); err == nil && instant {
			return time.Unix(n, 0).UTC().Format(time.RFC3339)
		}
		return v.String()
	case map[string]any: // an expanded reference
		id, _ := v["id"].(string)
		return id
	}
	return ""
}
