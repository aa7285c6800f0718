package access

import (
	"context"
	"crypto/sha256"
	"time"

	trail "github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Browser is who is at the other end of a sign-in.
type Browser struct {
	// Client is the network address that attempts are counted by.
	Client string
	// Agent is the browser as it names itself.
	Agent string
	// Session is the secret of a session that the browser has already; it ends.
	Session string
	// RequestID names the request.
	RequestID string
}

// SignedIn is a new session.
type SignedIn struct {
	Session access.Secret
	User    access.UserAccount
}

// LockedError is the refusal of an attempt that came too soon.
type LockedError struct {
	cause *fault.Error
	wait  time.Duration
}

// Error says until when.
func (e LockedError) Error() string { return e.cause.Error() }

// Unwrap gives the fault.
func (e LockedError) Unwrap() error { return e.cause }

// RetryAfter is how long to wait.
func (e LockedError) RetryAfter() time.Duration { return e.wait }

// SignIn opens a session for an e-mail address and a password. A wrong password, an
// unknown address and a disabled user get the same answer after the same time.
func (s *Service) SignIn(ctx context.Context, email, password string, b Browser) (SignedIn, error) {
	email, err := access.CleanEmail(email)
	if err != nil {
		email = "" // nobody has it; it is counted like any other
	}
	if err := s.attempt(ctx, attemptKeys(email, b)); err != nil {
		return SignedIn{}, err
	}
	var (
		user access.UserAccount
		hash string
	)
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if user, err = st.Users.UserByEmail(ctx, email); err == nil {
			hash, err = st.Users.PasswordHash(ctx, user.ID)
		}
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return SignedIn{}, err
	}
	ok, stale, err := s.Passwords.Verify(ctx, password, hash)
	if err != nil {
		return SignedIn{}, err
	}
	if !ok || !user.Enabled() {
		reason := "wrong password"
		switch {
		case user.ID == "":
			reason = "unknown address"
		case !user.Enabled():
			reason = "disabled"
		case hash == "":
			reason = "no password"
		}
		return SignedIn{}, s.refuseSignIn(ctx, user, reason, b)
	}
	fresh := ""
	if stale {
		if fresh, err = s.Passwords.Hash(ctx, password); err != nil {
			return SignedIn{}, err
		}
	}
	return s.open(ctx, b, "password", func(ctx context.Context, st Stores) (access.UserAccount, error) {
		current, err := st.Users.User(ctx, user.ID)
		switch {
		case err != nil:
			return current, err
		case !current.Enabled():
			return current, signInRefused()
		case fresh != "":
			err = st.Users.SetPasswordHash(ctx, user.ID, fresh)
		}
		return current, err
	})
}

func signInRefused() *fault.Error {
	return fault.New(fault.Unauthenticated, "sign_in_refused", "the e-mail address or the password is wrong").
		Fix("Try again, or have a sign-in link made: liftbill user link --email")
}

func (s *Service) refuseSignIn(ctx context.Context, user access.UserAccount, reason string, b Browser) error {
	by := access.Principal{Kind: access.Nobody, ID: string(access.Nobody), RequestID: b.RequestID}
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		return st.Audit.Append(ctx, audit.New(by, s.Clock.Now(), audit.SignInRefused, "user", user.ID).Because(reason).Refusal())
	})
	if err != nil {
		return err
	}
	return signInRefused()
}

// SignInWithLink opens a session with a sign-in link, which then works no more.
func (s *Service) SignInWithLink(ctx context.Context, text string, b Browser) (SignedIn, error) {
	if err := s.attempt(ctx, attemptKeys("", b)); err != nil {
		return SignedIn{}, err
	}
	refused := fault.New(fault.Unauthenticated, "link_refused", "this sign-in link was used already, has expired or is not whole").
		Fix("Have a new one made: liftbill user link --email")
	return s.open(ctx, b, "link", func(ctx context.Context, st Stores) (access.UserAccount, error) {
		id, err := st.Sessions.UseLink(ctx, access.Given(text).Hash(), s.Clock.Now())
		if fault.Is(err, fault.NotFound) {
			return access.UserAccount{}, refused
		}
		if err != nil {
			return access.UserAccount{}, err
		}
		user, err := st.Users.User(ctx, id)
		if err == nil && !user.Enabled() {
			err = refused
		}
		return user, err
	})
}

