package postgres

import (
	"context"

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
