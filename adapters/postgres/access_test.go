package postgres_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/idempotency"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func scope(t *testing.T, accounts, envs []string) access.Scope {
	t.Helper()
	s, err := access.NewScope(accounts, envs)
	require.NoError(t, err)
	return s
}

// A scope shows its accounts in its environments, and an empty one shows nothing.
func TestListsKeepToTheScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("acme", "2026-01")
	w.propose("trial", "2026-01", 50_000)
	w.connect("shared", account.Live) // no account is wired to it
	r := w.db.NewReader()
	for name, tc := range map[string]struct {
		scope           access.Scope
		accounts, conns []string
		periods         []string
	}{
		"everything":          {access.Everything(), []string{"acme", "trial"}, []string{"acme", "shared", "trial"}, []string{"2026-01"}},
		"nowhere":             {access.Scope{}, nil, nil, nil},
		"live":                {scope(t, nil, []string{"live"}), []string{"acme"}, []string{"acme", "shared"}, []string{"2026-01"}},
		"test":                {scope(t, nil, []string{"test"}), []string{"trial"}, []string{"trial"}, []string{"2026-01"}},
		"one account":         {scope(t, []string{"acme"}, []string{"live", "test"}), []string{"acme"}, []string{"acme"}, []string{"2026-01"}},
		"another environment": {scope(t, []string{"acme"}, []string{"test"}), nil, nil, nil},
		"nobody's account":    {scope(t, []string{"other"}, []string{"live"}), nil, nil, nil},
		"all, but no place":   {access.Scope{AllAccounts: true}, nil, nil, nil},
	} {
		overview, err := r.Accounts(w.ctx, tc.scope)
		require.NoError(t, err)
		var ids []string
		for _, o := range overview {
			ids = append(ids, o.ID)
		}
		require.Equal(t, tc.accounts, ids, name)
		conns, err := w.db.Connections(w.ctx, tc.scope)
		require.NoError(t, err)
		ids = nil
		for _, c := range conns {
			ids = append(ids, c.ID)
		}
		require.Equal(t, tc.conns, ids, name)
		periods, err := r.Periods(w.ctx, tc.scope)
		require.NoError(t, err)
		require.Equal(t, tc.periods, periods, name)
		page, err := r.Cycles(w.ctx, reconcile.CyclesFilter{Scope: tc.scope, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Items, len(tc.accounts), name)
	}
}

// A connection that serves two accounts is shown to who sees both.
func TestSharedConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("second", account.Live)
	require.NoError(t, w.exec(`INSERT INTO accounts (id, environment, name, source_connection, issuer_connection, created_at) VALUES ('second', 'live', 'x', 'second', 'acme', now())`))
	for _, tc := range []struct {
		accounts []string
		sees     int
	}{{[]string{"acme"}, 0}, {[]string{"second"}, 1}, {[]string{"acme", "second"}, 2}} {
		conns, err := w.db.Connections(w.ctx, scope(t, tc.accounts, []string{"live"}))
		require.NoError(t, err)
		require.Len(t, conns, tc.sees, tc.accounts)
	}
	place, err := w.db.Places().Locate(w.ctx, access.Connection, "acme")
	require.NoError(t, err)
	require.Equal(t, access.Place{Accounts: []string{"acme", "second"}, Environment: account.Live}, place)
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("trial", "2026-01", 50_000)
	caseID := one[string](w, "SELECT case_id FROM readouts LIMIT 1")
	for what, id := range map[access.What]string{access.Account: "trial", access.Cycle: "trial.2026-01", access.Readout: caseID, access.Connection: "trial"} {
		place, err := w.db.Places().Locate(w.ctx, what, id)
		require.NoError(t, err, what)
		require.Equal(t, access.InAccount("trial", account.Test), place, what)
		for _, missing := range []string{"", "nobody", "a\x00b", "' OR '1'='1"} {
			_, err = w.db.Places().Locate(w.ctx, what, missing)
			require.True(t, fault.Is(err, fault.NotFound), "%s %q", what, missing)
		}
	}
	for _, what := range []access.What{access.Filtered, access.WholeInstallation, "invoice"} {
		_, err := w.db.Places().Locate(w.ctx, what, "x")
		require.True(t, fault.Is(err, fault.Internal), what)
	}
}

func TestUsersRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := postgrestest.Open(t)
	u := access.UserAccount{
		ID: "user_1", Email: "ada@example.com", Name: "Ada", Roles: access.Roles{access.Viewer, access.Finance}, CreatedAt: now,
		Scope: access.Scope{Accounts: []string{"acme", "b-2"}, Environments: []account.Environment{account.Live}},
	}
	admin := access.UserAccount{ID: "user_2", Email: "bob@example.com", Name: "Bob", Roles: access.Roles{access.Admin}, Scope: access.Everything(), CreatedAt: now, Issuer: "https://idp", Subject: "s"}
	do := func(fn func(app.Stores) error) error {
		return db.Access().Do(ctx, func(_ context.Context, st app.Stores) error { return fn(st) })
	}
	require.NoError(t, do(func(st app.Stores) error {
		require.NoError(t, st.Users.InsertUser(ctx, u))
		require.NoError(t, st.Users.InsertUser(ctx, admin))
		got, err := st.Users.UserByEmail(ctx, "ada@example.com")
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(u, got))
		got, err = st.Users.UserByIdentity(ctx, "https://idp", "s")
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(admin, got))
		_, err = st.Users.UserByIdentity(ctx, "", "")
		require.Equal(t, "user_not_found", fault.CodeOf(err), "nobody without an identity is found by none")
		u.DisabledAt, u.Name, u.Scope = now, "Ada B.", access.Everything()
		require.NoError(t, st.Users.UpdateUser(ctx, u))
		require.NoError(t, st.Users.SetPasswordHash(ctx, u.ID, "$argon2id$x"))
		u.HasPassword = true
		all, err := st.Users.Users(ctx)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]access.UserAccount{u, admin}, all))
		n, err := st.Users.EnabledAdmins(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return nil
	}))
	twin := admin
	twin.ID, twin.Email = "user_3", "bob2@example.com"
	require.Error(t, do(func(st app.Stores) error { return st.Users.InsertUser(ctx, twin) }), "one identity is one user")
	half := admin
	half.ID, half.Email, half.Subject, half.Issuer = "user_4", "half@example.com", "", ""
	half.Scope.Environments = []account.Environment{account.Live}
	require.Error(t, do(func(st app.Stores) error { return st.Users.InsertUser(ctx, half) }), "an administrator of less than everything")
}

func TestTokensRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := postgrestest.Open(t)
	tok := app.StoredToken{SecretHash: bytes.Repeat([]byte{7}, 32), APIToken: access.APIToken{
		ID: "aaaa", Name: "ci", Environment: account.Test, Roles: access.Roles{access.Ingest}, Accounts: []string{"acme"}, CreatedAt: now,
		CreatedBy: access.Actor{Kind: access.User, ID: "user_1", Name: "Ada", Person: "user_1"}, ExpiresAt: now.Add(time.Hour),
	}}
	require.NoError(t, db.Access().Do(ctx, func(ctx context.Context, st app.Stores) error {
		require.NoError(t, st.Tokens.InsertToken(ctx, tok))
		tok.RevokedAt = now
		return st.Tokens.UpdateToken(ctx, tok.APIToken)
	}))
	later := now.Add(time.Minute)
	require.NoError(t, db.Credentials().TouchToken(ctx, "aaaa", later))
	require.NoError(t, db.Credentials().TouchToken(ctx, "aaaa", now), "an older use does not replace a newer one")
	tok.LastUsedAt = later
	got, err := db.Credentials().Token(ctx, "aaaa")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(tok, got))
	_, err = db.Credentials().Token(ctx, "bbbb")
	require.True(t, fault.Is(err, fault.NotFound))
	ok, err := db.Credentials().AnyAdmin(ctx, now)
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, db.Access().Do(ctx, func(ctx context.Context, st app.Stores) error {
		admin := tok
		admin.ID, admin.SecretHash, admin.Roles, admin.RevokedAt = "cccc", bytes.Repeat([]byte{8}, 32), access.Roles{access.Admin}, time.Time{}
		return st.Tokens.InsertToken(ctx, admin)
	}))
	for at, want := range map[time.Time]bool{now: true, now.Add(2 * time.Hour): false} {
		ok, err = db.Credentials().AnyAdmin(ctx, at)
		require.NoError(t, err)
		require.Equal(t, want, ok, "a token that has expired administers nothing")
	}
}

