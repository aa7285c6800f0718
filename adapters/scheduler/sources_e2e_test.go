//go:build e2e

package scheduler_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	app "github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// TestEnsureSourcesOnTheRealServer: the second start of a worker writes nothing, another
// interval is corrected, and a pause stays.
func TestEnsureSourcesOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	ensure := func() bool {
		wrote, err := s.EnsureSources(t.Context(), account.Test)
		require.NoError(t, err)
		return wrote
	}
	require.True(t, ensure())
	require.False(t, ensure())
	h := s.Client().ScheduleClient().GetHandle(t.Context(), "source-sync/test")
	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "maintenance"}))
	require.NoError(t, h.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		sched := in.Description.Schedule
		sched.Spec.Intervals[0].Every = time.Hour
		return &client.ScheduleUpdate{Schedule: &sched}, nil
	}}))
	require.True(t, ensure())
	require.False(t, ensure())
	d, err := h.Describe(t.Context())
	require.NoError(t, err)
	require.True(t, d.Schedule.State.Paused)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
	require.Equal(t, time.Minute, d.Schedule.Policy.CatchupWindow)
}

// company is a Stripe account that lives a month and is connected more than once.
type company struct {
	*pipelinetest.Deployment
	t        *testing.T
	business *simulator.Business
	month    period.Month
}

func newCompany(t *testing.T) *company {
	t.Helper()
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	d := pipelinetest.NewDeployment(t, m.In(time.UTC).Start)
	made := d.Fake.MustAccount(stripefake.AccountSpec{ID: "acct_acme", Keys: []stripefake.KeySpec{{Mode: stripefake.Live}}})
	spec := simulator.DefaultSpec("acme", 3, m)
	spec.Snapshots = []simulator.SnapshotSpec{
		{ID: "offer", Name: "A better offer", Units: 160, BaselineConversion: 0.25, PolicyConversion: 0.85},
		{ID: "words", Name: "Other words", Units: 80, BaselineConversion: 0.35, PolicyConversion: 0.35},
	}
	spec.Unmapped, spec.Prices = 2, []int64{2900, 3900}
	c := &company{Deployment: d, t: t, month: m}
	c.business, err = simulator.New(spec, simulator.Client{StripeURL: d.Fake.URL, SecretKey: made.Keys[0].Secret, ControlURL: d.Fake.URL, StripeAccount: "acct_acme", Mode: "live"})
	require.NoError(t, err)
	require.NoError(t, c.business.SetUp(t.Context()))
	return c
}

// join makes a connection with a restricted key of its own.
func (c *company) join(id string, permissions map[string]string) {
	c.t.Helper()
	key, err := c.Fake.AddKey(stripefake.KeySpec{Account: "acct_acme", Mode: stripefake.Live, Restricted: true, Permissions: permissions})
	require.NoError(c.t, err)
	c.Post(c.t, "/v1/connections", httpapi.ConnectionCreate{ID: id, Environment: "live", Roles: []string{"source"}, SecretKey: key.Secret}, nil)
}

// table is the reward table without the columns that say how a fact came in.
func (c *company) table(connectionID string, kinds ...string) map[string]string {
	c.t.Helper()
	rows, err := c.SQL.Query(c.t.Context(), `
		SELECT fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id, coalesce(amount_minor::text, ''), currency, effective_at, historic,
			(detail #- '{flags,inferred}'::text[] #- '{flags,at_trial_end}'::text[]) - 'mrr_before'::text - 'mrr_after'::text
		FROM reward_events WHERE connection_id = $1`, connectionID)
	require.NoError(c.t, err)
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		v, err := rows.Values()
		require.NoError(c.t, err)
		if len(kinds) > 0 && !slices.Contains(kinds, v[1].(string)) {
			continue
		}
		raw, err := json.Marshal(v[1:])
		require.NoError(c.t, err)
		out[v[0].(string)] = strings.ReplaceAll(string(raw), `"flags":{}`, `"flags":null`)
	}
	require.NoError(c.t, rows.Err())
	return out
}

func (c *company) status(id string) httpapi.SourceSync {
	var s httpapi.SourceSync
	c.Get(c.t, "/v1/connections/"+id+"/sync", &s)
	return s
}

