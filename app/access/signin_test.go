package access_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestFirstAdmin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ok, err := w.svc.AnyAdmin(w.ctx)
	require.NoError(t, err)
	require.True(t, ok)
	_, err = w.svc.CreateFirstAdmin(w.ctx, w.cli, "eve@example.com", "Eve", password)
	require.Equal(t, "admin_exists", fault.CodeOf(err))
	require.ErrorContains(t, err, "liftbill user create")
	_, err = w.svc.CreateFirstAdmin(w.ctx, w.cli, "eve@example.com", "Eve", "short")
	require.Equal(t, "password_short", fault.CodeOf(err))
	w.exec("DELETE FROM users")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.svc.CreateFirstAdmin(w.ctx, w.cli, string(rune('a'+i))+"@example.com", "A", "")
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		}
	}
	require.Equal(t, 1, made, "of many who try at once one is the first")
	require.Len(t, w.audited(audit.UserCreated), 2)
	require.Contains(t, w.audited(audit.UserCreated)[0], "cli:root")
	w.sound(password)
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.signIn(" ADA@example.com ")
	c := w.caller(first)
	require.Equal(t, access.User, c.Kind)
	require.Equal(t, "req-2", c.RequestID)
	require.True(t, c.Can(access.ManageAccess))

	b := w.browser()
	b.Session = first.Session.Reveal()
	second, err := w.svc.SignIn(w.ctx, "ada@example.com", password, b)
	require.NoError(t, err)
	_, err = w.svc.AuthenticateSession(w.ctx, first.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err), "signing in changes the session")
	other := w.signIn("ada@example.com")
	all, err := w.svc.Sessions(w.ctx, w.admin)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.NoError(t, w.svc.SignOut(w.ctx, w.caller(second)))
	_, err = w.svc.AuthenticateSession(w.ctx, second.Session.Reveal(), "")
	require.True(t, fault.Is(err, fault.Unauthenticated))
	w.caller(other)
	require.NoError(t, w.svc.SignOutEverywhere(w.ctx, w.admin, w.admin.ID))
	_, err = w.svc.AuthenticateSession(w.ctx, other.Session.Reveal(), "")
	require.True(t, fault.Is(err, fault.Unauthenticated))
	_, err = w.svc.AuthenticateSession(w.ctx, "", "")
	require.True(t, fault.Is(err, fault.Unauthenticated))
	require.Len(t, w.audited(audit.SignedIn), 3)
	w.sound(password, first.Session.Reveal(), second.Session.Reveal())
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	idle, busy := w.signIn("ada@example.com"), w.signIn("ada@example.com")
	for range 11 {
		w.clock.move(time.Hour)
		w.caller(busy)
	}
	_, err := w.svc.AuthenticateSession(w.ctx, idle.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err), "idle for hours")
	w.clock.move(time.Hour)
	_, err = w.svc.AuthenticateSession(w.ctx, busy.Session.Reveal(), "")
	require.Equal(t, "session_ended", fault.CodeOf(err), "twelve hours are over")
	w.signIn("ada@example.com")
	w.clock.move(13 * time.Hour)
	w.signIn("ada@example.com")
	var n int
	require.NoError(t, w.sql.QueryRow(w.ctx, "SELECT count(*) FROM sessions").Scan(&n))
	require.Equal(t, 1, n, "a sign-in sweeps what has ended")
}

// A wrong password, an unknown address, a user without a password and a disabled one
// get the same answer; the log knows which it was.
func TestRefusalsLookTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("nopassword@example.com", "viewer")
	off := w.user("off@example.com", "viewer")
	w.exec("UPDATE users SET disabled_at = now(), password_hash = (SELECT password_hash FROM users WHERE email = 'ada@example.com') WHERE id = $1", off.ID)
	var texts []string
	for _, c := range [][2]string{{"ada@example.com", "wrong"}, {"nobody@example.com", password}, {"nopassword@example.com", ""}, {"off@example.com", password}, {"no address", password}} {
		_, err := w.svc.SignIn(w.ctx, c[0], c[1], w.browser())
		require.True(t, fault.Is(err, fault.Unauthenticated))
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		require.Equal(t, texts[0], text)
	}
	log := w.audited(audit.SignInRefused)
	require.Len(t, log, 5)
	require.Contains(t, log[0], "wrong password")
	require.Contains(t, log[1], "nobody  unknown address")
	require.Contains(t, log[2], "no password")
	require.Contains(t, log[3], "disabled")
	w.sound("nobody@example.com", "no address")
}

