package sourcesync_test

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

// timeRE finds the times of a row.
var timeRE = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)

// throttled is a refusal that asks for a wait of so many seconds.
func throttled(seconds int) stripefake.FaultRule {
	return stripefake.FaultRule{Kind: stripefake.FaultRateLimit, Method: "GET", Path: "^/v1/(events|customers)$", Reason: "endpoint-rate", RetryAfter: seconds}
}

func (w *world) sync(id string) sourcesync.Outcome {
	w.t.Helper()
	out, err := w.service(nil).Sync(w.t.Context(), id)
	require.NoError(w.t, err)
	return out
}

// TestChecksFindWhatWebhooksLost: with an endpoint nothing is fetched in between; the
// hourly check finds what did not arrive, fetches it, and says so.
func TestChecksFindWhatWebhooksLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("hooked", "acct_life", true)
	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLost, Event: `^invoice\.paid$`, Count: -1}))
	c.advance(20 * time.Minute)
	c.subscribe(c.user("u"), 1)
	require.NoError(t, w.Fake.DeliverPending())
	require.Empty(t, w.sync("hooked").Task, "nothing is due")
	require.Zero(t, w.health("hooked").MissedTotal)
	c.advance(time.Hour)
	out := w.sync("hooked")
	require.Equal(t, source.TaskHourly, out.Task)
	require.Equal(t, 1, out.New)
	require.Equal(t, 1, out.Missed)
	h := w.health("hooked")
	require.Equal(t, 1, h.MissedDay)
	require.Equal(t, "invoice.paid", h.Missed[0].Type)
	require.Equal(t, &sourcesync.RunView{Task: source.TaskHourly, At: w.Clock.Now(), Seen: out.Seen, New: 1, Missed: 1}, h.LastCheck)
	require.Contains(t, w.log.String(), "webhook_missing")
	require.Empty(t, w.sync("hooked").Task)

	// A webhook that is only late is no loss: the check leaves it its time.
	w.Fake.ClearFaults()
	c.advance(58 * time.Minute)
	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.WebhookLate, Count: -1, Delay: 5 * time.Minute}))
	c.user("v")
	c.advance(3 * time.Minute)
	out = w.sync("hooked")
	require.Equal(t, source.TaskHourly, out.Task)
	require.Equal(t, 1, out.New)
	require.Zero(t, out.Missed)
	c.advance(5 * time.Minute)
	require.NoError(t, w.Fake.DeliverPending())
	require.Equal(t, 1, one[int](w, `SELECT count(*) FROM stripe_events WHERE type = 'customer.created' AND source = 'pull'`))

	// The daily check looks back three days.
	c.advance(20 * time.Hour)
	w.sync("hooked")
	w.exec(`DELETE FROM event_processing`)
	w.exec(`DELETE FROM stripe_events`)
	c.advance(4 * time.Hour)
	out = w.sync("hooked")
	require.Equal(t, source.TaskDaily, out.Task)
	require.Equal(t, out.Seen, out.New)
	require.Greater(t, out.Missed, 3)
}

// TestEventsThatAppearLateAreFound: what becomes visible after its window was read is
// found by the check and counted, without a webhook too.
func TestEventsThatAppearLateAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("polled", "acct_life", false)
	c.advance(15 * time.Minute)
	c.user("u")
	hidden := w.service(func(real sourcesync.Source) sourcesync.Source { return hiding{real} })
	for range 2 {
		c.advance(15 * time.Minute)
		_, err := hidden.Fetch(t.Context(), "polled")
		require.NoError(t, err)
	}
	require.Zero(t, w.fetch("polled").New, "the overlap does not reach back to it any more")
	c.advance(20 * time.Minute)
	out := w.sync("polled")
	require.Equal(t, source.TaskHourly, out.Task)
	require.Equal(t, 1, out.Missed)
	require.Equal(t, 1, w.health("polled").MissedTotal)
}

// hiding shows no events yet.
type hiding struct{ sourcesync.Source }

func (hiding) Events(context.Context, string, time.Time, time.Time, string) (sourcesync.EventPage, error) {
	return sourcesync.EventPage{}, nil
}