// Of many who use one link at once, one gets in.
func TestALinkWorksOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := postgrestest.Open(t)
	hash := bytes.Repeat([]byte{1}, 32)
	require.NoError(t, db.Access().Do(ctx, func(ctx context.Context, st app.Stores) error {
		require.NoError(t, st.Users.InsertUser(ctx, access.UserAccount{ID: "u", Email: "a@b.c", Name: "A", Roles: access.Roles{access.Viewer}, Scope: access.Everything(), CreatedAt: now}))
		return st.Sessions.InsertLink(ctx, hash, "u", now, now.Add(time.Hour))
	}))
	use := func(at time.Time) error {
		return db.Access().Do(ctx, func(ctx context.Context, st app.Stores) error {
			_, err := st.Sessions.UseLink(ctx, hash, at)
			return err
		})
	}
	require.True(t, fault.Is(use(now.Add(time.Hour)), fault.NotFound), "it has expired")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = use(now) })
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		if err == nil {
			in++
			continue
		}
		require.True(t, fault.Is(err, fault.NotFound))
	}
	require.Equal(t, 1, in)
}

// An idempotency key is one request's, whoever comes second, until it is answered,
// given back, or left behind.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := postgrestest.Open(t).IdempotencyKeys()
	row := func(attempt string, at time.Time) idempotency.Row {
		return idempotency.Row{Use: idempotency.Use{Principal: "t", Key: "k", Route: "POST /v1/x"}, Attempt: attempt, LeaseUntil: at.Add(idempotency.Lease), CreatedAt: at, ExpiresAt: at.Add(idempotency.Life)}
	}
	var wg sync.WaitGroup
	taken := make([]bool, 8)
	errs := make([]error, 8)
	for i := range taken {
		wg.Go(func() {
			existing, err := store.Take(ctx, row(string(rune('a'+i)), now), now)
			taken[i], errs[i] = existing == nil, err
		})
	}
	wg.Wait()
	winner := ""
	for i := range taken {
		require.NoError(t, errs[i])
		if taken[i] {
			require.Empty(t, winner, "two requests have the key")
			winner = string(rune('a' + i))
		}
	}
	require.NotEmpty(t, winner)
	require.NoError(t, store.Release(ctx, row("", now).Use, "somebody else"))
	existing, err := store.Take(ctx, row("z", now), now)
	require.NoError(t, err)
	require.Equal(t, winner, existing.Attempt, "only its own request gives a key back")
	require.Nil(t, existing.Answer)

	late := now.Add(idempotency.Lease + time.Second)
	existing, err = store.Take(ctx, row("y", late), late)
	require.NoError(t, err)
	require.Nil(t, existing, "the lease is over")
	old := row(winner, now)
	old.BodySHA256, old.Answer = bytes.Repeat([]byte{1}, 32), []byte("late")
	require.NoError(t, store.Answer(ctx, old), "whoever lost the key changes nothing")
	mine := row("y", late)
	mine.BodySHA256, mine.Answer = bytes.Repeat([]byte{2}, 32), []byte("sealed")
	require.NoError(t, store.Answer(ctx, mine))
	existing, err = store.Take(ctx, row("x", late), late.Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(mine, *existing))
	next := late.Add(idempotency.Life + time.Second)
	existing, err = store.Take(ctx, row("x", next), next)
	require.NoError(t, err)
	require.Nil(t, existing, "a day later the key is free")
	require.NoError(t, store.Release(ctx, row("", now).Use, "x"))
	existing, err = store.Take(ctx, row("v", next), next)
	require.NoError(t, err)
	require.Nil(t, existing)
}
