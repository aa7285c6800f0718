package stripeapi

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// UnprovenWriter is a writer without the first layer: nobody proved anything.
func UnprovenWriter(c *Client, key account.SecretKey, plan billing.InvoicePlan) invoicing.Writer {
	return c.writerOf(key, plan.Key.IssuerConnection, plan)
}

// UnguardedWriter is a writer without the first and the second layer: its transport
// sends everything.
func UnguardedWriter(c *Client, key account.SecretKey, plan billing.InvoicePlan) invoicing.Writer {
	w := c.writerOf(key, plan.Key.IssuerConnection, plan)
	all := regexp.MustCompile(`.`)
	open := role{name: "open", strict: true, writes: []rule{{http.MethodPost, all}, {http.MethodDelete, all}}}
	w.wire.s.backend = c.open(open, key, account.Live, c.limiter("open", account.Live)).backend
	return w
}

// SendAs sends one request in the named role.
func SendAs(ctx context.Context, c *Client, roleName string, key account.SecretKey, method, path, idempotencyKey string) error {
	r := map[string]role{"reader": readerRole, "registrar": registrarRole, "writer": writerRole, "credit": creditRole, "payer": payerRole, "setup": setupRole, "witness": witnessRole, "prober": proberRole}[roleName]
	r.retries = 0
	_, err := c.open(r, key, key.Environment(), newLimiter(Unlimited, 0)).call(ctx, request{op: "test", method: method, path: path, key: idempotencyKey})
	return err
}

// SendOp sends one request of an operation with everything allowed.
func SendOp(ctx context.Context, c *Client, key account.SecretKey, op, method, path string) error {
	all := regexp.MustCompile(`.`)
	open := role{name: "open", writes: []rule{{http.MethodPost, all}, {http.MethodDelete, all}}}
	_, err := c.open(open, key, key.Environment(), newLimiter(Unlimited, 0)).call(ctx, request{op: op, method: method, path: path, key: "lb:k"})
	return err
}

// SendTo puts a request to any address into the writer's transport.
func SendTo(ctx context.Context, c *Client, key account.SecretKey, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key.Reveal())
	res, err := (&guard{role: writerRole, base: c.base, next: c.wire}).RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Pace is the limiter's wait.
func Pace(n int, window time.Duration) func(context.Context) error { return newLimiter(n, window).wait }

// EnabledEvents are the event types that a connection of the roles is registered for.
func EnabledEvents(roles account.Roles) []string { return eventsOf(roles) }

// WantedEvents are the types that are kept of what is fetched, sorted.
func WantedEvents() []string { return slices.Sorted(maps.Keys(wantedEvents)) }

// Hold is a limiter's wait and hold.
func Hold(n int, window time.Duration) (wait func(context.Context) error, hold func(time.Duration)) {
	l := newLimiter(n, window)
	return l.wait, l.hold
}
