package onboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

const (
	liveKey  = "rk_live_4f8d2c1b9a7e6053unit"
	testKey  = "rk_test_4f8d2c1b9a7e6053unit"
	otherKey = "rk_live_aaaaaaaaaaaaaaaaunit" // the same mask
)

var (
	now = time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)
	by  = access.Operator("tester")
)

type world struct {
	ctx   context.Context
	svc   *onboard.Service
	fake  *stripefake.Server
	db    *postgres.DB
	box   *system.SecretBox
	payer string
	log   audit.Reader
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	all := map[string]string{"*": "write"}
	fake := stripefake.Start(t, stripefake.Options{Start: now, HoldWebhooks: true, Accounts: []stripefake.AccountSpec{{ID: "acct_1", Keys: []stripefake.KeySpec{
		{Mode: "live", Secret: liveKey, Permissions: all}, {Mode: "live", Secret: otherKey, Permissions: all},
		{Mode: "test", Secret: testKey, Permissions: all}, {Mode: "live", Secret: "sk_live_setup_of_the_test"},
	}}}})
	client, err := stripeapi.New(stripeapi.Config{
		APIBase: fake.URL, LiveRate: stripeapi.Unlimited, TestRate: stripeapi.Unlimited, HTTPTimeout: time.Minute, Clock: clock.Fixed(now), Logger: slog.New(slog.DiscardHandler),
		ConnectionKey: func(context.Context, string) (account.Connection, account.SecretKey, error) {
			return account.Connection{}, account.SecretKey{}, fault.New(fault.NotFound, "x", "not used here")
		},
	})
	require.NoError(t, err)
	db, err := postgres.Open(ctx, postgrestest.URL(t), postgres.Options{MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	box, err := system.NewSecretBox(bytes.Repeat([]byte{5}, system.KeyBytes))
	require.NoError(t, err)
	w := &world{ctx: ctx, fake: fake, db: db, box: box, log: db.AuditReader(), svc: &onboard.Service{
		Work: db.Onboarding(), Prober: stripeapi.NewProber(client), Registrar: stripeapi.NewRegistrar(client), Locks: db, Box: box, Clock: clock.Fixed(now), PublicURL: "http://127.0.0.1:1/",
	}}
	w.payer = w.customer(t)
	return w
}

// customer is a new one at the issuer.
func (w *world) customer(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.fake.URL+"/v1/customers", strings.NewReader(url.Values{"email": {"a@b.c"}}.Encode()))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk_live_setup_of_the_test")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := w.fake.Client.Do(req)
	require.NoError(t, err)
	var payer struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&payer))
	require.NoError(t, res.Body.Close())
	require.True(t, strings.HasPrefix(payer.ID, "cus_"))
	return payer.ID
}

func input(id, env, key string) onboard.ConnectionInput {
	return onboard.ConnectionInput{ID: id, Environment: env, Roles: []string{"source", "issuer"}, SecretKey: key}
}

func (w *world) ready(t *testing.T) {
	t.Helper()
	_, _, err := w.svc.Connect(w.ctx, by, input("acme", "live", liveKey))
	require.NoError(t, err)
	_, _, err = w.svc.CreateAccount(w.ctx, by, onboard.AccountInput{ID: "acme", Environment: "live", Name: "Acme", SourceConnection: "acme", IssuerConnection: "acme", PayerCustomer: w.payer})
	require.NoError(t, err)
}

func terms() billing.Terms {
	t := billing.DefaultTerms()
	t.FirstPeriod = "2026-10"
	return t
}

func plan(t *testing.T, first string, snapshots int) lift.Plan {
	t.Helper()
	m, err := period.Parse(first)
	require.NoError(t, err)
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: m, Currency: "usd", Unit: "user", Baseline: "none", HoldoutProbability: "0.2",
		SaltCommitment: lift.SaltCommitment([]byte("0123456789abcdef")), Snapshots: snapshots})
	require.NoError(t, err)
	return p
}

const saltHex = "30313233343536373839616263646566"

