package stripefake_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func TestControlAccountsAndKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var made stripefake.Account
	require.Equal(t, 200, f.control("POST", "/_fake/accounts", `{"id":"acct_c","keys":[{"mode":"test","restricted":true,"permissions":{"*":"read"}}]}`, &made))
	require.Equal(t, "restricted", made.Keys[0].Kind)
	require.Regexp(t, "^rk_test_", made.Keys[0].Secret)
	var key stripefake.Key
	require.Equal(t, 200, f.control("POST", "/_fake/keys", `{"account":"acct_c","mode":"live"}`, &key))
	a, err := apiOf(f.Client, f.URL, key.Secret).Accounts.Get()
	require.NoError(t, err)
	require.Equal(t, "acct_c", a.ID)
	require.Equal(t, 200, f.control("POST", "/_fake/keys/revoke", fmt.Sprintf(`{"secret":%q}`, key.Secret), nil))
	_, err = apiOf(f.Client, f.URL, key.Secret).Accounts.Get()
	require.Equal(t, 401, stripeError(t, err).HTTPStatusCode)
	var all struct{ Accounts []struct{ ID string } }
	require.Equal(t, 200, f.control("GET", "/_fake/accounts", "", &all))
	require.Len(t, all.Accounts, 2)
	require.Equal(t, 400, f.control("POST", "/_fake/keys", `{"acount":"acct_c"}`, nil), "unknown fields are refused")
	require.Equal(t, 200, f.control("GET", "/_fake/health", "", nil))
}

func TestControlClock(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var c struct {
		Now     time.Time
		Running bool
	}
	require.Equal(t, 200, f.control("POST", "/_fake/clock", `{"advance":"36h"}`, &c))
	require.Equal(t, start.Add(36*time.Hour), c.Now)
	require.Equal(t, 200, f.control("POST", "/_fake/clock", `{"at":"2026-02-01T00:00:00Z"}`, &c))
	require.Equal(t, 400, f.control("POST", "/_fake/clock", `{"at":"2026-01-01T00:00:00Z"}`, nil))
	require.Equal(t, 200, f.control("POST", "/_fake/clock", `{"running":true}`, &c))
	require.True(t, c.Running)
	require.Eventually(t, func() bool { return f.Clock.Now().After(c.Now) }, time.Minute, time.Millisecond)
	require.Equal(t, 200, f.control("POST", "/_fake/clock", `{"running":false}`, &c))
	require.Equal(t, 200, f.control("GET", "/_fake/clock", "", &c))
	require.False(t, c.Running)
}

func TestControlFaultsAndRequests(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.Equal(t, 200, f.control("POST", "/_fake/faults", `{"kind":"503","method":"GET","path":"customers","count":1,"delay":"1s"}`, nil))
	require.Equal(t, 400, f.control("POST", "/_fake/faults", `{"kind":"unheard"}`, nil))
	require.Equal(t, 503, f.get("/v1/customers", "").status)
	var faults struct{ Rules []struct{ Hits int } }
	require.Equal(t, 200, f.control("GET", "/_fake/faults", "", &faults))
	require.Equal(t, 1, faults.Rules[0].Hits)
	require.Equal(t, 200, f.control("POST", "/_fake/faults/seeded", `{"requests":{"429":1}}`, nil))
	require.Equal(t, 429, f.get("/v1/customers", "").status)
	require.Equal(t, 200, f.control("DELETE", "/_fake/faults", "", nil))
	f.post("/v1/customers", "name=A", "key")
	var log struct {
		Count    int
		Requests []stripefake.Request
	}
	require.Equal(t, 200, f.control("GET", "/_fake/requests?account="+acct+"&mode=live&method=POST", "", &log))
	require.Equal(t, 1, log.Count)
	got := log.Requests[0]
	require.Equal(t, []string{"POST", "/v1/customers", "name=A", acct, "live", "secret", "key"}, []string{got.Method, got.Path, got.Params, got.Account, got.Mode, got.KeyKind, got.IdempotencyKey})
	require.Equal(t, 200, got.Status)
	require.NotEmpty(t, got.ID)
	require.True(t, got.Time.Equal(start))
	require.Equal(t, 200, f.control("GET", "/_fake/requests?status=503&limit=5", "", &log))
	require.Equal(t, "503", log.Requests[0].Fault)
	require.Equal(t, 400, f.control("GET", "/_fake/requests?status=x", "", nil))
	require.Equal(t, 200, f.control("DELETE", "/_fake/requests", "", nil))
	require.Empty(t, f.Requests(stripefake.RequestFilter{}))
}

