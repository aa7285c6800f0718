package postgres_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// gate is a store whose every transaction waits to be let through.
type gate struct {
	in      chan []string
	through chan error
}

func (g *gate) store(ctx context.Context, events []ingest.StoredEvent) ([]bool, error) {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.EventID)
	}
	g.in <- ids
	isNew := make([]bool, len(events))
	for i := range isNew {
		isNew[i] = true
	}
	if err := <-g.through; err != nil {
		return nil, err
	}
	return isNew, ctx.Err()
}

func newGate() (*gate, *postgres.GroupCommit) {
	g := &gate{in: make(chan []string), through: make(chan error)}
	return g, postgres.NewGroupCommit(g.store)
}

func waiting(t *testing.T, g *postgres.GroupCommit, n int) {
	t.Helper()
	require.Eventually(t, func() bool { have, _ := g.Waiting(); return have == n }, time.Minute, time.Millisecond)
}

type appended struct {
	isNew bool
	err   error
}

func appendLater(g *postgres.GroupCommit, ctx context.Context, id string) <-chan appended {
	out := make(chan appended, 1)
	go func() {
		isNew, err := g.Append(ctx, ingest.StoredEvent{EventID: id})
		out <- appended{isNew, err}
	}()
	return out
}

// What comes while a commit is under way shares the next one, and nobody is told anything
// before the commit that holds the event.
func TestAppendsShareCommits(t *testing.T) {
	t.Parallel()
	gate, g := newGate()
	first := appendLater(g, t.Context(), "0")
	require.Equal(t, []string{"0"}, <-gate.in, "the first one waits for nobody")
	var rest []<-chan appended
	for i := range 50 {
		rest = append(rest, appendLater(g, t.Context(), id("%d", i+1)))
		waiting(t, g, i+1)
	}
	for _, c := range rest {
		require.Empty(t, c)
	}
	gate.through <- nil
	require.Equal(t, appended{true, nil}, <-first)
	batch := <-gate.in
	require.Len(t, batch, 50)
	require.Equal(t, "1", batch[0], "in the order of arrival")
	for _, c := range rest {
		require.Empty(t, c, "its commit is not through")
	}
	gate.through <- nil
	for _, c := range rest {
		require.Equal(t, appended{true, nil}, <-c)
	}
	require.Eventually(t, func() bool { _, writing := g.Waiting(); return !writing }, time.Minute, time.Millisecond, "no goroutine is left")
	again := appendLater(g, t.Context(), "again")
	<-gate.in
	gate.through <- nil
	require.NoError(t, (<-again).err)
}

// A database that cannot answer fails all of a batch; one that refuses a row fails that row.
func TestOneBadRowFailsAlone(t *testing.T) {
	t.Parallel()
	tries := 0
	g := postgres.NewGroupCommit(func(_ context.Context, events []ingest.StoredEvent) ([]bool, error) {
		tries++
		for _, e := range events {
			if strings.HasPrefix(e.EventID, "bad") {
				return nil, fault.New(fault.Internal, "database_error", "refused")
			}
			if e.EventID == "down" {
				return nil, fault.New(fault.Unavailable, "database_unavailable", "gone")
			}
		}
		return make([]bool, len(events)), nil
	})
	errs := map[string]error{}
	var mu sync.Mutex
	run := func(ids ...string) {
		var wg sync.WaitGroup
		for _, name := range ids {
			wg.Go(func() {
				_, err := g.Append(t.Context(), ingest.StoredEvent{EventID: name})
				mu.Lock()
				defer mu.Unlock()
				errs[name] = err
			})
		}
		wg.Wait()
	}
	ids := []string{"bad1", "bad2"}
	for i := range 30 {
		ids = append(ids, id("good%d", i))
	}
	run(ids...)
	for name, err := range errs {
		require.Equal(t, strings.HasPrefix(name, "bad"), err != nil, name)
	}
	run("down")
	require.True(t, fault.Is(errs["down"], fault.Unavailable))
}

// An append whose caller has gone is not told of, and takes nobody's commit away.
func TestACallerThatLeavesTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	gate, g := newGate()
	ctx, cancel := context.WithCancel(t.Context())
	leaves := appendLater(g, ctx, "leaves")
	<-gate.in // its context began the writer
	stays := appendLater(g, t.Context(), "stays")
	waiting(t, g, 1)
	cancel()
	require.ErrorIs(t, (<-leaves).err, context.Canceled)
	gate.through <- nil
	require.Equal(t, []string{"stays"}, <-gate.in)
	gate.through <- nil
	require.Equal(t, appended{true, nil}, <-stays)
	_, err := g.Append(ctx, ingest.StoredEvent{EventID: "late"})
	require.ErrorIs(t, err, context.Canceled)
	have, _ := g.Waiting()
	require.Zero(t, have, "who is gone already leaves nothing behind")
}

// What waits is bounded, in rows and in bytes; beyond it the answer is at once that
// nothing can be taken.
func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, fit int }{"rows": {1, postgres.WaitingRows}, "bytes": {8 << 20, postgres.WaitingBytes / (8 << 20)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate, g := newGate()
			body := make([]byte, c.size)
			results := make(chan error, c.fit+1)
			add := func() {
				_, err := g.Append(t.Context(), ingest.StoredEvent{SealedBody: body})
				results <- err
			}
			go add()
			<-gate.in
			for range c.fit {
				go add()
			}
			waiting(t, g, c.fit)
			_, err := g.Append(t.Context(), ingest.StoredEvent{SealedBody: body})
			require.Equal(t, "inbox_busy", fault.CodeOf(err))
			require.True(t, fault.Is(err, fault.Unavailable))
			gate.through <- nil
			stored := 0
			for stored < c.fit {
				stored += len(<-gate.in)
				gate.through <- nil
			}
			for range c.fit + 1 {
				require.NoError(t, <-results)
			}
		})
	}
}

