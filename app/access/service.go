package access

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Service is the use case.
type Service struct {
	Work        uow.UnitOfWork[Stores]
	Credentials Credentials
	Places      Places
	Passwords   Passwords
	Entropy     Entropy
	Clock       clock.Clock
	Box         secret.Box
	// Provider is nil when people do not sign in through one.
	Provider Provider
	// GroupRoles are the roles that the provider's groups give. When it is empty the
	// provider says who somebody is, and what they may do is kept here.
	GroupRoles map[string]access.Role

	denials recent
}

// Caller is an authenticated caller, as the edge carries it to its handlers.
type Caller struct {
	access.Principal
	// Session is the secret of the caller's session; empty for a token.
	Session access.Secret
	// Info is the session; zero for a token.
	Info access.Session
	// Client is the network address at the other end.
	Client string
}

// CSRF is what a form of the caller's session must send back.
func (c Caller) CSRF() string { return c.Session.Derived("csrf") }

type callerKey struct{}

// With carries the caller from the edge's middleware to its handlers, and no further:
// use cases take the principal as a value.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is the caller of a request; the zero Caller, which may do nothing, when the
// request is one of a public route.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// AnyAdmin reports whether somebody could administer this installation.
func (s *Service) AnyAdmin(ctx context.Context) (bool, error) {
	return s.Credentials.AnyAdmin(ctx, s.Clock.Now())
}

// AuthenticateToken answers who sent a token.
func (s *Service) AuthenticateToken(ctx context.Context, text, requestID string) (Caller, error) {
	given, err := access.ParseToken(text)
	if err != nil {
		return Caller{}, err
	}
	stored, err := s.Credentials.Token(ctx, given.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return Caller{}, tokenRefused("token_unknown", "there is no such token")
	case err != nil:
		return Caller{}, err
	case !given.Matches(stored.SecretHash), given.Environment != stored.Environment:
		return Caller{}, tokenRefused("token_unknown", "there is no such token")
	}
	p := stored.Principal()
	p.RequestID = requestID
	now := s.Clock.Now()
	if !stored.Live(now) {
		code, word := "token_expired", "has expired"
		if !stored.RevokedAt.IsZero() {
			code, word = "token_revoked", "was revoked"
		}
		if err := s.note(ctx, audit.New(p, now, audit.Denied, "token", stored.ID).In("", stored.Environment).Because(code).Refusal()); err != nil {
			return Caller{}, err
		}
		return Caller{}, tokenRefused(code, "this token "+word)
	}
	if now.Sub(stored.LastUsedAt) >= access.TokenTouch {
		if err := s.Credentials.TouchToken(ctx, stored.ID, now); err != nil {
			return Caller{}, err
		}
	}
	return Caller{Principal: p}, nil
}

func tokenRefused(code, msg string) error {
	return fault.New(fault.Unauthenticated, code, "%s", msg).Fix("Use a token that works, or have one made: liftbill token create")
}

// AuthenticateSession answers whose session a browser's secret belongs to.
func (s *Service) AuthenticateSession(ctx context.Context, text, requestID string) (Caller, error) {
	given := access.Given(text)
	session, user, err := s.Credentials.Session(ctx, given.Hash())
	now := s.Clock.Now()
	switch {
	case fault.Is(err, fault.NotFound), err == nil && (!session.Alive(now) || !user.Enabled()):
		return Caller{}, fault.New(fault.Unauthenticated, "session_ended", "the session has ended").Fix("Sign in again")
	case err != nil:
		return Caller{}, err
	}
	if session.Due(now) {
		if err := s.Credentials.TouchSession(ctx, given.Hash(), now); err != nil {
			return Caller{}, err
		}
	}
	p := user.Principal()
	p.RequestID = requestID
	return Caller{Principal: p, Session: given, Info: session}, nil
}

// Authorize decides whether a principal may use a route on the object that its path
// names. What it refuses is written to the audit log, and so is, before the answer,
// what is given away as a file.
func (s *Service) Authorize(ctx context.Context, by access.Principal, route string, rule access.Rule, id string) error {
	place, err := s.decide(ctx, by, rule, id)
	object, objectID := string(rule.Target), id
	if rule.Param == "" {
		object = "route"
		objectID, _, _ = strings.Cut(route, "?") // what was selected is the reason's
	}
	if err != nil {
		if !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.NotFound) || place == nil {
			return err
		}
		denied := audit.New(by, s.Clock.Now(), audit.Denied, object, objectID)
		if noteErr := s.note(ctx, placed(denied, *place).Because(route+": "+fault.CodeOf(err)).Refusal()); noteErr != nil {
			return noteErr
		}
		return err
	}
	if !rule.Export {
		return nil
	}
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		return st.Audit.Append(ctx, placed(audit.New(by, s.Clock.Now(), audit.Exported, object, objectID), *place).Because(route))
	})
}

// decide returns the place that was asked for; nil when there is no such object, so
// that nothing was denied.
func (s *Service) decide(ctx context.Context, by access.Principal, rule access.Rule, id string) (*access.Place, error) {
	place := access.Installation()
	if err := access.RequirePermission(by, rule.Permission); err != nil {
		return &place, err
	}
	switch rule.Target {
	case access.Filtered, access.Checked:
		return &place, nil
	case access.WholeInstallation:
		return &place, access.Require(by, rule.Permission, "", "")
	case access.Account, access.Connection, access.Cycle, access.Readout, access.Break:
	}
	place, err := s.Places.Locate(ctx, rule.Target, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, access.Hidden(rule.Target, id)
	case err != nil:
		return nil, err
	case !by.Scope.Covers(place):
		return &place, access.Hidden(rule.Target, id)
	}
	return &place, nil
}

// placed puts an entry where its object lies; an object of several accounts belongs
// to its environment.
func placed(e audit.Entry, p access.Place) audit.Entry {
	if len(p.Accounts) == 1 {
		return e.In(p.Accounts[0], p.Environment)
	}
	return e.In("", p.Environment)
}

// note writes an entry that no change depends on. The same one is written once a
// minute, so that a caller who keeps asking does not fill the log.
func (s *Service) note(ctx context.Context, e audit.Entry) error {
	key := e.Actor.ID + "\x00" + string(e.Action) + "\x00" + e.ObjectID + "\x00" + e.Reason
	if !s.denials.first(key, e.At) {
		return nil
	}
	// Also for a caller who has hung up.
	err := s.Work.Do(context.WithoutCancel(ctx), func(ctx context.Context, st Stores) error { return st.Audit.Append(ctx, e) })
	if err != nil {
		s.denials.forget(key)
	}
	return err
}

// recent remembers what was noted within the last minute.
type recent struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

const (
	notedFor  = time.Minute
	maxRecent = 10_000
)

func (r *recent) first(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.seen[key]; ok && now.Sub(at) < notedFor {
		return false
	}
	if r.seen == nil || len(r.seen) >= maxRecent {
		r.seen = map[string]time.Time{}
	}
	r.seen[key] = now
	return true
}

func (r *recent) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, key)
}

// SessionCookie is the name of the cookie that holds a session's secret. Over TLS the
// prefix makes browsers refuse it from anybody but this very host.
func SessionCookie(tls bool) string {
	if tls {
		return "__Host-liftbill_session"
	}
	return "liftbill_session"
}
