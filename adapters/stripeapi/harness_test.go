package stripeapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const (
	liveText = "rk_live_4f8d2c1b9a7e6053unit"
	testText = "rk_test_4f8d2c1b9a7e6053unit"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sent is a request as it was on the wire.
type sent struct {
	Method, Path, Body, Key, Auth string
	Header                        http.Header
}

// wiretap records what reaches a handler.
type wiretap struct {
	mu   sync.Mutex
	seen []sent
	next http.Handler
}

func (w *wiretap) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.seen = append(w.seen, sent{
		Method: req.Method, Path: req.URL.RequestURI(), Body: string(body), Key: req.Header.Get("Idempotency-Key"),
		Auth: req.Header.Get("Authorization"), Header: req.Header.Clone(),
	})
	w.mu.Unlock()
	w.next.ServeHTTP(res, req)
}

// take returns and clears what was recorded.
func (w *wiretap) take() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

func writes(all []sent) []sent {
	var out []sent
	for _, s := range all {
		if s.Method != http.MethodGet && s.Method != http.MethodHead {
			out = append(out, s)
		}
	}
	return out
}

// world is a stand-in of Stripe with a live and a test connection, and a client for it.
type world struct {
	t      *testing.T
	fake   *stripefake.Server
	tap    *wiretap
	client *stripeapi.Client
	web    *httptest.Server
	url    string
	logs   *syncBuffer
	conns  map[string]account.Connection
	keys   map[string]account.SecretKey
	own    map[string]bool // our invoices, by their IDs
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// every permission a connection with both roles needs.
func everything() map[string]string { return map[string]string{"*": "write"} }

func newWorld(t *testing.T, permissions map[string]string) *world {
	t.Helper()
	fake := stripefake.New(stripefake.Options{Start: start, Seed: 7, HoldWebhooks: true, Accounts: []stripefake.AccountSpec{{
		ID: "acct_1Vendor", Keys: []stripefake.KeySpec{
			{Mode: "live", Secret: liveText, Permissions: permissions},
			{Mode: "test", Secret: testText, Permissions: permissions},
			{Mode: "live", Secret: "sk_live_setup_of_the_test"},
			{Mode: "test", Secret: "sk_test_setup_of_the_test"},
		},
	}}})
	t.Cleanup(fake.Close)
	w := worldOn(t, fake)
	w.fake = fake
	return w
}

// worldOn is a client in front of any handler.
func worldOn(t *testing.T, handler http.Handler) *world {
	t.Helper()
	tap := &wiretap{next: handler}
	web := httptest.NewServer(tap)
	t.Cleanup(web.Close)
	w := &world{t: t, tap: tap, web: web, url: web.URL, logs: &syncBuffer{}, conns: map[string]account.Connection{}, keys: map[string]account.SecretKey{}}
	w.connect("issuer", account.Live, liveText)
	w.connect("sandbox", account.Test, testText)
	w.client = newClient(t, w, web.URL)
	return w
}

func newClient(t *testing.T, w *world, base string, refused ...func(context.Context, string)) *stripeapi.Client {
	t.Helper()
	refused = append(refused, nil)
	client, err := stripeapi.New(stripeapi.Config{
		APIBase: base, LiveRate: stripeapi.Unlimited, TestRate: stripeapi.Unlimited, HTTPTimeout: time.Minute,
		Clock: clock.Fixed(start), Logger: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		ConnectionKey: func(_ context.Context, id string) (account.Connection, account.SecretKey, error) {
			conn, ok := w.conns[id]
			if !ok {
				return conn, account.SecretKey{}, fault.New(fault.NotFound, "connection_unknown", "no connection %s", id)
			}
			return conn, w.keys[id], nil
		},
		KeyRefused:  refused[0],
		OwnInvoices: func(context.Context, string) (map[string]bool, error) { return w.own, nil },
	})
	require.NoError(t, err)
	return client
}

func (w *world) connect(id string, env account.Environment, text string) {
	w.t.Helper()
	key := secretKey(w.t, text)
	conn, err := account.NewConnection(id, env, account.Roles{Source: true, Issuer: true}, key, "", "")
	require.NoError(w.t, err)
	w.conns[id], w.keys[id] = conn, key
}

func secretKey(t *testing.T, text string) account.SecretKey {
	t.Helper()
	key, err := account.ParseSecretKey(text)
	require.NoError(t, err)
	return key
}

// setup sends a request as somebody else who works on the same Stripe account.
func (w *world) setup(mode, method, path string, form url.Values) map[string]any {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer sk_"+mode+"_setup_of_the_test")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := w.web.Client().Do(req)
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, res.Body.Close()) }()
	var out map[string]any
	require.NoError(w.t, json.NewDecoder(res.Body).Decode(&out))
	require.Less(w.t, res.StatusCode, 300, "%v", out)
	return out
}

func (w *world) customer(mode string) string {
	w.t.Helper()
	return w.setup(mode, http.MethodPost, "/v1/customers", url.Values{"email": {"billing@example.com"}, "name": {"Payer"}})["id"].(string)
}

// plan is a plan of three lines for a customer of the issuer.
func plan(customer string) billing.InvoicePlan {
	line := func(id string, amount int64) billing.PlanLine {
		return billing.PlanLine{Line: id, AmountMinor: amount, Description: "Measured lift of " + id, Metadata: map[string]string{"lb_snapshot": id, "lb_readout": "r" + id}}
	}
	return billing.InvoicePlan{
		Key:     billing.IntentKey{IssuerConnection: "issuer", Customer: customer, Currency: "usd", Period: "2026-02", Part: "1/1"},
		CycleID: "acme-2026-02", AccountID: "acme", CollectionMethod: billing.SendInvoice, DaysUntilDue: 30,
		Description: "Outcome fee 2026-02", Footer: "Recompute it with the evidence bundle.", PONumber: "PO-4711",
		PeriodStart: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).Unix(), PeriodEnd: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix(),
		Metadata: map[string]string{"lb_cycle": "2026-02", "lb_schema": "1", "lb_env": "live"},
		Lines:    []billing.PlanLine{line("snap-a", 12_345), line("snap-b", 1), line("snap-c", 99_999)},
	}
}

func proven(t *testing.T) account.LiveProof {
	t.Helper()
	key := secretKey(t, liveText)
	conn, err := account.NewConnection("issuer", account.Live, account.Roles{Issuer: true}, key, "", "")
	require.NoError(t, err)
	proof, err := account.ProveLive(conn, key, account.Observation{Livemode: true, LivemodeSeen: true})
	require.NoError(t, err)
	return proof
}

func authorized(t *testing.T, p billing.InvoicePlan) billing.WriteBack {
	t.Helper()
	wb, err := billing.Authorize(proven(t), account.Live, p, opened(t, p.AccountID))
	require.NoError(t, err)
	return wb
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, string(kind)+"/"+code, string(fault.KindOf(err))+"/"+fault.CodeOf(err), err.Error())
}

// opened is the permission of an account whose live writing is open.
func opened(t *testing.T, accountID string) billing.LiveWriting {
	t.Helper()
	w, err := billing.Switch{AccountID: accountID, Open: true}.Permit()
	require.NoError(t, err)
	return w
}
