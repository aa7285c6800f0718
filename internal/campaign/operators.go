package campaign

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/liftbill/liftbill/domain/billing"
)

// act is something that an operator does to the invoice or its payer.
type act struct {
	what string
	do   func(w *world)
	// ends are the codes for which the cycle may wait for a person afterwards; beside
	// them it may always end with the right invoice.
	ends []string
	// mend is what a person does then; reissue is how they resume. ok is false when
	// nothing at Stripe can undo what the operator did.
	mend func(w *world) (reissue, ok bool)
	// decision is what a person decides at our own desk instead, which may refuse it; then is
	// what becomes of the month afterwards.
	decision billing.DecisionAction
	then     afterwards
	// leavesDraft: an empty draft that nobody recognises any more may stay.
	leavesDraft bool
}

func actOf(what string) act {
	for _, a := range acts {
		if a.what == what {
			return a
		}
	}
	return act{what: what, do: func(*world) {}}
}

func (w *world) post(path string, form url.Values) {
	w.operator(http.MethodPost, path, form)
}

// eachDraft does something to every draft of ours.
func eachDraft(do func(w *world, draft object)) func(*world) {
	return func(w *world) {
		for _, o := range w.ours("draft") {
			do(w, o)
		}
	}
}

// finalized finalizes every draft of ours, in the operator's way, and goes on with it.
func finalized(advance string, then func(w *world, id string)) func(*world) {
	return eachDraft(func(w *world, o object) {
		w.post("/v1/invoices/"+o.ID+"/finalize", url.Values{"auto_advance": {advance}})
		then(w, o.ID)
	})
}

// voidAll voids what counts, so that it can be made again.
func voidAll(w *world) (reissue, ok bool) {
	for _, o := range w.ours("open", "uncollectible") {
		w.post("/v1/invoices/"+o.ID+"/void", nil)
	}
	return true, len(w.ours("paid", "open", "uncollectible")) == 0
}

// removeForeign deletes the operator's items from our drafts.
func removeForeign(w *world) (reissue, ok bool) {
	for _, o := range w.objects() {
		_, known := w.order.Foreign[o.ID]
		if o.Object != "invoiceitem" || o.Invoice == nil || w.order.Foreign[*o.Invoice] != "" {
			continue
		}
		if known || o.Metadata["lb_key"] == "" {
			w.operator(http.MethodDelete, "/v1/invoiceitems/"+o.ID, nil)
			delete(w.order.Foreign, o.ID)
		}
	}
	return false, true
}

// spoilt are the ends after somebody has finalized or collected what was not ready.
var spoilt = []string{billing.HumanInvoiceDiffers, billing.HumanOldInvoice}

