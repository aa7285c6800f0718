package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// The three accounts of the installation: two of live, one of test.
const (
	accA = "acct-aaa"
	accB = "acct-bbb"
	accT = "acct-ttt"
)

var accountEnvironment = map[string]account.Environment{accA: account.Live, accB: account.Live, accT: account.Test}

// installation is everything that `liftbill serve` mounts, on a database with three
// accounts, each with a connection, a contract, a plan, a cycle and a readout.
type installation struct {
	t    *testing.T
	app  *app
	gate *access.Service
	e    *echo.Echo
	sql  *pgx.Conn
	cli  domain.Principal
	url  string

	asked int
}

var installed = time.Date(2026, 9, 20, 9, 0, 0, 0, time.UTC)

func newInstallation(t *testing.T) *installation {
	t.Helper()
	clockFile := filepath.Join(t.TempDir(), "clock")
	require.NoError(t, system.WriteClockFile(clockFile, installed, false))
	fake := stripefake.Start(t, stripefake.Options{Start: installed})
	i := &installation{t: t, cli: domain.Operator("tester"), url: postgrestest.URL(t)}
	cfg := Config{
		DatabaseURL: i.url, EncryptionKey: base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)), Listen: "127.0.0.1:8080",
		PublicURL: "http://127.0.0.1:8080", StripeAPIBase: fake.URL, StripeRate: -1, ClockFile: clockFile, APIRate: 1 << 20,
	}
	var err error
	i.app, err = openApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	i.app.passwordCost = system.PasswordCost{Time: 1, MemoryKiB: 64, Threads: 1}
	i.gate, i.sql = i.app.access(), nil
	i.sql, err = pgx.Connect(t.Context(), i.url)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, i.sql.Close(t.Context()))
		i.app.close(t.Context())
	})
	i.e, err = i.app.handler()
	require.NoError(t, err)
	for id := range accountEnvironment {
		i.account(id)
	}
	return i
}

func (i *installation) exec(sql string, args ...any) {
	i.t.Helper()
	_, err := i.sql.Exec(i.t.Context(), sql, args...)
	require.NoError(i.t, err)
}

// caseID is the readout of an account.
func caseID(account string) string { return strings.Repeat(account[len(account)-1:], 26) }

func (i *installation) account(id string) {
	i.t.Helper()
	ctx, env := i.t.Context(), accountEnvironment[id]
	sealed, err := i.app.box.Seal(onboard.KeyContext(id+"-stripe"), []byte("rk_"+env.String()+"_4f8d2c1b9a7e6053unit"))
	require.NoError(i.t, err)
	require.NoError(i.t, i.app.db.Onboarding().Do(ctx, func(_ context.Context, st onboard.Stores) error {
		conn := account.Connection{ID: id + "-stripe", Environment: env, Roles: account.Roles{Source: true, Issuer: true}, StripeAccountID: "acct_x", UserIDKey: "user_id", KeyMask: "rk_…unit"}
		if err := st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: conn, SealedKey: sealed, CreatedAt: installed}); err != nil {
			return err
		}
		return st.Accounts.InsertAccount(ctx, account.Account{ID: id, Environment: env, Name: "Name of " + id, SourceConnection: id + "-stripe", IssuerConnection: id + "-stripe"}, installed)
	}))
	board := i.app.services(i.gate).Onboard
	terms := billing.DefaultTerms()
	terms.FirstPeriod = "2026-10"
	_, _, err = board.CreateContract(ctx, i.cli, id, id+"-c", terms)
	require.NoError(i.t, err)
	first, err := period.Parse("2026-10")
	require.NoError(i.t, err)
	plan, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: terms.Currency, Unit: "user", Baseline: "none", HoldoutProbability: "0.2",
		SaltCommitment: lift.SaltCommitment([]byte("0123456789abcdef")), Snapshots: 4})
	require.NoError(i.t, err)
	_, _, err = board.SealPlan(ctx, i.cli, id, onboard.PlanInput{ID: id + "-p", Plan: plan, SaltHex: "30313233343536373839616263646566"})
	require.NoError(i.t, err)
	i.exec(`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, watermark, opened_at, updated_at)
		VALUES ($1, $2, $3, '2026-10', '2026-10-01', '2026-11-01', $4, $5, 'computing', now(), now(), now())`, id+".2026-10", id, env.String(), id+"-c", id+"-p")
	i.exec(`INSERT INTO readouts (case_id, cycle_id, environment, account_id, snapshot_id, period, currency, units, holdout_units, observed_minor, lift, counterfactual,
		se, variance_cr, variance_b, variance_0, interval_low, interval_high, bound, z, ess, verdict, headline, explanation, checks, plan_hash, estimator, manifest, build, created_at)
		VALUES ($1, $2, $3, $4, 's', '2026-10', 'usd', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, '1', 1, 'passed', '', 'x', '[]', 'h', 'e', '{}', '{}', now())`,
		caseID(id), id+".2026-10", env.String(), id)
	i.exec(`INSERT INTO recon_breaks (id, account_id, environment, period, type, subject, severity, line, left_source, left_id, left_currency, left_counted, right_source, right_id, right_currency,
		right_counted, amount_minor, currency, customer_id, detail, target_connection, target_object, target_id, state, owner, reason, first_seen, last_seen, fingerprint, requested_by,
		requested_person, forced_by, forced_person, updated_at)
		VALUES ($1, $2, $3, '2026-10', 'amount_differs', 'in_1', 'error', 'revenue', 'ledger', 'in_1', 'usd', 5, 'stripe', 'in_1', 'usd', 4, 1, 'usd', 'cus_1', 'x', $2 || '-stripe', 'invoice', 'in_1',
		'open', '', '', now(), now(), 'f', '', '', '', '', now())`, caseID(id), id, env.String())
}

