package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
)

const secret = "whsec_4f8d2c1b9a7e6053"

// site is the endpoint as a deployment serves it: the route, the use case, a database.
type site struct {
	t     *testing.T
	ctx   context.Context
	db    *postgres.DB
	sql   *pgx.Conn
	box   *system.SecretBox
	inbox *postgres.Inbox
	web   *httptest.Server
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx := context.Background()
	url := postgrestest.URL(t)
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 4})
	require.NoError(t, err)
	sql, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	box, err := system.NewSecretBox(bytes.Repeat([]byte{5}, system.KeyBytes))
	require.NoError(t, err)
	s := &site{t: t, ctx: ctx, db: db, sql: sql, box: box, inbox: db.NewInbox(box), log: &lockedBuffer{}}
	s.connect("acme", account.Live)
	s.connect("trial", account.Test)
	e := echo.New()
	svc := &ingest.Service{
		Endpoints: ingest.NewEndpointCache(s.inbox, system.Clock{}), Verifier: stripeapi.Verifier{}, Inbox: s.inbox, Box: box, Clock: clock.Fixed(at),
	}
	f := &fakes{receive: svc.Receive}
	httpapi.New(httpapi.Services{
		Onboard: f, Connections: f, Ingest: svc, Decisions: f, Reconcile: f, ParseDecisions: lines, Ready: db.Ping,
	}, slog.New(slog.NewTextHandler(s.log, nil))).Register(e)
	s.web = httptest.NewServer(e)
	t.Cleanup(func() {
		s.web.Close()
		require.NoError(t, sql.Close(ctx))
		require.NoError(t, db.Close())
	})
	return s
}

func (s *site) connect(id string, env account.Environment) {
	s.t.Helper()
	sealed, err := s.box.Seal(onboard.SecretContext("we-"+id), []byte(secret))
	require.NoError(s.t, err)
	require.NoError(s.t, s.db.Onboarding().Do(s.ctx, func(ctx context.Context, st onboard.Stores) error {
		err := st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
			ID: id, Environment: env, Roles: account.Roles{Source: true}, StripeAccountID: "acct_" + id, UserIDKey: "user_id", KeyMask: "rk_…unit",
		}, SealedKey: []byte("x"), CreatedAt: at})
		if err != nil {
			return err
		}
		return st.Connections.UpsertEndpoint(ctx, onboard.Endpoint{ID: "we-" + id, ConnectionID: id, Environment: env, URL: "https://x", StripeID: "we_1", SealedSecret: sealed, CreatedAt: at})
	}))
}

// deliver sends a body as Stripe does, signed with the secret, and returns the status.
func (s *site) deliver(endpoint, secret string, body []byte) int {
	return s.post(endpoint, stripefake.Sign(body, at.Unix(), secret), bytes.NewReader(body))
}

func (s *site) post(endpoint, signature string, body io.Reader) int {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.web.URL+"/v1/stripe/webhooks/"+endpoint, body)
	if err != nil {
		return -1
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", signature)
	client := &http.Client{Transport: s.web.Client().Transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return -1
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || len(text) > 0 || res.Body.Close() != nil {
		return -1 // an answer says nothing but its status
	}
	return res.StatusCode
}

// rows lists what is stored as "event status reason".
func (s *site) rows() []string {
	s.t.Helper()
	rows, err := s.sql.Query(s.ctx, `SELECT trim(concat_ws(' ', e.event_id, p.status, p.reason)) FROM stripe_events e
		LEFT JOIN event_processing p USING (connection_id, event_id, created) ORDER BY 1`)
	require.NoError(s.t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return out
}

func stripeEvent(id, more string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.created","created":%d,"livemode":true,%s"data":{"object":{"id":"cus_1","object":"customer","created":1,"metadata":{"user_id":"u1"}}}}`, id, at.Unix(), more)
}

// Bug 14: one delivery granted twice, or answered 500 by its own unique index, when it
// came twice at once.
func TestBug14TheSameEventTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	statuses := make([]int, 24)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() { statuses[i] = s.deliver("we-acme", secret, stripeEvent(fmt.Sprintf("evt_%d", i/8), "")) })
	}
	wg.Wait()
	for _, status := range statuses {
		require.Equal(t, http.StatusOK, status)
	}
	require.Equal(t, []string{"evt_0 pending", "evt_1 pending", "evt_2 pending"}, s.rows())
	require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, stripeEvent("evt_0", "")), "and once more, later")
	require.Len(t, s.rows(), 3)
}

