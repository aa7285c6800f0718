package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// ticker is a clock that the test moves.
type ticker struct {
	mu sync.Mutex
	at time.Time
}

func (c *ticker) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *ticker) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// shelf is a store of endpoints that counts how often it is asked.
type shelf struct {
	mu    sync.Mutex
	asked int
	known map[string]ingest.Endpoint
	err   error
}

func (s *shelf) WebhookEndpoint(_ context.Context, id string) (ingest.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return ingest.Endpoint{}, s.err
	}
	e, ok := s.known[id]
	if !ok {
		return e, fault.New(fault.NotFound, "endpoint_unknown", "no")
	}
	return e, nil
}

func TestEndpointCache(t *testing.T) {
	t.Parallel()
	wall := &ticker{at: now}
	store := &shelf{known: map[string]ingest.Endpoint{"we-a": {ID: "we-a", Secrets: []string{"one"}}}}
	cache := ingest.NewEndpointCache(store, wall)
	secretOf := func(id string) string {
		e, err := cache.WebhookEndpoint(t.Context(), id)
		require.NoError(t, err)
		return e.Secrets[0]
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := cache.WebhookEndpoint(t.Context(), "we-a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, store.asked, "one asks, the others wait for its answer")
	store.known["we-a"] = ingest.Endpoint{ID: "we-a", Secrets: []string{"two"}}
	wall.advance(4 * time.Second)
	require.Equal(t, "one", secretOf("we-a"))
	wall.advance(time.Second)
	require.Equal(t, "two", secretOf("we-a"), "after five seconds at the latest")
	require.Equal(t, 2, store.asked)

	for range 3 {
		_, err := cache.WebhookEndpoint(t.Context(), "we-b")
		require.True(t, fault.Is(err, fault.NotFound))
	}
	require.Equal(t, 3, store.asked, "what is not there is remembered as well")
	store.known["we-b"] = ingest.Endpoint{ID: "we-b", Secrets: []string{"new"}}
	wall.advance(time.Second)
	require.Equal(t, "new", secretOf("we-b"), "but not for long")

	store.err = errors.New("connection refused")
	require.Equal(t, "new", secretOf("we-b"), "what is fresh needs no store")
	wall.advance(time.Minute)
	_, err := cache.WebhookEndpoint(t.Context(), "we-b")
	require.ErrorIs(t, err, store.err)
	_, _, err = cache.Recheck(t.Context(), "we-b")
	require.ErrorIs(t, err, store.err)
	store.err = nil
	require.Equal(t, "new", secretOf("we-b"), "a failure is not remembered")
	wall.advance(-time.Hour)
	asked := store.asked
	require.Equal(t, "new", secretOf("we-b"))
	require.Equal(t, asked+1, store.asked, "a clock that was set back makes nothing eternal")
}

// Names that nobody registered do not fill the memory.
func TestEndpointCacheIsBounded(t *testing.T) {
	t.Parallel()
	store := &shelf{known: map[string]ingest.Endpoint{"we-a": {ID: "we-a"}}}
	cache := ingest.NewEndpointCache(store, &ticker{at: now})
	for i := range 20_000 {
		_, err := cache.WebhookEndpoint(t.Context(), fmt.Sprint(i))
		require.True(t, fault.Is(err, fault.NotFound))
	}
	require.LessOrEqual(t, cache.Len(), 4096)
	_, err := cache.WebhookEndpoint(t.Context(), "we-a")
	require.NoError(t, err)
}

func (w *world) store(secret string) {
	w.t.Helper()
	sealed, err := w.box.Seal(onboard.SecretContext("we-acme"), []byte(secret))
	require.NoError(w.t, err)
	require.NoError(w.t, w.db.Onboarding().Do(w.ctx, func(ctx context.Context, st onboard.Stores) error {
		return st.Connections.UpsertEndpoint(ctx, onboard.Endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live,
			URL: "https://x", StripeID: "we_2", SealedSecret: sealed, CreatedAt: now})
	}))
}

// A rolled secret is good at its first delivery, although another is in the cache; one
// that was rolled away is refused when the cache has aged; and forged deliveries cost one
// query a second.
func TestRolledSecretsReachACachedEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wall := &ticker{at: now}
	store := &counting{Endpoints: w.svc.Endpoints}
	w.svc.Endpoints = ingest.NewEndpointCache(store, wall)
	_, err := w.receive(event("evt_1", ""), current, now)
	require.NoError(t, err)
	const next = "whsec_next_4f8d2c1b9a7e60530"
	w.store(next)
	_, err = w.receive(event("evt_2", ""), next, now)
	require.Equal(t, "signature_mismatch", fault.CodeOf(err), "within the second that was looked at just now")
	wall.advance(time.Second)
	_, err = w.receive(event("evt_2", ""), next, now)
	require.NoError(t, err)
	_, err = w.receive(event("evt_3", ""), current, now)
	require.NoError(t, err, "both hold while one is rolled")
	asked := store.asked
	for range 50 {
		_, err = w.receive(event("evt_x", ""), "whsec_forged", now)
		require.Equal(t, "signature_mismatch", fault.CodeOf(err))
	}
	require.Equal(t, asked, store.asked)
	_, err = w.receive(event("evt_x", ""), previous, now)
	require.Equal(t, "signature_mismatch", fault.CodeOf(err), "the one before the last is gone")
	require.Equal(t, 3, w.count("true"))

	down := errors.New("connection refused")
	store.err = down
	wall.advance(2 * time.Second)
	_, err = w.receive(event("evt_y", ""), "whsec_forged", now)
	require.ErrorIs(t, err, down, "whether it is forged cannot be told: there may be a newer secret")
	_, err = w.receive(event("evt_4", ""), next, now)
	require.NoError(t, err, "what is known is good for its time")
}

type counting struct {
	ingest.Endpoints
	asked int
	err   error
}

func (c *counting) WebhookEndpoint(ctx context.Context, id string) (ingest.Endpoint, error) {
	c.asked++
	if c.err != nil {
		return ingest.Endpoint{}, c.err
	}
	return c.Endpoints.WebhookEndpoint(ctx, id)
}
