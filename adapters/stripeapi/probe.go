package stripeapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// onboarding is the limiter of requests that are made before there is a connection.
const onboarding = "(onboarding)"

// Prober asks Stripe about a key. It can only read.
type Prober struct{ c *Client }

var _ onboard.Prober = (*Prober)(nil)

// NewProber makes a prober.
func NewProber(c *Client) *Prober { return &Prober{c: c} }

// Observe returns the account behind a key and the livemode of the first object
// that the key can read. A restricted key may lack any of the permissions; what it
// may not read says nothing about it.
func (p *Prober) Observe(ctx context.Context, key account.SecretKey) (account.Observation, error) {
	// No environment: the mode of what comes back is the question here.
	s := p.c.open(readerRole, key, "", p.c.limiter(onboarding, key.Environment()))
	return s.observe(ctx)
}

// witnesses are read in this order until one shows an object. The balance exists in
// every account, so that only a key without all these permissions stays unobserved.
var witnesses = []string{"/v1/customers", "/v1/invoices", "/v1/subscriptions", "/v1/events", "/v1/charges", "/v1/balance"}

func (s *session) observe(ctx context.Context) (account.Observation, error) {
	var seen account.Observation
	raw, err := s.call(ctx, request{op: "account.get", method: http.MethodGet, path: "/v1/account"})
	switch {
	case err == nil:
		if seen.StripeAccountID, err = idOf(raw); err != nil {
			return seen, err
		}
	case !unreadable(err):
		return seen, err
	}
	for _, path := range witnesses {
		params := &stripe.ListParams{Limit: stripe.Int64(1)}
		r := request{op: "probe " + path, method: http.MethodGet, path: path, params: params}
		if path == "/v1/balance" {
			r.params = nil
		}
		raw, err := s.call(ctx, r)
		if unreadable(err) {
			continue
		}
		if err != nil {
			return seen, err
		}
		if live := livemodeOf(raw); live != nil {
			seen.Livemode, seen.LivemodeSeen = *live, true
			return seen, nil
		}
	}
	return seen, nil
}

// unreadable is an object that this key may not see, or that the other side does not offer.
func unreadable(err error) bool {
	return fault.CodeOf(err) == codePermission || fault.CodeOf(err) == codeNotFound
}

// livemodeOf is the livemode of an object or of the first object of a list; nil when there is none.
func livemodeOf(raw json.RawMessage) *bool {
	var o struct {
		Object   string          `json:"object"`
		Livemode *bool           `json:"livemode"`
		Data     json.RawMessage `json:"data"` // an event has an object here
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil
	}
	if o.Object != "list" {
		return o.Livemode
	}
	var items []json.RawMessage
	if err := json.Unmarshal(o.Data, &items); err != nil || len(items) == 0 {
		return nil
	}
	return livemodeOf(items[0])
}

// CustomerExists reports whether the customer exists and is not deleted.
func (p *Prober) CustomerExists(ctx context.Context, key account.SecretKey, customerID string) (bool, error) {
	s := p.c.open(readerRole, key, key.Environment(), p.c.limiter(onboarding, key.Environment()))
	raw, err := s.get(ctx, "customer.get", "/v1/customers", customerID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	payer, err := decodePayer(raw)
	return err == nil && !payer.Deleted, err
}

// observed is an observation and when it was made.
type observed struct {
	account.Observation
	at time.Time
}

// observationAge is how long an observation of a key stands. What it says, the
// account and the mode of a key, cannot change; that the key still works is seen on
// every request anyway.
const observationAge = 10 * time.Minute

// observation is Observe for a connection's key, remembered by the digest of the key.
func (c *Client) observation(ctx context.Context, conn account.Connection, key account.SecretKey) (account.Observation, error) {
	if known, ok := c.remembered(key); ok {
		return known, nil
	}
	seen, err := c.open(readerRole, key, "", c.limiter(conn.ID, conn.Environment)).of(conn.ID, c).observe(ctx)
	if err == nil && seen.LivemodeSeen {
		c.remember(key, seen)
	}
	return seen, err
}

// remembered is what was seen of a key not long ago.
func (c *Client) remembered(key account.SecretKey) (account.Observation, bool) {
	digest := sha256.Sum256([]byte(key.Reveal()))
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.seen[digest]
	return known.Observation, ok && c.cfg.Clock.Now().Sub(known.at).Abs() < observationAge
}

func (c *Client) remember(key account.SecretKey, seen account.Observation) {
	digest := sha256.Sum256([]byte(key.Reveal()))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[digest] = observed{Observation: seen, at: c.cfg.Clock.Now()}
}
