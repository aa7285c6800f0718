package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// The same event delivered sixteen times at once is stored once, and exactly one
// delivery is told that it was new.
func TestInboxStoresAnEventOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inbox := w.db.NewInbox(w.box)
	e := w.event("acme", "evt_1", now, []byte(`{"a": 1}`))
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for range 16 {
		wg.Go(func() {
			isNew, err := inbox.Append(w.ctx, e)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && isNew {
				fresh++
			}
			if err != nil {
				fresh += 100
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, fresh)
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM stripe_events"))
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM event_processing WHERE status = 'pending'"))
	other := e
	other.ConnectionID, other.Environment = "trial", "test"
	isNew, err := inbox.Append(w.ctx, other)
	require.NoError(t, err)
	require.True(t, isNew, "event IDs belong to a connection")
	e.ConnectionID, e.Environment = "nobody", "live"
	e.EventID = "evt_2"
	_, err = inbox.Append(w.ctx, e)
	require.NoError(t, err)
}

func TestInboxPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inbox := w.db.NewInbox(w.box)
	for i, c := range []struct {
		at    time.Time
		table string
	}{
		{time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC), "stripe_events_202601"}, {time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), "stripe_events_202602"},
		{time.Date(2026, 2, 28, 20, 0, 0, 0, time.FixedZone("", -6*3600)), "stripe_events_202603"}, {time.Unix(0, 0), "stripe_events_default"},
		{time.Time{}, "stripe_events_default"}, {time.Date(2014, 12, 31, 0, 0, 0, 0, time.UTC), "stripe_events_default"},
		{time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "stripe_events_default"}, {time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), "stripe_events_default"},
	} {
		_, err := inbox.Append(w.ctx, w.event("acme", id("evt_%d", i), c.at, []byte("{}")))
		require.NoError(t, err)
		require.Equal(t, c.table, one[string](w, "SELECT tableoid::regclass::text FROM stripe_events WHERE event_id = $1", id("evt_%d", i)), c.at)
	}
	require.Equal(t, 8, w.drain().Events, "what is in the default partition is found as well")
}

// Partitions are made while a transaction waits: a pool that is used up by such
// transactions must not wait for itself.
func TestPartitionsNeedNoSecondConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.sql.Config().ConnString()
	db, err := postgres.Open(w.ctx, url, postgres.Options{MaxConns: 1})
	require.NoError(t, err)
	defer db.Close() //nolint:errcheck // the database is dropped
	w.deliver("evt_1", "invoice.paid", now, w.invoice("in_1", "cus_1", 2000, time.Date(2026, 1, 7, 0, 0, 0, 0, time.UTC)), nil)
	c := w.classifier(nil)
	c.Work = db.Classification()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	b, err := c.Drain(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, b.Facts)
}

// Several classifiers share the queue: every event is taken by one, every fact is
// booked once.
func TestClassifiersNeverBookTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 40
	for i := range n {
		at := now.Add(time.Duration(i) * time.Second)
		w.deliver(id("evt_%d", i), "invoice.paid", at, w.invoice(id("in_%d", i), id("cus_%d", i), 2000, at), nil)
		// The twin says the same under another type and another event.
		w.deliver(id("evt_%d_twin", i), "invoice.payment_succeeded", at, w.invoice(id("in_%d", i), id("cus_%d", i), 2000, at), nil)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total ingest.Booked
	var failed error
	for range 4 {
		wg.Go(func() {
			b, err := w.classifier(nil).Drain(w.ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
			total.Events += b.Events
			total.Facts += b.Facts
			total.Duplicates += b.Duplicates
		})
	}
	wg.Wait()
	require.NoError(t, failed)
	require.Equal(t, ingest.Booked{Events: 2 * n, Facts: n, Duplicates: n}, total)
	require.Equal(t, int64(n*2000), one[int64](w, "SELECT sum(amount_minor)::bigint FROM reward_events"))
	require.Equal(t, ingest.Booked{}, w.drain(), "a second run books nothing")
}

// A batch that somebody holds is passed over, not waited for.
func TestTakeSkipsWhatIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.deliver(id("evt_%d", i), "ping", now, obj{"id": "x", "object": "x"}, nil)
	}
	take := func(limit int, inside func()) []string {
		var ids []string
		require.NoError(t, w.db.Classification().Do(w.ctx, func(ctx context.Context, st ingest.Stores) error {
			events, err := st.Queue.Take(ctx, limit)
			for _, e := range events {
				ids = append(ids, e.EventID)
			}
			inside()
			return err
		}))
		return ids
	}
	var inner []string
	outer := take(2, func() { inner = take(10, func() {}) })
	require.Equal(t, []string{"evt_0", "evt_1"}, outer, "oldest first")
	require.Equal(t, []string{"evt_2"}, inner)
	require.Len(t, take(10, func() {}), 3, "a batch that was not booked is free again")
}

