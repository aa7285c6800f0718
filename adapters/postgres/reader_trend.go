package postgres

import (
	"context"
	"strings"

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
func (r *Reader) Weights(ctx context.Context, cycleID, snapshotID string, revision int) ([]reconcile.WeightCount, error) {
	var out []reconcile.WeightCount
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT holdout, round((1 / CASE WHEN holdout THEN baseline_prob ELSE 1 - baseline_prob END)::numeric, 2)::float8 AS weight, count(*) AS units,
			sum(y_minor)::bigint AS sum_minor, sum(1 / CASE WHEN holdout THEN baseline_prob ELSE 1 - baseline_prob END) AS inverse,
			sum(y_minor / CASE WHEN holdout THEN baseline_prob ELSE 1 - baseline_prob END) AS weighted_minor
		FROM cycle_units WHERE cycle_id = ? AND snapshot_id = ? AND revision = ? GROUP BY 1, 2 ORDER BY 1 DESC, 2`, cycleID, snapshotID, revision).Scan(&out).Error
	return out, wrap(err)
}

// snapshotOrders tell snapshots apart by account and ID, which hold no "~".
var snapshotOrders = keyset[reconcile.Snapshot]{
	id: "(p.account_id || '~' || p.id)", value: func(s reconcile.Snapshot) string { return s.AccountID + "~" + s.ID }, first: "shipped",
	by: map[string]sorting[reconcile.Snapshot]{
		"shipped": {"p.shipped_at", byTime, func(s reconcile.Snapshot) string { return instantKey(s.ShippedAt) }},
		"account": {"p.account_id", byText, func(s reconcile.Snapshot) string { return s.AccountID }},
		"name":    {"replace(p.name, '~', ' ')", byText, func(s reconcile.Snapshot) string { return strings.ReplaceAll(s.Name, "~", " ") }},
	},
}

// snapshotNewest is the newest readout of a snapshot p.
const snapshotNewest = `
	LEFT JOIN LATERAL (SELECT period, case_id, verdict, headline, currency FROM readouts r WHERE r.account_id = p.account_id AND r.snapshot_id = p.id ORDER BY r.period DESC LIMIT 1) r ON true`

// snapshotOf shows the snapshots of a table p with their newest readout and what their
// years have billed.
func snapshotOf(table string) string {
	return `
		SELECT p.account_id, a.name AS account_name, p.environment, p.id, p.name, p.shipped_at, t.retired_at, coalesce(r.period, '') AS period, coalesce(r.case_id, '') AS case_id,
			coalesce(r.verdict, '') AS verdict, coalesce(r.headline, '') AS headline, coalesce(r.currency, '') AS currency,
			(SELECT count(*) FROM readouts n WHERE n.account_id = p.account_id AND n.snapshot_id = p.id) AS readouts,
			b.billed AS billed_minor, b.fee AS fee_minor
		FROM ` + table + ` p JOIN accounts a ON a.id = p.account_id
		LEFT JOIN snapshot_retirements t ON t.account_id = p.account_id AND t.snapshot_id = p.id` + snapshotNewest + `
		LEFT JOIN LATERAL (SELECT sum(l.base_minor)::bigint AS billed, sum(l.fee_minor)::bigint AS fee FROM cycles c
			CROSS JOIN LATERAL (SELECT base_minor, fee_minor FROM cycle_lines WHERE cycle_id = c.id AND snapshot_id = p.id OFFSET 0) l
			WHERE c.account_id = p.account_id) b ON true`
}

// Snapshots pages by the key of the order that is asked for, the newest first.
func (r *Reader) Snapshots(ctx context.Context, f reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error) {
	q := where{}
	q.scoped(f.Scope, "p.environment", "p.account_id")
	q.eq("p.account_id", f.AccountID)
	q.eq("p.id", f.ID)
	q.eq("r.verdict", f.Verdict)
	if f.Search != "" {
		q.add("(p.id = ? OR p.name = ?)", f.Search, f.Search)
	}
	order, key, err := snapshotOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return reconcile.Page[reconcile.Snapshot]{}, err
	}
	newest := ""
	if f.Verdict != "" {
		newest = snapshotNewest
	}
	var rows []reconcile.Snapshot
	err = r.db.gorm.WithContext(ctx).Raw(`WITH shown AS MATERIALIZED (SELECT p.* FROM policy_snapshots p`+newest+q.sql()+` ORDER BY `+order+` LIMIT ?)`+
		snapshotOf("shown")+` ORDER BY `+order, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.Snapshot]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, func(s reconcile.Snapshot) (reconcile.Snapshot, error) {
		s.ShippedAt, s.RetiredAt = s.ShippedAt.UTC(), utc(s.RetiredAt)
		return s, nil
	}, key)
}
