package stripefake_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

func TestIdempotentReplay(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.post("/v1/customers", "name=A", "k1")
	require.Equal(t, http.StatusOK, first.status)
	require.Empty(t, first.header.Get("Idempotent-Replayed"))
	again := f.post("/v1/customers", "name=A", "k1")
	require.Equal(t, first.raw, again.raw)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))
	require.Len(t, f.events("customer.created"), 1)
	log := f.Requests(stripefake.RequestFilter{IdempotencyKey: "k1"})
	require.Len(t, log, 2)
	require.False(t, log[0].Replayed)
	require.True(t, log[1].Replayed)
}

func TestIdempotencyKeyMisuse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.post("/v1/customers", "name=A", "k1")
	other := f.post("/v1/customers", "name=B", "k1")
	require.Equal(t, http.StatusBadRequest, other.status)
	require.Equal(t, "idempotency_error", other.errorField("type"))
	require.Contains(t, other.errorField("message"), "same parameters")
	path := f.post("/v1/products", "name=A", "k1")
	require.Equal(t, "idempotency_error", path.errorField("type"))
	require.Contains(t, path.errorField("message"), "same endpoint")
	same, err := do(f.URL, testKey, http.MethodPost, "/v1/customers", "name=B", "k1")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, same.status, "keys belong to one account and mode")
}

func TestIdempotencyPruning(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.post("/v1/customers", "name=A", "k1")
	f.advance(24*time.Hour - time.Second)
	require.Equal(t, first.body["id"], f.post("/v1/customers", "name=A", "k1").body["id"])
	f.advance(time.Second)
	require.NotEqual(t, first.body["id"], f.post("/v1/customers", "name=A", "k1").body["id"])
}

func TestWhatIdempotencyKeeps(t *testing.T) {
	t.Parallel()
	f := setup(t)
	// Refused by validation: the key stays free, even for other parameters.
	require.Equal(t, http.StatusBadRequest, f.post("/v1/customers", "nmae=A", "validation").status)
	require.Equal(t, http.StatusOK, f.post("/v1/customers", "name=A", "validation").status)
	// Refused while executing: kept.
	require.Equal(t, http.StatusBadRequest, f.post("/v1/invoices", "customer=cus_x", "execution").status)
	require.Equal(t, "true", f.post("/v1/invoices", "customer=cus_x", "execution").header.Get("Idempotent-Replayed"))
	// A rate limit comes before the key.
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultRateLimit}))
	require.Equal(t, http.StatusTooManyRequests, f.post("/v1/customers", "name=A", "limited").status)
	limited := f.post("/v1/customers", "name=A", "limited")
	require.Equal(t, http.StatusOK, limited.status)
	require.Empty(t, limited.header.Get("Idempotent-Replayed"))
	// A 500 is kept, whether or not it had an effect.
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Before, Method: "POST"}))
	require.Equal(t, 500, f.post("/v1/products", "name=A", "boom").status)
	boom := f.post("/v1/products", "name=A", "boom")
	require.Equal(t, 500, boom.status)
	require.Equal(t, "true", boom.header.Get("Idempotent-Replayed"))
	require.Empty(t, f.get("/v1/products", "").body["data"])
	// GET and DELETE ignore keys.
	id := limited.body["id"].(string)
	for range 2 {
		a, err := do(f.URL, liveKey, http.MethodDelete, "/v1/customers/"+id, "", "del")
		require.NoError(t, err)
		require.Empty(t, a.header.Get("Idempotent-Replayed"))
	}
}

func TestKeyInUse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, f.AddFault(stripefake.FaultRule{Kind: stripefake.FaultDelay, Delay: 3 * time.Second}))
	statuses := make([]int, 2)
	codes := make([]string, 2)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a, err := do(f.URL, liveKey, http.MethodPost, "/v1/customers", "name=A", "busy")
			if err == nil {
				statuses[i], codes[i] = a.status, a.errorField("code")
			}
		}()
	}
	wg.Wait()
	require.ElementsMatch(t, []int{http.StatusOK, http.StatusConflict}, statuses)
	require.Contains(t, codes, "idempotency_key_in_use")
	require.Equal(t, http.StatusOK, f.post("/v1/customers", "name=A", "busy").status)
}
