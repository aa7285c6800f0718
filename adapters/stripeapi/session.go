package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// pageSize is Stripe's maximum.
const pageSize = 100

// session is a client of one key in one role.
type session struct {
	backend stripe.Backend
	guard   *guard
	key     account.SecretKey
	role    role
	// env is what every answer must belong to; empty when the answer is the question.
	env   account.Environment
	limit *limiter
	log   *slog.Logger
	now   func() time.Time
	// connectionID is whose key it is; empty before there is a connection.
	connectionID string
	// record is told about every answered request; nil when nobody asks.
	record func(op string, x *exchange, err error)
	// refused is told when Stripe refuses the key itself; nil when nobody asks.
	refused func(ctx context.Context, connectionID string)
}

// open makes a session. It costs no network: the connection pool is the client's.
func (c *Client) open(r role, key account.SecretKey, env account.Environment, limit *limiter) *session {
	g := &guard{role: r, base: c.base, next: c.wire}
	return &session{
		backend: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
			HTTPClient: &http.Client{
				Transport:     g,
				Timeout:       c.cfg.HTTPTimeout,
				CheckRedirect: refuseRedirect,
			},
			EnableTelemetry:   stripe.Bool(false),
			LeveledLogger:     redacted{},
			MaxNetworkRetries: stripe.Int64(r.retries),
			URL:               stripe.String(c.base.String()),
		}),
		guard: g, key: key, role: r, env: env, limit: limit, log: c.cfg.Logger, now: c.cfg.Clock.Now,
	}
}

// reader opens a reading session of a connection.
func (c *Client) reader(ctx context.Context, connectionID string) (*session, error) {
	conn, key, err := c.connect(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	if conn.Paused {
		return nil, fault.New(fault.Conflict, "connection_paused", "connection %s is paused (%s): nothing is read from Stripe", conn.ID, conn.PausedReason).
			Fix("Resume the connection; a revoked key has to be replaced first")
	}
	s := c.open(readerRole, key, conn.Environment, c.limiter(conn.ID, conn.Environment))
	s.guard.reads = c.readsOf(conn.ID)
	return s.of(conn.ID, c), nil
}

// of names the connection whose key the session uses, so that somebody is told when
// Stripe does not accept it any more.
func (s *session) of(connectionID string, c *Client) *session {
	s.connectionID, s.refused = connectionID, c.cfg.KeyRefused
	return s
}

// request is one call. Params are the SDK's typed parameters, nil when there are none.
type request struct {
	op     string // for the log and the error table, for example "invoice.finalize"
	method string
	path   string
	params any
	// key is the idempotency key; every write has one.
	key string
	// last may refuse the request when it is about to be sent; nil never does.
	last func(now time.Time) error
}

// answer keeps Stripe's JSON as it came.
type answer struct {
	stripe.APIResource
	raw json.RawMessage
}

// UnmarshalJSON keeps the bytes; the decoders of this package read them.
func (a *answer) UnmarshalJSON(b []byte) error {
	a.raw = append(json.RawMessage(nil), b...)
	return nil
}

// call sends a request and returns the object that Stripe answered, checked for its mode.
func (s *session) call(ctx context.Context, r request) (json.RawMessage, error) {
	if err := s.limit.wait(ctx); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, codeTransient, "%s was not sent: the request limit was not free in time", r.op)
	}
	if r.last != nil {
		if err := r.last(s.now()); err != nil {
			return nil, err
		}
	}
	x := &exchange{}
	// Never nil: with nil parameters the SDK drops the context and the idempotency key.
	common := &stripe.Params{Context: withExchange(ctx, x)}
	if r.key != "" {
		if len(r.key) > maxIdempotencyKey {
			return nil, tooLong("idempotency_key", len(r.key), maxIdempotencyKey)
		}
		common.IdempotencyKey = stripe.String(r.key)
	}
	values := &form.Values{}
	if r.params != nil {
		form.AppendTo(values, r.params)
	}
	var a answer
	err := s.backend.CallRaw(r.method, r.path, s.key.Reveal(), values, common, &a)
	if err != nil {
		err = classify(r, x, err)
		var slow *Throttle
		if errors.As(err, &slow) {
			s.limit.hold(slow.After)
		}
	} else {
		err = checkLivemode(a.raw, s.env, s.role.strict)
		if r.method != http.MethodGet {
			err = afterWrite(err)
		}
	}
	s.note(ctx, r, x, err)
	if err != nil {
		return nil, err
	}
	return a.raw, nil
}

func (s *session) note(ctx context.Context, r request, x *exchange, err error) {
	outcome := "ok"
	if err != nil {
		outcome = fault.CodeOf(err)
	}
	s.log.LogAttrs(ctx, slog.LevelDebug, "stripe request", slog.String("operation", r.op), slog.Int("status", x.status),
		slog.String("request_id", x.requestID()), slog.String("outcome", outcome))
	if s.record != nil {
		s.record(r.op, x, err)
	}
	if s.refused != nil && s.connectionID != "" && fault.CodeOf(err) == codeAuth {
		s.refused(context.WithoutCancel(ctx), s.connectionID)
	}
}

// get reads one object.
func (s *session) get(ctx context.Context, op, collection, id string) (json.RawMessage, error) {
	path, err := objectPath(collection, id)
	if err != nil {
		return nil, err
	}
	return s.call(ctx, request{op: op, method: http.MethodGet, path: path})
}

// list calls each for every object of every page, until it returns false. An error
// on any page is returned: half a list is no list.
func (s *session) list(ctx context.Context, op, path string, params stripe.ListParamsContainer, each func(json.RawMessage) (bool, error)) error {
	lp := params.GetListParams()
	if lp.Limit == nil {
		lp.Limit = stripe.Int64(pageSize)
	}
	for {
		raw, err := s.listPage(ctx, op, path, params)
		if err != nil {
			return err
		}
		for _, o := range raw.Data {
			more, err := each(o)
			if err != nil || !more {
				return err
			}
		}
		if !raw.HasMore || len(raw.Data) == 0 {
			return nil
		}
		last, err := idOf(raw.Data[len(raw.Data)-1])
		if err != nil {
			return err
		}
		lp.StartingAfter = stripe.String(last)
	}
}

type listPage struct {
	Object  string            `json:"object"`
	HasMore bool              `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
}

func (s *session) listPage(ctx context.Context, op, path string, params any) (listPage, error) {
	raw, err := s.call(ctx, request{op: op, method: http.MethodGet, path: path, params: params})
	if err != nil {
		return listPage{}, err
	}
	var p listPage
	if err := json.Unmarshal(raw, &p); err != nil || p.Object != "list" {
		return listPage{}, badAnswer("a list")
	}
	return p, nil
}

// idRE is what an object's ID looks like. An empty ID would turn the request for an
// object into one for the list.
var idRE = regexp.MustCompile(`^[A-Za-z0-9_]{1,255}$`)

func objectPath(collection, id string) (string, error) {
	if !idRE.MatchString(id) {
		return "", fault.New(fault.Invalid, "stripe_id_malformed", "%q is not the ID of a Stripe object", id)
	}
	return collection + "/" + id, nil
}

// redacted is the SDK's logger: the SDK hands bodies and error texts to it, so it
// keeps nothing. What may be said about a request is logged by session.note.
type redacted struct{}

// Debugf drops the message.
func (redacted) Debugf(string, ...any) {}

// Infof drops the message.
func (redacted) Infof(string, ...any) {}

// Warnf drops the message.
func (redacted) Warnf(string, ...any) {}

// Errorf drops the message.
func (redacted) Errorf(string, ...any) {}
