package sourcesync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// aged is a company of about three months, whose events of the first two Stripe has
// forgotten, with a connection that was there from the start. One of its customers
// upgrades in its first month.
func (w *world) aged(seed uint64) *company {
	w.t.Helper()
	c := found(w.t, w.Fake, "acct_life", diceOf(seed))
	w.connect("hooked", "acct_life", true)
	sub := c.subscribe(c.user("the upgrader"), 1)
	for upgraded := false; w.Clock.Now().Before(began.AddDate(0, 3, 0)); {
		c.turn()
		if !upgraded && w.Clock.Now().After(began.AddDate(0, 0, 10)) {
			upgraded = true
			c.upgrade(sub, 2)
		}
		require.NoError(w.t, w.Fake.DeliverPending())
	}
	return c
}

// TestHistoryIsReadBack: a connection that is made when the company is months old gets
// its whole history: the money to the cent, the ends of subscriptions, the changes of
// plans as far as invoices show them; events tell the last month, lists the rest, and
// nothing is told by both.
func TestHistoryIsReadBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.aged(11)
	w.connect("late", "acct_life", false)
	w.backfill(w.service(nil), "late", time.Time{})
	for range 20 {
		c.turn()
		require.NoError(t, w.Fake.DeliverPending())
		w.fetch("late")
	}
	c.advance(2 * time.Minute)
	require.NoError(t, w.Fake.DeliverPending())
	w.fetch("late")
	w.settle("hooked", "late")
	exact := append([]reward.Kind{reward.Churn, reward.TrialCancelled, reward.TrialStart, reward.TrialExpired, reward.InvoiceVoided, reward.InvoiceUncollectible}, moneyKinds...)
	want := w.table("hooked", exact...)
	require.Greater(t, len(want), 40)
	require.Empty(t, cmp.Diff(want, w.table("late", exact...), cmp.FilterPath(func(cmp.Path) bool { return true }, cmp.Comparer(sameButTime))))

	h := w.health("late")
	require.True(t, h.Horizon.Listed)
	require.True(t, h.Horizon.Start.Before(h.ConnectedAt.AddDate(0, 0, -29)), "events reach back almost thirty days")
	require.Zero(t, one[int](w, `SELECT count(*) FROM reward_events WHERE connection_id = 'late' AND (detail->'flags'->>'inferred')::boolean AND effective_at >= $1`, h.Horizon.Start))
	require.Zero(t, one[int](w, `SELECT count(*) FROM reward_events WHERE connection_id = 'late' AND kind IN ('upgrade', 'downgrade') AND effective_at < $1
		AND NOT coalesce((detail->'flags'->>'inferred')::boolean, false)`, h.Horizon.Start))
	require.Contains(t, one[string](w, `SELECT string_agg(kind || to_char(effective_at, ' MM-DD ') || (detail->>'mrr_before') || '>' || (detail->>'mrr_after'), ', ' ORDER BY effective_at)
		FROM reward_events WHERE connection_id = 'late' AND kind IN ('upgrade', 'downgrade') AND (detail->'flags'->>'inferred')::boolean`), "upgrade 02-01 1000>2500")
	require.Zero(t, one[int](w, `SELECT count(*) FROM object_reads WHERE connection_id = 'late' AND status = 'failed'`))
	for _, at := range h.Backfill.Progress {
		require.Positive(t, at.Windows, at.Resource)
	}
	require.Len(t, h.Backfill.Progress, len(sourcesync.Resources()))
}

// sameButTime compares rows of the reward table; a refund or a dispute of which only the
// object is left does not say when it was undone.
func sameButTime(a, b string) bool {
	strip := func(s string) string { return timeRE.ReplaceAllString(s, "T") }
	return strip(a) == strip(b)
}

