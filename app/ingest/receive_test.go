package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

const (
	current  = "whsec_current_4f8d2c1b9a7e6053"
	previous = "whsec_previous_4f8d2c1b9a7e605"
)

var now = time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)

// world is a live connection "acme" with a registered endpoint, on a real database.
type world struct {
	t   *testing.T
	ctx context.Context
	db  *postgres.DB
	sql *pgx.Conn
	box *system.SecretBox
	svc *ingest.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	url := postgrestest.URL(t)
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 4})
	require.NoError(t, err)
	sql, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, sql.Close(ctx))
		require.NoError(t, db.Close())
	})
	box, err := system.NewSecretBox(bytes.Repeat([]byte{5}, system.KeyBytes))
	require.NoError(t, err)
	seal := func(secret string) []byte {
		sealed, err := box.Seal(onboard.SecretContext("we-acme"), []byte(secret))
		require.NoError(t, err)
		return sealed
	}
	require.NoError(t, db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
		return st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
			ID: "acme", Environment: account.Live, Roles: account.Roles{Source: true}, StripeAccountID: "acct_1", UserIDKey: "user_id", KeyMask: "rk_live_…unit",
		}, SealedKey: []byte("x"), CreatedAt: now})
	}))
	for _, secret := range []string{previous, current} {
		require.NoError(t, db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
			return st.Connections.UpsertEndpoint(ctx, onboard.Endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live,
				URL: "https://x", StripeID: "we_1", SealedSecret: seal(secret), CreatedAt: now})
		}))
	}
	inbox := db.NewInbox(box)
	return &world{t: t, ctx: ctx, db: db, sql: sql, box: box,
		svc: &ingest.Service{Endpoints: inbox, Verifier: stripeapi.Verifier{}, Inbox: inbox, Box: box, Clock: clock.Fixed(now)}}
}

func (w *world) receive(body []byte, secret string, at time.Time) (ingest.Receipt, error) {
	return w.svc.Receive(w.ctx, ingest.Delivery{EndpointID: "we-acme", SignatureHeader: stripefake.Sign(body, at.Unix(), secret), Body: body})
}

func (w *world) count(where string) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.sql.QueryRow(w.ctx, "SELECT count(*) FROM stripe_events e JOIN event_processing p USING (connection_id, event_id) WHERE "+where).Scan(&n))
	return n
}

func event(id, fields string) []byte {
	return fmt.Appendf(nil, `{ "id":%q,  "object":"event","type":"customer.created","created":%d,"livemode":true,"api_version":"2023-10-16",%s
 "data":{"object":{"id":"cus_1","object":"customer","created":1,"name":"Zo\u00eb \ud83c\udf88","metadata":{"user_id":"u1"}}}}`+"\n", id, now.Unix(), fields)
}

// The table of what becomes of a delivery.
func TestReceive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, c := range []struct {
		body   []byte
		status ingest.Status
		reason string
	}{
		{event("evt_ok", ""), ingest.Pending, ""},
		{event("evt_account", `"account":"acct_1",`), ingest.Pending, ""},
		{event("evt_test", `"livemode":false,`), ingest.Quarantined, ingest.ReasonModeMismatch},
		{event("evt_other", `"account":"acct_2",`), ingest.Quarantined, ingest.ReasonAccountMismatch},
		{bytes.Replace(event("evt_mixed", ""), []byte(`"created":1,`), []byte(`"created":1,"livemode":false,`), 1), ingest.Quarantined, ingest.ReasonModeMismatch},
		{event(strings.Repeat("e", 3000), ""), ingest.Dead, ingest.ReasonNotJSON},
		{[]byte(`{"id":"evt_thin","object":"v2.core.event","type":"v1.billing.meter","created":"2026-10-03T09:00:00Z","livemode":true}`), ingest.Ignored, ingest.ReasonThin},
		{[]byte("not json"), ingest.Dead, ingest.ReasonNotJSON},
		{[]byte(`{"hello":"world"}`), ingest.Dead, ingest.ReasonNotJSON},
		{[]byte(`[1]`), ingest.Dead, ingest.ReasonNotJSON},
		{nil, ingest.Dead, ingest.ReasonNotJSON},
	} {
		if c.reason == ingest.ReasonModeMismatch {
			c.body = bytes.Replace(c.body, []byte(`"livemode":true`), []byte(`"x":1`), 1)
		}
		for repeat := range 2 {
			got, err := w.receive(c.body, current, now)
			require.NoError(t, err, "case %d", i)
			require.Equal(t, repeat == 0, got.New, "case %d: Stripe delivers at least once", i)
			require.Equal(t, c.status, got.Status, "case %d", i)
			require.Equal(t, c.reason, got.Reason, "case %d", i)
			require.NotEmpty(t, got.EventID)
		}
		require.Equal(t, i+1, w.count("true"))
	}
	require.Equal(t, 2, w.count("p.status = 'pending'"))
}

