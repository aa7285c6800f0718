package sourcesync_test

import (
	"bytes"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

// TestAReadOnlyKeyGivesTheSameTable: one account, connected twice: by webhooks, and by a
// restricted key that may only read. Both tables are the same, row by row.
func TestAReadOnlyKeyGivesTheSameTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(7))
	w.connect("hooked", "acct_life", true)
	w.connect("polled", "acct_life", false)
	for range 90 {
		c.turn()
		require.NoError(t, w.Fake.DeliverPending())
		out, err := w.service(nil).Sync(t.Context(), "polled")
		require.NoError(t, err)
		require.Empty(t, out.Failed.Code)
	}
	c.advance(2 * time.Minute)
	require.NoError(t, w.Fake.DeliverPending())
	w.fetch("polled")
	w.settle("hooked", "polled")
	want := w.table("hooked")
	require.Greater(t, len(want), 60)
	require.Empty(t, cmp.Diff(want, w.table("polled")))
	require.Equal(t, 0, one[int](w, `SELECT count(*) FROM stripe_events WHERE connection_id = 'polled' AND source <> 'pull'`))
	require.Equal(t, 0, one[int](w, `SELECT count(*) FROM stripe_events WHERE connection_id = 'hooked' AND source <> 'webhook'`))
}

// TestInterleavings: part of the events is delivered, twice or not at all; fetches,
// checks, lists and single reads come in any order, and the worker dies in the middle of
// them. In the end the table is that of the webhooks.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for seed := range uint64(5) {
		dice := diceOf(100 + seed)
		name := fmt.Sprintf("acct_%d", seed)
		c := found(t, w.Fake, name, dice)
		hooked, mixed := fmt.Sprintf("hooked-%d", seed), fmt.Sprintf("mixed-%d", seed)
		w.connect(hooked, name, true)
		w.connect(mixed, name, false)
		delivered := 0
		s := w.service(func(real sourcesync.Source) sourcesync.Source {
			return &small{Source: real, n: 3, before: func(string, string) error {
				if dice.IntN(12) == 0 {
					return errDied
				}
				return nil
			}}
		})
		for range 45 {
			c.turn()
			for ; delivered < len(c.events); delivered++ {
				for range []int{0, 1, 1, 2}[dice.IntN(4)] {
					w.deliver(mixed, c.events[delivered])
				}
			}
			w.disturb(s, dice, mixed)
		}
		w.deliverAll(hooked, c)
		w.fetch(mixed)
		w.settle(hooked, mixed)
		require.Empty(t, cmp.Diff(w.table(hooked), w.table(mixed)), "seed %d", seed)
	}
}

// deliverAll waits until every event has been taken: on a busy machine an answer may be
// 503, and Stripe delivers again later.
func (w *world) deliverAll(id string, c *company) {
	w.t.Helper()
	for range 100 {
		c.advance(2 * time.Minute)
		require.NoError(w.t, w.Fake.DeliverPending())
		c.collect()
		waiting, ok := c.list("events", url.Values{"delivery_success": {"false"}})
		if require.True(w.t, ok); len(waiting) == 0 {
			return
		}
		c.advance(time.Hour)
	}
	w.t.Fatalf("connection %s did not get all events", id)
}

// disturb does one of the things that a worker does, and may die of it.
func (w *world) disturb(s *sourcesync.Service, dice seeded, id string) {
	w.t.Helper()
	survives := func(err error) {
		if err != nil {
			require.ErrorIs(w.t, err, errDied)
		}
	}
	switch dice.IntN(6) {
	case 0, 1:
		_, err := s.Fetch(w.t.Context(), id)
		survives(err)
	case 2:
		_, err := s.Sync(w.t.Context(), id)
		survives(err)
	case 3:
		b, _, err := s.RequestBackfill(w.t.Context(), by, id, time.Time{})
		require.NoError(w.t, err)
		for range 4 {
			_, err := s.Step(w.t.Context(), b.ID, func(string) {})
			survives(err)
		}
	case 4:
		w.settle(id)
	default:
		_, err := w.Classifier().Drain(w.t.Context())
		require.NoError(w.t, err)
	}
}

// TestBug34EventsAtTheEdgeOfAWindow: three events of one second, at either side of which
// a window ends, are fetched once each.
func TestBug34EventsAtTheEdgeOfAWindow(t *testing.T) {
	t.Parallel()
	for _, settled := range []time.Duration{source.Settle - time.Second, source.Settle, source.Settle + time.Second} {
		w := newWorld(t)
		c := found(t, w.Fake, "acct_life", diceOf(1))
		w.connect("polled", "acct_life", false)
		c.advance(20 * time.Minute)
		for i := range 3 {
			c.user(fmt.Sprintf("u-%d", i))
		}
		c.advance(settled)
		first := w.fetch("polled")
		c.advance(2 * source.Overlap) // so that only the mark itself reaches back to them
		second := w.fetch("polled")
		require.Equal(t, 3, first.New+second.New, "a window that ends %s after the events", settled)
		w.settle("polled")
		require.Len(t, w.table("polled"), 3)
	}
}