// Every refusal of a connection is one line with a remedy that never repeats the key.
func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		in   onboard.ConnectionInput
		code string
	}{
		"live key on a test connection":    {input("a", "test", liveKey), "key_mode_mismatch"},
		"test key on a live connection":    {input("a", "live", testKey), "key_mode_mismatch"},
		"publishable key as secret":        {input("a", "live", "pk_live_4f8d2c1b9a7e6053unit"), "key_publishable"},
		"webhook secret as key":            {input("a", "live", "whsec_4f8d2c1b9a7e6053unit"), "key_webhook_secret"},
		"unreadable key":                   {input("a", "live", "4f8d2c1b9a7e6053unit"), "key_unreadable"},
		"no key":                           {input("a", "live", ""), "key_missing"},
		"no role":                          {onboard.ConnectionInput{ID: "a", Environment: "live", SecretKey: liveKey}, "role_missing"},
		"no environment":                   {input("a", "", liveKey), "environment_unknown"},
		"malformed ID":                     {input("A b", "live", liveKey), "id_malformed"},
		"secret key in the public field":   {onboard.ConnectionInput{ID: "a", Environment: "live", Roles: []string{"source"}, SecretKey: liveKey, PublishableKey: liveKey}, "key_secret_in_publishable"},
		"publishable key of the other one": {onboard.ConnectionInput{ID: "a", Environment: "live", Roles: []string{"source"}, SecretKey: liveKey, PublishableKey: "pk_test_x"}, "key_mode_mismatch"},
	} {
		_, created, err := w.svc.Connect(w.ctx, by, c.in)
		require.Equal(t, c.code, fault.CodeOf(err), name)
		require.True(t, fault.Is(err, fault.Invalid), name)
		require.False(t, created)
		require.NotContains(t, err.Error(), "4f8d2c1b9a7e6053")
	}
	_, _, err := w.svc.Connect(w.ctx, by, input("a", "live", "rk_live_nobody_knows_this_one"))
	require.Error(t, err, "Stripe does not know it")
	require.NotContains(t, err.Error(), "nobody_knows")
}

// The same input again returns what is stored, also from eight callers at once; other
// input under the same ID is a conflict.
func TestConnectIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created, errs := make([]bool, 8), make([]error, 8)
	var wg sync.WaitGroup
	for i := range created {
		wg.Go(func() { _, created[i], errs[i] = w.svc.Connect(w.ctx, by, input("acme", "live", liveKey)) })
	}
	wg.Wait()
	n := 0
	for i := range created {
		require.NoError(t, errs[i])
		if created[i] {
			n++
		}
	}
	require.Equal(t, 1, n)
	conn, again, err := w.svc.Connect(w.ctx, by, input("acme", "live", liveKey))
	require.NoError(t, err)
	require.False(t, again)
	require.Equal(t, "acct_1", conn.StripeAccountID)
	changed := input("acme", "live", liveKey)
	changed.UserIDKey = "uid"
	for _, in := range []onboard.ConnectionInput{changed, input("acme", "test", testKey), input("acme", "live", otherKey)} {
		_, _, err = w.svc.Connect(w.ctx, by, in)
		require.Equal(t, "connection_exists", fault.CodeOf(err))
		require.True(t, fault.Is(err, fault.Conflict))
	}
}

func TestCreateAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	good := onboard.AccountInput{ID: "acme", Environment: "live", Name: " Acme ", SourceConnection: "acme", IssuerConnection: "acme", PayerCustomer: w.payer}
	_, created, err := w.svc.CreateAccount(w.ctx, by, good)
	require.NoError(t, err)
	require.False(t, created)
	_, _, err = w.svc.Connect(w.ctx, by, input("sandbox", "test", testKey))
	require.NoError(t, err)
	for code, change := range map[string]func(*onboard.AccountInput){
		"account_exists":       func(in *onboard.AccountInput) { in.Name = "Other" },
		"payer_unknown":        func(in *onboard.AccountInput) { in.PayerCustomer = "cus_nobody" },
		"connection_unknown":   func(in *onboard.AccountInput) { in.SourceConnection = "nobody" },
		"environment_mismatch": func(in *onboard.AccountInput) { in.IssuerConnection = "sandbox" },
		"issuer_missing":       func(in *onboard.AccountInput) { in.IssuerConnection = "" },
		"environment_unknown":  func(in *onboard.AccountInput) { in.Environment = "prod" },
		"name_length":          func(in *onboard.AccountInput) { in.Name = "" },
		"source_taken":         func(in *onboard.AccountInput) { in.ID, in.PayerCustomer = "second", "" },
		"payer_taken":          func(in *onboard.AccountInput) { in.ID = "second" },
	} {
		in := good
		change(&in)
		_, _, err := w.svc.CreateAccount(w.ctx, by, in)
		require.Equal(t, code, fault.CodeOf(err))
	}
}

func TestIssuerAndPayerMayComeLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.Connect(w.ctx, by, input("late", "live", liveKey))
	require.NoError(t, err)
	in := onboard.AccountInput{ID: "late", Environment: "live", Name: "Late", SourceConnection: "late"}
	for _, fill := range []func(){func() {}, func() { in.IssuerConnection = "late" }, func() { in.PayerCustomer = w.customer(t) }} {
		fill()
		got, _, err := w.svc.CreateAccount(w.ctx, by, in)
		require.NoError(t, err)
		require.Equal(t, in.IssuerConnection, got.IssuerConnection)
		require.Equal(t, in.PayerCustomer, got.PayerCustomer)
	}
	emptied := in
	emptied.PayerCustomer = ""
	_, _, err = w.svc.CreateAccount(w.ctx, by, emptied)
	require.Equal(t, "account_exists", fault.CodeOf(err), "what was filled in stays")
	got, created, err := w.svc.CreateAccount(w.ctx, by, in)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, in.PayerCustomer, got.PayerCustomer)
}

// The plan's error budget is split over its snapshots: no more can be shipped, however
// many callers try at once; shipping one again later is no other snapshot.
func TestSnapshotLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: "s", Name: "S"})
	require.True(t, fault.Is(err, fault.NotFound), "no plan")
	_, _, err = w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: saltHex})
	require.NoError(t, err)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: string(rune('a' + i)), Name: "S"})
		})
	}
	wg.Wait()
	shipped := -1
	refused := 0
	for i, err := range errs {
		if err == nil {
			shipped = i
			continue
		}
		require.Equal(t, "snapshot_limit", fault.CodeOf(err))
		refused++
	}
	require.Equal(t, 4, refused)
	w.svc.Clock = clock.Fixed(now.Add(time.Hour))
	_, created, err := w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: string(rune('a' + shipped)), Name: "S"})
	require.NoError(t, err)
	require.False(t, created)
	_, _, err = w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: string(rune('a' + shipped)), Name: "Other"})
	require.Equal(t, "snapshot_exists", fault.CodeOf(err))
}

// Registering again keeps the endpoint; another address makes a new one, and the
// secret of the old one stays valid beside it.
func TestRegisterWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	first, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, "http://127.0.0.1:1/v1/stripe/webhooks/we-acme", first.URL)
	again, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, first.StripeID, again.StripeID)
	w.svc.PublicURL = "http://127.0.0.1:2"
	moved, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.True(t, created)
	require.NotEqual(t, first.StripeID, moved.StripeID)
	stored, _, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.Equal(t, first.SealedSecret, stored.SealedPrevious)
	secret, err := w.svc.Box.Open(onboard.SecretContext("we-acme"), stored.SealedSecret)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(secret), "whsec_"))
	_, _, err = w.svc.RegisterWebhook(w.ctx, by, "nobody")
	require.True(t, fault.Is(err, fault.NotFound))
	for _, r := range w.fake.Requests(stripefake.RequestFilter{}) {
		if r.Method != http.MethodGet && !strings.Contains(r.Path, "/v1/customers") {
			require.Contains(t, r.Path, "/v1/webhook_endpoints")
		}
	}
}
