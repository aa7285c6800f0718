package access_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// idp says of everybody who comes back what the test wrote down.
type idp struct {
	who                    app.Identity
	state, nonce, verifier string
}

func (p *idp) Begin(_ context.Context, state, nonce, verifier string) (string, error) {
	p.state, p.nonce, p.verifier = state, nonce, verifier
	return "https://idp.example/authorize", nil
}

func (p *idp) Finish(_ context.Context, code, nonce, verifier string) (app.Identity, error) {
	if code != "code" || nonce != p.nonce || verifier != p.verifier {
		return app.Identity{}, fault.New(fault.Unauthenticated, "provider_refused", "no")
	}
	return p.who, nil
}

func (w *world) through(p *idp, who app.Identity) (app.SignedIn, error) {
	w.t.Helper()
	p.who = who
	_, keep, err := w.svc.BeginProvider(w.ctx, "/cycles")
	require.NoError(w.t, err)
	in, next, err := w.svc.FinishProvider(w.ctx, keep, p.state, "code", w.browser())
	if err == nil {
		require.Equal(w.t, "/cycles", next)
	}
	return in, err
}

func person(subject, email string, groups ...string) app.Identity {
	return app.Identity{Issuer: "https://idp.example", Subject: subject, Email: email, EmailVerified: true, Name: "N", Groups: groups}
}

// With group roles the provider decides at every sign-in.
func TestProviderGroupsGiveRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &idp{}
	w.svc.Provider, w.svc.GroupRoles = p, map[string]access.Role{"fin": access.Finance, "appr": access.Approver}
	in, err := w.through(p, person("s-1", "Bob@example.com", "fin", "everybody"))
	require.NoError(t, err)
	require.Equal(t, access.Roles{access.Finance}, in.User.Roles)
	require.False(t, in.User.HasPassword)
	again, err := w.through(p, person("s-1", "bob.moved@example.com", "fin"))
	require.NoError(t, err)
	require.Equal(t, in.User.ID, again.User.ID, "the subject is who it is, whatever the address")
	w.caller(in)
	more, err := w.through(p, person("s-1", "bob@example.com", "fin", "appr"))
	require.NoError(t, err)
	require.Equal(t, access.Roles{access.Finance, access.Approver}, more.User.Roles)
	_, err = w.svc.AuthenticateSession(w.ctx, in.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err), "new rights begin with a new session")
	_, err = w.through(p, person("s-1", "bob@example.com", "everybody"))
	require.Equal(t, "provider_no_role", fault.CodeOf(err))
	for name, who := range map[string]app.Identity{
		"not verified":      {Issuer: "i", Subject: "s-9", Email: "x@example.com", Groups: []string{"fin"}},
		"another's address": person("s-2", "bob@example.com", "fin"),
		"no address at all": {Issuer: "i", Subject: "s-8", EmailVerified: true, Groups: []string{"fin"}},
	} {
		_, err = w.through(p, who)
		require.Error(t, err, name)
		require.False(t, fault.Is(err, fault.Internal), name)
	}
	require.Len(t, w.audited(audit.UserCreated), 2)
	require.Equal(t, "system:openid-provider", w.audited(audit.UserCreated)[1][:22])
	require.GreaterOrEqual(t, len(w.audited(audit.SignInRefused)), 3)
	w.exec("UPDATE users SET disabled_at = now() WHERE oidc_subject = 's-1'")
	_, err = w.through(p, person("s-1", "bob@example.com", "fin"))
	require.Equal(t, "user_disabled", fault.CodeOf(err))
	w.sound()
}

// Without group roles only who is known here gets in, and keeps what they have.
func TestProviderOfKnownPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &idp{}
	w.svc.Provider = p
	_, err := w.through(p, person("s-1", "stranger@example.com", "fin"))
	require.Equal(t, "provider_unknown_user", fault.CodeOf(err))
	unverified := person("s-2", "ada@example.com")
	unverified.EmailVerified = false
	_, err = w.through(p, unverified)
	require.Equal(t, "provider_unknown_user", fault.CodeOf(err), "an address that nobody verified is nobody's")
	in, err := w.through(p, person("s-3", "ada@example.com"))
	require.NoError(t, err)
	require.Equal(t, w.admin.ID, in.User.ID)
	require.Equal(t, access.Roles{access.Admin}, in.User.Roles)
	_, err = w.through(p, person("s-4", "ada@example.com"))
	require.Equal(t, "provider_unknown_user", fault.CodeOf(err), "a user is one identity")
	w.sound()
}

// Only the browser that began an attempt finishes it, once it has the right state, in
// time.
func TestProviderAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, err := w.svc.BeginProvider(w.ctx, "/")
	require.Equal(t, "provider_off", fault.CodeOf(err))
	_, _, err = w.svc.FinishProvider(w.ctx, "", "", "code", w.browser())
	require.Equal(t, "provider_off", fault.CodeOf(err))
	p := &idp{who: person("s-1", "ada@example.com")}
	w.svc.Provider = p
	_, keep, err := w.svc.BeginProvider(w.ctx, "/")
	require.NoError(t, err)
	require.NotContains(t, keep, p.state)
	require.NotContains(t, keep, p.verifier)
	first := p.state
	_, other, err := w.svc.BeginProvider(w.ctx, "/")
	require.NoError(t, err)
	for name, tc := range map[string]struct{ keep, state, code string }{
		"another browser": {"", first, "code"}, "another attempt": {other, first, "code"}, "another state": {keep, "x", "code"}, "no code": {keep, first, ""},
		"a changed text": {keep[:len(keep)-2] + "xx", first, "code"}, "no state": {keep, "", "code"},
	} {
		_, _, err := w.svc.FinishProvider(w.ctx, tc.keep, tc.state, tc.code, w.browser())
		require.Equal(t, "provider_attempt", fault.CodeOf(err), name)
	}
	w.clock.move(app.AttemptLife)
	_, _, err = w.svc.FinishProvider(w.ctx, keep, first, "code", w.browser())
	require.Equal(t, "provider_attempt", fault.CodeOf(err), "too late")
}
