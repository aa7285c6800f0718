package account_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"a", "acme", "0", "acme-live_2", strings.Repeat("a", 63)} {
		require.NoError(t, account.CheckID("id", ok), ok)
	}
	for _, bad := range []string{"", "-a", "_a", "Acme", "a b", "a/b", "a.b", "ä", "a\n", strings.Repeat("a", 64), "../x", "a%2f"} {
		err := account.CheckID("snapshot_id", bad)
		require.Equal(t, "id_malformed", fault.CodeOf(err), bad)
		require.ErrorContains(t, err, "snapshot_id: ")
	}
}

func TestNewAccount(t *testing.T) {
	t.Parallel()
	a, err := account.New("acme", account.Live, "  Acme Inc. ")
	require.NoError(t, err)
	require.Equal(t, account.Account{ID: "acme", Environment: account.Live, Name: "Acme Inc."}, a)
	for field, c := range map[string]struct {
		id, name string
		env      account.Environment
	}{
		"id": {"Acme", "x", account.Live}, "environment": {"acme", "x", "prod"}, "name": {"acme", " ", account.Test},
	} {
		_, err := account.New(c.id, c.env, c.name)
		require.ErrorContains(t, err, field+": ")
	}
	_, err = account.New("acme", account.Live, strings.Repeat("x", 201))
	require.Equal(t, "name_length", fault.CodeOf(err))
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	for _, env := range []account.Environment{account.Live, account.Test} {
		got, err := account.ParseEnvironment(env.String())
		require.NoError(t, err)
		require.Equal(t, env, got)
		require.Equal(t, env, account.EnvironmentOf(env.Livemode()))
	}
	for _, bad := range []string{"", "Live", "production", "test "} {
		_, err := account.ParseEnvironment(bad)
		require.Equal(t, "environment_unknown", fault.CodeOf(err))
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	r, err := account.ParseRoles([]string{"issuer", "source", "issuer"})
	require.NoError(t, err)
	require.Equal(t, []string{"source", "issuer"}, r.Names())
	_, err = account.ParseRoles(nil)
	require.Equal(t, "role_missing", fault.CodeOf(err))
	_, err = account.ParseRoles([]string{"writer"})
	require.Equal(t, "role_unknown", fault.CodeOf(err))
}

func TestNewConnection(t *testing.T) {
	t.Parallel()
	live, both := key(t, "rk_live_"+secretPart), account.Roles{Source: true, Issuer: true}
	c, err := account.NewConnection("acme", account.Live, both, live, " pk_live_x ", "")
	require.NoError(t, err)
	require.Equal(t, account.Connection{
		ID: "acme", Environment: account.Live, Roles: both, PublishableKey: "pk_live_x", UserIDKey: account.DefaultUserIDKey, KeyMask: "rk_live_…unit",
	}, c)
	_, err = account.NewConnection("acme", account.Test, both, live, "", "")
	require.Equal(t, "key_mode_mismatch", fault.CodeOf(err), "a live key on a test connection")
	require.ErrorContains(t, err, "rk_test_")
	_, err = account.NewConnection("acme", account.Live, both, key(t, "sk_test_"+secretPart), "", "")
	require.Equal(t, "key_mode_mismatch", fault.CodeOf(err), "a test key on a live connection")
	_, err = account.NewConnection("acme", account.Live, both, live, "pk_test_x", "")
	require.Equal(t, "key_mode_mismatch", fault.CodeOf(err))
	for _, bad := range []string{strings.Repeat("k", 41), "a[b]", "]"} {
		_, err = account.NewConnection("acme", account.Live, both, live, "", bad)
		require.Equal(t, "metadata_key_malformed", fault.CodeOf(err))
	}
	_, err = account.NewConnection("Acme", account.Live, both, live, "", "")
	require.Equal(t, "id_malformed", fault.CodeOf(err))
}