// On a real database: twins in one batch are one event, and a row that the database
// refuses leaves its neighbours stored.
func TestBatchesOnTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec("ALTER TABLE event_processing ADD CONSTRAINT refuses CHECK (event_id <> 'evt_refused')"))
	inbox := w.db.NewInbox(w.box)
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh, repeated, refused := 0, 0, 0
	for i := range 60 {
		e := w.event("acme", id("evt_%d", i/3), now, []byte(`{"a": 1}`))
		switch i {
		case 7:
			e.EventID = "evt_refused"
		case 8:
			e.EventID = "" // fits no index, and cannot be made smaller
			for n := range 100 {
				e.EventID += id("%x", sha256.Sum256([]byte{byte(n)}))
			}
		}
		wg.Go(func() {
			isNew, err := inbox.Append(w.ctx, e)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				refused++
			case isNew:
				fresh++
			default:
				repeated++
			}
		})
	}
	wg.Wait()
	require.Equal(t, [3]int{20, 38, 2}, [3]int{fresh, repeated, refused})
	require.Equal(t, 20, one[int](w, "SELECT count(*) FROM stripe_events"))
	require.Equal(t, 20, one[int](w, "SELECT count(*) FROM event_processing"))
}

// What fails at the commit, after the statement has said what it did, is not taken for stored.
func TestTheCommitDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec(`CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at the commit'; END $$`))
	require.NoError(t, w.exec(`CREATE CONSTRAINT TRIGGER late AFTER INSERT ON event_processing DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.event_id = 'evt_late') EXECUTE FUNCTION refuse_late()`))
	inbox := w.db.NewInbox(w.box)
	isNew, err := inbox.AppendAll(w.ctx, []ingest.StoredEvent{w.event("acme", "evt_1", now, []byte("{}")), w.event("acme", "evt_late", now, []byte("{}"))})
	require.Error(t, err)
	require.Nil(t, isNew)
	require.Zero(t, one[int](w, "SELECT count(*) FROM stripe_events"))
	_, err = inbox.Append(w.ctx, w.event("acme", "evt_late", now, []byte("{}")))
	require.Error(t, err)
	fresh, err := inbox.Append(w.ctx, w.event("acme", "evt_1", now, []byte("{}")))
	require.NoError(t, err)
	require.True(t, fresh)
}

// Two processes that bring the same events at once, in opposite orders, do not wait for
// each other both ways. A third one holds them in the middle, so that both have begun.
func TestTwoInboxesNeverDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var up []ingest.StoredEvent
	for i := range 10 {
		up = append(up, w.event("acme", id("evt_%d", i), now, []byte("{}")))
	}
	_, err := w.db.NewInbox(w.box).Append(w.ctx, w.event("acme", "evt_before", now, []byte("{}"))) // makes the partition
	require.NoError(t, err)
	hold, err := w.sql.Begin(w.ctx)
	require.NoError(t, err)
	_, err = hold.Exec(w.ctx, `INSERT INTO stripe_events SELECT connection_id, environment, 'evt_5', created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at
		FROM stripe_events WHERE event_id = 'evt_before'`)
	require.NoError(t, err)
	errs := make(chan error, 2)
	fresh := make(chan []bool, 2)
	for range 2 {
		batch := slices.Clone(up)
		slices.Reverse(up)
		go func() {
			isNew, err := w.db.NewInbox(w.box).AppendAll(w.ctx, batch)
			fresh <- isNew
			errs <- err
		}()
	}
	look, err := pgx.Connect(w.ctx, w.sql.Config().ConnString())
	require.NoError(t, err)
	defer look.Close(w.ctx) //nolint:errcheck // nothing was written on it
	require.Eventually(t, func() bool {
		var n int
		err := look.QueryRow(w.ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
		return err == nil && n == 2
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, hold.Rollback(w.ctx))
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	n := 0
	for range 2 {
		for _, isNew := range <-fresh {
			if isNew {
				n++
			}
		}
	}
	require.Equal(t, 10, n, "each was new to one of them")
	require.Equal(t, 11, one[int](w, "SELECT count(*) FROM event_processing"))
}

// Events that are no longer pending cannot be marked: somebody else has booked them.
func TestBookWantsPendingEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "ping", now, obj{"id": "x", "object": "x"}, nil)
	err := w.db.Classification().Do(w.ctx, func(ctx context.Context, st ingest.Stores) error {
		events, err := st.Queue.Take(ctx, 10)
		require.NoError(t, err)
		require.Len(t, events, 1)
		out := []ingest.Outcome{{Event: events[0], Status: ingest.Processed}}
		_, err = st.Queue.Book(ctx, out, now)
		require.NoError(t, err)
		_, err = st.Queue.Book(ctx, out, now)
		return err
	})
	require.Equal(t, "events_not_marked", fault.CodeOf(err))
	require.Equal(t, "pending", one[string](w, "SELECT status FROM event_processing"), "neither time counts")
}
