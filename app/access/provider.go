package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// providerAttempt is what the browser keeps, sealed, while it is at the provider: only
// the browser that began an attempt can finish it, with the state, the nonce and the
// verifier of that attempt.
type providerAttempt struct {
	State, Nonce, Verifier, Next string
	Expires                      time.Time
}

const (
	attemptContext = "oidc-attempt"
	// AttemptLife is how long somebody may take at the provider.
	AttemptLife = 10 * time.Minute
)

// BeginProvider starts a sign-in through the provider: the address to go to, and what
// the browser must bring back.
func (s *Service) BeginProvider(ctx context.Context, next string) (address, keep string, err error) {
	if s.Provider == nil {
		return "", "", noProvider()
	}
	texts := make([]string, 3)
	for i := range texts {
		one, err := access.NewSecret(s.Entropy.Bytes(access.SecretBytes))
		if err != nil {
			return "", "", err
		}
		texts[i] = one.Reveal()
	}
	a := providerAttempt{State: texts[0], Nonce: texts[1], Verifier: texts[2], Next: next, Expires: s.Clock.Now().Add(AttemptLife)}
	raw, err := json.Marshal(a)
	if err != nil {
		return "", "", err
	}
	sealed, err := s.Box.Seal(attemptContext, raw)
	if err != nil {
		return "", "", err
	}
	address, err = s.Provider.Begin(ctx, a.State, a.Nonce, a.Verifier)
	return address, base64.RawURLEncoding.EncodeToString(sealed), err
}

func noProvider() error {
	return fault.New(fault.NotFound, "provider_off", "no OpenID provider is set up here").Fix("Sign in with a password or a link")
}

// FinishProvider opens a session for who the provider says it is. With group roles the
// provider decides at every sign-in what somebody may do, and lets new people in;
// without, only a user who is known here by the verified e-mail address gets in. The
// second result is where the browser wanted to go.
func (s *Service) FinishProvider(ctx context.Context, keep, state, code string, b Browser) (SignedIn, string, error) {
	if s.Provider == nil {
		return SignedIn{}, "", noProvider()
	}
	a, err := s.openAttempt(keep)
	if err != nil || !access.Given(a.State).Matches(access.Given(state).Hash()) || code == "" {
		return SignedIn{}, "", fault.New(fault.Unauthenticated, "provider_attempt", "this sign-in was not begun in this browser, or took too long").Fix("Begin again on the sign-in page")
	}
	if err := s.attempt(ctx, attemptKeys("", b)); err != nil {
		return SignedIn{}, "", err
	}
	who, err := s.Provider.Finish(ctx, code, a.Nonce, a.Verifier)
	if err != nil {
		return SignedIn{}, "", err
	}
	out, err := s.open(ctx, b, "provider", func(ctx context.Context, st Stores) (access.UserAccount, error) { return s.userOf(ctx, st, who) })
	if refused := fault.CodeOf(err); refused == "provider_unknown_user" || refused == "provider_no_role" || refused == "user_disabled" {
		if auditErr := s.refuseSignIn(ctx, access.UserAccount{}, refused, b); fault.CodeOf(auditErr) != "sign_in_refused" {
			return SignedIn{}, "", auditErr
		}
	}
	return out, a.Next, err
}

func (s *Service) openAttempt(keep string) (providerAttempt, error) {
	var a providerAttempt
	sealed, err := base64.RawURLEncoding.DecodeString(keep)
	if err != nil {
		return a, err
	}
	raw, err := s.Box.Open(attemptContext, sealed)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, err
	}
	if !s.Clock.Now().Before(a.Expires) {
		return a, fault.New(fault.Unauthenticated, "provider_attempt", "this sign-in took too long")
	}
	return a, nil
}

// userOf finds, links, changes or makes the user of an identity.
func (s *Service) userOf(ctx context.Context, st Stores, who Identity) (access.UserAccount, error) {
	roles := s.rolesOf(who.Groups)
	if len(s.GroupRoles) > 0 && len(roles) == 0 {
		return access.UserAccount{}, fault.New(fault.Forbidden, "provider_no_role", "none of your groups at the provider has a role here").Fix("Ask an administrator to be put into one")
	}
	if err := st.Users.LockAdmins(ctx); err != nil {
		return access.UserAccount{}, err
	}
	old, err := st.Users.UserByIdentity(ctx, who.Issuer, who.Subject)
	if fault.Is(err, fault.NotFound) && who.EmailVerified {
		if old, err = s.userByVerifiedEmail(ctx, st, who); err == nil && old.Subject != "" {
			return old, fault.New(fault.Forbidden, "provider_unknown_user", "the user with this address belongs to another identity at the provider").Fix("Ask an administrator")
		}
	}
	switch {
	case fault.Is(err, fault.NotFound) && len(s.GroupRoles) > 0:
		return s.newProviderUser(ctx, st, who, roles)
	case fault.Is(err, fault.NotFound):
		return old, fault.New(fault.Forbidden, "provider_unknown_user", "nobody with this verified e-mail address is known here").Fix("Ask an administrator to make the user: liftbill user create")
	case err != nil:
		return old, err
	case !old.Enabled():
		return old, fault.New(fault.Forbidden, "user_disabled", "the user is disabled").Fix("Ask an administrator")
	}
	u := old
	u.Issuer, u.Subject = who.Issuer, who.Subject
	if len(s.GroupRoles) > 0 {
		u.Roles = roles
	}
	if err := u.Check(); err != nil {
		return old, err
	}
	if err := s.changeUser(ctx, st, providerPrincipal, old, u); err != nil {
		return old, err
	}
	return u, nil
}

func (s *Service) userByVerifiedEmail(ctx context.Context, st Stores, who Identity) (access.UserAccount, error) {
	email, err := access.CleanEmail(who.Email)
	if err != nil {
		return access.UserAccount{}, fault.New(fault.NotFound, "user_not_found", "the provider names no e-mail address")
	}
	return st.Users.UserByEmail(ctx, email)
}

// providerPrincipal acts for what the provider says.
var providerPrincipal = access.Machine("openid-provider")

// newProviderUser lets somebody in whom the provider's groups give a role.
func (s *Service) newProviderUser(ctx context.Context, st Stores, who Identity, roles access.Roles) (access.UserAccount, error) {
	if !who.EmailVerified {
		return access.UserAccount{}, fault.New(fault.Forbidden, "provider_unknown_user", "the provider has not verified your e-mail address").Fix("Verify it there first")
	}
	name := who.Name
	if name == "" {
		name, _, _ = strings.Cut(who.Email, "@")
	}
	u, err := s.makeUser(who.Email, name, roles, access.Everything())
	if err != nil {
		return u, err
	}
	u.Issuer, u.Subject = who.Issuer, who.Subject
	return u, s.insertUser(ctx, st, providerPrincipal, u, "")
}

func (s *Service) rolesOf(groups []string) access.Roles {
	var names []string
	for _, g := range groups {
		if role, ok := s.GroupRoles[g]; ok {
			names = append(names, string(role))
		}
	}
	roles, err := access.ParseRoles(names)
	if err != nil {
		return nil // no group of theirs is mapped
	}
	return roles
}
