package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestAccessCommands lets the first administrator in, makes users and tokens, and
// verifies the log of it, as an operator does.
func TestAccessCommands(t *testing.T) {
	i := newInstallation(t)
	t.Setenv("DATABASE_URL", i.url)
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)))
	t.Setenv("LIFTBILL_CLOCK_FILE", i.app.cfg.ClockFile)
	t.Setenv("LIFTBILL_LISTEN", "127.0.0.1:8080")
	t.Setenv("SUDO_USER", "ada")
	run := func(args ...string) string {
		t.Helper()
		out, err := execute(t, "", args...)
		require.NoError(t, err, args)
		return out
	}
	fails := func(code string, args ...string) {
		t.Helper()
		_, err := execute(t, "", args...)
		require.Equal(t, code, fault.CodeOf(err), args)
	}
	fails("email_malformed", "admin", "create", "--email", "ada", "--name", "Ada")
	out := run("admin", "create", "--email", "ada@example.com", "--name", "Ada")
	link := regexp.MustCompile(`http://127\.0\.0\.1:8080/sign-in/link\?link=\S+`).FindString(out)
	require.NotEmpty(t, link, out)
	fails("admin_exists", "admin", "create", "--email", "eve@example.com", "--name", "Eve")
	i.followLink(link)

	fails("role_not_for_people", "user", "create", "--email", "bob@example.com", "--name", "Bob", "--role", "ingest")
	run("user", "create", "--email", "bob@example.com", "--name", "Bob", "--role", "viewer,approver", "--account", accA)
	require.Contains(t, run("user", "list"), "bob@example.com")
	require.Contains(t, run("user", "set", "--email", "bob@example.com", "--role", "finance"), "finance; "+accA)
	require.Contains(t, run("user", "set", "--email", "bob@example.com", "--disabled"), "disabled")
	fails("user_disabled", "user", "link", "--email", "bob@example.com")
	run("user", "set", "--email", "bob@example.com", "--disabled=false", "--account", "")
	require.Contains(t, run("user", "link", "--email", "bob@example.com", "--expires", "24h"), "/sign-in/link?link=")
	run("user", "sign-out", "--email", "bob@example.com")
	fails("user_not_found", "user", "link", "--email", "nobody@example.com")

	secret := strings.TrimSpace(run("token", "create", "--name", "set-up", "--environment", "live", "--role", "admin,ingest"))
	require.True(t, strings.HasPrefix(secret, "lb_live_"), "stdout is the token alone: %q", secret)
	require.Equal(t, http.StatusOK, i.ask(i.request(http.MethodGet, "/v1/me", secret, "")).status)
	id := strings.Split(secret, "_")[2]
	next := strings.TrimSpace(run("token", "rotate", id))
	run("token", "revoke", id)
	require.Equal(t, "token_revoked", i.ask(i.request(http.MethodGet, "/v1/me", secret, "")).code)
	require.Equal(t, http.StatusOK, i.ask(i.request(http.MethodGet, "/v1/me", next, "")).status)
	require.Contains(t, run("token", "list"), "ended")
	require.NotContains(t, run("token", "list", "--json"), "secret")
	fails("account_not_found", "token", "create", "--name", "x", "--environment", "test", "--role", "viewer", "--account", accA)
	i.verifyCommands(run)
}