// answer is what came of a request.
type answer struct {
	status int
	code   string // of the problem, or read from the error page
	body   string
	header http.Header
}

func (i *installation) ask(r *http.Request) answer {
	i.t.Helper()
	i.asked++
	r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i.asked>>8&255, i.asked&255) // many clients: one would be limited
	w := httptest.NewRecorder()
	i.e.ServeHTTP(w, r)
	out := answer{status: w.Code, body: w.Body.String(), header: w.Header()}
	var p struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(w.Body.Bytes(), &p) == nil {
		out.code = p.Code
	} else if _, rest, ok := strings.Cut(out.body, `Code <code class="id">`); ok {
		out.code, _, _ = strings.Cut(rest, "<")
	}
	return out
}

// request is one of a program; a token is added where there is one.
func (i *installation) request(method, path, token, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(path, "/decisions") {
			r.Header.Set("Content-Type", "application/x-ndjson")
		}
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// browse is a request of a browser with a session, a form from one of our pages when
// it changes something.
func (i *installation) browse(method, path, session string, fields url.Values) *http.Request {
	var body io.Reader = http.NoBody
	if method == http.MethodPost {
		form := url.Values{"csrf": {access.Caller{Session: domain.Given(session)}.CSRF()}}
		for k, v := range fields {
			form[k] = v
		}
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, body)
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://127.0.0.1:8080")
	}
	r.AddCookie(&http.Cookie{Name: access.SessionCookie(false), Value: session})
	return r
}

// session opens a session for a user without the ceremony.
func (i *installation) session(userID string) string {
	i.t.Helper()
	secret, err := domain.NewSecret(system.Entropy{}.Bytes(domain.SecretBytes))
	require.NoError(i.t, err)
	require.NoError(i.t, i.app.db.Access().Do(i.t.Context(), func(ctx context.Context, st access.Stores) error {
		return st.Sessions.InsertSession(ctx, secret.Hash(), domain.NewSession(userID, "test", false, installed))
	}))
	return secret.Reveal()
}

func (i *installation) user(roles domain.Roles, scope domain.Scope) string {
	i.t.Helper()
	id := fmt.Sprintf("user_%x", system.Entropy{}.Bytes(8))
	require.NoError(i.t, i.app.db.Access().Do(i.t.Context(), func(ctx context.Context, st access.Stores) error {
		return st.Users.InsertUser(ctx, domain.UserAccount{ID: id, Email: id + "@example.com", Name: "N " + id, Roles: roles, Scope: scope, CreatedAt: installed})
	}))
	return id
}

func tokenInput(name, env, role string, accounts []string) access.TokenInput {
	return access.TokenInput{Name: name, Environment: env, Roles: []string{role}, Accounts: accounts}
}

// someToken is well-formed and nobody's.
func someToken(t *testing.T) string {
	t.Helper()
	text, err := domain.NewToken(account.Live, system.Entropy{}.Bytes(domain.TokenBytes))
	require.NoError(t, err)
	return text.Reveal()
}

func pathOnly(address string) string {
	path, _, _ := strings.Cut(address, "?")
	return path
}
