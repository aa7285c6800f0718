package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

// Trend lists the readouts of a snapshot under the plan of a cycle: a plan is sealed for
// one contract year.
func (r *Reader) Trend(ctx context.Context, cycleID, snapshotID string) ([]reconcile.TrendPoint, error) {
	var out []reconcile.TrendPoint
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT r.period, r.case_id, r.verdict, r.lift, r.interval_low, r.interval_high, r.bound,
			coalesce(l.high_water_to, 0) AS mark_minor, coalesce(l.fee_minor, 0) AS fee_minor
		FROM cycles of JOIN cycles c ON c.account_id = of.account_id AND c.plan_id = of.plan_id
		JOIN readouts r ON r.cycle_id = c.id AND r.account_id = c.account_id AND r.snapshot_id = ?
		LEFT JOIN cycle_lines l ON l.cycle_id = r.cycle_id AND l.snapshot_id = r.snapshot_id
		WHERE of.id = ? AND r.period <= of.period ORDER BY r.period`, snapshotID, cycleID).Scan(&out).Error
	return out, wrap(err)
}

// Weights counts the frozen users by arm and weight. baseline_prob is the probability of the
// holdout.
func (r *Reader) Weights(ctx context.Context, cycleID, snapshotID string) ([]reconcile.WeightCount, error) {
	var out []reconcile.WeightCount
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT holdout, round((1 / CASE WHEN holdout THEN baseline_prob ELSE 1 - baseline_prob END)::numeric, 2)::float8 AS weight, count(*) AS units
		FROM cycle_units WHERE cycle_id = ? AND snapshot_id = ? GROUP BY 1, 2 ORDER BY 1 DESC, 2`, cycleID, snapshotID).Scan(&out).Error
	return out, wrap(err)
}

// snapshotSelect shows a snapshot with its newest readout and what its years have billed.
const snapshotSelect = `
		SELECT p.account_id, a.name AS account_name, p.environment, p.id, p.name, p.shipped_at, t.retired_at, coalesce(r.period, '') AS period, coalesce(r.case_id, '') AS case_id,
			coalesce(r.verdict, '') AS verdict, coalesce(r.headline, '') AS headline, coalesce(r.currency, '') AS currency,
			(SELECT count(*) FROM readouts n WHERE n.account_id = p.account_id AND n.snapshot_id = p.id) AS readouts,
			b.billed AS billed_minor, b.fee AS fee_minor
		FROM policy_snapshots p JOIN accounts a ON a.id = p.account_id
		LEFT JOIN snapshot_retirements t ON t.account_id = p.account_id AND t.snapshot_id = p.id
		LEFT JOIN LATERAL (SELECT period, case_id, verdict, headline, currency FROM readouts r WHERE r.account_id = p.account_id AND r.snapshot_id = p.id ORDER BY r.period DESC LIMIT 1) r ON true
		LEFT JOIN LATERAL (SELECT sum(l.base_minor)::bigint AS billed, sum(l.fee_minor)::bigint AS fee FROM cycle_lines l JOIN cycles c ON c.id = l.cycle_id
			WHERE c.account_id = p.account_id AND l.snapshot_id = p.id) b ON true`

// Snapshots pages by (shipped_at, account~snapshot), newest first; IDs hold no "~".
func (r *Reader) Snapshots(ctx context.Context, f reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error) {
	q := where{}
	q.scoped(f.Scope, "p.environment", "p.account_id")
	q.eq("p.account_id", f.AccountID)
	q.eq("r.verdict", f.Verdict)
	if f.Search != "" {
		q.add("? IN (p.id, p.name)", f.Search)
	}
	var page reconcile.Page[reconcile.Snapshot]
	if f.Cursor != "" {
		at, _, err := parseCursor(f.Cursor)
		if err == nil {
			_, err = time.Parse(time.RFC3339Nano, at)
		}
		if err != nil {
			return page, badCursor(f.Cursor)
		}
	}
	if err := q.after(f.Cursor, "(p.shipped_at, p.account_id || '~' || p.id) < (?::timestamptz, ?)"); err != nil {
		return page, err
	}
	var rows []reconcile.Snapshot
	err := r.db.gorm.WithContext(ctx).Raw(snapshotSelect+q.sql()+` ORDER BY p.shipped_at DESC, p.account_id || '~' || p.id DESC LIMIT ?`, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	return pageOf(rows, f.Limit, func(s reconcile.Snapshot) (reconcile.Snapshot, error) {
		s.ShippedAt, s.RetiredAt = s.ShippedAt.UTC(), utc(s.RetiredAt)
		return s, nil
	}, func(s reconcile.Snapshot) string {
		return cursor(s.ShippedAt.Format(time.RFC3339Nano), s.AccountID+"~"+s.ID)
	})
}