// TestBackfillDiesAndGoesOn: wherever the reader dies, what follows goes on behind the
// last page, and the table is that of a reading without a death.
func TestBackfillDiesAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aged(12)
	w.connect("calm", "acct_life", false)
	w.connect("dying", "acct_life", false)
	counting := &small{n: 3}
	calm := w.service(func(real sourcesync.Source) sourcesync.Source { counting.Source = real; return counting })
	w.backfill(calm, "calm", time.Time{})
	require.Greater(t, counting.pages, 40)

	deaths, asked := 0, 0
	dying := w.service(func(real sourcesync.Source) sourcesync.Source {
		p := &small{Source: real, n: 3}
		p.before = func(string, string) error {
			if asked++; asked%7 == 5 {
				deaths++
				return errDied
			}
			return nil
		}
		return p
	})
	b, created, err := dying.RequestBackfill(t.Context(), by, "dying", time.Time{})
	require.NoError(t, err)
	require.True(t, created)
	for {
		p, err := dying.Step(t.Context(), b.ID, func(string) {})
		if err != nil {
			require.ErrorIs(t, err, errDied)
			continue
		}
		if p.State == sourcesync.BackfillDone {
			break
		}
	}
	require.Greater(t, deaths, 5)
	require.LessOrEqual(t, asked, counting.pages+deaths+2, "no page was read twice")
	w.settle("calm", "dying")
	require.NotEmpty(t, w.table("calm"))
	require.Empty(t, cmp.Diff(w.table("calm"), w.table("dying")))
	require.Equal(t, one[int](w, `SELECT sum(objects) FROM backfill_windows WHERE backfill_id = 'calm-backfill-1'`), one[int](w, `SELECT sum(objects) FROM backfill_windows WHERE backfill_id = $1`, b.ID))

	again := w.backfill(w.service(nil), "dying", time.Time{})
	require.Equal(t, "dying-backfill-2", again.ID)
	require.Zero(t, again.Facts, "a history that is read again says nothing new")
}

// TestSyncStart: what lies before the chosen date is kept and never rewarded. The date
// can be moved back, and not forth.
func TestSyncStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(3))
	sub := c.subscribe(c.user("u"), 1)
	c.advance(100 * 24 * time.Hour)
	w.connect("late", "acct_life", false)
	s := w.service(nil)
	start := began.AddDate(0, 1, 15)
	w.backfill(s, "late", start)
	w.settle("late")
	const sum = `SELECT coalesce(string_agg(to_char(effective_at, 'MM-DD') || CASE WHEN historic THEN ' historic' ELSE '' END, ', ' ORDER BY effective_at), '')
		FROM reward_events WHERE connection_id = 'late' AND kind = 'revenue_confirmation'`
	require.Equal(t, "01-01 historic, 02-01 historic, 03-01, 04-01", one[string](w, sum))
	require.Equal(t, start, w.health("late").SyncStart)

	_, _, err := s.RequestBackfill(t.Context(), by, "late", start.Add(time.Second))
	require.Equal(t, "start_later", fault.CodeOf(err))
	_, _, err = s.RequestBackfill(t.Context(), by, "late", w.Clock.Now().Add(time.Hour))
	require.Equal(t, "start_in_the_future", fault.CodeOf(err))
	w.backfill(s, "late", began.AddDate(0, 0, 20))
	require.Equal(t, "01-01 historic, 02-01, 03-01, 04-01", one[string](w, sum))
	w.backfill(s, "late", time.Time{})
	require.Equal(t, "01-01, 02-01, 03-01, 04-01", one[string](w, sum))
	require.Equal(t, source.Whole, w.health("late").SyncStart)

	w.connect("never-asked", "acct_life", false)
	_, _, err = s.RequestBackfill(t.Context(), by, "never-asked", w.Clock.Now())
	require.NoError(t, err, "the moment of the connection is the latest start")
	require.NotEmpty(t, sub)
}

// TestOneBackfillAtATime: asked for again while it runs, it goes on; asked for more, it
// begins again with more; stopped, it goes on where it stopped.
func TestOneBackfillAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aged(13)
	w.connect("late", "acct_life", false)
	s := w.service(func(real sourcesync.Source) sourcesync.Source { return &small{Source: real, n: 1} })
	from := began.AddDate(0, 2, 0)
	b, created, err := s.RequestBackfill(t.Context(), by, "late", from)
	require.NoError(t, err)
	require.True(t, created)
	_, err = s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.NoError(t, s.Abandon(t.Context(), b.ID, source.Reason{Code: "stripe_permission", Message: "a permission is missing"}))
	require.Equal(t, "stripe_permission", w.health("late").Backfill.Reason.Code)
	stopped, err := s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.Equal(t, sourcesync.BackfillFailed, stopped.State)
	require.Zero(t, stopped.Pages, "a backfill that was handed to a person does nothing")

	windows := one[int](w, `SELECT count(*) FROM backfill_windows`)
	require.Positive(t, windows)
	again, created, err := s.RequestBackfill(t.Context(), by, "late", from)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, b.ID, again.ID)
	require.Equal(t, windows, one[int](w, `SELECT count(*) FROM backfill_windows`), "it goes on where it stopped")
	more, created, err := s.RequestBackfill(t.Context(), by, "late", began)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, began, more.Start)
	require.Zero(t, one[int](w, `SELECT count(*) FROM backfill_windows`), "more is wanted than it has read")
	w.carryOn(s, more.ID)
}

