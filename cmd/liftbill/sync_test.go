package main

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/onboard"
)

// TestSyncCommands carries a connection through the command line: fetch, settings,
// history, and what is said when something is wrong. (It sets the environment, so that it
// runs alone.)
func TestSyncCommands(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fake := stripefake.Start(t, stripefake.Options{Start: start, Accounts: []stripefake.AccountSpec{{ID: "acct_1", Keys: []stripefake.KeySpec{
		{Mode: stripefake.Live, Secret: "rk_live_reader_of_the_test", Permissions: map[string]string{"*": "read"}}, {Mode: stripefake.Live, Secret: "sk_live_owner_of_the_test"},
	}}}})
	clockFile := filepath.Join(t.TempDir(), "clock.json")
	require.NoError(t, system.WriteClockFile(clockFile, start, false))
	for k, v := range map[string]string{
		"DATABASE_URL": postgrestest.URL(t), "LIFTBILL_ENCRYPTION_KEY": base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)),
		"LIFTBILL_STRIPE_API_BASE": fake.URL, "LIFTBILL_STRIPE_RATE": "-1", "LIFTBILL_CLOCK_FILE": clockFile, "LIFTBILL_LOG_LEVEL": "error",
	} {
		t.Setenv(k, v)
	}
	cfg, err := loadConfig()
	require.NoError(t, err)
	a, err := openApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { a.close(t.Context()) })
	_, _, err = a.services(a.access()).Onboard.Connect(t.Context(), operator(), onboard.ConnectionInput{ID: "acme", Environment: "live", Roles: []string{"source"}, SecretKey: "rk_live_reader_of_the_test"})
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodPost, "/v1/customers", strings.NewReader("metadata[user_id]=u"))
	req.Header.Set("Authorization", "Bearer sk_live_owner_of_the_test")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	fake.ServeHTTP(httptest.NewRecorder(), req)
	require.NoError(t, system.WriteClockFile(clockFile, start.Add(2*time.Minute), false))
	require.NoError(t, fake.Advance(2*time.Minute))

	out, err := execute(t, "", "sync", "pull", "--connection", "acme", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"connection":"acme","seen":1,"new":1,"pages":1,"code":""}`, out)
	out, err = execute(t, "", "sync", "pull", "--connection", "acme")
	require.NoError(t, err)
	require.Equal(t, "1 events seen, 0 of them new, in 1 pages\n", out)

	out, err = execute(t, "", "sync", "set", "--connection", "acme", "--interval", "15m", "--json")
	require.NoError(t, err)
	var v syncView
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, []any{"ok", "15m0s", "auto", true, 1}, []any{v.State, v.Interval, v.Pull, v.Pulling, v.PendingEvents})
	require.Equal(t, start.Add(time.Minute), v.HighWater)

	out, err = execute(t, "", "sync", "backfill", "--connection", "acme", "--start", "2026-01-01")
	require.NoError(t, err)
	require.Contains(t, out, "acme-backfill-1 will be read")
	out, err = execute(t, "", "sync", "backfill", "--connection", "acme", "--start", "2026-01-01T00:00:00Z", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"start": "2026-01-01T00:00:00Z"`)
	out, err = execute(t, "", "sync", "status", "--connection", "acme")
	require.NoError(t, err)
	require.Contains(t, out, "fetched every 15m0s")
	require.Contains(t, out, "acme-backfill-1 running, at events, 0 objects, 0 new facts")

	_, err = execute(t, "", "sync", "set", "--connection", "acme", "--enabled=false")
	require.NoError(t, err)
	out, err = execute(t, "", "sync", "status", "--connection", "acme")
	require.NoError(t, err)
	require.Contains(t, out, "sync_off")
	_, err = execute(t, "", "sync", "set", "--connection", "acme", "--enabled=true")
	require.NoError(t, err)

	require.NoError(t, fake.RevokeKey("rk_live_reader_of_the_test"))
	_, err = execute(t, "", "sync", "pull", "--connection", "acme")
	require.ErrorContains(t, err, "create a new restricted key")
	require.Equal(t, exitFailed, exitCode(err))
	out, err = execute(t, "", "sync", "status", "--connection", "acme")
	require.NoError(t, err)
	require.Regexp(t, `(?s)acme +paused.*because +connection_paused: `, out)

	for args, want := range map[string]string{
		"sync status --connection nobody":                  "there is no connection",
		"sync backfill --connection acme --start tomorrow": "neither a date nor a moment",
		"sync set --connection acme":                       "nothing is to be changed",
		"sync set --connection acme --interval 1s":         "an interval of 1s is not allowed",
		"sync set --connection acme --pull never":          "not a way to pull",
		"sync pull": "required flag",
	} {
		_, err = execute(t, "", strings.Fields(args)...)
		require.ErrorContains(t, err, want, args)
	}
}