// liveWith lives the month; between its days the Schedule's tick runs.
func (c *company) liveWith(s *scheduler.Scheduler, connectionID string) {
	c.t.Helper()
	w := simulator.NewWorld(c.Fake.URL, c.business)
	advance, next := w.Advance, c.Clock.Now()
	w.Advance = func(ctx context.Context, to time.Time) error {
		for ; next.Before(to); next = next.Add(24 * time.Hour) {
			if err := advance(ctx, next); err != nil {
				return err
			}
			if err := w.Flush(ctx); err != nil {
				return err
			}
			c.tick(s, connectionID)
		}
		return advance(ctx, to)
	}
	spec := c.business.Spec()
	require.NoError(c.t, w.Run(c.t.Context(), spec.Start(), spec.FreshAt(c.month), nil))
	require.NoError(c.t, advance(c.t.Context(), c.Clock.Now().Add(time.Hour)))
	require.NoError(c.t, w.Flush(c.t.Context()))
	c.tick(s, connectionID)
}

// tick lets the Schedule fire and waits until the connection was read and the read is
// over: the mark moves with the last page, and what is due next is noted behind it, by a
// clock that must not have gone on to the next day by then.
func (c *company) tick(s *scheduler.Scheduler, connectionID string) {
	c.t.Helper()
	require.NoError(c.t, s.TriggerSources(c.t.Context(), account.Live))
	now, st := c.Clock.Now(), httpapi.SourceSync{}
	defer func() {
		if c.t.Failed() {
			c.t.Logf("at %s the connection was not read: %+v", now, st)
		}
	}()
	require.Eventually(c.t, func() bool {
		st = c.status(connectionID)
		return !st.HighWater.Before(now.Add(-time.Minute)) && st.NextAt.After(now)
	}, patience, 20*time.Millisecond)
}

// TestAReadOnlyKeyOnTheRealServer: a company lives a month. One connection gets its
// webhooks; one has a restricted read-only key and no webhook at all, and is fetched by
// the Schedule. Their reward tables are the same.
func TestAReadOnlyKeyOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	c := newCompany(t)
	c.join("hooked", map[string]string{"*": "read", "webhook": "write"})
	c.Post(t, "/v1/connections/hooked/webhook-endpoint", nil, nil)
	c.join("polled", map[string]string{"*": "read"})
	stop := workSources(t, s, c.Deployment, c.Sources())
	defer stop()
	_, err := s.EnsureSources(t.Context(), account.Live)
	require.NoError(t, err)
	c.liveWith(s, "polled")
	for _, id := range []string{"hooked", "polled"} {
		require.NoError(t, c.DrainAll(t.Context(), id))
	}
	want := c.table("hooked")
	require.Greater(t, len(want), 300)
	require.Empty(t, cmp.Diff(want, c.table("polled")))
	st := c.status("polled")
	require.Equal(t, httpapi.SourceSyncState("ok"), st.State, st.Reason)
	require.True(t, st.Pulling)
	require.Less(t, st.Reads.Used, st.Reads.Limit)
	require.Empty(t, c.Fake.Requests(stripefake.RequestFilter{Account: "acct_acme", Method: "write", Path: "/v1/invoices"}), "nothing was written")
	ticks := runs(t, s, wire.WorkflowSourceTick)
	require.Regexp(t, `^source-tick/live-\d{4}-`, ticks[0])
	if os.Getenv("RECORD") != "" {
		for i, name := range []string{"first.json", "later.json"} {
			record(t, s, ticks[i*len(ticks)/2], "sourcesync/testdata/history/tick/"+name)
		}
	}
}

// lastPages is a use case whose worker ends after a number of pages of a backfill.
type lastPages struct {
	*app.Service
	left    atomic.Int64
	reached chan struct{}
	gone    chan struct{}
}

// Objects fails once the pages are used up, and the worker with it.
func (l *lastPages) Objects(ctx context.Context, id string, r app.Resource, from, to time.Time, after string) (app.ObjectPage, error) {
	switch n := l.left.Add(-1); {
	case n == 0:
		close(l.reached)
		<-l.gone
		fallthrough
	case n < 0:
		return app.ObjectPage{}, fault.New(fault.Unavailable, "stripe_transient", "the worker has ended")
	}
	return l.source().Objects(ctx, id, r, from, to, after)
}