// Five guesses are free, then each waits; a hundred at once are no way around, and the
// right password does not help before its time.
func TestLockOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() {
			b := w.browser()
			b.Client = string(rune('a' + i)) // from everywhere
			_, errs[i] = w.svc.SignIn(w.ctx, "ada@example.com", "guess", b)
		})
	}
	wg.Wait()
	heard := 0
	for _, err := range errs {
		if fault.Is(err, fault.Unauthenticated) {
			heard++
			continue
		}
		require.Equal(t, "sign_in_locked", fault.CodeOf(err))
		var asked interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &asked)
		require.Equal(t, time.Minute, asked.RetryAfter())
	}
	require.Equal(t, access.EmailLock.Free, heard)
	_, err := w.svc.SignIn(w.ctx, "ada@example.com", password, w.browser())
	require.True(t, fault.Is(err, fault.RateLimited))
	for range access.EmailLock.Free {
		_, err = w.svc.SignIn(w.ctx, "nobody@example.com", "guess", w.browser())
		require.True(t, fault.Is(err, fault.Unauthenticated))
	}
	_, err = w.svc.SignIn(w.ctx, "nobody@example.com", "guess", w.browser())
	require.True(t, fault.Is(err, fault.RateLimited), "an address that nobody has is locked like any other")

	w.clock.move(time.Minute)
	w.signIn("ada@example.com")
	for range access.EmailLock.Free - 1 {
		_, err = w.svc.SignIn(w.ctx, "ada@example.com", "guess", w.browser())
		require.True(t, fault.Is(err, fault.Unauthenticated), "success forgives")
	}
	require.Len(t, w.audited(audit.SignInRefused), 3*access.EmailLock.Free-1, "attempts that are not heard fill no log")
}

// One client that tries many addresses is stopped as well, and lets others in.
func TestClientsAreLockedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	n := 0
	for ; n < 100; n++ {
		if _, err = w.svc.SignIn(w.ctx, string(rune('a'+n%26))+string(rune('a'+n/26))+"@example.com", "guess", w.browser()); fault.Is(err, fault.RateLimited) {
			break
		}
	}
	require.Equal(t, access.ClientLock.Free, n)
	_, err = w.svc.SignInWithLink(w.ctx, "guess", w.browser())
	require.True(t, fault.Is(err, fault.RateLimited), "nor may it guess links")
	b := w.browser()
	b.Client = "198.51.100.1"
	_, err = w.svc.SignIn(w.ctx, "ada@example.com", password, b)
	require.NoError(t, err)
}

func TestSignInLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.user("bob@example.com", "viewer")
	first, _, err := w.svc.CreateLink(w.ctx, w.admin, bob.ID, 0)
	require.NoError(t, err)
	second, until, err := w.svc.CreateLink(w.ctx, w.admin, bob.ID, 0)
	require.NoError(t, err)
	require.Equal(t, w.clock.Now().Add(access.LinkLife), until)
	_, err = w.svc.SignInWithLink(w.ctx, first.Reveal(), w.browser())
	require.Equal(t, "link_refused", fault.CodeOf(err), "a new link replaces the old one")
	for range access.EmailLock.Free {
		_, err = w.svc.SignIn(w.ctx, "bob@example.com", "forgotten", w.browser())
		require.Error(t, err)
	}
	in, err := w.svc.SignInWithLink(w.ctx, second.Reveal(), w.browser())
	require.NoError(t, err, "a lock-out does not keep a link from working")
	require.True(t, w.caller(in).Info.ByLink)
	_, err = w.svc.SignInWithLink(w.ctx, second.Reveal(), w.browser())
	require.Equal(t, "link_refused", fault.CodeOf(err), "a link works once")

	for _, bad := range []time.Duration{time.Second, 8 * 24 * time.Hour, -1} {
		_, _, err = w.svc.CreateLink(w.ctx, w.admin, bob.ID, bad)
		require.Equal(t, "expiry_range", fault.CodeOf(err))
	}
	late, _, err := w.svc.CreateLink(w.ctx, w.admin, bob.ID, time.Hour)
	require.NoError(t, err)
	w.clock.move(time.Hour)
	_, err = w.svc.SignInWithLink(w.ctx, late.Reveal(), w.browser())
	require.Equal(t, "link_refused", fault.CodeOf(err))
	_, _, err = w.svc.CreateLink(w.ctx, bob.Principal(), bob.ID, 0)
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	w.sound(first.Reveal(), second.Reveal(), late.Reveal())
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, other := w.signIn("ada@example.com"), w.signIn("ada@example.com")
	const next = "another sentence of some length"
	_, err := w.svc.SetPassword(w.ctx, w.caller(old), "wrong", next, w.browser())
	require.Equal(t, "password_wrong", fault.CodeOf(err))
	_, err = w.svc.SetPassword(w.ctx, w.caller(old), password, "short", w.browser())
	require.Equal(t, "password_short", fault.CodeOf(err))
	in, err := w.svc.SetPassword(w.ctx, w.caller(old), password, next, w.browser())
	require.NoError(t, err)
	for _, ended := range []app.SignedIn{old, other} {
		_, err = w.svc.AuthenticateSession(w.ctx, ended.Session.Reveal(), "")
		require.True(t, fault.Is(err, fault.Unauthenticated), "every session from before has ended")
	}
	w.caller(in)
	_, err = w.svc.SignIn(w.ctx, "ada@example.com", password, w.browser())
	require.True(t, fault.Is(err, fault.Unauthenticated))
	_, err = w.svc.SignIn(w.ctx, "ada@example.com", next, w.browser())
	require.NoError(t, err)

	link, _, err := w.svc.CreateLink(w.ctx, w.cli, w.admin.ID, 0)
	require.NoError(t, err)
	in, err = w.svc.SignInWithLink(w.ctx, link.Reveal(), w.browser())
	require.NoError(t, err)
	_, err = w.svc.SetPassword(w.ctx, w.caller(in), "", password, w.browser())
	require.NoError(t, err, "who came by a link has forgotten the old one")
	_, err = w.svc.SetPassword(w.ctx, app.Caller{Principal: w.cli}, "", password, w.browser())
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	require.Len(t, w.audited(audit.PasswordChanged), 2)
	w.sound(password, next)
}

// People of one office who sign in, change passwords and come by links at once wait for
// one another and get in: locks are taken in one order.
func TestManyAtOnceFromOneClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const people = 4
	var wg sync.WaitGroup
	errs := make(chan error, 3*people)
	for i := range people {
		email := string(rune('a'+i)) + "@example.com"
		u := w.user(email, "viewer")
		w.exec("UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = 'ada@example.com') WHERE id = $1", u.ID)
		link, _, err := w.svc.CreateLink(w.ctx, w.admin, u.ID, 0)
		require.NoError(t, err)
		byLink := w.user("l"+email, "viewer")
		fresh, _, err := w.svc.CreateLink(w.ctx, w.admin, byLink.ID, 0)
		require.NoError(t, err)
		in, err := w.svc.SignInWithLink(w.ctx, link.Reveal(), w.browser())
		require.NoError(t, err)
		caller := w.caller(in)
		wg.Go(func() {
			_, err := w.svc.SetPassword(w.ctx, caller, "", "another sentence of some length", w.browser())
			errs <- err
		})
		wg.Go(func() {
			_, err := w.svc.SignInWithLink(w.ctx, fresh.Reveal(), w.browser())
			errs <- err
		})
		wg.Go(func() {
			_, err := w.svc.SignIn(w.ctx, "ada@example.com", password, w.browser())
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	w.sound(password)
}
