package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/fault"
)

// A month loses its bodies and nothing else: rows, digests and facts stay, and whatever
// somebody still has to read.
func TestBodiesAreErasedByPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aLife()
	w.deliver("evt_feb", "invoice.paid", day(35), w.invoice("in_feb", "cus_1", 100, day(35)), nil)
	w.drain()
	r := &operate.Retention{Archive: w.db.NewArchive(), Clock: clock.Fixed(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))}
	steps, err := r.Apply(w.ctx, anna.By, 3, false)
	require.NoError(t, err)
	require.Len(t, steps, 2)
	require.Contains(t, steps[0].Why, "contract year of connection acme that began 2026-01-01 is open")
	require.Zero(t, one[int](w, "SELECT count(*) FROM stripe_events WHERE sealed_body = ''"))

	before := one[string](w, rowsButBodies)
	facts := one[int](w, "SELECT count(*) FROM reward_events")
	p := steps[0].Partition
	require.Equal(t, "stripe_events_202601", p.Name)
	require.Equal(t, []int64{6, 6, 0, 1}, []int64{p.Events, p.Bodies, p.Waiting, p.Attention})
	erased, kept, err := w.db.NewArchive().EraseBodies(w.ctx, p)
	require.NoError(t, err)
	require.Equal(t, []int64{5, 1}, []int64{erased, kept})
	require.Equal(t, before, one[string](w, rowsButBodies), "rows and digests stay")
	require.Equal(t, facts, one[int](w, "SELECT count(*) FROM reward_events"))
	require.Equal(t, "evt_6", one[string](w, "SELECT event_id FROM stripe_events WHERE length(sealed_body) > 0 AND created < '2026-02-01'"), "a quarantined event's body stays")
	require.Equal(t, "stripe_events_202601", one[string](w, "SELECT tableoid::regclass::text FROM stripe_events WHERE event_id = 'evt_2'"))
	w.deliver("evt_late", "invoice.paid", day(9), w.invoice("in_late", "cus_1", 900, day(9)), nil)
	require.Equal(t, 1, w.drain().Facts, "the month takes events as before")
	got, err := w.operate().Reprocess(w.ctx, anna.By, operate.Selection{ConnectionID: "acme"}, "why not", true)
	require.NoError(t, err)
	require.Equal(t, operate.Reprocessed{Events: 3, Left: 5, DryRun: true}, got)
	_, _, err = w.db.NewArchive().EraseBodies(w.ctx, operate.Partition{Name: "stripe_events; DROP TABLE x"})
	require.True(t, fault.Is(err, fault.Internal))
}

const rowsButBodies = `SELECT string_agg(concat_ws('|', connection_id, environment, event_id, created, type, object_id, api_version, livemode, body_sha256, received_at, source), ';'
	ORDER BY event_id) FROM stripe_events WHERE created < '2026-02-01'`

// Events that arrive while a month is being exchanged are neither lost nor refused.
func TestErasureLosesNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_0", "radar.warned", day(1), obj{"id": "x", "object": "x"}, nil)
	w.drain()
	body := []byte(`{"id":"evt","object":"event","type":"radar.warned","created":1767261600,"livemode":true,"data":{"object":{"id":"x","object":"x"}}}`)
	inbox := w.db.NewInbox(w.box)
	var stored atomic.Int64
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := inbox.Append(context.WithoutCancel(w.ctx), w.event("acme", fmt.Sprintf("evt_%d", n), day(1+n%20), body)); err != nil {
				done <- err
				return
			}
			stored.Add(1)
		}
	}()
	require.Eventually(t, func() bool { return stored.Load() > 0 || len(done) > 0 }, time.Minute, time.Millisecond, "events arrive")
	archive := w.db.NewArchive()
	for range 3 {
		parts, err := archive.Partitions(w.ctx)
		require.NoError(t, err)
		_, _, err = archive.EraseBodies(w.ctx, parts[0])
		require.NoError(t, err)
	}
	close(stop)
	require.NoError(t, <-done)
	require.Equal(t, stored.Load()+1, one[int64](w, "SELECT count(*) FROM stripe_events"))
	require.Equal(t, stored.Load(), one[int64](w, "SELECT count(*) FROM stripe_events WHERE length(sealed_body) > 0"), "what waits for the classifier keeps its body")
}
