package main

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/onboard"
)

// The doctor looks at every part by itself, says what it found, and ends with an error
// code when anything is wrong. (It sets the environment, so that it runs alone.)
func TestDoctor(t *testing.T) {
	const key = "rk_live_reader_of_the_test"
	fake := stripefake.Start(t, stripefake.Options{Accounts: []stripefake.AccountSpec{{ID: "acct_1", Keys: []stripefake.KeySpec{
		{Mode: stripefake.Live, Secret: key, Permissions: map[string]string{"*": "read", "event": "none"}},
	}}}})
	secret := base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes))
	for k, v := range map[string]string{
		"DATABASE_URL": postgrestest.URL(t), "LIFTBILL_ENCRYPTION_KEY": secret, "TEMPORAL_ADDRESS": "127.0.0.1:1",
		"LIFTBILL_STRIPE_API_BASE": fake.URL, "LIFTBILL_STRIPE_RATE": "-1", "LIFTBILL_LOG_LEVEL": "error",
	} {
		t.Setenv(k, v)
	}
	cfg, err := loadConfig()
	require.NoError(t, err)
	a, err := openApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { a.close(t.Context()) })
	_, _, err = a.services(a.access()).Onboard.Connect(t.Context(), operator(), onboard.ConnectionInput{ID: "acme", Environment: "live", Roles: []string{"source"}, SecretKey: key})
	require.NoError(t, err)

	out := doctor(t, "--keys")
	require.NotContains(t, out, key)
	require.NotContains(t, out, secret)
	var checks []check
	require.NoError(t, json.Unmarshal([]byte(out), &checks))
	got := map[string]bool{}
	for _, c := range checks {
		require.NotEmpty(t, c.Detail, c.Name)
		got[c.Name] = c.OK
	}
	require.Equal(t, map[string]bool{
		"encryption key": true, "log level": true, "clock": true, "database": true, "temporal": false, "connections": true,
		"administrator": false, "sign-in": true, "key acme": false, "webhook acme": true,
	}, got)

	t.Setenv("DATABASE_URL", "postgres://nobody:hidden@127.0.0.1:1/none")
	out = doctor(t)
	require.Contains(t, out, `"name": "database"`)
	require.NotContains(t, out, "hidden")
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", "short")
	out = doctor(t)
	require.NotContains(t, out, `"database"`, "nothing is opened with a broken configuration")
	require.Contains(t, out, "LIFTBILL_ENCRYPTION_KEY")
}

// doctor runs a visit in which something is wrong.
func doctor(t *testing.T, args ...string) string {
	t.Helper()
	out, err := execute(t, "", append([]string{"doctor", "--json"}, args...)...)
	var exit exitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitEnvironment, exit.code)
	return out
}
