package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

func (w *world) token(by access.Principal, env string, roles []string, accounts ...string) (access.APIToken, access.TokenText) {
	w.t.Helper()
	t, text, err := w.svc.CreateToken(w.ctx, by, app.TokenInput{Name: "ci", Environment: env, Roles: roles, Accounts: accounts})
	require.NoError(w.t, err)
	return t, text
}

func TestTokensAuthenticate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, text := w.token(w.admin, "live", []string{"ingest"}, "acme")
	c, err := w.svc.AuthenticateToken(w.ctx, text.Reveal(), "req-9")
	require.NoError(t, err)
	require.Equal(t, access.Principal{
		Kind: access.Token, ID: tok.ID, Name: "ci", Person: w.admin.ID, Roles: access.Roles{access.Ingest}, RequestID: "req-9",
		Scope: access.Scope{Accounts: []string{"acme"}, Environments: []account.Environment{account.Live}},
	}, c.Principal)
	stored, err := w.db.Credentials().Token(w.ctx, tok.ID)
	require.NoError(t, err)
	require.Equal(t, w.clock.Now(), stored.LastUsedAt)

	other, err := access.NewToken(account.Live, []byte("another token of forty bytes of entropy!"))
	require.NoError(t, err)
	w.exec("UPDATE api_tokens SET id = $1 WHERE id = $2", other.ID, tok.ID)
	for name, tc := range map[string]struct{ text, code string }{
		"the right ID with a wrong secret": {other.Reveal(), "token_unknown"},
		"an ID that nobody has":            {text.Reveal(), "token_unknown"},
		"half a token":                     {text.Reveal()[:40], "token_malformed"},
	} {
		_, err := w.svc.AuthenticateToken(w.ctx, tc.text, "")
		require.Equal(t, tc.code, fault.CodeOf(err), name)
		require.True(t, fault.Is(err, fault.Unauthenticated), name)
	}
	w.exec("UPDATE api_tokens SET id = $1, environment = 'test'", tok.ID)
	_, err = w.svc.AuthenticateToken(w.ctx, text.Reveal(), "")
	require.Equal(t, "token_unknown", fault.CodeOf(err), "a token that says live is none of test")
	w.sound(text.Reveal())
}

func TestTokensEndAndRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, text := w.token(w.admin, "test", []string{"viewer", "finance"})
	require.Equal(t, w.clock.Now().Add(access.TokenLife), tok.ExpiresAt)
	next, nextText, err := w.svc.RotateToken(w.ctx, w.admin, tok.ID)
	require.NoError(t, err)
	require.NotEqual(t, tok.ID, next.ID)
	require.Equal(t, tok.Roles, next.Roles)
	for _, s := range []access.TokenText{text, nextText} {
		_, err = w.svc.AuthenticateToken(w.ctx, s.Reveal(), "")
		require.NoError(t, err, "both work for a day")
	}
	_, _, err = w.svc.RotateToken(w.ctx, w.admin, tok.ID)
	require.Equal(t, "token_not_live", fault.CodeOf(err), "one is replaced once")
	w.clock.move(access.RotationGrace)
	_, err = w.svc.AuthenticateToken(w.ctx, text.Reveal(), "")
	require.Equal(t, "token_expired", fault.CodeOf(err))
	for range 2 {
		revoked, err := w.svc.RevokeToken(w.ctx, w.admin, next.ID)
		require.NoError(t, err)
		require.False(t, revoked.RevokedAt.IsZero())
	}
	for range 3 {
		_, err = w.svc.AuthenticateToken(w.ctx, nextText.Reveal(), "")
		require.Equal(t, "token_revoked", fault.CodeOf(err))
	}
	forever, _, err := w.svc.CreateToken(w.ctx, w.admin, app.TokenInput{Name: "x", Environment: "live", Roles: []string{"viewer"}, Life: app.Forever})
	require.NoError(t, err)
	require.True(t, forever.ExpiresAt.IsZero())
	require.Len(t, w.audited(audit.TokenCreated), 2)
	require.Len(t, w.audited(audit.TokenRotated), 1)
	require.Len(t, w.audited(audit.TokenRevoked), 1, "what changed nothing is no entry")
	require.Len(t, w.audited(audit.Denied), 2, "each refusal is noted once a minute")
	w.sound(text.Reveal(), nextText.Reveal())
}

