package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// What finished months were found to be wrong by is listed with the cycle that has it as a
// line; one that a skipped cycle had is due again.
func TestAdjustmentsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.propose("acme", "2026-01", 100_000)
	w.finish(first.ID)
	for _, row := range []string{"adj-1", "adj-2"} {
		require.NoError(t, w.exec(`INSERT INTO adjustments (id, account_id, environment, origin_cycle, line, reason, happened_at, amount_minor, source, recorded_at)
			VALUES ($2, 'acme', 'live', $1, 's-a', 'correction', now(), -15000, $2, now())`, first.ID, row))
	}
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	list := func(f reconcile.AdjustmentsFilter) reconcile.Page[reconcile.Adjustment] {
		f.Scope = access.Everything()
		page, err := svc.Adjustments(w.ctx, f)
		require.NoError(t, err)
		return page
	}
	page := list(reconcile.AdjustmentsFilter{State: "due", Cause: "correction", OriginPeriod: "2026-01", Environment: "live"})
	require.Len(t, page.Items, 2)
	require.Equal(t, first.ID, page.Items[0].OriginCycle)
	require.Equal(t, "usd", page.Items[0].Currency)
	require.Zero(t, page.Items[0].CarryMinor)

	second := w.propose("acme", "2026-02", 150_000) // 10,000 of fees, 30,000 to give back
	one := list(reconcile.AdjustmentsFilter{AppliedPeriod: "2026-02", State: "applied", Limit: 1})
	require.Len(t, one.Items, 1)
	require.Equal(t, int64(-20_000), one.Items[0].CarryMinor, "what the month could not use up")
	board, err := svc.Cycles(w.ctx, reconcile.CyclesFilter{Scope: access.Everything()})
	require.NoError(t, err)
	require.Equal(t, []string{second.ID, first.ID}, []string{board.Items[0].ID, board.Items[1].ID})
	require.Equal(t, []int64{-30_000, 0}, []int64{board.Items[0].TrueUpMinor, board.Items[0].LaterMinor})
	require.Equal(t, []int64{0, -30_000}, []int64{board.Items[1].TrueUpMinor, board.Items[1].LaterMinor}, "found since")
	require.Equal(t, []int{1, 1}, []int{board.Items[0].ContractVersion, board.Items[0].Revision})
	require.NotEmpty(t, board.Items[0].ContractID)
	rest := list(reconcile.AdjustmentsFilter{Limit: 1, Cursor: one.NextCursor})
	require.NotEqual(t, one.Items[0].Key, rest.Items[0].Key)
	require.Empty(t, rest.NextCursor)
	require.NoError(t, w.exec(`UPDATE cycles SET state = 'skipped' WHERE id = $1`, second.ID))
	require.Len(t, list(reconcile.AdjustmentsFilter{State: "due"}).Items, 2)
	third := w.propose("acme", "2026-03", 200_000)
	require.Len(t, list(reconcile.AdjustmentsFilter{AppliedPeriod: third.Period.String()}).Items, 2)

	for _, bad := range []reconcile.AdjustmentsFilter{{Cause: "x"}, {State: "x"}, {Environment: "x"}, {OriginPeriod: "x"}, {AppliedPeriod: "x"}, {Limit: -1}, {Cursor: "x"}} {
		bad.Scope = access.Everything()
		_, err := svc.Adjustments(w.ctx, bad)
		require.True(t, fault.Is(err, fault.Invalid), "%+v: %v", bad, err)
	}
	none, err := svc.Adjustments(w.ctx, reconcile.AdjustmentsFilter{})
	require.NoError(t, err)
	require.Empty(t, none.Items, "an empty scope selects nothing")
}

// However few rows a page may begin with, the pages together are exactly what the filter
// selects, in order, of all three tables.
func TestFilteredPagesOfAdjustmentsAreAllOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.propose("acme", "2026-01", 100_000)
	w.finish(first.ID)
	for _, sql := range []string{
		`INSERT INTO adjustments (id, account_id, environment, origin_cycle, line, reason, happened_at, amount_minor, source, recorded_at)
			SELECT 'adj-' || n, 'acme', 'live', $1, 's-a', 'correction', now(), -100, 'adj-' || n, '2026-02-10Z'::timestamptz + n / 3 * interval '1 hour' FROM generate_series(0, 20) n`,
		`INSERT INTO true_ups (id, account_id, environment, settlement_cycle, booking_cycle, number, watermark, state, fees_settled, fees_measured, booked_before, due_minor, recorded_at)
			SELECT 'tu-' || n, 'acme', 'live', $1, $1, n + 1, now(), CASE WHEN n % 4 = 0 THEN 'proposed' ELSE 'booked' END, 1, 1, 0, 0, '2026-02-10Z'::timestamptz + n / 2 * interval '1 hour' FROM generate_series(0, 15) n`,
		`INSERT INTO true_up_lines (true_up_id, origin_cycle, snapshot_id, cause, facts, happened_at, revenue_minor, lift_minor, amount_minor, adjustment_id)
			SELECT 'tu-' || n, $1, 's-' || n % 2, c, 1, now(), -1, -1, -10, CASE WHEN n % 3 = 0 AND c = 'refund' THEN 'tua-' || n ELSE '' END FROM generate_series(0, 15) n, unnest(ARRAY['refund', 'dispute']) c`,
	} {
		require.NoError(t, w.exec("SET session_replication_role = replica"))
		require.NoError(t, w.exec(sql, first.ID))
	}
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
		f := reconcile.AdjustmentsFilter{
			Scope: access.Everything(), AccountID: pick("account", "", "acme", "trial"), Environment: pick("environment", "", "live", "test"), OriginPeriod: pick("origin", "", "2026-01", "2026-02"),
			Cause: pick("cause", "", "refund", "correction", "late_event"), State: pick("state", "", "due", "proposed", "nothing_due", "applied"),
		}
		var want []string
		all, err := w.db.NewReader().Adjustments(w.ctx, reconcile.AdjustmentsFilter{Scope: access.Everything(), Limit: 400})
		require.NoError(rt, err)
		require.Len(rt, all.Items, 21+32)
		for _, a := range all.Items {
			if (f.AccountID == "" || f.AccountID == a.AccountID) && (f.Environment == "" || f.Environment == a.Environment.String()) && (f.OriginPeriod == "" || f.OriginPeriod == a.OriginPeriod) &&
				(f.Cause == "" || f.Cause == a.Cause) && (f.State == "" || f.State == string(a.State)) {
				want = append(want, a.Key)
			}
		}
		sorted := slices.IsSortedFunc(all.Items, func(a, b reconcile.Adjustment) int { return b.RecordedAt.Compare(a.RecordedAt) })
		require.True(rt, sorted)
		r := w.db.NewReader().Looking(1, 1, rapid.IntRange(0, 30).Draw(rt, "looked"))
		got := walkPages(rt, rapid.IntRange(1, 30).Draw(rt, "limit"), func(cursor string, limit int) ([]string, string, error) {
			f.Cursor, f.Limit = cursor, limit
			p, err := r.Adjustments(w.ctx, f)
			return keysOf(p.Items, p.NextCursor, func(a reconcile.Adjustment) string { return a.Key }, err)
		})
		require.Equal(rt, strings.Join(want, " "), got)
	})
}
