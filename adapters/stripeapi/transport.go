package stripeapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/liftbill/liftbill/domain/fault"
)

// rule allows one method on the paths that match.
type rule struct {
	method string
	path   *regexp.Regexp
}

// role is what a client may put on the wire. It is the second layer of test-mode
// safety and depends on nothing but the request itself.
type role struct {
	name string
	// writes are allowed beside GET and HEAD.
	writes []rule
	// liveOnly refuses every request whose key is not a live one.
	liveOnly bool
	// retries is how often the SDK repeats a request. Writers never do: whoever drives
	// the write-back decides after a look at the state.
	retries int64
	// strict demands livemode in every answer instead of only checking it where it is.
	strict bool
	// bodies, when set, are the only bodies that writes may have, by path.
	bodies map[string]string
}

// keyPrefix begins every idempotency key that this program derives.
const keyPrefix = "lb:"

const (
	invoiceID  = `in_[A-Za-z0-9_]+`
	itemID     = `ii_[A-Za-z0-9_]+`
	customerID = `cus_[A-Za-z0-9_]+`
)

func allow(method, pattern string) rule {
	return rule{method: method, path: regexp.MustCompile(`^` + pattern + `$`)}
}

var (
	readerRole = role{name: "reader", retries: 2}

	registrarRole = role{name: "registrar", strict: true, writes: []rule{
		allow(http.MethodPost, `/v1/webhook_endpoints`),
		allow(http.MethodDelete, `/v1/webhook_endpoints/we_[A-Za-z0-9_]+`),
	}}

	// The prober asks whether a key could write, with requests that cannot: each names an
	// object that no account has, and the transport lets no other body through.
	proberRole = role{name: "prober", liveOnly: true, writes: []rule{
		allow(http.MethodPost, `/v1/invoices`),
		allow(http.MethodPost, `/v1/invoiceitems`),
		allow(http.MethodPost, `/v1/credit_notes`),
	}, bodies: map[string]string{
		"/v1/invoices":     "customer=" + nobody,
		"/v1/invoiceitems": "amount=1&currency=usd&customer=" + nobody,
		"/v1/credit_notes": "invoice=" + nothing,
	}}

	writerRole = role{name: "writer", liveOnly: true, strict: true, writes: []rule{
		allow(http.MethodPost, `/v1/invoices`),
		allow(http.MethodPost, `/v1/invoiceitems`),
		allow(http.MethodPost, `/v1/invoices/`+invoiceID+`/(finalize|void|send)`),
		allow(http.MethodPost, `/v1/invoices/`+invoiceID),
		allow(http.MethodDelete, `/v1/invoiceitems/`+itemID),
		allow(http.MethodDelete, `/v1/invoices/`+invoiceID),
	}}

	// creditRole makes credit notes, which reduce what is asked for, and nothing else.
	creditRole = role{name: "credit", liveOnly: true, strict: true, writes: []rule{
		allow(http.MethodPost, `/v1/credit_notes`),
	}}

	// payerRole creates an account's payer, which a person asked for, and nothing else.
	payerRole = role{name: "payer", liveOnly: true, strict: true, writes: []rule{
		allow(http.MethodPost, `/v1/customers`),
	}}

	// setupRole lets a payer enter a payment method on a page of Stripe's and makes it the
	// payer's default.
	setupRole = role{name: "setup", liveOnly: true, strict: true, writes: []rule{
		allow(http.MethodPost, `/v1/checkout/sessions`),
		allow(http.MethodPost, `/v1/customers/`+customerID),
	}}
)

// guard is a transport that sends only what its role may send, only to the API's
// own address. A refused request never reaches the network.
type guard struct {
	role role
	base *url.URL
	next http.RoundTripper
	// reads counts what is sent, repetitions included; nil when nobody counts.
	reads *atomic.Int64
}

// RoundTrip checks the request and passes it on.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // RoundTrip must close it; nothing was read, so nothing can be lost
		}
		return nil, err
	}
	// The SDK puts the output of uname into this header; Stripe does not need it.
	req = req.Clone(req.Context())
	req.Header.Del("X-Stripe-Client-User-Agent")
	if g.reads != nil {
		g.reads.Add(1)
	}
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return g.next.RoundTrip(req)
	}
	*x = exchange{} // a repeated request must not keep what the first one was told
	res, err := g.next.RoundTrip(req)
	if err == nil {
		x.status, x.header = res.StatusCode, res.Header
	}
	return res, err
}

func (g *guard) check(req *http.Request) error {
	if req.URL.Scheme != g.base.Scheme || req.URL.Host != g.base.Host {
		return modeViolation("a %s request to another host than the Stripe API was refused", g.role.name)
	}
	if g.role.liveOnly && !liveKey(req.Header.Get("Authorization")) {
		return modeViolation("the %s refuses a key that is not a live key", g.role.name)
	}
	if searches(req) {
		return fault.New(fault.Internal, "search_refused", "the %s may not search at Stripe: an index lags behind what was written", g.role.name).Fix("List by customer")
	}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return nil
	}
	if !g.role.allows(req) {
		return modeViolation("the %s may not send %s %s", g.role.name, req.Method, req.URL.Path)
	}
	if err := g.checkBody(req); err != nil {
		return err
	}
	// The SDK gives a request without a key a random one, which no retry would repeat.
	if !strings.HasPrefix(req.Header.Get("Idempotency-Key"), keyPrefix) {
		return fault.New(fault.Internal, "idempotency_key_missing", "a write without a derived idempotency key was refused")
	}
	return nil
}

// searches reports a request to a search index. An index that has not seen our own last
// write yet would have us write it again.
func searches(req *http.Request) bool {
	return strings.HasSuffix(strings.TrimRight(req.URL.Path, "/"), "/search")
}

// checkBody compares a write with the one body that its role may send there.
func (g *guard) checkBody(req *http.Request) error {
	if g.role.bodies == nil {
		return nil
	}
	refused := modeViolation("the %s may not send this body to %s", g.role.name, req.URL.Path)
	want, ok := g.role.bodies[req.URL.EscapedPath()]
	if !ok || req.GetBody == nil {
		return refused
	}
	body, err := req.GetBody()
	if err != nil {
		return refused
	}
	defer body.Close() //nolint:errcheck // it lies in memory
	sent, err := io.ReadAll(body)
	if err != nil || string(sent) != want {
		return refused
	}
	return nil
}

func (r role) allows(req *http.Request) bool {
	path := req.URL.EscapedPath()
	for _, w := range r.writes {
		if w.method == req.Method && w.path.MatchString(path) {
			return true
		}
	}
	return false
}

func liveKey(authorization string) bool {
	key := strings.TrimPrefix(authorization, "Bearer ")
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_")
}

// exchange is what the wire said about a request, whatever the SDK makes of it.
type exchange struct {
	status int
	header http.Header
}

type exchangeKey struct{}

func (x *exchange) requestID() string { return x.header.Get("Request-Id") }

func (x *exchange) replayed() bool { return x.header.Get("Idempotent-Replayed") == "true" }

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// refuseRedirect keeps requests and keys where they were sent.
func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the Stripe API answered with a redirect")
}