// Nobody gives more than they have, and what lies outside one's scope is not there.
func TestTokensKeepToTheirMakersScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, text := w.token(w.admin, "live", []string{"admin"})
	live, err := w.svc.AuthenticateToken(w.ctx, text.Reveal(), "")
	require.NoError(t, err)
	foreign, _ := w.token(w.admin, "test", []string{"viewer"})
	_, err = w.svc.RevokeToken(w.ctx, live.Principal, foreign.ID)
	require.Equal(t, "token_not_found", fault.CodeOf(err))
	_, _, err = w.svc.RotateToken(w.ctx, live.Principal, foreign.ID)
	require.Equal(t, "token_not_found", fault.CodeOf(err))
	all, err := w.svc.Tokens(w.ctx, live.Principal)
	require.NoError(t, err)
	require.Len(t, all, 1)
	for code, in := range map[string]app.TokenInput{
		access.CodeScope:      {Name: "x", Environment: "test", Roles: []string{"viewer"}},
		"account_not_found":   {Name: "x", Environment: "live", Roles: []string{"viewer"}, Accounts: []string{"trial"}},
		"role_unknown":        {Name: "x", Environment: "live", Roles: []string{"root"}},
		"environment_unknown": {Name: "x", Environment: "", Roles: []string{"viewer"}},
		"name_length":         {Environment: "live", Roles: []string{"viewer"}},
		"expiry_range":        {Name: "x", Environment: "live", Roles: []string{"viewer"}, Life: -time.Hour},
	} {
		_, _, err := w.svc.CreateToken(w.ctx, live.Principal, in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, text = w.token(live.Principal, "live", []string{"viewer"}, "acme")
	made, err := w.svc.AuthenticateToken(w.ctx, text.Reveal(), "")
	require.NoError(t, err)
	require.Equal(t, w.admin.ID, made.Person, "the person behind a token stands behind those that it makes")
	_, err = w.svc.Tokens(w.ctx, made.Principal)
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	_, _, err = w.svc.CreateToken(w.ctx, made.Principal, app.TokenInput{Name: "x", Environment: "live", Roles: []string{"admin"}})
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	_, err = w.svc.Users(w.ctx, live.Principal)
	require.Equal(t, access.CodeScope, fault.CodeOf(err), "users belong to no environment")
}

func TestUsersChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.user("bob@example.com", "viewer")
	w.exec("UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = 'ada@example.com') WHERE id = $1", bob.ID)
	in := w.signIn("bob@example.com")
	link, _, err := w.svc.CreateLink(w.ctx, w.admin, bob.ID, 0)
	require.NoError(t, err)
	same := app.UserChange{Name: bob.Name, Roles: []string{"viewer"}, Environments: []string{"live", "test"}}
	_, err = w.svc.UpdateUser(w.ctx, w.admin, bob.ID, same)
	require.NoError(t, err)
	w.caller(in)
	require.Empty(t, w.audited(audit.UserChanged), "what changed nothing is no entry")
	more := same
	more.Roles, more.Accounts = []string{"viewer", "approver"}, []string{"acme"}
	u, err := w.svc.UpdateUser(w.ctx, w.admin, bob.ID, more)
	require.NoError(t, err)
	require.True(t, u.Roles.Has(access.Approver))
	_, err = w.svc.AuthenticateSession(w.ctx, in.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err), "new rights begin with a new session")
	_, err = w.svc.SignInWithLink(w.ctx, link.Reveal(), w.browser())
	require.Equal(t, "link_refused", fault.CodeOf(err))
	in = w.signIn("bob@example.com")
	off := more
	off.Disabled = true
	_, err = w.svc.UpdateUser(w.ctx, w.admin, bob.ID, off)
	require.NoError(t, err)
	_, err = w.svc.AuthenticateSession(w.ctx, in.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err))
	_, _, err = w.svc.CreateLink(w.ctx, w.admin, bob.ID, 0)
	require.Equal(t, "user_disabled", fault.CodeOf(err))

	for code, tc := range map[string]struct {
		id string
		in app.UserChange
	}{
		"last_admin":          {w.admin.ID, app.UserChange{Name: "Ada", Roles: []string{"viewer"}, Environments: []string{"live", "test"}}},
		"user_not_found":      {"nobody", same},
		"admin_scope":         {bob.ID, app.UserChange{Name: "Bob", Roles: []string{"admin"}, Environments: []string{"live"}}},
		"role_not_for_people": {bob.ID, app.UserChange{Name: "Bob", Roles: []string{"ingest"}, Environments: []string{"live"}}},
		"account_not_found":   {bob.ID, app.UserChange{Name: "Bob", Roles: []string{"viewer"}, Environments: []string{"live"}, Accounts: []string{"trial"}}},
	} {
		_, err := w.svc.UpdateUser(w.ctx, w.admin, tc.id, tc.in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err = w.svc.CreateUser(w.ctx, w.admin, app.UserInput{Email: "BOB@example.com", Name: "B", Roles: []string{"viewer"}, Environments: []string{"live"}})
	require.Equal(t, "user_exists", fault.CodeOf(err))
	_, err = w.svc.CreateUser(w.ctx, bob.Principal(), app.UserInput{Email: "c@example.com", Name: "C", Roles: []string{"viewer"}, Environments: []string{"live"}})
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	require.Equal(t, access.CodePermission, fault.CodeOf(w.svc.SignOutEverywhere(w.ctx, bob.Principal(), w.admin.ID)))
	found, err := w.svc.UserByEmail(w.ctx, w.cli, "bob@EXAMPLE.com")
	require.NoError(t, err)
	require.Equal(t, bob.ID, found.ID)
	require.Len(t, w.audited(audit.UserChanged), 2)
	w.sound()
}

// A denial is written where it was tried, once a minute; what does not exist is no
// denial; an export is written before the answer.
func TestAuthorizeWritesTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, text := w.token(w.admin, "live", []string{"viewer"}, "acme")
	c, err := w.svc.AuthenticateToken(w.ctx, text.Reveal(), "req-7")
	require.NoError(t, err)
	ask := func(route, id string) error {
		rule, ok := access.RuleOf(route)
		require.True(t, ok, route)
		return w.svc.Authorize(w.ctx, c.Principal, route, rule, id)
	}
	require.NoError(t, ask("GET /v1/accounts/{account}/readouts", "acme"))
	for range 3 {
		require.Equal(t, access.CodePermission, fault.CodeOf(ask("POST /v1/accounts/{account}/contracts", "acme")))
		hidden := ask("GET /v1/accounts/{account}/readouts", "trial")
		missing := ask("GET /v1/accounts/{account}/readouts", "nobody")
		require.True(t, fault.Is(hidden, fault.NotFound))
		require.Equal(t, access.Hidden(access.Account, "trial").Error(), hidden.Error())
		require.Equal(t, access.Hidden(access.Account, "nobody").Error(), missing.Error())
		require.Equal(t, access.CodePermission, fault.CodeOf(ask("GET /v1/users", "")))
	}
	log := w.audited(audit.Denied)
	require.Len(t, log, 3)
	require.Contains(t, log, c.ID+" trial GET /v1/accounts/{account}/readouts: account_not_found")
	w.clock.move(time.Minute)
	require.Error(t, ask("GET /v1/users", ""))
	require.Len(t, w.audited(audit.Denied), 4)

	rule := access.Rule{Permission: access.ReadLedger, Target: access.Account, Param: "account", Export: true}
	require.NoError(t, w.svc.Authorize(w.ctx, c.Principal, "GET /export", rule, "acme"))
	require.Equal(t, []string{c.ID + " acme GET /export"}, w.audited(audit.Exported))
	w.exec("ALTER TABLE audit_log RENAME TO gone")
	require.True(t, fault.Is(w.svc.Authorize(w.ctx, c.Principal, "GET /export", rule, "acme"), fault.Internal), "nothing is given away without its entry")
	require.True(t, fault.Is(ask("GET /v1/users", "x"), fault.Forbidden) || fault.Is(ask("GET /v1/users", "x"), fault.Internal))
	w.exec("ALTER TABLE gone RENAME TO audit_log")
	w.sound()
}
