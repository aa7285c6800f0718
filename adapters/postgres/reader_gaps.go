package postgres

import (
	"context"

	"github.com/liftbill/liftbill/app/reconcile"
)

// gapsFrozen are the buckets of the month's cycle that are gaps of the join.
const gapsFrozen = `SELECT CASE bucket WHEN 'no_decision' THEN 'reward_without_decision' ELSE bucket END AS reason, sum(events)::bigint AS count, sum(amount_minor)::bigint AS amount_minor, currency
	FROM cycle_buckets b JOIN cycles c ON c.id = b.cycle_id WHERE c.account_id = ? AND c.period = ? AND b.bucket IN ('no_decision', 'before_exposure', 'out_of_window') GROUP BY bucket, currency`

// gapsDuplicates are the confirmations of an invoice beyond its first.
const gapsDuplicates = `SELECT 'duplicate_reward' AS reason, sum(n - 1)::bigint AS count, sum(total - first)::bigint AS amount_minor, currency FROM (
		SELECT r.currency, count(*) AS n, sum(r.amount_minor) AS total, (array_agg(r.amount_minor ORDER BY r.recorded_at, r.fact_key))[1] AS first
		FROM reward_events r JOIN accounts a ON a.source_connection = r.connection_id
		WHERE a.id = ? AND r.kind = 'revenue_confirmation' AND r.effective_at >= ? AND r.effective_at < ? AND r.invoice_id <> '' GROUP BY r.invoice_id, r.currency HAVING count(*) > 1) d GROUP BY currency`

// gapsDecisions counts the decisions of the month in one pass.
const gapsDecisions = `WITH d AS MATERIALIZED (
		SELECT unit_id, user_id, snapshot_id, propensity[array_position(eligible_actions, action)] AS p FROM decisions WHERE account_id = ? AND ts >= ? AND ts < ?)
	SELECT 'decision_without_customer' AS reason, count(*)::bigint AS count, 0::bigint AS amount_minor, '' AS currency FROM d
		WHERE NOT EXISTS (SELECT 1 FROM mapping_spans s JOIN accounts a ON a.source_connection = s.connection_id WHERE a.id = ? AND s.user_id = d.user_id AND s.state = 'linked')
	UNION ALL SELECT 'duplicate_decision', (SELECT count(*) FROM d) - (SELECT count(*) FROM (SELECT DISTINCT unit_id, snapshot_id FROM d) u), 0, ''
	UNION ALL SELECT 'propensity_out_of_range', count(*), 0, '' FROM d WHERE NOT coalesce(p > 0 AND p <= 1, false)`

// Gaps counts what does not meet in a month; every count of decisions is there, also as 0.
func (r *Reader) Gaps(ctx context.Context, accountID, month string) ([]reconcile.Gap, error) {
	in, err := r.interval(ctx, accountID, month)
	if err != nil {
		return nil, err
	}
	var out []reconcile.Gap
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{gapsFrozen + " ORDER BY reason DESC, currency", []any{accountID, month}},
		{gapsDuplicates + " ORDER BY currency", []any{accountID, in.Start, in.End}},
		{gapsDecisions, []any{accountID, in.Start, in.End, accountID}},
	} {
		var rows []reconcile.Gap
		if err := r.db.gorm.WithContext(ctx).Raw(q.sql, q.args...).Scan(&rows).Error; err != nil {
			return nil, wrap(err)
		}
		out = append(out, rows...)
	}
	return out, nil
}
