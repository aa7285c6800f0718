package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// SnapshotDetail reads a snapshot with its months, its decisions and the attempts to
// change it. Decisions are counted and weighed by the index on them, up to a bound.
func (r *Reader) SnapshotDetail(ctx context.Context, accountID, id string) (reconcile.SnapshotDetail, error) {
	tx := r.db.gorm.WithContext(ctx)
	var rows []reconcile.Snapshot
	if err := tx.Raw(snapshotOf("policy_snapshots")+` WHERE p.account_id = ? AND p.id = ?`, accountID, id).Scan(&rows).Error; err != nil {
		return reconcile.SnapshotDetail{}, wrap(err)
	}
	if len(rows) == 0 {
		return reconcile.SnapshotDetail{}, fault.New(fault.NotFound, "snapshot_not_found", "account %s has no snapshot %q", accountID, id).Fix("Look for it in the list of snapshots")
	}
	out := reconcile.SnapshotDetail{Snapshot: rows[0]}
	out.ShippedAt, out.RetiredAt = out.ShippedAt.UTC(), utc(out.RetiredAt)
	var counted struct {
		Decisions, Late int64
		First, Last     *time.Time
		Reason, By      string
	}
	err := tx.Raw(`
		WITH retired AS (SELECT retired_at, reason, retired_by FROM snapshot_retirements WHERE account_id = ? AND snapshot_id = ?),
		newest AS (SELECT ts FROM decisions WHERE account_id = ? AND snapshot_id = ? ORDER BY ts DESC LIMIT ?)
		SELECT (SELECT count(*) FROM newest) AS decisions, (SELECT count(*) FROM newest WHERE ts >= (SELECT retired_at FROM retired)) AS late,
			(SELECT min(ts) FROM decisions WHERE account_id = ? AND snapshot_id = ?) AS "first", (SELECT max(ts) FROM newest) AS "last",
			coalesce((SELECT reason FROM retired), '') AS reason, coalesce((SELECT retired_by FROM retired), '') AS "by"`,
		accountID, id, accountID, id, reconcile.MaxDecisionsCounted+1, accountID, id).Scan(&counted).Error
	if err != nil {
		return out, wrap(err)
	}
	out.Decisions, out.Late, out.First, out.Last, out.RetiredReason, out.RetiredBy = counted.Decisions, counted.Late, utc(counted.First), utc(counted.Last), counted.Reason, counted.By
	if out.Decisions > reconcile.MaxDecisionsCounted {
		out.Decisions, out.More = reconcile.MaxDecisionsCounted, true
	}
	err = tx.Raw(`
		SELECT r.period, r.cycle_id, r.case_id, r.verdict, r.headline, r.currency, r.explanation, r.units, r.holdout_units, r.lift, r.bound, r.ess,
			coalesce(l.base_minor, 0) AS base_minor, coalesce(l.fee_minor, 0) AS fee_minor, coalesce(l.high_water_to, 0) AS mark_minor
		FROM readouts r LEFT JOIN cycle_lines l ON l.cycle_id = r.cycle_id AND l.snapshot_id = r.snapshot_id
		WHERE r.account_id = ? AND r.snapshot_id = ? ORDER BY r.period DESC`, accountID, id).Scan(&out.Months).Error
	if err != nil {
		return out, wrap(err)
	}
	err = tx.Raw(`SELECT at, action, actor_name AS actor, reason, before, after FROM audit_log
		WHERE object = 'snapshot' AND object_id = ? AND account_id = ? AND outcome = ? AND action IN ? ORDER BY at DESC, seq DESC LIMIT ?`,
		id, accountID, string(audit.Refused), []string{string(audit.SnapshotShipped), string(audit.SnapshotRetired)}, reconcile.MaxLimit).Scan(&out.Refused).Error
	if err != nil {
		return out, wrap(err)
	}
	err = tx.Raw(`
		WITH newest AS (SELECT arm, propensity[array_position(eligible_actions, action)] AS p FROM decisions WHERE account_id = ? AND snapshot_id = ? ORDER BY ts DESC LIMIT ?)
		SELECT arm = 'holdout' AS holdout, least(floor(p * 10), 9) / 10 AS "from", count(*) AS decisions FROM newest WHERE p IS NOT NULL GROUP BY 1, 2 ORDER BY 1 DESC, 2`,
		accountID, id, reconcile.MaxPropensities).Scan(&out.Propensities).Error
	for i := range out.Refused {
		out.Refused[i].At = out.Refused[i].At.UTC()
	}
	for _, p := range out.Propensities {
		out.Sampled += p.Decisions
	}
	return out, wrap(err)
}