func (l *lastPages) source() app.Source { return l.Service.Source.(dyingSource).Source }

// dyingSource lists through the worker that ends.
type dyingSource struct {
	app.Source
	l *lastPages
}

func (d dyingSource) Objects(ctx context.Context, id string, r app.Resource, from, to time.Time, after string) (app.ObjectPage, error) {
	return d.l.Objects(ctx, id, r, from, to, after)
}

// TestBackfillOnTheRealServer: a connection that is made when the month is over gets its
// history. The worker ends in the middle, another one goes on behind the last page, and
// the table is that of the webhooks, with nothing lost and nothing twice.
func TestBackfillOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	c := newCompany(t)
	c.join("hooked", map[string]string{"*": "read", "webhook": "write"})
	c.Post(t, "/v1/connections/hooked/webhook-endpoint", nil, nil)
	spec := c.business.Spec()
	w := simulator.NewWorld(c.Fake.URL, c.business)
	require.NoError(t, w.Run(t.Context(), spec.Start(), spec.FreshAt(c.month), nil))
	c.join("late", map[string]string{"*": "read"})

	first := &lastPages{Service: c.Sources(), reached: make(chan struct{}), gone: make(chan struct{})}
	first.Service.Source = dyingSource{first.Service.Source, first}
	first.left.Store(25)
	stop := workSources(t, s, c.Deployment, first)
	_, err := s.EnsureSources(t.Context(), account.Live)
	require.NoError(t, err)
	var b httpapi.Backfill
	c.Post(t, "/v1/connections/late/backfill", httpapi.BackfillRequest{}, &b)
	require.NoError(t, s.TriggerSources(t.Context(), account.Live))
	select {
	case <-first.reached:
	case <-time.After(patience):
		require.Fail(t, "the first worker got nowhere")
	}
	before := objects(c.status("late").Backfill)
	require.Positive(t, before)
	close(first.gone)
	stop()
	require.Equal(t, httpapi.BackfillState("running"), c.status("late").Backfill.State)
	stop = workSources(t, s, c.Deployment, c.Sources())
	defer stop()
	require.Eventually(t, func() bool { return c.status("late").Backfill.State == "done" }, patience, 50*time.Millisecond)
	var done wire.BackfillProgress
	id := wire.BackfillWorkflowID(account.Live, "late")
	require.NoError(t, s.Client().GetWorkflow(t.Context(), id, "").Get(t.Context(), &done))
	require.Equal(t, "done", done.State)
	if os.Getenv("RECORD") != "" {
		record(t, s, id, "sourcesync/testdata/history/backfill/worker_died.json")
	}

	// What the lists showed was read once each: every object of the account, and no more.
	state, err := c.Fake.State("acct_acme", stripefake.Live)
	require.NoError(t, err)
	for _, p := range c.status("late").Backfill.Progress {
		if all, listed := state[p.Resource]; listed && p.Resource != "events" {
			require.Equal(t, len(all), p.Objects, p.Resource)
		}
	}
	for _, id := range []string{"hooked", "late"} {
		require.NoError(t, c.DrainAll(t.Context(), id))
	}
	exact := []string{"revenue_confirmation", "refund", "dispute", "churn", "trial_start", "trial_expired", "trial_cancelled"}
	want := c.table("hooked", exact...)
	require.Greater(t, len(want), 200)
	require.Empty(t, cmp.Diff(want, c.table("late", exact...)))

	// Asked for again it is another one, which finds that everything is known.
	c.Post(t, "/v1/connections/late/backfill", httpapi.BackfillRequest{}, &b)
	require.NoError(t, s.TriggerSources(t.Context(), account.Live))
	require.Eventually(t, func() bool {
		last := c.status("late").Backfill
		return last.ID == b.ID && last.State == "done"
	}, patience, 50*time.Millisecond)
	require.Empty(t, cmp.Diff(want, c.table("late", exact...)))
}

func objects(b httpapi.Backfill) (n int) {
	for _, p := range b.Progress {
		n += p.Objects
	}
	return n
}
