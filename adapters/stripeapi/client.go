package stripeapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// APIVersion is the version of Stripe's API that every request asks for and every
// webhook endpoint is registered with.
const APIVersion = "2023-10-16"

// Unlimited turns the request limit of an environment off, for stand-ins of Stripe.
const Unlimited = -1

// The defaults of Config. The rates stay far below Stripe's own limits, because the
// account's other programs share those.
const (
	DefaultHTTPTimeout = 30 * time.Second
	DefaultLiveRate    = 10
	DefaultTestRate    = 3
)

// ConnectionKey finds a connection and opens its key.
type ConnectionKey func(ctx context.Context, connectionID string) (account.Connection, account.SecretKey, error)

// Config says how Stripe is reached.
type Config struct {
	// APIBase points at another address than Stripe's; loopback only. Empty is Stripe.
	APIBase string
	// HTTPTimeout bounds one request, connection and body included; 0 is DefaultHTTPTimeout.
	HTTPTimeout time.Duration
	// LiveRate and TestRate bound the requests per second of one connection; 0 is the
	// default, Unlimited is no bound.
	LiveRate, TestRate int
	// Wire carries the requests; nil is a pool of connections. A stand-in of Stripe in the
	// same process is reached through one of its own.
	Wire          http.RoundTripper
	Clock         clock.Clock
	Logger        *slog.Logger
	ConnectionKey ConnectionKey
	// KeyRefused is told when Stripe does not accept a connection's key; nil for nobody.
	KeyRefused func(ctx context.Context, connectionID string)
	// Writing is asked for an account's switch before a writer of its invoices is opened,
	// whatever was authorised before; nil where nothing keeps switches.
	Writing func(ctx context.Context, accountID string) (billing.Switch, error)
	// OwnInvoices are the IDs of our outcome invoices in the Stripe account of a connection.
	// An invoice is ours by its metadata too; nil where nothing keeps the IDs.
	OwnInvoices func(ctx context.Context, connectionID string) (map[string]bool, error)
}

// Client is the shared ground of the package's ports: addresses, connections
// pool and limits. It holds no key.
type Client struct {
	cfg  Config
	base *url.URL
	wire http.RoundTripper

	mu       sync.Mutex
	limiters map[string]*limiter
	seen     map[[32]byte]observed
	reads    map[string]*atomic.Int64
}

// ours are the IDs of our own invoices, which are nobody's revenue, whatever became of
// their metadata.
func (c *Client) ours(ctx context.Context, connectionID string) (map[string]bool, error) {
	if c.cfg.OwnInvoices == nil {
		return nil, nil
	}
	return c.cfg.OwnInvoices(ctx, connectionID)
}

// New checks the configuration and makes a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	base, err := apiBase(cfg.APIBase)
	if err != nil {
		return nil, err
	}
	if cfg.Clock == nil || cfg.Logger == nil || cfg.ConnectionKey == nil {
		return nil, fault.New(fault.Internal, "stripe_config", "the Stripe client needs a clock, a logger and a source of connections")
	}
	if cfg.HTTPTimeout <= 0 {
		cfg.HTTPTimeout = DefaultHTTPTimeout
	}
	if cfg.LiveRate == 0 {
		cfg.LiveRate = DefaultLiveRate
	}
	if cfg.TestRate == 0 {
		cfg.TestRate = DefaultTestRate
	}
	if cfg.Wire == nil {
		cfg.Wire = newWire()
	}
	return &Client{
		cfg: cfg, base: base, wire: cfg.Wire, limiters: map[string]*limiter{}, seen: map[[32]byte]observed{},
		reads: map[string]*atomic.Int64{},
	}, nil
}

// newWire is one connection pool for all connections: keys travel per request.
func newWire() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// apiBase accepts Stripe's own address and loopback addresses: a key sent anywhere
// else is a key given away.
func apiBase(text string) (*url.URL, error) {
	if text == "" {
		text = stripe.APIURL
	}
	refuse := func(why string) (*url.URL, error) {
		return nil, fault.InvalidField("stripe_api_base", "api_base_refused", "the address of the Stripe API %s", why).
			Fix("Leave it empty for Stripe, or give the loopback address of a stand-in such as http://127.0.0.1:12111")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return refuse("is not an http or https URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return refuse("must be a scheme, a host and a port, nothing else")
	}
	u.Path = ""
	ip := net.ParseIP(u.Hostname())
	if u.String() != stripe.APIURL && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return refuse("is neither Stripe's nor a loopback address")
	}
	return u, nil
}

// limiter returns the limiter of a connection, or of a group of requests without one.
func (c *Client) limiter(name string, env account.Environment) *limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := string(env) + "/" + name
	l := c.limiters[key]
	if l == nil {
		rate := c.cfg.TestRate
		if env == account.Live {
			rate = c.cfg.LiveRate
		}
		l = newLimiter(rate, time.Second)
		c.limiters[key] = l
	}
	return l
}

// readsOf is the counter of the requests that readers of a connection have sent.
func (c *Client) readsOf(connectionID string) *atomic.Int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.reads[connectionID]
	if n == nil {
		n = &atomic.Int64{}
		c.reads[connectionID] = n
	}
	return n
}

// connect finds a connection and its key and checks that they fit together.
func (c *Client) connect(ctx context.Context, connectionID string) (account.Connection, account.SecretKey, error) {
	if connectionID == "" {
		return account.Connection{}, account.SecretKey{}, fault.New(fault.Invalid, "connection_missing", "a connection is required")
	}
	conn, key, err := c.cfg.ConnectionKey(ctx, connectionID)
	if err != nil {
		return account.Connection{}, account.SecretKey{}, err
	}
	if conn.ID != connectionID || key.Environment() != conn.Environment {
		return account.Connection{}, account.SecretKey{}, modeViolation("connection %s and its key do not belong to one environment", connectionID)
	}
	return conn, key, nil
}

// modeViolation is the one error of everything that would mix live and test.
func modeViolation(format string, args ...any) *fault.Error {
	return fault.New(fault.Forbidden, codeMode, format, args...).
		Fix("Check that the connection's key belongs to the declared environment; nothing further was sent")
}