// TestWhatEventsNoLongerTell: a source that was not read for longer than Stripe keeps
// events has a gap, which lists close; what is inferred stays inside of it.
func TestWhatEventsNoLongerTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(4))
	w.connect("hooked", "acct_life", true)
	w.connect("polled", "acct_life", false)
	for i := range 4 {
		c.subscribe(c.user(fmt.Sprintf("u-%d", i)), 1+i%2)
	}
	c.advance(2 * time.Minute)
	w.fetch("polled")
	last := w.health("polled").HighWater
	for range 25 {
		c.turn()
		require.NoError(t, w.Fake.DeliverPending())
	}
	c.advance(45 * 24 * time.Hour)
	require.NoError(t, w.Fake.DeliverPending())

	out := w.fetch("polled")
	require.Positive(t, out.New)
	h := w.health("polled")
	require.Len(t, h.Gaps, 1)
	require.Equal(t, last, h.Gaps[0].From)
	require.Equal(t, w.Clock.Now().Add(-source.Reach), h.Gaps[0].To)
	require.Equal(t, sourcesync.ForGap, h.Backfill.Kind)
	require.Contains(t, w.log.String(), "events lost")
	due, err := w.DB.NewSources().Due(t.Context(), "live", "", w.Clock.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, h.Backfill.ID, due[1].BackfillID, "nobody has to ask for it")
	w.carryOn(w.service(nil), h.Backfill.ID)
	w.settle("hooked", "polled")
	require.Empty(t, cmp.Diff(w.table("hooked", moneyKinds...), w.table("polled", moneyKinds...), cmp.FilterPath(func(cmp.Path) bool { return true }, cmp.Comparer(sameButTime))))
	require.Zero(t, one[int](w, `SELECT count(*) FROM reward_events WHERE connection_id = 'polled' AND (detail->'flags'->>'inferred')::boolean
		AND (effective_at < $1 OR effective_at >= $2)`, h.Gaps[0].From, h.Gaps[0].To))
	require.Zero(t, w.fetch("polled").New)
	require.Len(t, w.health("polled").Gaps, 1)
}

// TestBackfillWaits: for the read allowance, for a paused connection, and for Stripe.
func TestBackfillWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	found(t, w.Fake, "acct_life", diceOf(5)).user("u")
	w.connect("late", "acct_life", false)
	s := w.service(nil)
	b, _, err := s.RequestBackfill(t.Context(), by, "late", time.Time{})
	require.NoError(t, err)
	w.exec(`INSERT INTO source_reads VALUES ('late', $1, 6990)`, w.Clock.Now())
	p, err := s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.Equal(t, 10, p.Pages, "seven tenths of 10,000 are for histories")
	p, err = s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.Equal(t, "read_budget_exhausted", p.Reason.Code)
	require.Positive(t, p.Wait)
	require.Positive(t, w.health("late").Budget.Left(source.ForMoney), "what is new is read all the same")
	require.NoError(t, w.Fake.Advance(30*24*time.Hour))

	w.exec(`UPDATE connections SET paused = true`)
	p, err = s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.Equal(t, "connection_paused", p.Reason.Code)
	due, err := w.DB.NewSources().Due(t.Context(), "live", "", w.Clock.Now(), 10)
	require.NoError(t, err)
	require.Empty(t, due)
	w.exec(`UPDATE connections SET paused = false`)

	require.NoError(t, w.Fake.AddFault(throttled(7)))
	_, err = s.Step(t.Context(), b.ID, func(string) {})
	require.True(t, fault.Is(err, fault.RateLimited))
	require.Equal(t, sourcesync.BackfillRunning, w.health("late").Backfill.State)
	w.carryOn(s, b.ID)
}
