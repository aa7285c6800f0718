package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
)

// A freeze waits for the writers that are under way: what they write is dated up to the
// watermark and read with it. Whoever comes later is dated behind it, whatever the clock
// says. The next freeze takes it in.
func TestNothingIsRecordedUpToAWatermarkLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cycles, cy := w.db.NewCycles(), w.open("acme", "2026-01")
	started, release, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		written <- w.db.Decisions().Do(w.ctx, func(ctx context.Context, st decisions.Stores) error {
			if _, err := st.Log.Append(ctx, cy.Account, []decision.Decision{row("u1", "user-1", day(3))}, now); err != nil {
				return err
			}
			close(started)
			<-release
			return nil
		})
	}()
	<-started
	frozen := make(chan time.Time, 1)
	go func() {
		mark, err := cycles.Freeze(w.ctx, cy.Account, now)
		if err != nil {
			mark = time.Time{}
		}
		frozen <- mark
	}()
	require.Eventually(t, func() bool {
		return one[int](w, `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()`) > 0
	}, time.Minute, 5*time.Millisecond, "the freeze waits")
	select {
	case <-frozen:
		require.Fail(t, "frozen while a writer was under way")
	default:
	}
	close(release)
	require.NoError(t, <-written)
	mark := <-frozen
	require.Equal(t, now.Truncate(time.Microsecond), mark)
	read := func() int {
		exposures, err := cycles.Exposures(w.ctx, cy, mark)
		require.NoError(t, err)
		return len(exposures)
	}
	require.Equal(t, 1, read())
	n, err := w.appendDecisions(cy.Account, []decision.Decision{row("u2", "user-2", day(3))})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 1, read(), "recorded behind the watermark, by the same clock")
	mark, err = cycles.Freeze(w.ctx, cy.Account, now)
	require.NoError(t, err)
	require.Equal(t, 2, read())
}

// Property: of decisions and freezes at once, by a clock that stands still, every
// collection that is read again later reads what it read at first.
func TestFrozenInputsDoNotMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cycles, cy := w.db.NewCycles(), w.open("acme", "2026-01")
	var writers sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for n := range 25 {
				at := id("g%d-%d", g, n)
				_, err := w.appendDecisions(cy.Account, []decision.Decision{row(at, at, day(3))})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	first := map[time.Time]int{}
	count := func(mark time.Time) int {
		exposures, err := cycles.Exposures(w.ctx, cy, mark)
		require.NoError(t, err)
		return len(exposures)
	}
	for range 15 {
		mark, err := cycles.Freeze(w.ctx, cy.Account, now)
		require.NoError(t, err)
		first[mark] = count(mark)
	}
	writers.Wait()
	require.Len(t, first, 15, "no two freezes share a watermark")
	for mark, n := range first {
		require.Equal(t, n, count(mark), mark)
	}
	mark, err := cycles.Freeze(w.ctx, account.Account{ID: "acme", SourceConnection: "acme"}, now)
	require.NoError(t, err)
	require.Equal(t, 100, count(mark))
}