// open makes a session for the user that identify finds, in one transaction with the
// audit row. The attempt turned out to be right and is taken back.
func (s *Service) open(ctx context.Context, b Browser, how string, identify func(context.Context, Stores) (access.UserAccount, error)) (SignedIn, error) {
	out := SignedIn{}
	var err error
	if out.Session, err = access.NewSecret(s.Entropy.Bytes(access.SecretBytes)); err != nil {
		return SignedIn{}, err
	}
	now := s.Clock.Now()
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		later := &lateLog{Log: st.Audit}
		st.Audit = later
		var err error
		if out.User, err = identify(ctx, st); err != nil {
			return err
		}
		if err := forgive(ctx, st.Locks, b.Client, out.User.Email); err != nil {
			return err
		}
		if b.Session != "" {
			if err := st.Sessions.EndSession(ctx, access.Given(b.Session).Hash()); err != nil {
				return err
			}
		}
		if err := st.Sessions.Sweep(ctx, now); err != nil {
			return err
		}
		if err := st.Sessions.InsertSession(ctx, out.Session.Hash(), access.NewSession(out.User.ID, b.Agent, how == "link", now)); err != nil {
			return err
		}
		by := out.User.Principal()
		by.RequestID = b.RequestID
		return later.write(ctx, audit.New(by, now, audit.SignedIn, "user", out.User.ID).Because(how))
	})
	if err != nil {
		return SignedIn{}, err
	}
	return out, nil
}

// lateLog keeps entries until the end of a transaction: the chain is locked after
// everything else, by everybody, so that nobody who holds it waits for a row of somebody
// who waits for it.
type lateLog struct {
	trail.Log
	entries []audit.Entry
}

// Append keeps the entry.
func (l *lateLog) Append(_ context.Context, e audit.Entry) error {
	l.entries = append(l.entries, e)
	return nil
}

func (l *lateLog) write(ctx context.Context, last audit.Entry) error {
	for _, e := range append(l.entries, last) {
		if err := l.Log.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// forgive takes an attempt back from the client and forgets those of the address. The
// order of the locks is that of attempt.
func forgive(ctx context.Context, locks Locks, client, email string) error {
	l, err := locks.Lock(ctx, attemptKey("client", client))
	if err != nil {
		return err
	}
	if err := locks.SaveLock(ctx, attemptKey("client", client), l.Succeeded()); err != nil {
		return err
	}
	if _, err := locks.Lock(ctx, attemptKey("email", email)); err != nil {
		return err
	}
	return locks.SaveLock(ctx, attemptKey("email", email), access.Lockout{})
}

// attemptKeys are whose attempts are counted: the address's and the client's.
func attemptKeys(email string, b Browser) [][]byte {
	keys := [][]byte{attemptKey("client", b.Client)}
	if email != "" {
		keys = append(keys, attemptKey("email", email))
	}
	return keys
}

func attemptKey(kind, value string) []byte {
	sum := sha256.Sum256([]byte("liftbill attempt\x00" + kind + "\x00" + value))
	return sum[:]
}

// attempt counts an attempt before it is looked at, or refuses it.
func (s *Service) attempt(ctx context.Context, keys [][]byte) error {
	now := s.Clock.Now()
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var until time.Time
		locks := make([]access.Lockout, len(keys))
		for i, key := range keys {
			var err error
			if locks[i], err = st.Locks.Lock(ctx, key); err != nil {
				return err
			}
			if locks[i].Locked(now) && locks[i].Until.After(until) {
				until = locks[i].Until
			}
		}
		if !until.IsZero() {
			cause := fault.New(fault.RateLimited, "sign_in_locked", "too many attempts to sign in").
				Fix("Wait until %s UTC, or use a sign-in link", until.UTC().Format("15:04:05"))
			return LockedError{cause, until.Sub(now)}
		}
		for i, key := range keys {
			policy := access.EmailLock
			if i == 0 {
				policy = access.ClientLock
			}
			if err := st.Locks.SaveLock(ctx, key, policy.Attempt(locks[i], now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SignOut ends the caller's session.
func (s *Service) SignOut(ctx context.Context, c Caller) error {
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error { return st.Sessions.EndSession(ctx, c.Session.Hash()) })
}

// SignOutEverywhere ends every session of a user: one's own, or, with the permission,
// another's.
func (s *Service) SignOutEverywhere(ctx context.Context, by access.Principal, userID string) error {
	if userID != by.ID {
		if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
			return err
		}
	}
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if _, err := st.Users.User(ctx, userID); err != nil {
			return err
		}
		if _, err := st.Sessions.EndSessions(ctx, userID); err != nil {
			return err
		}
		return st.Audit.Append(ctx, audit.New(by, s.Clock.Now(), audit.UserSignedOut, "user", userID))
	})
}

// Sessions lists the caller's sessions that go on.
func (s *Service) Sessions(ctx context.Context, by access.Principal) ([]access.Session, error) {
	var out []access.Session
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		all, err := st.Sessions.SessionsOf(ctx, by.ID)
		for _, one := range all {
			if one.Alive(s.Clock.Now()) {
				out = append(out, one)
			}
		}
		return err
	})
	return out, err
}