// Bug 16: an endpoint that expected one version of the API dropped the events of all others.
func TestBug16EventsOfAnyVersionAreTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	versions := []string{"2011-06-21", "2015-04-07", "2016-07-06", "2020-08-27", "2023-10-16", "2024-12-18.acacia", "2025-03-31.basil", "2026-08-26.dahlia", "2031-01-01.unheard-of", ""}
	for i, version := range versions {
		body := stripeEvent(fmt.Sprintf("evt_%d", i), fmt.Sprintf(`"api_version":%q,`, version))
		body = bytes.ReplaceAll(body, []byte("cus_1"), fmt.Appendf(nil, "cus_%d", i))
		require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, body), version)
	}
	c := &ingest.Classifier{Work: s.db.Classification(), Reads: s.db.Reads(), Box: s.box, Clock: clock.Fixed(at)}
	b, err := c.Drain(s.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: len(versions), Facts: len(versions), Links: len(versions)}, b, "each is classified")
}

// Bug 23: a test event was taken for a live one, because Connect endpoints get both.
func TestBug23TheOtherModeIsQuarantined(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	live := stripeEvent("evt_live", "")
	test := bytes.Replace(stripeEvent("evt_test", ""), []byte(`"livemode":true`), []byte(`"livemode":false`), 1)
	mixed := bytes.Replace(stripeEvent("evt_mixed", ""), []byte(`"object":"customer"`), []byte(`"object":"customer","livemode":false`), 1)
	other := stripeEvent("evt_other", `"account":"acct_somebody",`)
	for _, body := range [][]byte{live, test, mixed, other} {
		require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, body), "retrying could not help")
	}
	require.Equal(t, http.StatusOK, s.deliver("we-trial", secret, stripeEvent("evt_live_to_test", "")))
	require.Equal(t, []string{
		"evt_live pending", "evt_live_to_test quarantined livemode_mismatch", "evt_mixed quarantined livemode_mismatch",
		"evt_other quarantined account_mismatch", "evt_test quarantined livemode_mismatch",
	}, s.rows())
	require.Equal(t, 4, strings.Count(s.log.String(), "a person must look"))
	c := &ingest.Classifier{Work: s.db.Classification(), Reads: s.db.Reads(), Box: s.box, Clock: clock.Fixed(at)}
	b, err := c.Drain(s.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: 1, Facts: 1, Links: 1}, b, "no fact comes from the others")
}

// Bug 24: an endpoint without a secret accepted what anybody signed with nothing.
func TestBug24AnEmptySecretVerifiesNothing(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{"", "   ", "\n"} {
		s := newSite(t)
		sealed, err := s.box.Seal(onboard.SecretContext("we-acme"), []byte(stored))
		require.NoError(t, err)
		_, err = s.sql.Exec(s.ctx, "UPDATE webhook_endpoints SET sealed_secret = $1", sealed)
		require.NoError(t, err)
		body := stripeEvent("evt_forged", "")
		for _, key := range []string{"", stored, strings.TrimSpace(stored), secret} {
			require.Equal(t, http.StatusServiceUnavailable, s.deliver("we-acme", key, body), "%q against %q", key, stored)
		}
		require.Empty(t, s.rows())
		require.Contains(t, s.log.String(), "level=ERROR")
	}
}

