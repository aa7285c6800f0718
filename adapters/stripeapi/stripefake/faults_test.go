package stripefake_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func TestRequestFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[stripefake.FaultKind]struct {
		status int  // 0: the connection breaks
		effect bool // seen at once
		kept   bool // the same key gets the same status
	}{
		stripefake.FaultDropBefore:  {0, false, false},
		stripefake.FaultDropAfter:   {0, true, false},
		stripefake.Fault500Before:   {500, false, true},
		stripefake.Fault500After:    {500, true, true},
		stripefake.FaultRateLimit:   {429, false, false},
		stripefake.FaultLockTimeout: {429, false, false},
		stripefake.FaultConflict:    {409, false, false},
		stripefake.FaultUnavailable: {503, false, false},
		stripefake.FaultTruncate:    {200, true, false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: kind, Method: "POST", Path: "^/v1/customers$"}))
			a, err := do(f.URL, liveKey, http.MethodPost, "/v1/customers", "name=A", "k")
			if want.status == 0 {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, want.status, a.status)
			}
			require.Equal(t, want.effect, len(f.get("/v1/customers", "").body["data"].([]any)) == 1)
			again := f.post("/v1/customers", "name=A", "k")
			if want.kept {
				require.Equal(t, want.status, again.status)
			} else {
				require.Equal(t, http.StatusOK, again.status)
			}
			require.Equal(t, want.effect && kind != stripefake.Fault500After, again.header.Get("Idempotent-Replayed") == "true" && !want.kept)
		})
	}
}

func TestFaultDetails(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultRateLimit, Reason: "endpoint-rate"}))
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultLockTimeout}))
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultTruncate}))
	limited := f.get("/v1/customers", "")
	require.Equal(t, "endpoint-rate", limited.header.Get("Stripe-Rate-Limited-Reason"))
	require.Equal(t, "rate_limit", limited.errorField("code"))
	locked := f.get("/v1/customers", "")
	require.Equal(t, "lock_timeout", locked.errorField("code"))
	require.Empty(t, locked.header.Get("Stripe-Rate-Limited-Reason"))
	require.Empty(t, locked.header.Get("Request-Id"))
	require.Nil(t, f.get("/v1/customers", "").body, "half a body is no JSON")
	require.NotNil(t, f.get("/v1/customers", "").body)
}

func TestRollForward(t *testing.T) {
	t.Parallel()
	f := setup(t)
	count := func() int { return len(f.get("/v1/customers", "").body["data"].([]any)) }
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Late, Delay: 30 * time.Second, Method: "POST"}))
	require.Equal(t, 500, f.post("/v1/customers", "name=A", "k").status)
	require.Equal(t, 0, count())
	f.advance(30 * time.Second)
	require.Equal(t, 1, count())
	require.Equal(t, 500, f.post("/v1/customers", "name=A", "k").status, "the key keeps the 500")
	require.Equal(t, 1, count())

	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Late, Method: "POST"}))
	require.Equal(t, 500, f.post("/v1/customers", "name=B", "").status)
	require.Equal(t, 2, count(), "rolled forward before the next request")
}

func TestFaultSelection(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultUnavailable, Method: "POST", Path: "customers", Mode: stripefake.Live, Skip: 1, Count: 2}))
	var got []int
	for range 4 {
		got = append(got, f.post("/v1/customers", "name=A", "").status)
	}
	require.Equal(t, []int{200, 503, 503, 200}, got)
	f.ClearFaults()
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultUnavailable, Account: "acct_other", Count: -1}))
	require.Equal(t, 200, f.post("/v1/customers", "", "").status)
	require.Error(t, f.AddFault(stripefake.FaultRule{Kind: "nonsense"}))
	require.Error(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultDelay, Path: "("}))
}

func TestSeededFaultsRepeat(t *testing.T) {
	t.Parallel()
	run := func() []int {
		f := setup(t, func(o *stripefake.Options) {
			o.SeededFaults = &stripefake.SeededFaults{Requests: map[stripefake.FaultKind]float64{stripefake.FaultUnavailable: 0.3, stripefake.FaultRateLimit: 0.2}, OnlyWrites: true}
		})
		var got []int
		for range 60 {
			got = append(got, f.post("/v1/customers", "", "").status)
			require.Equal(t, 200, f.get("/v1/customers", "").status)
		}
		return got
	}
	first := run()
	require.Equal(t, first, run())
	for _, status := range []int{200, 429, 503} {
		require.Contains(t, first, status)
	}
}
