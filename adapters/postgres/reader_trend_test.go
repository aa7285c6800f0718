package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
)

// The trend is that of one snapshot in one contract year, up to the month that is looked
// at, with the mark that each month left.
func TestTrend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	for i, m := range []string{"2026-01", "2026-02", "2026-03"} {
		w.propose("acme", m, float64(50_000*(i+1)))
		w.finish("acme." + m)
	}
	tie, err := svc.TieOut(w.ctx, "acme.2026-02")
	require.NoError(t, err)
	var of reconcile.Readout
	for _, l := range tie.Lines {
		if l.SnapshotID == "s-a" {
			of, err = svc.Readout(w.ctx, l.CaseID)
			require.NoError(t, err)
		}
	}
	points, err := svc.Trend(w.ctx, of)
	require.NoError(t, err)
	require.Len(t, points, 2, "what came later is not shown")
	require.Equal(t, []string{"2026-01", "2026-02"}, []string{points[0].Period, points[1].Period})
	require.Equal(t, of.CaseID, points[1].CaseID)
	require.Less(t, points[0].Lift, points[1].Lift)
	require.Positive(t, points[0].MarkMinor)
	require.Greater(t, points[1].MarkMinor, points[0].MarkMinor)

	require.NoError(t, w.exec(`INSERT INTO cycle_units (cycle_id, snapshot_id, bucket, unit_id, holdout, baseline_prob, y_minor, features, first_exposure)
		SELECT 'acme.2026-02', 's-a', 0, 'u' || n, n <= 3, CASE WHEN n = 3 THEN 0.4 ELSE 0.5 END, 0, '{}', now() FROM generate_series(1, 7) n`))
	weights, err := svc.Weights(w.ctx, of)
	require.NoError(t, err)
	require.Equal(t, []reconcile.WeightCount{{Holdout: true, Weight: 2, Units: 2}, {Holdout: true, Weight: 2.5, Units: 1}, {Weight: 2, Units: 4}}, weights)
	of.Units = reconcile.MaxWeighed + 1
	weights, err = svc.Weights(w.ctx, of)
	require.NoError(t, err)
	require.Nil(t, weights, "too many to count for a page")
}
