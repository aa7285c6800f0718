package simulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/period"
)

func month(t testing.TB, s string) period.Month {
	t.Helper()
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

// stand is a stand-in with one Stripe account per business and a sink for webhooks.
type stand struct {
	t     testing.TB
	fake  *stripefake.Server
	sink  *httptest.Server
	hooks atomic.Int64
}

func newStand(t testing.TB, start time.Time) *stand {
	t.Helper()
	s := &stand{t: t, fake: stripefake.Start(t, stripefake.Options{Start: start})}
	s.sink = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.hooks.Add(1) }))
	t.Cleanup(s.sink.Close)
	return s
}

// open starts a business in a Stripe account of its own.
func (s *stand) open(spec simulator.Spec, account, mode string) *simulator.Business {
	s.t.Helper()
	secret := "sk_" + mode + "_" + account
	s.fake.MustAccount(stripefake.AccountSpec{ID: "acct_" + account, Name: account, Keys: []stripefake.KeySpec{{Mode: mode, Secret: secret}}})
	b, err := simulator.New(spec, simulator.Client{
		StripeURL: s.fake.URL, SecretKey: secret, ControlURL: s.fake.URL, StripeAccount: "acct_" + account, Mode: mode,
	})
	require.NoError(s.t, err)
	require.NoError(s.t, b.SetUp(s.t.Context()))
	s.listen(secret)
	return b
}

func (s *stand) listen(secret string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.fake.URL+"/v1/webhook_endpoints?enabled_events[]=*&url="+s.sink.URL, nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := s.fake.Client.Do(req)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	require.Equal(s.t, http.StatusOK, resp.StatusCode)
}

func (s *stand) run(from, to time.Time, businesses ...*simulator.Business) {
	s.t.Helper()
	require.NoError(s.t, simulator.NewWorld(s.fake.URL, businesses...).Run(s.t.Context(), from, to, nil))
}

func TestTheModelIsWhatStripeBooked(t *testing.T) {
	t.Parallel()
	spec := simulator.DefaultSpec("small", 7, month(t, "2026-01"), month(t, "2026-02")).Scale(0.05)
	spec.Webhooks = simulator.Disturbance{Duplicate: 0.2, Reorder: 0.2, Late: 0.2, LateBy: 5 * time.Hour}
	s := newStand(t, spec.Start())
	b := s.open(spec, "small", stripefake.Live)

	var last, total int
	w := simulator.NewWorld(s.fake.URL, b)
	require.NoError(t, w.Run(t.Context(), spec.Start(), spec.FreshAt(spec.Months[0]), func(done, all int, what string) {
		require.Greater(t, done, last)
		require.NotEmpty(t, what)
		last, total = done, all
	}))
	require.Equal(t, total, last)
	require.Equal(t, len(b.Steps(spec.Months[0])), total)
	require.NoError(t, b.Verify(t.Context()))

	s.run(spec.FreshAt(spec.Months[0]), spec.FreshAt(spec.Months[1]), b)
	require.NoError(t, b.Verify(t.Context()))
	require.Positive(t, b.NetMinor(spec.Months[1]))

	// Let what is late arrive: nothing is lost, and many came twice.
	require.NoError(t, s.fake.Advance(6*time.Hour))
	require.NoError(t, s.fake.DeliverPending())
	state, err := s.fake.State("acct_small", stripefake.Live)
	require.NoError(t, err)
	require.Greater(t, s.hooks.Load(), int64(len(state["events"])))
	require.Len(t, state["disputes"], 1)
	require.NotEmpty(t, state["refunds"])
}

func BenchmarkThreeAccountsMonth(b *testing.B) {
	for b.Loop() {
		threeAccounts(b, b.Context())
	}
}

func threeAccounts(t testing.TB, ctx context.Context) {
	m := month(t, "2026-01")
	spec := simulator.DefaultSpec("x", 1, m)
	s := newStand(t, spec.Start())
	var all []*simulator.Business
	for i, a := range []struct{ name, mode string }{{"acme", stripefake.Live}, {"globex", stripefake.Live}, {"sandbox", stripefake.Test}} {
		spec := simulator.DefaultSpec(a.name, int64(i+1), m)
		all = append(all, s.open(spec, a.name, a.mode))
	}
	s.run(spec.Start(), spec.FreshAt(m), all...)
	for _, b := range all {
		require.NoError(t, b.Verify(ctx))
	}
}
