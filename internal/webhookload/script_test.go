package webhookload_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/internal/webhookload"
)

var from = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

func script(t *testing.T, together int) *webhookload.Script {
	t.Helper()
	s, err := webhookload.NewScript(from, together)
	require.NoError(t, err)
	return s
}

// The script tells whole lives, each event once, the same ones every time.
func TestScript(t *testing.T) {
	t.Parallel()
	const together = 4
	s, same := script(t, together), script(t, together)
	require.Greater(t, s.Steps(), 25)
	smallest, largest := s.Sizes()
	require.Less(t, smallest, 1000)
	require.Greater(t, largest, 5000)
	ids, kinds, facts, customers := map[string]bool{}, map[string]int{}, map[string]int{}, map[string]time.Time{}
	n := 2 * together * s.Steps()
	for i := range n {
		body := s.Event(nil, i)
		require.Equal(t, body, same.Event(nil, i))
		require.True(t, json.Valid(body))
		c, err := reward.Classify(body, reward.Config{})
		require.NoError(t, err)
		require.Empty(t, c.Anomaly, "%s", body)
		require.Equal(t, s.EventID(i), c.Envelope.ID)
		require.False(t, ids[c.Envelope.ID], "an event is told once")
		ids[c.Envelope.ID] = true
		kinds[c.Envelope.Type]++
		for _, f := range c.Facts {
			facts[f.Key]++
		}
		if c.Envelope.Customer != "" {
			require.False(t, c.Envelope.Created.Before(customers[c.Envelope.Customer]), "a life goes forward")
			customers[c.Envelope.Customer] = c.Envelope.Created
		}
		require.False(t, c.Envelope.Created.Before(from))
		require.True(t, c.Envelope.Created.Before(from.Add(time.Hour)))
	}
	require.Len(t, customers, 2*together)
	for _, kind := range []string{"customer.updated", "invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "customer.subscription.deleted", "charge.refunded", "refund.created"} {
		require.Positive(t, kinds[kind], kind)
	}
	require.Greater(t, len(facts), 10*2*together)
}

// A load sends every event, every so many-th of them twice, signed so that the receiver's
// own check accepts it, and counts the answers.
func TestLoad(t *testing.T) {
	t.Parallel()
	s := script(t, 2)
	var mu sync.Mutex
	got := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var head struct {
			ID string `json:"id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&head); err != nil || r.Header.Get("Stripe-Signature") == "" || r.URL.Path != "/hook" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		got[head.ID]++
		if len(got) == 7 {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "busy")
		}
	}))
	t.Cleanup(web.Close)
	load := webhookload.Load{Script: s, Connections: 3, First: 10, Events: 40, RepeatEvery: 10, Target: webhookload.Target{Address: web.Listener.Addr().String(), Path: "/hook", Secret: "whsec_1"}}
	a := load.Run(t.Context())
	require.Equal(t, 44, a.Sent)
	require.Equal(t, 44, a.OK+a.Busy)
	require.Positive(t, a.Busy)
	require.Zero(t, a.Failed+a.Other)
	require.Len(t, got, 40)
	require.Equal(t, 1, got[s.EventID(10)])
	require.Equal(t, 2, got[s.EventID(19)])
	require.LessOrEqual(t, a.Percentile(0.5), a.Percentile(0.99))
	require.Positive(t, a.PerSecond())

	load.Rate, load.First, load.Events, load.RepeatEvery = 2000, 60, 20, 0
	a = load.Run(t.Context())
	require.Equal(t, 20, a.OK)
	require.GreaterOrEqual(t, a.Elapsed, 9*time.Millisecond, "not before its time")

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, silent.Close())
	load.Target.Address, load.Events = silent.Addr().String(), 5
	a = load.Run(t.Context())
	require.Equal(t, 5, a.Failed, "nobody listens")
}
