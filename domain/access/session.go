package access

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// Bounds of a session. It ends after SessionIdle without a request, and after
// SessionLife whatever happens; both are looked at in the database's rows, not in
// the cookie.
const (
	SessionIdle = 2 * time.Hour
	SessionLife = 12 * time.Hour
	// SessionTouch is how often the last request is written down.
	SessionTouch = time.Minute
	// LinkLife is how long a sign-in link works, once.
	LinkLife = time.Hour
	// MaxLinkLife bounds what a caller may ask for.
	MaxLinkLife = 7 * 24 * time.Hour
)

// Session is one signed-in browser.
type Session struct {
	UserID    string
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
	// ByLink: it was opened by a sign-in link, so that a forgotten password can be
	// replaced without the old one.
	ByLink bool
	// Client is the browser as it names itself, shortened.
	Client string
}

// NewSession begins one.
func NewSession(userID, client string, byLink bool, now time.Time) Session {
	const longest = 120
	if len(client) > longest {
		client = client[:longest]
	}
	return Session{UserID: userID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(SessionLife), ByLink: byLink, Client: cleaned(client)}
}

// Alive reports whether a request at the given time still belongs to the session.
func (s Session) Alive(now time.Time) bool {
	return now.Before(s.ExpiresAt) && now.Sub(s.SeenAt) < SessionIdle
}

// Due reports whether the last request is to be written down again.
func (s Session) Due(now time.Time) bool { return now.Sub(s.SeenAt) >= SessionTouch }

// APIToken is a program's credential: scoped to one environment and, where accounts
// are named, to those.
type APIToken struct {
	ID          string
	Name        string
	Environment account.Environment
	Roles       Roles
	// Accounts is empty for every account of the environment.
	Accounts   []string
	CreatedAt  time.Time
	CreatedBy  Actor
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; written down every TokenTouch at most
	RevokedAt  time.Time // zero: not revoked
	// ReplacedBy is the token that a rotation put in its place.
	ReplacedBy string
}

// Times of a token.
const (
	// TokenTouch is how often the last use is written down.
	TokenTouch = 10 * time.Minute
	// TokenLife is how long a token works when nothing else was said.
	TokenLife = 365 * 24 * time.Hour
	// RotationGrace is how long the old secret works beside the new one.
	RotationGrace = 24 * time.Hour
)

// Scope is where the token may act.
func (t APIToken) Scope() Scope {
	return Scope{AllAccounts: len(t.Accounts) == 0, Accounts: t.Accounts, Environments: []account.Environment{t.Environment}}
}

// Principal is who acts when the token is sent.
func (t APIToken) Principal() Principal {
	return Principal{Kind: Token, ID: t.ID, Name: t.Name, Person: t.CreatedBy.Person, Roles: t.Roles, Scope: t.Scope()}
}

// Live reports whether the token works at the given time.
func (t APIToken) Live(now time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}