func TestControlObjects(t *testing.T) {
	t.Parallel()
	f, h := setup(t, func(o *stripefake.Options) { o.HoldWebhooks = true }), newHook(t)
	e := f.endpoint(h)
	ch := f.charged("pm_card_pendingRefund", 1000)
	re, err := f.api.Refunds.New(&stripe.RefundParams{Charge: &ch.ID, Amount: stripe.Int64(1)})
	require.NoError(t, err)
	at := `"account":"` + acct + `","mode":"live",`
	var made struct{ ID, Secret string }
	require.Equal(t, 200, f.control("POST", "/_fake/disputes", `{`+at+`"charge":"`+ch.ID+`"}`, &made))
	require.Equal(t, 200, f.control("POST", "/_fake/disputes/close", `{`+at+`"id":"`+made.ID+`","outcome":"won"}`, nil))
	require.Equal(t, 200, f.control("POST", "/_fake/refunds", `{`+at+`"id":"`+re.ID+`","status":"failed"}`, nil))
	require.Equal(t, 200, f.control("POST", "/_fake/webhooks/roll", `{`+at+`"id":"`+e.ID+`","overlap":"1h"}`, &made))
	require.Regexp(t, "^whsec_", made.Secret)
	var stats stripefake.WebhookStats
	require.Equal(t, 200, f.control("GET", "/_fake/webhooks", "", &stats))
	require.Positive(t, stats.Due)
	require.Equal(t, 200, f.control("POST", "/_fake/webhooks/flush?timeout=30s", "", &stats))
	require.Zero(t, stats.Due)
	require.Len(t, h.received(), int(stats.Sent))
	var state map[string][]map[string]any
	require.Equal(t, 200, f.control("GET", "/_fake/state?account="+acct+"&mode=live", "", &state))
	require.Len(t, state["charges"], 1)
	state = nil
	require.Equal(t, 200, f.control("GET", "/_fake/state?account="+acct+"&mode=live&kind=disputes", "", &state))
	require.Len(t, state, 1)
	require.Equal(t, 400, f.control("GET", "/_fake/state?account=x&mode=live", "", nil))
}

func TestFileClockIsShared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock.json")
	clock, err := stripefake.NewFileClock(path, start)
	require.NoError(t, err)
	f := setup(t, func(o *stripefake.Options) { o.Clock = clock })
	s := f.subscribe(f.customer("pm_card_visa"), f.price(1000, "month"), trial(5, ""))
	f.advance(time.Hour)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var state stripefake.ClockState
	require.NoError(t, json.Unmarshal(raw, &state))
	require.True(t, state.At.Equal(start.Add(time.Hour)))
	require.False(t, state.Running)

	other, err := stripefake.NewFileClock(path, time.Time{})
	require.NoError(t, err)
	require.NoError(t, other.Set(start.Add(6*day)))
	require.Equal(t, stripe.SubscriptionStatusActive, f.sub(s.ID).Status, "another process moved the clock")
	require.Equal(t, start.Add(5*day).Unix(), f.events("customer.subscription.updated")[0].Created)
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	require.Equal(t, start.Add(6*day), f.Clock.Now(), "half a file changes nothing")
	_, err = stripefake.NewFileClock(path, start)
	require.Error(t, err)
}
