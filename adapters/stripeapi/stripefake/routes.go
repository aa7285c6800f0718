package stripefake

import (
	"strconv"
	"strings"
)

// route is one operation; ":id" segments are path parameters.
type route struct {
	method, path, resource string
	handle                 handler
	segs                   []string
}

var routes = compile([]route{
	{"GET", "/v1/account", "account", getAccount, nil},
	{"GET", "/v1/accounts/:id", "account", getAccount, nil},

	{"POST", "/v1/customers", "customer", createCustomer, nil},
	{"GET", "/v1/customers", "customer", listCustomers, nil},
	{"GET", "/v1/customers/:id", "customer", getCustomer, nil},
	{"POST", "/v1/customers/:id", "customer", updateCustomer, nil},
	{"DELETE", "/v1/customers/:id", "customer", deleteCustomer, nil},
	{"DELETE", "/v1/customers/:id/discount", "customer", deleteCustomerDiscount, nil},

	{"GET", "/v1/payment_methods", "payment_method", listMethods, nil},
	{"GET", "/v1/payment_methods/:id", "payment_method", getMethod, nil},
	{"POST", "/v1/payment_methods/:id/attach", "payment_method", attachMethod, nil},
	{"POST", "/v1/payment_methods/:id/detach", "payment_method", detachMethod, nil},

	{"POST", "/v1/products", "product", createProduct, nil},
	{"GET", "/v1/products", "product", listProducts, nil},
	{"GET", "/v1/products/:id", "product", getProduct, nil},
	{"POST", "/v1/products/:id", "product", updateProduct, nil},
	{"POST", "/v1/prices", "price", createPrice, nil},
	{"GET", "/v1/prices", "price", listPrices, nil},
	{"GET", "/v1/prices/:id", "price", getPrice, nil},
	{"POST", "/v1/prices/:id", "price", updatePrice, nil},
	{"POST", "/v1/coupons", "coupon", createCoupon, nil},
	{"GET", "/v1/coupons", "coupon", listCoupons, nil},
	{"GET", "/v1/coupons/:id", "coupon", getCoupon, nil},
	{"DELETE", "/v1/coupons/:id", "coupon", deleteCoupon, nil},

	{"POST", "/v1/subscriptions", "subscription", createSub, nil},
	{"GET", "/v1/subscriptions", "subscription", listSubs, nil},
	{"GET", "/v1/subscriptions/:id", "subscription", getSub, nil},
	{"POST", "/v1/subscriptions/:id", "subscription", updateSub, nil},
	{"DELETE", "/v1/subscriptions/:id", "subscription", cancelSub, nil},
	{"POST", "/v1/subscriptions/:id/resume", "subscription", resumeSub, nil},
	{"DELETE", "/v1/subscriptions/:id/discount", "subscription", deleteSubDiscount, nil},
	{"GET", "/v1/subscription_items", "subscription", listSubItems, nil},

	{"POST", "/v1/invoices", "invoice", createInvoice, nil},
	{"GET", "/v1/invoices", "invoice", listInvoices, nil},
	{"GET", "/v1/invoices/:id", "invoice", getInvoice, nil},
	{"POST", "/v1/invoices/:id", "invoice", updateInvoice, nil},
	{"DELETE", "/v1/invoices/:id", "invoice", deleteInvoice, nil},
	{"GET", "/v1/invoices/:id/lines", "invoice", listLines, nil},
	{"POST", "/v1/invoices/:id/finalize", "invoice", finalizeInvoice, nil},
	{"POST", "/v1/invoices/:id/send", "invoice", sendInvoice, nil},
	{"POST", "/v1/invoices/:id/pay", "invoice", payInvoice, nil},
	{"POST", "/v1/invoices/:id/void", "invoice", voidInvoice, nil},
	{"POST", "/v1/invoices/:id/mark_uncollectible", "invoice", markUncollectible, nil},
	{"POST", "/v1/invoiceitems", "invoiceitem", createItem, nil},
	{"GET", "/v1/invoiceitems", "invoiceitem", listItems, nil},
	{"GET", "/v1/invoiceitems/:id", "invoiceitem", getItem, nil},
	{"POST", "/v1/invoiceitems/:id", "invoiceitem", updateItem, nil},
	{"DELETE", "/v1/invoiceitems/:id", "invoiceitem", deleteItem, nil},

	{"POST", "/v1/credit_notes", "credit_note", createNote, nil},
	{"GET", "/v1/credit_notes", "credit_note", listNotes, nil},
	{"GET", "/v1/credit_notes/preview", "credit_note", previewNote, nil},
	{"GET", "/v1/credit_notes/:id", "credit_note", getNote, nil},
	{"POST", "/v1/credit_notes/:id", "credit_note", updateNote, nil},
	{"GET", "/v1/credit_notes/:id/lines", "credit_note", listNoteLines, nil},
	{"POST", "/v1/credit_notes/:id/void", "credit_note", voidNote, nil},

	{"GET", "/v1/charges", "charge", listCharges, nil},
	{"GET", "/v1/charges/:id", "charge", getCharge, nil},
	{"POST", "/v1/refunds", "charge", createRefund, nil},
	{"GET", "/v1/refunds", "charge", listRefunds, nil},
	{"GET", "/v1/refunds/:id", "charge", getRefund, nil},
	{"POST", "/v1/refunds/:id", "charge", updateRefund, nil},
	{"GET", "/v1/disputes", "dispute", listDisputes, nil},
	{"GET", "/v1/disputes/:id", "dispute", getDispute, nil},
	{"POST", "/v1/disputes/:id", "dispute", updateDispute, nil},
	{"POST", "/v1/disputes/:id/close", "dispute", closeByMerchant, nil},
	{"POST", "/v1/payment_intents", "payment_intent", createIntent, nil},
	{"GET", "/v1/payment_intents", "payment_intent", listIntents, nil},
	{"GET", "/v1/payment_intents/:id", "payment_intent", getIntent, nil},
	{"POST", "/v1/payment_intents/:id/confirm", "payment_intent", confirmIntent, nil},

	{"POST", "/v1/checkout/sessions", "checkout_session", createSession, nil},
	{"GET", "/v1/checkout/sessions/:id", "checkout_session", getSession, nil},
	{"GET", "/v1/setup_intents/:id", "setup_intent", getSetupIntent, nil},

	{"GET", "/v1/events", "event", listEvents, nil},
	{"GET", "/v1/events/:id", "event", getEvent, nil},
	{"POST", "/v1/webhook_endpoints", "webhook", createEndpoint, nil},
	{"GET", "/v1/webhook_endpoints", "webhook", listEndpoints, nil},
	{"GET", "/v1/webhook_endpoints/:id", "webhook", getEndpoint, nil},
	{"POST", "/v1/webhook_endpoints/:id", "webhook", updateEndpoint, nil},
	{"DELETE", "/v1/webhook_endpoints/:id", "webhook", deleteEndpoint, nil},
})

// compile groups the routes by method and number of segments.
func compile(all []route) map[string][]*route {
	out := map[string][]*route{}
	for i := range all {
		r := &all[i]
		r.segs = strings.Split(r.path, "/")
		key := routeKey(r.method, len(r.segs))
		out[key] = append(out[key], r)
	}
	return out
}

func routeKey(method string, n int) string { return method + strconv.Itoa(n) }

// findRoute matches a path and returns its parameters.
func findRoute(method, path string) (*route, []string) {
	segs := strings.Split(path, "/")
	for _, r := range routes[routeKey(method, len(segs))] {
		var ids []string
		ok := true
		for i, s := range r.segs {
			if s != "" && s[0] == ':' {
				ids = append(ids, segs[i])
			} else if s != segs[i] {
				ok = false
				break
			}
		}
		if ok {
			return r, ids
		}
	}
	return nil, nil
}
