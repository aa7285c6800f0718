package access_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

var at = time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)

// Tokens are found by one expression, and a single wrong character is noticed without
// asking anybody.
func TestTokenFormat(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^lb_(live|test)_[a-z2-7]{12}_[a-z2-7]{59}$`)
	rapid.Check(t, func(t *rapid.T) {
		env := rapid.SampledFrom([]account.Environment{account.Live, account.Test}).Draw(t, "environment")
		entropy := rapid.SliceOfN(rapid.Byte(), access.TokenBytes, access.TokenBytes).Draw(t, "entropy")
		made, err := access.NewToken(env, entropy)
		require.NoError(t, err)
		text := made.Reveal()
		require.Regexp(t, form, text)
		read, err := access.ParseToken(" " + text + "\n")
		require.NoError(t, err)
		require.Equal(t, made.ID, read.ID)
		require.Equal(t, env, read.Environment)
		require.True(t, read.Matches(made.Hash()))
		i := rapid.IntRange(0, len(text)-1).Draw(t, "position")
		c := rapid.SampledFrom([]byte("abcdefghijklmnopqrstuvwxyz234567_-")).Draw(t, "character")
		if text[i] != c {
			_, err := access.ParseToken(text[:i] + string(c) + text[i+1:])
			require.Equal(t, "token_malformed", fault.CodeOf(err))
			require.NotContains(t, err.Error(), text[20:40])
		}
		_, err = access.ParseToken(text[:rapid.IntRange(0, len(text)-1).Draw(t, "length")])
		require.True(t, fault.Is(err, fault.Unauthenticated))
	})
	_, err := access.NewToken(account.Live, make([]byte, access.TokenBytes-1))
	require.Error(t, err)
	for _, bad := range []string{"", "sk_live_x", "lb_prod_" + strings.Repeat("a", 72)} {
		_, err := access.ParseToken(bad)
		require.Error(t, err)
	}
}

// No formatter, logger or encoder shows a secret.
func TestSecretsHide(t *testing.T) {
	t.Parallel()
	s, err := access.NewSecret([]byte(strings.Repeat("k", access.SecretBytes)))
	require.NoError(t, err)
	tok, err := access.NewToken(account.Live, []byte(strings.Repeat("k", access.TokenBytes)))
	require.NoError(t, err)
	type holder struct {
		S     access.Secret
		inner access.TokenText
	}
	h := holder{s, tok}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, tok, h, &h, []any{s, tok}} {
			out := fmt.Sprintf(verb, v)
			require.NotContains(t, out, s.Reveal(), verb)
			require.NotContains(t, out, tok.Reveal(), verb)
			require.NotContains(t, out, fmt.Sprintf("%x", s.Reveal()), verb)
		}
	}
	raw, err := json.Marshal(h)
	require.NoError(t, err)
	require.NotContains(t, string(raw), s.Reveal())
	require.Equal(t, "[secret]", h.inner.String())
	require.Empty(t, access.Secret{}.Reveal())
	require.False(t, access.Secret{}.Matches(s.Hash()))
	require.NotEqual(t, s.Derived("csrf"), s.Derived("other"))
	require.NotContains(t, s.Derived("csrf"), s.Reveal())
	_, err = access.NewSecret([]byte("short"))
	require.Error(t, err)
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	for password, code := range map[string]string{
		"a sentence that nobody knows": "", "ünïcödé ist auch Text": "", "korrekt-pferd-batterie": "", strings.Repeat("abcde", 25): "",
		"": "password_short", "elevenchars": "password_short", strings.Repeat("abcdefg", 19): "password_long", "aaaaaaaaaaaaaaab": "password_simple",
		"123456789012": "password_common", "PasswordPassword": "password_common", "\xff\xfe45678901234": "password_unreadable",
		"lovelace1815": "password_personal", "ada.lovelace12": "password_personal", "liftbill2026": "password_personal",
		"lovelace wrote the first program": "",
	} {
		err := access.CheckPassword(password, "ada.lovelace@example.com", "Ada Lovelace")
		if code == "" {
			require.NoError(t, err, password)
			continue
		}
		require.Equal(t, code, fault.CodeOf(err), password)
		if password != "" {
			require.NotContains(t, err.Error(), password)
		}
	}
}

// However attempts are spread, nobody gets more than the free ones and one per wait.
func TestLockoutBoundsGuessing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]access.LockPolicy{access.EmailLock, access.ClientLock}).Draw(t, "policy")
		var l access.Lockout
		now, heard, waited := at, 0, time.Duration(0)
		for range rapid.IntRange(1, 120).Draw(t, "attempts") {
			pause := time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "pause"))
			now = now.Add(pause)
			if l.Locked(now) {
				continue
			}
			before := l
			l = p.Attempt(l, now)
			heard++
			require.LessOrEqual(t, l.Until.Sub(now), p.Longest)
			if before.Failures >= p.Free && now.Sub(before.LastAt) < p.Forget {
				require.True(t, l.Locked(now.Add(p.First-1)), "beyond the free ones each attempt waits")
				waited += p.First
			}
		}
		require.GreaterOrEqual(t, now.Sub(at), waited-p.First)
	})
	l := access.Lockout{}
	var waits []time.Duration
	now := at
	for range 14 {
		l = access.EmailLock.Attempt(l, now)
		waits = append(waits, l.Until.Sub(now))
		now = l.LastAt.Add(max(waits[len(waits)-1], 0))
	}
	require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}, waits[4:12])
	require.Equal(t, 1, access.EmailLock.Attempt(l, now.Add(25*time.Hour)).Failures, "after a day all is forgotten")
	require.Equal(t, l.Failures-1, l.Succeeded().Failures)
	require.False(t, l.Succeeded().Locked(now))
	require.Zero(t, access.Lockout{}.Succeeded().Failures)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := access.NewSession("u", strings.Repeat("x", 300)+"\x00", false, at)
	require.Len(t, s.Client, 120)
	require.True(t, s.Alive(at.Add(access.SessionIdle-1)))
	require.False(t, s.Alive(at.Add(access.SessionIdle)), "idle")
	for now := at; now.Before(at.Add(access.SessionLife)); now = now.Add(time.Hour) {
		require.True(t, s.Alive(now))
		require.Equal(t, !now.Equal(at), s.Due(now))
		s.SeenAt = now
	}
	require.False(t, s.Alive(at.Add(access.SessionLife)), "however busy, it ends")
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	tok := access.APIToken{ID: "t", Environment: account.Test, Accounts: []string{"acme"}, Roles: access.Roles{access.Ingest}, CreatedBy: access.Actor{Person: "user_a"}}
	require.True(t, tok.Live(at), "without an end")
	tok.ExpiresAt = at
	require.True(t, tok.Live(at.Add(-1)))
	require.False(t, tok.Live(at))
	tok.ExpiresAt, tok.RevokedAt = time.Time{}, at
	require.False(t, tok.Live(at))
	p := tok.Principal()
	require.Equal(t, "user_a", p.Person)
	require.False(t, p.Scope.Covers(access.InAccount("acme", account.Live)))
	require.True(t, p.Scope.Covers(access.InAccount("acme", account.Test)))
}

func TestUsers(t *testing.T) {
	t.Parallel()
	u, err := access.NewUser("u", " Ada@Example.COM ", " Ada\x07 ", access.Roles{access.Admin}, access.Everything(), at)
	require.NoError(t, err)
	require.Equal(t, "ada@example.com", u.Email)
	require.Equal(t, "Ada", u.Name)
	require.Equal(t, "u", u.Principal().Person)
	live, err := access.NewScope(nil, []string{"live"})
	require.NoError(t, err)
	for code, tc := range map[string]struct {
		email, name string
		roles       access.Roles
		scope       access.Scope
	}{
		"email_malformed":     {"ada", "Ada", access.Roles{access.Viewer}, live},
		"name_length":         {"a@b.c", " ", access.Roles{access.Viewer}, live},
		"role_missing":        {"a@b.c", "Ada", nil, live},
		"role_not_for_people": {"a@b.c", "Ada", access.Roles{access.Ingest}, live},
		"admin_scope":         {"a@b.c", "Ada", access.Roles{access.Admin}, live},
		"environment_missing": {"a@b.c", "Ada", access.Roles{access.Viewer}, access.Scope{AllAccounts: true}},
	} {
		_, err := access.NewUser("u", tc.email, tc.name, tc.roles, tc.scope, at)
		require.Equal(t, code, fault.CodeOf(err))
	}
	for _, bad := range []string{"a@b", "a b@c.de", "a@@b.de", "<a@b.de>", "a@b.de\nBcc: x@y.z", strings.Repeat("a", 250) + "@b.de"} {
		_, err := access.CleanEmail(bad)
		require.Error(t, err, bad)
	}
}