// The stored bytes are the received bytes, odd spacing and escapes included.
func TestBodiesAreStoredByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := event("evt_1", "")
	_, err := w.receive(body, current, now)
	require.NoError(t, err)
	var sealed, sum []byte
	require.NoError(t, w.sql.QueryRow(w.ctx, "SELECT sealed_body, body_sha256 FROM stripe_events").Scan(&sealed, &sum))
	require.NotContains(t, string(sealed), "cus_1")
	plain, err := w.box.Open(ingest.BodyContext("acme"), sealed)
	require.NoError(t, err)
	require.Equal(t, body, plain)
	_, err = w.box.Open(ingest.BodyContext("other"), sealed)
	require.Error(t, err, "a body cannot be moved to another connection")
}

// What Stripe did not sign within five minutes is refused and leaves no trace.
func TestBadSignaturesStoreNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := event("evt_1", "")
	good := stripefake.Sign(body, now.Unix(), current)
	for code, d := range map[string]ingest.Delivery{
		"signature_missing":   {SignatureHeader: "", Body: body},
		"signature_mismatch":  {SignatureHeader: stripefake.Sign(body, now.Unix(), "whsec_wrong"), Body: body},
		"signature_malformed": {SignatureHeader: "nonsense", Body: body},
		"timestamp_too_old":   {SignatureHeader: stripefake.Sign(body, now.Add(-6*time.Minute).Unix(), current), Body: body},
		"timestamp_in_future": {SignatureHeader: stripefake.Sign(body, now.Add(6*time.Minute).Unix(), current), Body: body},
	} {
		d.EndpointID = "we-acme"
		_, err := w.svc.Receive(w.ctx, d)
		require.True(t, fault.Is(err, fault.Invalid), code)
		require.Equal(t, code, fault.CodeOf(err))
	}
	changed := append(bytes.Clone(body), ' ')
	_, err := w.svc.Receive(w.ctx, ingest.Delivery{EndpointID: "we-acme", SignatureHeader: good, Body: changed})
	require.Equal(t, "signature_mismatch", fault.CodeOf(err), "one byte more")
	_, err = w.svc.Receive(w.ctx, ingest.Delivery{EndpointID: "we-nobody", SignatureHeader: good, Body: body})
	require.True(t, fault.Is(err, fault.NotFound))
	require.Zero(t, w.count("true"))
	_, err = w.receive(body, previous, now)
	require.NoError(t, err, "while a secret is rolled the previous one holds")
}

// The events of a paused connection are stored and not projected.
func TestPausedConnectionStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.sql.Exec(w.ctx, "UPDATE connections SET paused = true")
	require.NoError(t, err)
	got, err := w.receive(event("evt_1", ""), current, now)
	require.NoError(t, err)
	require.Equal(t, []any{true, ingest.Pending, ingest.ReasonPaused}, []any{got.New, got.Status, got.Reason})
	b, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Zero(t, b.Events)
}

type brokenInbox struct{ err error }

func (b brokenInbox) Append(context.Context, ingest.StoredEvent) (bool, error) { return false, b.err }

type endpoint ingest.Endpoint

func (e endpoint) WebhookEndpoint(context.Context, string) (ingest.Endpoint, error) {
	return ingest.Endpoint(e), nil
}

// When the database cannot take it, Stripe is told to come again.
func TestDatabaseDownIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.svc.Inbox = brokenInbox{errors.New("connection refused")}
	_, err := w.receive(event("evt_1", ""), current, now)
	require.True(t, fault.Is(err, fault.Unavailable))

	down, err := postgres.Open(w.ctx, w.sql.Config().ConnString(), postgres.Options{})
	require.NoError(t, err)
	require.NoError(t, down.Close())
	inbox := down.NewInbox(w.box)
	w.svc.Inbox, w.svc.Endpoints = inbox, inbox
	_, err = w.receive(event("evt_1", ""), current, now)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Zero(t, w.count("true"))

	for _, blank := range [][]string{nil, {""}, {" ", "\n"}} {
		w.svc.Endpoints = endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live, Secrets: blank}
		_, err = w.receive(event("evt_1", ""), "", now)
		require.Equal(t, "secret_missing", fault.CodeOf(err))
		require.True(t, fault.Is(err, fault.Unavailable), "nothing is wrong with the delivery")
	}
}