// verifyCommands checks the chains, keeps their heads, and sees a change.
func (i *installation) verifyCommands(run func(...string) string) {
	i.t.Helper()
	var heads []headDocument
	require.NoError(i.t, json.Unmarshal([]byte(run("audit", "verify", "--json")), &heads))
	require.Len(i.t, heads, 3)
	for _, h := range heads {
		require.True(i.t, h.OK)
		require.Positive(i.t, h.Rows)
	}
	text := run("audit", "verify")
	anchor := strings.Fields(text)[1]
	require.True(i.t, strings.HasPrefix(anchor, "live:"), text)
	run("audit", "verify", "--anchor", anchor)
	lines := strings.Split(strings.TrimSpace(run("audit", "export", "--chain", "installation")), "\n")
	require.Contains(i.t, lines[0], `"actor_id":"cli:ada"`)
	require.Contains(i.t, lines[len(lines)-1], `"export.given"`, "an export is in the log that it prints")
	for _, bad := range [][]string{{"audit", "verify", "--anchor", "live:1"}, {"audit", "verify", "--anchor", "prod:1:00"}, {"audit", "export", "--chain", "prod"}} {
		_, err := execute(i.t, "", bad...)
		require.Equal(i.t, exitUsage, exitCode(err))
	}
	i.exec("ALTER TABLE audit_log DISABLE TRIGGER USER")
	i.exec("UPDATE audit_log SET actor_id = 'cli:eve' WHERE chain = 'installation' AND seq = 2")
	out, err := execute(i.t, "", "audit", "verify")
	require.Equal(i.t, exitFailed, exitCode(err))
	require.ErrorContains(i.t, err, "chain installation: row 2 was changed")
	require.Contains(i.t, out, "BROKEN installation:1:")
	require.Contains(i.t, out, "ok     live:")
}

var cookiePattern = regexp.MustCompile(`^liftbill_session=([^;]+); Path=/; HttpOnly; SameSite=Lax$`)

// entered is the session that an answer hands to the browser.
func (i *installation) entered(got answer) string {
	i.t.Helper()
	require.Equal(i.t, http.StatusSeeOther, got.status, got.body)
	m := cookiePattern.FindStringSubmatch(got.header.Get("Set-Cookie"))
	require.NotNil(i.t, m, got.header)
	return m[1]
}

// followLink goes the way of a new administrator: link, password, sign-out, sign-in,
// and what a stolen form cannot do.
func (i *installation) followLink(link string) {
	i.t.Helper()
	u, err := url.Parse(link)
	require.NoError(i.t, err)
	const password = "a sentence of some length"
	require.Equal(i.t, http.StatusOK, i.ask(i.browse(http.MethodGet, u.RequestURI(), "", nil)).status)
	fields := url.Values{"link": {u.Query().Get("link")}}
	in := i.ask(i.browse(http.MethodPost, "/sign-in/link", "", fields))
	require.Equal(i.t, "/you", in.header.Get("Location"))
	session := i.entered(in)
	require.Equal(i.t, http.StatusUnauthorized, i.ask(i.browse(http.MethodPost, "/sign-in/link", "", fields)).status, "a link works once")
	require.Contains(i.t, i.ask(i.browse(http.MethodGet, "/you", session, nil)).body, "came in with a link")

	forged := i.browse(http.MethodPost, "/you/password", session, url.Values{"password": {password}, "csrf": {"forged"}})
	require.Equal(i.t, "form_stale", i.ask(forged).code)
	foreign := i.browse(http.MethodPost, "/you/password", session, url.Values{"password": {password}})
	foreign.Header.Set("Origin", "https://evil.example")
	require.Equal(i.t, "origin_refused", i.ask(foreign).code)
	changed := i.entered(i.ask(i.browse(http.MethodPost, "/you/password", session, url.Values{"password": {password}})))
	require.NotEqual(i.t, session, changed)
	require.Equal(i.t, http.StatusSeeOther, i.ask(i.browse(http.MethodGet, "/you", session, nil)).status, "the old session has ended")

	out := i.ask(i.browse(http.MethodPost, "/sign-out", changed, nil))
	require.Contains(i.t, out.header.Get("Set-Cookie"), "Max-Age=0")
	require.Equal(i.t, http.StatusSeeOther, i.ask(i.browse(http.MethodGet, "/cycles", changed, nil)).status)
	require.Equal(i.t, http.StatusUnauthorized, i.ask(i.browse(http.MethodPost, "/sign-in", "", url.Values{"email": {"ada@example.com"}, "password": {"wrong"}})).status)
	back := i.ask(i.browse(http.MethodPost, "/sign-in", "", url.Values{"email": {"ada@example.com"}, "password": {password}, "next": {"/cycles?period=2026-10"}}))
	require.Equal(i.t, "/cycles?period=2026-10", back.header.Get("Location"))
	board := i.ask(i.browse(http.MethodGet, "/cycles?period=2026-10", i.entered(back), nil))
	require.Contains(i.t, board.body, accA)
	require.Contains(i.t, board.body, "Ada")
	require.NotContains(i.t, board.body, "ada@example.com")
}