// TestRefusalsAreKeptWithTheSource: what Stripe refuses stands there with the remedy and
// the next attempt, and costs no other source anything.
func TestRefusalsAreKeptWithTheSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	secret := w.connect("polled", "acct_life", false)
	w.connect("other", "acct_life", false)
	c.advance(10 * time.Minute)

	require.NoError(t, w.Fake.AddFault(throttled(90)))
	out := w.sync("polled")
	require.Equal(t, "stripe_throttled", out.Failed.Code)
	h := w.health("polled")
	require.False(t, h.RetryAt.Before(w.Clock.Now().Add(90*time.Second)))
	require.True(t, h.RetryAt.Before(w.Clock.Now().Add(91*time.Second)), "those who are told to wait do not all come back at once")
	require.Empty(t, w.sync("polled").Task, "not before the time that Stripe named")
	c.advance(91 * time.Second)
	require.Empty(t, w.sync("polled").Failed.Code)
	require.Zero(t, w.health("polled").Failures)

	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultRateLimit, Reason: "endpoint-rate", Method: "GET", Path: "^/v1/(events|customers)$", Count: -1}))
	var pauses []time.Duration
	for range 8 {
		c.advance(time.Hour)
		out = w.sync("polled")
		require.NotEmpty(t, out.Failed.Code)
		pauses = append(pauses, w.health("polled").RetryAt.Sub(w.Clock.Now()))
	}
	minute := time.Minute
	require.Equal(t, []time.Duration{minute, 2 * minute, 4 * minute, 8 * minute, 16 * minute, 32 * minute, time.Hour, time.Hour}, pauses)
	h = w.health("polled")
	require.NotEmpty(t, h.Problem.Message)
	require.Equal(t, w.Clock.Now(), h.Problem.At)
	err := w.service(nil).Refresh(t.Context(), "polled")
	require.True(t, fault.Is(err, fault.Unavailable), "a month is not closed on half its events")
	w.Fake.ClearFaults()

	c.advance(time.Hour)
	require.NoError(t, w.Fake.RevokeKey(secret))
	require.Equal(t, "stripe_auth", w.sync("polled").Failed.Code)
	require.Contains(t, w.health("polled").Problem.Action, "create a new restricted key")
	c.advance(time.Hour)
	require.Equal(t, "connection_paused", w.sync("polled").Skipped.Code, "a revoked key pauses the connection")
	st, err := w.service(nil).Status(t.Context(), "polled")
	require.NoError(t, err)
	require.Equal(t, sourcesync.Paused, st.Verdict)
	require.Contains(t, st.Why.Message, "key_revoked")
	require.Contains(t, st.Why.Action, "another key")
	require.Empty(t, w.sync("other").Failed.Code)
	require.Contains(t, w.log.String(), "stripe_auth")
	require.NotContains(t, w.log.String(), secret)
}

// TestSettings: a person decides whether, how and how often a source is read.
func TestSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("polled", "acct_life", false)
	w.connect("hooked", "acct_life", true)
	s := w.service(nil)
	set := func(id string, change sourcesync.Change) sourcesync.Connection {
		conn, err := s.Configure(t.Context(), by, id, change)
		require.NoError(t, err)
		return conn
	}
	no, yes, always, hour, second := false, true, source.PullAlways, time.Hour, time.Second
	c.advance(time.Minute)
	require.Equal(t, source.TaskPull, w.sync("polled").Task)
	c.advance(10 * time.Minute)
	require.Equal(t, source.TaskPull, w.sync("polled").Task, "nothing was new, so that the second pause is twice as long")
	require.Equal(t, w.Clock.Now().Add(20*time.Minute), w.health("polled").NextPull)
	set("polled", sourcesync.Change{Interval: &hour})
	require.Equal(t, w.Clock.Now().Add(20*time.Minute), w.health("polled").NextPull)
	_, err := s.Configure(t.Context(), by, "polled", sourcesync.Change{Interval: &second})
	require.Equal(t, "interval_out_of_range", fault.CodeOf(err))
	strange := source.Pull("sometimes")
	_, err = s.Configure(t.Context(), by, "polled", sourcesync.Change{Pull: &strange})
	require.Equal(t, "pull_unknown", fault.CodeOf(err))

	set("polled", sourcesync.Change{Enabled: &no})
	c.advance(48 * time.Hour)
	due, err := w.DB.NewSources().Due(t.Context(), account.Live, "", w.Clock.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, []sourcesync.Due{{ConnectionID: "hooked", Sync: true}}, due)
	out, err := s.Fetch(t.Context(), "polled")
	require.NoError(t, err)
	require.Equal(t, "sync_off", out.Skipped.Code)
	require.Empty(t, w.sync("polled").Task)
	set("polled", sourcesync.Change{Enabled: &yes})
	require.Equal(t, source.TaskDaily, w.sync("polled").Task)

	require.Equal(t, source.TaskDaily, w.sync("hooked").Task)
	c.advance(10 * time.Minute)
	require.Empty(t, w.sync("hooked").Task)
	set("hooked", sourcesync.Change{Pull: &always})
	require.Equal(t, source.TaskPull, w.sync("hooked").Task, "an endpoint that is sent a few types only")

	w.exec(`UPDATE connections SET paused = true WHERE id = 'polled'`)
	out, err = s.Fetch(t.Context(), "polled")
	require.NoError(t, err)
	require.Equal(t, "connection_paused", out.Skipped.Code)
	_, err = s.Configure(t.Context(), by, "nobody", sourcesync.Change{})
	require.True(t, fault.Is(err, fault.NotFound))
}

