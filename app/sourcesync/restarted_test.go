package sourcesync_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// concluding calls a function whenever plan changes are about to be concluded.
type concluding struct {
	sourcesync.Ledger
	before func()
}

func (l concluding) Histories(ctx context.Context, connectionID, after string, limit int) ([][]reward.BilledPlan, error) {
	l.before()
	return l.Ledger.Histories(ctx, connectionID, after, limit)
}

// named makes paying customers whose user stands in another entry than the usual one, so long ago
// that only lists tell them.
func (w *world) named(n int) {
	w.t.Helper()
	c := found(w.t, w.Fake, "acct_life", diceOf(4))
	for i := range n {
		made, ok := c.call(http.MethodPost, "/v1/customers", url.Values{
			"metadata[uid]": {fmt.Sprintf("u-%d", i)}, "payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"},
		})
		require.True(w.t, ok)
		c.subscribe(made["id"].(string), 1)
	}
	c.advance(60 * 24 * time.Hour)
	w.connect("late", "acct_life", false)
}

// rename has the connection's users named by another entry.
func (w *world) rename(key string) {
	w.t.Helper()
	w.Post(w.t, "/v1/connections/late/mapping", httpapi.MappingChange{UserIDKey: key, Reason: "it is called so there"}, nil)
}

// TestHistoryBeginsAgainInTheMiddleOfAStep: a step that is under way when the history is to be read
// once more books nothing any more, moves nothing and ends nothing, whatever it is reading; the
// next one begins at the beginning, and whoever the new entry names is joined.
func TestHistoryBeginsAgainInTheMiddleOfAStep(t *testing.T) {
	t.Parallel()
	for _, during := range []sourcesync.Resource{sourcesync.Customers, sourcesync.CreditNotes, sourcesync.PlanChanges} {
		t.Run(string(during), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.named(3)
			renamed := false
			once := func(at sourcesync.Resource) {
				if at == during && !renamed {
					renamed = true
					w.rename("uid")
				}
			}
			s := w.service(func(real sourcesync.Source) sourcesync.Source {
				return &small{Source: real, n: 1, before: func(what, after string) error {
					if what != string(sourcesync.Customers) || after != "" { // in the middle of a window
						once(sourcesync.Resource(what))
					}
					return nil
				}}
			})
			s.Ledger = concluding{s.Ledger, func() { once(sourcesync.PlanChanges) }}
			b, _, err := s.RequestBackfill(t.Context(), by, "late", time.Time{})
			require.NoError(t, err)
			p := sourcesync.Progress{}
			for range 10 {
				if p, err = s.Step(t.Context(), b.ID, func(string) {}); renamed {
					break
				}
				require.NoError(t, err)
			}
			require.NoError(t, err)
			require.True(t, renamed)
			require.Equal(t, []any{b.ID, sourcesync.BackfillRunning, sourcesync.Events}, []any{p.ID, p.State, p.Resource}, "the step is over, the backfill is not")
			require.True(t, p.DoneAt.IsZero())
			require.Zero(t, one[int](w, `SELECT count(*) FROM backfill_windows`))
			w.carryOn(s, b.ID)
			w.settle("late")
			require.Equal(t, "u-0 u-1 u-2", w.joined())
			require.Equal(t, 1, one[int](w, `SELECT count(*) FROM backfills`))
		})
	}
}

// joined are the users of the connection's customers.
func (w *world) joined() string {
	w.t.Helper()
	return one[string](w, `SELECT coalesce(string_agg(DISTINCT user_id, ' ' ORDER BY user_id), '') FROM mapping_spans WHERE connection_id = 'late' AND state = 'linked'`)
}

// reread is the backfill that the newest change of the mapping began, as the audit log has it.
func (w *world) reread() string {
	w.t.Helper()
	return one[string](w, `SELECT coalesce(after::jsonb ->> 'backfill', '') FROM audit_log WHERE action = 'connection.mapping_changed' ORDER BY seq DESC LIMIT 1`)
}

// TestAStoppedHistoryStaysStopped: a change of the entry is not what a stopped backfill waits for.
// It stays with its reason; asked for again it begins at the beginning.
func TestAStoppedHistoryStaysStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.named(3)
	s := w.service(func(real sourcesync.Source) sourcesync.Source { return &small{Source: real, n: 1} })
	b, _, err := s.RequestBackfill(t.Context(), by, "late", time.Time{})
	require.NoError(t, err)
	_, err = s.Step(t.Context(), b.ID, func(string) {})
	require.NoError(t, err)
	require.NoError(t, s.Abandon(t.Context(), b.ID, source.Reason{Code: "stripe_permission", Message: "a permission is missing"}))
	w.rename("uid")
	h := w.health("late")
	require.Equal(t, []any{b.ID, sourcesync.BackfillFailed, sourcesync.Events, "stripe_permission"},
		[]any{h.Backfill.ID, h.Backfill.State, h.Backfill.Resource, h.Backfill.Reason.Code})
	require.Zero(t, one[int](w, `SELECT count(*) FROM backfill_windows`))
	require.Equal(t, b.ID, w.reread())
	w.backfill(s, "late", time.Time{})
	w.settle("late")
	require.Equal(t, "u-0 u-1 u-2", w.joined())
}

// TestAnotherEntryAsksForNoHistory: where lists were only read for a gap, they are read again for
// the gap: events go on to tell what they told, and nothing before them was asked for.
func TestAnotherEntryAsksForNoHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(4))
	w.connect("late", "acct_life", false)
	w.rename("account")
	require.Empty(t, w.reread(), "nothing was read yet")
	c.subscribe(c.user("u-0"), 1)
	c.advance(2 * time.Minute)
	w.fetch("late")
	c.advance(60 * 24 * time.Hour)
	w.fetch("late")
	gap := w.health("late").Backfill
	require.Equal(t, sourcesync.ForGap, gap.Kind)
	w.carryOn(w.service(nil), gap.ID)
	w.settle("late")
	stands := func() string {
		return one[string](w, `SELECT events_horizon || ' ' || listed || ' ' || coalesce(sync_start::text, 'nothing') FROM source_syncs WHERE connection_id = 'late'`)
	}
	before := stands()
	require.Empty(t, w.joined())
	w.rename("user_id")
	again := w.health("late").Backfill
	require.Equal(t, []any{"late-backfill-2", sourcesync.BackfillRunning, sourcesync.ForGap, gap.Start}, []any{again.ID, again.State, again.Kind, again.Start})
	require.Equal(t, again.ID, w.reread())
	w.carryOn(w.service(nil), again.ID)
	w.settle("late")
	require.Equal(t, before, stands())
	require.Equal(t, "u-0", w.joined())
}