func TestAdminPasswordFromStandardInput(t *testing.T) {
	i := newInstallation(t)
	t.Setenv("DATABASE_URL", i.url)
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)))
	_, err := execute(t, "short\n", "admin", "create", "--email", "ada@example.com", "--name", "Ada", "--password")
	require.Equal(t, "password_short", fault.CodeOf(err))
	out, err := execute(t, "a sentence of some length\n", "admin", "create", "--email", "ada@example.com", "--name", "Ada", "--password")
	require.NoError(t, err)
	require.Contains(t, out, "sign in at http://127.0.0.1:8080/sign-in")
	require.NotContains(t, out, "a sentence")
	in, err := i.gate.SignIn(t.Context(), "ada@example.com", "a sentence of some length", access.Browser{})
	require.NoError(t, err)
	require.Equal(t, domain.Roles{domain.Admin}, in.User.Roles)
}

// TestServeRefusesToBeOpen looks at what must hold before other machines get in.
func TestServeRefusesToBeOpen(t *testing.T) {
	i := newInstallation(t)
	i.app.cfg.Listen = "0.0.0.0:0"
	require.Equal(t, "listen_without_tls", fault.CodeOf(i.app.serve(t.Context())))
	i.app.cfg.TLSProxy = true
	require.Equal(t, "listen_without_admin", fault.CodeOf(i.app.serve(t.Context())))
	i.user(domain.Roles{domain.Admin}, domain.Everything())
	i.app.cfg.TLSProxy, i.app.cfg.TLSCert, i.app.cfg.TLSKey = false, "nothing.pem", "nothing.key"
	require.Equal(t, "tls_certificate", fault.CodeOf(i.app.serve(t.Context())))

	for name, tc := range map[string]struct {
		env  map[string]string
		code string
	}{
		"half a pair":              {map[string]string{"LIFTBILL_TLS_CERT": "x.pem"}, "tls_incomplete"},
		"a proxy without https":    {map[string]string{"LIFTBILL_TLS_PROXY": "true", "LIFTBILL_PUBLIC_URL": "http://billing.example.com"}, "public_url_without_tls"},
		"no address":               {map[string]string{"LIFTBILL_PUBLIC_URL": "billing.example.com"}, "public_url_malformed"},
		"a proxy that is no truth": {map[string]string{"LIFTBILL_TLS_PROXY": "maybe"}, "config_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			_, err := loadConfig()
			require.Equal(t, tc.code, fault.CodeOf(err))
		})
	}
	t.Setenv("LIFTBILL_TLS_CERT", "x.pem")
	t.Setenv("LIFTBILL_TLS_KEY", "x.key")
	t.Setenv("LIFTBILL_LISTEN", "billing.example.com:443")
	cfg, err := loadConfig()
	require.NoError(t, err)
	require.Equal(t, "https://billing.example.com:443", cfg.pagesURL())
	require.Equal(t, []string{"billing.example.com"}, cfg.edge().Hosts)
	for text, ok := range map[string]bool{"": true, "fin=finance, adm = admin": true, "fin": false, "=finance": false, "bots=ingest": false, "a=b": false} {
		_, err := Config{OIDCRoles: text}.groupRoles()
		require.Equal(t, ok, err == nil, text)
	}
}

// The names of a chart of accounts are read strictly: a typing error does not book elsewhere.
func TestJournalAccountsOfTheConfig(t *testing.T) {
	t.Parallel()
	got, err := Config{JournalAccounts: " accrued_receivable = 1290 Accrued income ,revenue_fixed_fees=4010"}.journalAccounts()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"accrued_receivable": "1290 Accrued income", "revenue_fixed_fees": "4010"}, got)
	got, err = Config{}.journalAccounts()
	require.NoError(t, err)
	require.Empty(t, got)
	for _, text := range []string{"acrued_receivable=1", "accrued_receivable=", "accrued_receivable=1,accrued_receivable=2", ","} {
		_, err := Config{JournalAccounts: text}.journalAccounts()
		require.Equal(t, "journal_accounts_malformed", fault.CodeOf(err), text)
	}
}
