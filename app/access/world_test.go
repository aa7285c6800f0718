package access_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/system"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
)

// hand is a clock that the test moves.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// world is the use case on a real database, with cheap passwords.
type world struct {
	t     *testing.T
	ctx   context.Context
	svc   *app.Service
	db    *postgres.DB
	sql   *pgx.Conn
	clock *hand
	admin access.Principal
	cli   access.Principal
}

const password = "a sentence that nobody guesses"

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	url := postgrestest.URL(t)
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 12})
	require.NoError(t, err)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close(ctx))
		require.NoError(t, db.Close())
	})
	box, err := system.NewSecretBox(bytes.Repeat([]byte{4}, system.KeyBytes))
	require.NoError(t, err)
	w := &world{t: t, ctx: ctx, db: db, sql: conn, clock: &hand{at: time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)}, cli: access.Operator("root")}
	w.svc = &app.Service{
		Work: db.Access(), Credentials: db.Credentials(), Places: db.Places(), Passwords: system.NewPasswords(system.PasswordCost{Time: 1, MemoryKiB: 64, Threads: 1}),
		Entropy: system.Entropy{}, Clock: w.clock, Box: box,
	}
	for _, id := range []string{"acme", "trial"} {
		env := map[string]string{"acme": "live", "trial": "test"}[id]
		w.exec(`INSERT INTO connections (id, environment, role_source, role_issuer, stripe_account_id, sealed_key, key_mask, user_id_key, created_at) VALUES ($1, $2, true, true, 'acct', '', 'm', 'u', now())`, id, env)
		w.exec(`INSERT INTO accounts (id, environment, name, source_connection, created_at) VALUES ($1, $2, $1, $1, now())`, id, env)
	}
	u, err := w.svc.CreateFirstAdmin(ctx, w.cli, "ada@example.com", "Ada", password)
	require.NoError(t, err)
	w.admin = u.Principal()
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.sql.Exec(w.ctx, sql, args...)
	require.NoError(w.t, err)
}

func (w *world) browser() app.Browser {
	return app.Browser{Client: "203.0.113.9", Agent: "Firefox", RequestID: "req-1"}
}

func (w *world) user(email string, roles ...string) access.UserAccount {
	w.t.Helper()
	u, err := w.svc.CreateUser(w.ctx, w.admin, app.UserInput{Email: email, Name: "Name of " + email, Roles: roles, Environments: []string{"live", "test"}})
	require.NoError(w.t, err)
	return u
}

func (w *world) signIn(email string) app.SignedIn {
	w.t.Helper()
	in, err := w.svc.SignIn(w.ctx, email, password, w.browser())
	require.NoError(w.t, err)
	return in
}

func (w *world) caller(in app.SignedIn) app.Caller {
	w.t.Helper()
	c, err := w.svc.AuthenticateSession(w.ctx, in.Session.Reveal(), "req-2")
	require.NoError(w.t, err)
	return c
}

// audited lists the entries of an action, oldest first, as "actor object reason".
func (w *world) audited(action trail.Action) []string {
	w.t.Helper()
	page, err := (&audit.Service{Reader: w.db.AuditReader()}).Entries(w.ctx, audit.Filter{Scope: access.Everything(), Action: string(action), Limit: audit.MaxLimit})
	require.NoError(w.t, err)
	var out []string
	for _, r := range page.Items {
		out = append([]string{fmt.Sprintf("%s %s %s", r.Actor.ID, r.ObjectID, r.Reason)}, out...)
	}
	return out
}

// sound checks that every chain verifies and that the database holds none of the texts.
func (w *world) sound(secrets ...string) {
	w.t.Helper()
	for _, c := range trail.Chains() {
		_, err := (&audit.Service{Reader: w.db.AuditReader()}).Verify(w.ctx, c, audit.Head{})
		require.NoError(w.t, err)
	}
	for _, table := range []string{"users", "api_tokens", "sessions", "sign_in_links", "sign_in_locks", "audit_log", "idempotency_keys"} {
		var all *string
		require.NoError(w.t, w.sql.QueryRow(w.ctx, "SELECT string_agg(t::text, ' ') FROM "+table+" t").Scan(&all))
		for _, s := range secrets {
			if all != nil {
				require.NotContains(w.t, *all, s, table)
				require.NotContains(w.t, *all, fmt.Sprintf("%x", s), table)
			}
		}
	}
	var log *string
	require.NoError(w.t, w.sql.QueryRow(w.ctx, "SELECT string_agg(t::text, ' ') FROM audit_log t").Scan(&log))
	require.NotContains(w.t, *log, "@example.com", "addresses stay in the one table of users")
}