// TestTheAllowanceIsKept: requests are counted as they were sent, a fetch stops where
// the rest is kept for money, and money is read all the same.
func TestTheAllowanceIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("polled", "acct_life", false)
	c.subscribe(c.user("u"), 1)
	c.refundAll()
	c.advance(2 * time.Minute)
	w.Fake.ResetRequests()
	require.NoError(t, w.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultUnavailable, Method: "GET", Path: "^/v1/events$"}))
	w.fetch("polled")
	sent := len(w.Fake.Requests(stripefake.RequestFilter{Account: "acct_life", Method: "GET", Path: "/v1/events"}))
	require.Equal(t, 2, sent, "one was repeated")
	require.Equal(t, sent, w.health("polled").Budget.Used)

	w.exec(`UPDATE source_reads SET reads = 9500`) // too many for names
	out, err := w.service(nil).Fetch(t.Context(), "polled")
	require.NoError(t, err)
	require.Equal(t, "read_budget_exhausted", out.Skipped.Code)
	_, err = w.Classifier().Drain(t.Context())
	require.NoError(t, err)
	n, err := w.Classifier().ReadDue(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n, "the refunded charge")
	require.Equal(t, 9502, w.health("polled").Budget.Used)
	w.exec(`UPDATE source_reads SET reads = 10000`)
	require.NoError(t, w.Fake.Advance(31*24*time.Hour))
	require.Zero(t, w.health("polled").Budget.Used, "the days roll on")
}

func (c *company) refundAll() {
	for _, id := range c.ids("charges") {
		_, ok := c.call("POST", "/v1/refunds", map[string][]string{"charge": {id}})
		require.True(c.t, ok)
	}
}

// TestUnreadShapesAreReadAgain: an event that cannot be understood asks for its object;
// once that was read the event is out of quarantine, and what the object proves is booked.
func TestUnreadShapesAreReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("polled", "acct_life", false)
	sub := c.subscribe(c.user("u"), 1)
	invoice := c.ids("invoices")[0]
	odd := func(id, kind string, object map[string]any) {
		raw, err := json.Marshal(map[string]any{"id": id, "object": "event", "type": kind, "created": w.Clock.Now().Unix(), "livemode": true, "api_version": "2031-01-01.rose", "data": map[string]any{"object": object}})
		require.NoError(t, err)
		w.deliver("polled", raw)
	}
	odd("evt_1", "invoice.paid", map[string]any{"id": invoice, "object": "invoice", "state": "settled"})
	odd("evt_2", "customer.subscription.updated", map[string]any{"id": sub, "object": "subscription", "status": "blooming"})
	odd("evt_3", "refund.created", map[string]any{"id": "re_nowhere", "object": "refund", "currency": "usd"})
	_, err := w.Classifier().Drain(t.Context())
	require.NoError(t, err)
	const states = `SELECT string_agg(event_id || ' ' || status || ' ' || reason, ', ' ORDER BY event_id) FROM event_processing`
	require.Equal(t, "evt_1 ignored no_reward_change, evt_2 quarantined status_unknown, evt_3 quarantined amount_missing", one[string](w, states))
	require.Empty(t, w.table("polled"))
	_, err = w.Classifier().ReadDue(t.Context())
	require.NoError(t, err)
	require.Equal(t, "evt_1 ignored no_reward_change, evt_2 processed resolved_by_read, evt_3 quarantined amount_missing", one[string](w, states))
	require.Contains(t, w.table("polled"), "revenue_confirmation:"+invoice)
	require.Equal(t, 1, w.health("polled").FailedReads)
	require.Equal(t, "stripe_not_found", one[string](w, `SELECT detail FROM object_reads WHERE object_id = 're_nowhere'`))
	require.NotEmpty(t, one[string](w, `SELECT next_action FROM object_reads WHERE object_id = 're_nowhere'`))
	require.Equal(t, "in_1 done, prod pending, re_n failed, sub pending",
		one[string](w, `SELECT string_agg(trim(left(object_id, 4), chr(95)) || ' ' || status, ', ' ORDER BY object_id) FROM object_reads`), "the subscription was read in the very second that it is to settle")
}