var acts = []act{
	{what: "deletes the draft", do: eachDraft(func(w *world, o object) { w.operator(http.MethodDelete, "/v1/invoices/"+o.ID, nil) })},
	{what: "deletes items and draft", do: eachDraft(func(w *world, o object) {
		for _, it := range w.itemsOf(o.ID) {
			w.operator(http.MethodDelete, "/v1/invoiceitems/"+it.ID, nil)
		}
		w.operator(http.MethodDelete, "/v1/invoices/"+o.ID, nil)
	})},
	{what: "edits an amount", do: eachDraft(func(w *world, o object) {
		for _, it := range w.itemsOf(o.ID) {
			w.post("/v1/invoiceitems/"+it.ID, url.Values{"amount": {"54300"}})
		}
	})},
	{
		what: "adds an item", ends: []string{billing.HumanForeignItem}, mend: removeForeign,
		do: eachDraft(func(w *world, o object) {
			w.post("/v1/invoiceitems", url.Values{
				"customer": {w.plan.Key.Customer}, "invoice": {o.ID}, "amount": {"9900"}, "currency": {w.s.Currency}, "description": {operatorsOwn},
			})
		}),
	},
	{
		what: "clears an item's metadata", ends: []string{billing.HumanForeignItem}, mend: removeForeign,
		do: eachDraft(func(w *world, o object) {
			for _, it := range w.itemsOf(o.ID) {
				w.post("/v1/invoiceitems/"+it.ID, url.Values{"metadata": {""}, "description": {operatorsOwn}})
			}
		}),
	},
	{what: "switches the collection", do: eachDraft(func(w *world, o object) {
		method, days := "charge_automatically", ""
		if w.s.Charge {
			method, days = "send_invoice", "30"
		}
		form := url.Values{"collection_method": {method}}
		if days != "" {
			form.Set("days_until_due", days)
		}
		w.post("/v1/invoices/"+o.ID, form)
	})},
	{
		what: "turns automatic advancement on", ends: spoilt, mend: voidAll,
		do: eachDraft(func(w *world, o object) { w.post("/v1/invoices/"+o.ID, url.Values{"auto_advance": {"true"}}) }),
	},
	{what: "finalizes", do: finalized("false", func(*world, string) {}), ends: spoilt, mend: voidAll},
	{what: "finalizes and collects", do: finalized("true", func(*world, string) {}), ends: spoilt, mend: voidAll},
	{
		what: "voids", ends: append([]string{billing.HumanInvoiceVoided}, spoilt...), mend: voidAll,
		do: func(w *world) {
			finalized("false", func(*world, string) {})(w)
			for _, o := range w.ours("open") {
				w.post("/v1/invoices/"+o.ID+"/void", nil)
			}
		},
	},
	{
		what: "marks uncollectible", ends: spoilt, mend: voidAll,
		do: finalized("false", func(w *world, id string) { w.post("/v1/invoices/"+id+"/mark_uncollectible", nil) }),
	},
	{
		what: "takes the money in another way", ends: spoilt, mend: voidAll, do: func(w *world) {
			for _, o := range w.ours("draft", "open") {
				if o.Subtotal == w.plan.TotalMinor() {
					w.post("/v1/invoices/"+o.ID+"/pay", url.Values{"paid_out_of_band": {"true"}})
				}
			}
		},
	},
	{
		what: "clears the invoice's metadata", leavesDraft: true, ends: []string{billing.HumanInvoiceDiffers},
		do: func(w *world) {
			for _, o := range w.ours("draft", "open", "paid") {
				w.post("/v1/invoices/"+o.ID, url.Values{"metadata": {""}})
			}
		},
		mend: func(w *world) (reissue, ok bool) {
			form := url.Values{}
			for k, v := range w.plan.Metadata {
				form.Set("metadata["+k+"]", v)
			}
			for _, o := range w.ours("open", "paid") {
				w.post("/v1/invoices/"+o.ID, form)
			}
			return false, true
		},
	},
	{what: "gives the payer a coupon", do: func(w *world) {
		w.post("/v1/coupons", url.Values{"id": {"later"}, "percent_off": {"50"}, "duration": {"forever"}})
		w.post("/v1/customers/"+w.plan.Key.Customer, url.Values{"coupon": {"later"}})
	}},
	{
		what: "takes the payer's e-mail address away", ends: []string{billing.UnmetPayerEmail},
		do: func(w *world) { w.post("/v1/customers/"+w.plan.Key.Customer, url.Values{"email": {""}}) },
		mend: func(w *world) (reissue, ok bool) {
			w.post("/v1/customers/"+w.plan.Key.Customer, url.Values{"email": {"again@example.com"}})
			return false, true
		},
	},
	{
		what: "takes the payer's payment method away", ends: []string{billing.UnmetPayerMethod},
		do: func(w *world) {
			w.post("/v1/customers/"+w.plan.Key.Customer, url.Values{"invoice_settings[default_payment_method]": {""}})
		},
		mend: func(w *world) (reissue, ok bool) {
			w.post("/v1/customers/"+w.plan.Key.Customer, url.Values{"invoice_settings[default_payment_method]": {"pm_card_visa"}})
			return false, true
		},
	},
	{
		what: "deletes the customer", ends: append([]string{billing.HumanPayerDeleted}, spoilt...),
		do: func(w *world) { w.operator(http.MethodDelete, "/v1/customers/"+w.plan.Key.Customer, nil) },
		mend: func(w *world) (reissue, ok bool) {
			if _, ok := voidAll(w); !ok {
				return false, false
			}
			w.plan.Key.Customer = w.newPayer()
			w.plan = sealed(w.plan)
			w.order.Customers = append(w.order.Customers, w.plan.Key.Customer)
			return false, true
		},
	},
	{what: "has the draft taken back", decision: billing.ActVoidDraft, then: written},
	{what: "has the draft taken back for good", decision: billing.ActVoidDraft, then: leftOut},
	{what: "has the month computed again", decision: billing.ActRecompute, then: revised},
}

// unlabel is somebody who clears the metadata of our invoices between two attempts.
func (w *world) unlabel() {
	actOf("clears the invoice's metadata").do(w)
}

// endsOf is the code with which a cycle waits.
func endOf(reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	return code
}