// The events of a paused connection are stored and wait.
func TestPausedConnectionsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "invoice.paid", now, w.invoice("in_1", "cus_1", 2000, now), nil)
	require.NoError(t, w.exec("UPDATE connections SET paused = true WHERE id = 'acme'"))
	require.Zero(t, w.drain().Events)
	require.NoError(t, w.exec("UPDATE connections SET paused = false WHERE id = 'acme'"))
	require.Equal(t, 1, w.drain().Facts)
}

type charges struct {
	owner            reward.Owner
	amount, refunded int
	refunds          [][]byte
	during           func()
	err              error
}

func (c *charges) Object(context.Context, string, string, string) ([]byte, error) {
	if c.during != nil {
		c.during()
	}
	metadata := obj{}
	if c.owner.OwnInvoice {
		metadata["lb_key"] = "lb:1"
	}
	raw, err := json.Marshal(obj{"id": c.owner.Charge, "object": "charge", "created": opened.Unix(), "customer": c.owner.Customer,
		"status": "succeeded", "currency": "usd", "amount": c.amount, "amount_refunded": c.refunded,
		"invoice": obj{"id": c.owner.Invoice, "object": "invoice", "metadata": metadata}})
	return raw, errors.Join(err, c.err)
}

func (*charges) TakeReads(string) int { return 2 }

func (c *charges) RefundsOf(context.Context, string, string) ([][]byte, error) { return c.refunds, nil }

// A charge that changes while it is being read is read again.
func TestReadsAskedForMeanwhileStayPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refunded := func(event string) {
		w.deliver(event, "charge.refunded", now, obj{"id": "ch_1", "object": "charge", "amount": 2000, "amount_refunded": 500, "currency": "usd", "customer": "cus_1"},
			obj{"amount_refunded": 0})
	}
	refunded("evt_1")
	w.drain()
	src := &charges{owner: reward.Owner{Charge: "ch_1", Customer: "cus_1", Invoice: "in_1"}}
	src.during = func() {
		src.during = nil
		refunded("evt_2")
		w.drain()
	}
	c := w.classifier(src)
	n, err := c.ReadPending(w.ctx, "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = c.ReadPending(w.ctx, "")
	require.NoError(t, err)
	require.Equal(t, 1, n, "it was asked for again")
	n, err = c.ReadPending(w.ctx, "")
	require.NoError(t, err)
	require.Zero(t, n)

	refunded("evt_3")
	w.drain()
	src.err = fault.New(fault.Unavailable, "x", "later")
	_, err = c.ReadPending(w.ctx, "")
	require.True(t, fault.Is(err, fault.Unavailable))
	src.err = fault.New(fault.NotFound, "x", "gone")
	n, err = c.ReadPending(w.ctx, "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "failed", one[string](w, "SELECT status FROM object_reads"))
}

// The classifier's statements outlive the transaction that prepared them, and what it asks
// of the planner does not.
func TestBatchesShareTheirStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db, err := postgres.Open(w.ctx, w.url, postgres.Options{MaxConns: 1})
	require.NoError(t, err)
	defer db.Close() //nolint:errcheck // nothing is open
	c := w.classifier(nil)
	c.Work = db.Classification()
	prepared := func() (statements, mode string) {
		w.paid(one[int](w, "SELECT count(*) FROM event_processing")+1, "cus_1")
		require.NoError(t, w.exec("UPDATE event_processing SET status = 'pending'"))
		_, err := c.Drain(w.ctx)
		require.NoError(t, err)
		require.NoError(t, db.Pool().QueryRowContext(w.ctx, `SELECT coalesce(string_agg(md5(statement) || prepare_time, ',' ORDER BY statement), ''), current_setting('plan_cache_mode')
			FROM pg_prepared_statements WHERE statement ~ '^\s*(INSERT INTO|UPDATE) '`).Scan(&statements, &mode))
		return statements, mode
	}
	prepared()
	first, _ := prepared()
	second, mode := prepared()
	require.NotEmpty(t, first)
	require.Equal(t, first, second)
	require.Equal(t, "auto", mode)
}
