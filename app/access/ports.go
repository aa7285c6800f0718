// Package access is the use case of telling callers apart: API tokens, people who sign
// in with a password, a link or an OpenID provider, their sessions, and the decision
// whether a caller may have what it asks for.
//
// What roles, scopes and formats mean is domain/access; this package keeps them in
// stores and writes the audit log. It hands secrets out once and stores their hashes.
package access

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
)

// Passwords hashes and checks passwords, slowly on purpose.
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	// Verify reports whether the password is the one that was hashed, and whether the
	// hash should be made anew because its cost is out of date. An empty hash costs as
	// much time as any other and never matches.
	Verify(ctx context.Context, password, hash string) (ok, stale bool, err error)
}

// Entropy gives random bytes.
type Entropy interface {
	Bytes(n int) []byte
}

// Places finds where an object lies.
type Places interface {
	// Locate is NotFound for an object that does not exist.
	Locate(ctx context.Context, what access.What, id string) (access.Place, error)
}

// Identity is who an OpenID provider says that somebody is.
type Identity struct {
	Issuer, Subject string
	Email           string
	EmailVerified   bool
	Name            string
	Groups          []string
}

// Provider is an OpenID Connect provider.
type Provider interface {
	// Begin is the address to which the browser is sent; the code that comes back can be
	// turned in only with the same verifier (PKCE).
	Begin(ctx context.Context, state, nonce, verifier string) (string, error)
	// Finish turns the code in and verifies the answer's signature, issuer, audience,
	// time and nonce.
	Finish(ctx context.Context, code, nonce, verifier string) (Identity, error)
}

// StoredToken is a token with the hash of its secret.
type StoredToken struct {
	access.APIToken
	SecretHash []byte
}

// Credentials answers every request, outside of a transaction.
type Credentials interface {
	// Token is NotFound for an ID that no token has.
	Token(ctx context.Context, id string) (StoredToken, error)
	TouchToken(ctx context.Context, id string, at time.Time) error
	// Session is NotFound for a hash that no session has.
	Session(ctx context.Context, hash []byte) (access.Session, access.UserAccount, error)
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	// AnyAdmin reports whether an enabled administrator, or a working token of one, exists.
	AnyAdmin(ctx context.Context, now time.Time) (bool, error)
}

// Users stores people.
type Users interface {
	User(ctx context.Context, id string) (access.UserAccount, error)
	UserByEmail(ctx context.Context, email string) (access.UserAccount, error)
	UserByIdentity(ctx context.Context, issuer, subject string) (access.UserAccount, error)
	Users(ctx context.Context) ([]access.UserAccount, error)
	InsertUser(ctx context.Context, u access.UserAccount) error
	// UpdateUser stores name, roles, scope, identity and whether the user is disabled.
	UpdateUser(ctx context.Context, u access.UserAccount) error
	PasswordHash(ctx context.Context, userID string) (string, error)
	SetPasswordHash(ctx context.Context, userID, hash string) error
	// LockAdmins lets one transaction at a time count and change administrators.
	LockAdmins(ctx context.Context) error
	EnabledAdmins(ctx context.Context) (int, error)
}

// Tokens stores API tokens.
type Tokens interface {
	Token(ctx context.Context, id string) (StoredToken, error)
	Tokens(ctx context.Context) ([]access.APIToken, error)
	InsertToken(ctx context.Context, t StoredToken) error
	// UpdateToken stores expiry, revocation and successor.
	UpdateToken(ctx context.Context, t access.APIToken) error
	// AccountIn reports whether an account exists in an environment.
	AccountIn(ctx context.Context, id, environment string) (bool, error)
}

// Sessions stores sessions and sign-in links under the hashes of their secrets.
type Sessions interface {
	InsertSession(ctx context.Context, hash []byte, s access.Session) error
	EndSession(ctx context.Context, hash []byte) error
	// EndSessions ends all sessions of a user and returns how many there were.
	EndSessions(ctx context.Context, userID string) (int, error)
	SessionsOf(ctx context.Context, userID string) ([]access.Session, error)
	InsertLink(ctx context.Context, hash []byte, userID string, created, expires time.Time) error
	// UseLink marks an unused link that has not expired as used and returns its user;
	// NotFound for any other.
	UseLink(ctx context.Context, hash []byte, at time.Time) (string, error)
	// DropLinks makes the unused links of a user worthless.
	DropLinks(ctx context.Context, userID string) error
	// Sweep removes what ended before the given time.
	Sweep(ctx context.Context, before time.Time) error
}

// Locks counts attempts to sign in, by a hash of whose they are.
type Locks interface {
	// Lock loads the count and keeps others from it until the transaction ends.
	Lock(ctx context.Context, key []byte) (access.Lockout, error)
	SaveLock(ctx context.Context, key []byte, l access.Lockout) error
}

// Stores are the stores of one transaction.
type Stores struct {
	Users    Users
	Tokens   Tokens
	Sessions Sessions
	Locks    Locks
	Audit    audit.Log
}
