package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
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
		SELECT 'acme.2026-02', 's-a', 0, 'u' || n, n <= 3, CASE WHEN n = 3 THEN 0.4 ELSE 0.5 END, 100 * n, '{}', now() FROM generate_series(1, 7) n`))
	weights, err := svc.Weights(w.ctx, of)
	require.NoError(t, err)
	require.Equal(t, []reconcile.WeightCount{{Holdout: true, Weight: 2, Units: 2, SumMinor: 300, Inverse: 4, WeightedMinor: 600}, {Holdout: true, Weight: 2.5, Units: 1, SumMinor: 300, Inverse: 2.5, WeightedMinor: 750}, {Weight: 2, Units: 4, SumMinor: 2200, Inverse: 8, WeightedMinor: 4400}}, weights)
	of.Units = reconcile.MaxWeighed + 1
	weights, err = svc.Weights(w.ctx, of)
	require.NoError(t, err)
	require.Nil(t, weights, "too many to count for a page")
}

func TestSnapshotList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	w.propose("acme", "2026-01", 50_000)
	w.finish("acme.2026-01")
	require.NoError(t, w.exec(`INSERT INTO policy_snapshots (account_id, id, environment, name, shipped_at) VALUES ('acme', 's-a', 'live', 'A', '2025-01-02Z'), ('acme', 'never', 'live', 'Never measured', '2025-01-01Z'), ('acme', 'nor-this', 'live', 'Nor this', '2025-01-01Z') ON CONFLICT DO NOTHING`))
	var all []string
	for limit := 1; limit <= 6; limit++ {
		got := walk(t, limit, func(s reconcile.Snapshot) string { return s.AccountID + "." + s.ID }, func(c string) (reconcile.Page[reconcile.Snapshot], error) {
			return svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Cursor: c, Limit: limit})
		})
		require.True(t, all == nil || len(all) == len(got))
		all = got
	}
	require.Subset(t, all, []string{"acme.never", "acme.nor-this"})
	one, err := svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Search: "s-a", AccountID: "acme"})
	require.NoError(t, err)
	require.Len(t, one.Items, 1)
	require.Equal(t, "2026-01", one.Items[0].Period)
	require.Positive(t, *one.Items[0].BilledMinor)
	never, err := svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Search: "Never measured"})
	require.NoError(t, err)
	require.Len(t, never.Items, 1)
	require.Nil(t, never.Items[0].BilledMinor, "not billed is not zero")
	require.Empty(t, never.Items[0].Verdict)
	none, err := svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Verdict: "passed", Search: "never"})
	require.NoError(t, err)
	require.Empty(t, none.Items)
	_, err = svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Verdict: "x"})
	require.Equal(t, "filter_unknown", fault.CodeOf(err))
	_, err = svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Cursor: "x~y"})
	require.Equal(t, "cursor_malformed", fault.CodeOf(err))
}

// TestSnapshotDetail: months newest first, decisions counted up to and from the retirement,
// how probable what was chosen was, and the attempts to change it out of the audit log.
func TestSnapshotDetail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	for i, m := range []string{"2026-01", "2026-02"} {
		w.propose("acme", m, float64(50_000*(i+1)))
		w.finish("acme." + m)
	}
	require.NoError(t, w.exec(`INSERT INTO decisions (account_id, environment, decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action, baseline_action, eligible_actions, propensity, features, recorded_at)
		SELECT 'acme', 'live', 'd' || n, 'u' || n, 'u' || n, 's-a', '2026-01-01Z'::timestamptz + n * interval '1 day', CASE WHEN n <= 2 THEN 'holdout' ELSE 'policy' END, 0.5,
			CASE WHEN n = 3 THEN 'x' ELSE 'y' END, 'x', '{x,y}', '{0.25,0.75}', '{}', now() FROM generate_series(1, 5) n`))
	before, err := svc.SnapshotDetail(w.ctx, "acme", "s-a")
	require.NoError(t, err)
	require.Nil(t, before.RetiredAt)
	require.Equal(t, []int64{5, 0}, []int64{before.Decisions, before.Late})
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	retired := onboard.Retirement{AccountID: "acme", SnapshotID: "s-a", Environment: "live", RetiredAt: at, Reason: "replaced", By: "user:ada", RecordedAt: at}
	require.NoError(t, w.stores(func(st onboard.Stores) error {
		note := audit.New(access.Operator("ada"), at, audit.SnapshotShipped, "snapshot", "s-a").In("acme", "live").Changed(audit.Facts{"name": "A"}, audit.Facts{"name": "B"})
		for _, e := range []audit.Entry{note, note.Refusal(), note.In("other", "live").Refusal()} {
			if err := st.Audit.Append(w.ctx, e); err != nil {
				return err
			}
		}
		return st.Agreements.InsertRetirement(w.ctx, retired)
	}))
	d, err := svc.SnapshotDetail(w.ctx, "acme", "s-a")
	require.NoError(t, err)
	require.Equal(t, []int64{5, 2}, []int64{d.Decisions, d.Late}, "the fourth and the fifth")
	require.Equal(t, []any{at, "replaced", "user:ada", false}, []any{*d.RetiredAt, d.RetiredReason, d.RetiredBy, d.More})
	require.Equal(t, []string{"2026-01-02", "2026-01-06"}, []string{d.First.Format(time.DateOnly), d.Last.Format(time.DateOnly)})
	require.Equal(t, []reconcile.PropensityCount{{Holdout: true, From: 0.7, Decisions: 2}, {From: 0.2, Decisions: 1}, {From: 0.7, Decisions: 2}}, d.Propensities)
	require.Equal(t, int64(5), d.Sampled)
	require.Len(t, d.Months, 2)
	require.Equal(t, "2026-02", d.Months[0].Period)
	require.Positive(t, d.Months[0].MarkMinor)
	require.Len(t, d.Refused, 1)
	require.JSONEq(t, `{"name":"B"}`, d.Refused[0].After)
	require.Equal(t, []string{"2026-02", "passed"}, []string{d.Period, d.Verdict})

	require.ErrorContains(t, w.exec(`UPDATE snapshot_retirements SET reason = 'x'`), "append-only")
	_, err = svc.SnapshotDetail(w.ctx, "acme", "nobody")
	require.Equal(t, "snapshot_not_found", fault.CodeOf(err))
	list, err := svc.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: access.Everything(), Search: "s-a", AccountID: "acme"})
	require.NoError(t, err)
	require.Equal(t, at, *list.Items[0].RetiredAt)
}