// Bug 25: the body was parsed and written anew before its signature was checked.
func TestBug25TheSignatureIsOverTheBytesAsSent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	body := []byte("\n{ \"id\":\"evt_odd\" ,\"object\":\"event\",\t\"type\":\"x\",\"created\":1790000000.0e0,\"livemode\":true,\r\n" +
		`"data":{"object":{"name":"Zo\u00eb \ud83c\udf88 \/","n":1.10,"n":2}}}` + "\n\n")
	require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, body))
	var sealed []byte
	require.NoError(t, s.sql.QueryRow(s.ctx, "SELECT sealed_body FROM stripe_events WHERE event_id = 'evt_odd'").Scan(&sealed))
	plain, err := s.box.Open(ingest.BodyContext("acme"), sealed)
	require.NoError(t, err)
	require.Equal(t, body, plain, "stored byte for byte")
	signature := stripefake.Sign(body, at.Unix(), secret)
	for _, changed := range [][]byte{bytes.TrimSpace(body), append(bytes.Clone(body), '\n'), bytes.ReplaceAll(body, []byte(`\u00eb`), []byte("ë"))} {
		require.Equal(t, http.StatusBadRequest, s.post("we-acme", signature, bytes.NewReader(changed)))
	}
	require.Len(t, s.rows(), 1)
}

// Bug 26: a body without end filled the memory.
func TestBug26ALargeBodyIsNotRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	read := func(body io.Reader) int {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(s.ctx, http.MethodPost, s.web.URL+"/v1/stripe/webhooks/we-acme", body)
		r.Header.Set("Content-Type", "application/json")
		s.web.Config.Handler.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, read(bytes.NewReader(make([]byte, 2<<20))))
	endless := &counted{}
	require.Equal(t, http.StatusRequestEntityTooLarge, read(endless))
	require.Less(t, endless.given.Load(), int64(2<<20))
	// The client writes for as long as the server lets it, also while its answer is there.
	endless = &counted{}
	require.Contains(t, []int{http.StatusRequestEntityTooLarge, -1}, s.post("we-acme", "", endless), "told so, or cut off while still sending")
	require.Less(t, endless.given.Load(), int64(16<<20), "what is not read is not sent either")
	require.Empty(t, s.rows())

	body := stripeEvent("evt_padded", "")
	body = append(body, bytes.Repeat([]byte(" "), ingest.MaxBody-len(body))...)
	require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, body), "1 MiB is taken")
	require.Equal(t, http.StatusRequestEntityTooLarge, s.deliver("we-acme", secret, append(body, ' ')))
}

// counted is a body of 64 MiB without a length.
type counted struct{ given atomic.Int64 }

func (c *counted) Read(p []byte) (int, error) {
	if c.given.Add(int64(len(p))) > 64<<20 {
		return 0, io.EOF
	}
	return len(p), nil
}

// Bug 27: errors were answered 200, and the events were lost.
func TestBug27WhatIsNotStoredIsNotAnswered200(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	body := stripeEvent("evt_1", "")
	require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, stripeEvent("evt_0", "")), "the endpoint is in the cache")
	_, err := s.sql.Exec(s.ctx, "ALTER TABLE stripe_events RENAME TO stripe_events_away")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, s.deliver("we-acme", secret, body))
	_, err = s.sql.Exec(s.ctx, "ALTER TABLE stripe_events_away RENAME TO stripe_events")
	require.NoError(t, err)
	_, err = s.sql.Exec(s.ctx, "ALTER TABLE event_processing ADD CONSTRAINT refuses CHECK (event_id <> 'evt_1')")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, s.deliver("we-acme", secret, body), "half of it is nothing of it")
	require.Equal(t, []string{"evt_0 pending"}, s.rows())
	_, err = s.sql.Exec(s.ctx, "ALTER TABLE event_processing DROP CONSTRAINT refuses")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, s.deliver("we-acme", secret, body), "Stripe brings it again")
	require.Equal(t, []string{"evt_0 pending", "evt_1 pending"}, s.rows())
	require.NoError(t, s.db.Close())
	require.Equal(t, http.StatusServiceUnavailable, s.deliver("we-acme", secret, stripeEvent("evt_2", "")), "the database is gone")
}