// TestAWindowThatBreaksOffIsReadAgain: the high-water mark moves with the last page of a
// window and not before; what was stored of it is recognised.
func TestAWindowThatBreaksOffIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(1))
	w.connect("polled", "acct_life", false)
	w.fetch("polled")
	for i := range 5 {
		c.user(fmt.Sprintf("u-%d", i))
		c.advance(time.Minute)
	}
	c.advance(5 * time.Minute)
	mark := w.health("polled").HighWater
	s := w.service(func(real sourcesync.Source) sourcesync.Source {
		p := &small{Source: real, n: 2}
		p.before = func(string, string) error {
			if p.pages == 2 {
				return errDied
			}
			return nil
		}
		return p
	})
	_, err := s.Fetch(t.Context(), "polled")
	require.ErrorIs(t, err, errDied)
	require.Equal(t, mark, w.health("polled").HighWater)
	require.Equal(t, 2, one[int](w, `SELECT count(*) FROM stripe_events`))
	out := w.fetch("polled")
	require.Equal(t, 3, out.New)
	require.Equal(t, 5, out.Seen)
	require.Equal(t, w.Clock.Now().Add(-source.Settle), w.health("polled").HighWater)
	require.Zero(t, w.fetch("polled").New)
	require.Equal(t, 5, one[int](w, `SELECT count(*) FROM event_processing`))
}

// TestALongAbsenceIsReadPieceByPiece: a run has a bounded number of pages; what it has
// read stays read.
func TestALongAbsenceIsReadPieceByPiece(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(1))
	w.connect("polled", "acct_life", false)
	for i := range 70 {
		c.user(fmt.Sprintf("u-%d", i))
		c.advance(6 * time.Hour)
	}
	s := w.service(func(real sourcesync.Source) sourcesync.Source { return &small{Source: real, n: 1} })
	var marks []time.Time
	fresh := 0
	for {
		out, err := s.Sync(t.Context(), "polled")
		require.NoError(t, err)
		fresh += out.New
		marks = append(marks, w.health("polled").HighWater)
		if !out.More {
			break
		}
		require.LessOrEqual(t, out.Pages, 80)
	}
	require.Equal(t, 70, fresh)
	require.Greater(t, len(marks), 1)
	for i := 1; i < len(marks); i++ {
		require.True(t, marks[i].After(marks[i-1]))
	}
	_, due := w.health("polled").Due(w.Clock.Now())
	require.False(t, due)
}

// TestACursorThatIsGone: when the object behind which a page begins has been dropped the
// window is read again, by a fetch and by a backfill.
func TestACursorThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(1))
	for i := range 5 {
		c.user(fmt.Sprintf("u-%d", i))
	}
	c.advance(time.Hour)
	w.connect("polled", "acct_life", false)
	for i := range 5 {
		c.user(fmt.Sprintf("v-%d", i))
	}
	c.advance(2 * time.Minute)
	gone := 0
	s := w.service(func(real sourcesync.Source) sourcesync.Source {
		p := &small{Source: real, n: 2}
		asked := map[string]int{}
		p.before = func(what, after string) error {
			if after == "" {
				return nil
			}
			if asked[what]++; asked[what] == 1 {
				gone++
				return fault.New(fault.Invalid, "stripe_reference_missing", "no such object").On("starting_after")
			}
			return nil
		}
		return p
	})
	out, err := s.Fetch(t.Context(), "polled")
	require.NoError(t, err)
	require.Empty(t, out.Failed.Code)
	require.Equal(t, 5, out.New)
	w.backfill(s, "polled", time.Time{})
	require.Equal(t, 2, gone, "once each")
	w.settle("polled")
	require.Len(t, w.table("polled"), 10)
}

// TestOnlyWhatIsReadIsKept: Stripe has events of many types; those that nobody reads are
// not stored.
func TestOnlyWhatIsReadIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(1))
	w.connect("hooked", "acct_life", true)
	w.connect("polled", "acct_life", false)
	c.subscribe(c.user("u"), 1)
	c.advance(2 * time.Minute)
	require.NoError(t, w.Fake.DeliverPending())
	w.fetch("polled")
	const types = `SELECT string_agg(type || ' ' || event_id, ', ' ORDER BY type, event_id) FROM stripe_events WHERE connection_id = $1`
	require.Equal(t, one[string](w, types, "hooked"), one[string](w, types, "polled"), "what a webhook would have brought, and no more")
	require.NotContains(t, one[string](w, types, "polled"), "payment_intent")
	others := 0
	for _, raw := range c.state()["events"] {
		if bytes.Contains(raw, []byte(`"type":"payment_intent.succeeded"`)) {
			others++
		}
	}
	require.Positive(t, others)
}
