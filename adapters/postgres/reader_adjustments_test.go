package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
