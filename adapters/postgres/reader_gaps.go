package postgres

import (
	"context"
	"encoding/json"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
)

// gapsFrozen are the buckets of the month's cycle that are gaps of the join.
const gapsFrozen = `SELECT CASE bucket WHEN 'no_decision' THEN 'reward_without_decision' ELSE bucket END AS reason, sum(events)::bigint AS count, sum(amount_minor)::bigint AS amount_minor, currency
	FROM cycle_buckets b JOIN cycles c ON c.id = b.cycle_id WHERE c.account_id = ? AND c.period = ? AND b.bucket IN ('no_decision', 'before_exposure', 'out_of_window') GROUP BY bucket, currency`

// The gaps below are those of periods, a table of names and intervals.
const (
	gapPeriods = `periods AS (SELECT * FROM jsonb_to_recordset(CAST(@periods AS jsonb)) AS p(period text, starts timestamptz, ends timestamptz))`
	// gapsDuplicates are the confirmations of an invoice beyond its first.
	gapsDuplicates = `SELECT period, 'duplicate_reward' AS reason, sum(n - 1)::bigint AS count, sum(total - first)::bigint AS amount_minor, currency FROM (
		SELECT p.period, r.currency, count(*) AS n, sum(r.amount_minor) AS total, (array_agg(r.amount_minor ORDER BY r.recorded_at, r.fact_key))[1] AS first
		FROM reward_events r JOIN periods p ON r.effective_at >= p.starts AND r.effective_at < p.ends
		WHERE r.connection_id = @connection AND r.kind = 'revenue_confirmation' AND r.effective_at >= @start AND r.effective_at < @end AND r.invoice_id <> ''
		GROUP BY p.period, r.invoice_id, r.currency HAVING count(*) > 1) d GROUP BY period, currency`
	// gapsDecisions counts the decisions in one pass; every count is there, also as 0.
	gapsDecisions = `d AS MATERIALIZED (
		SELECT p.period, unit_id, user_id, snapshot_id, propensity[array_position(eligible_actions, action)] AS p
		FROM decisions JOIN periods p ON ts >= p.starts AND ts < p.ends WHERE account_id = @account AND ts >= @start AND ts < @end),
	users AS MATERIALIZED (SELECT DISTINCT user_id FROM mapping_spans WHERE connection_id = @connection AND state = 'linked'),
	counts AS MATERIALIZED (
		SELECT d.period, count(*) FILTER (WHERE u.user_id IS NULL) AS strangers, count(*) - (SELECT count(*) FROM (SELECT DISTINCT unit_id, snapshot_id FROM d o WHERE o.period = d.period) x) AS twice,
			count(*) FILTER (WHERE NOT coalesce(p > 0 AND p <= 1, false)) AS odd
		FROM d LEFT JOIN users u ON u.user_id = d.user_id GROUP BY d.period)
	SELECT p.period, g.reason, g.count, 0::bigint AS amount_minor, '' AS currency FROM periods p LEFT JOIN counts c ON c.period = p.period
	CROSS JOIN LATERAL (VALUES (1, 'decision_without_customer', coalesce(c.strangers, 0)), (2, 'duplicate_decision', coalesce(c.twice, 0)), (3, 'propensity_out_of_range', coalesce(c.odd, 0))) g(no, reason, count)`
)

// gapRow is a gap of a period.
type gapRow struct {
	Period, Reason, Currency string
	Count, AmountMinor       int64
}

// joinGaps computes the gaps of periods that no cycle has frozen.
func joinGaps(ctx context.Context, tx *gorm.DB, accountID, connectionID string, periods []figurePeriod) ([]gapRow, error) {
	var out []gapRow
	args, err := periodArgs(accountID, connectionID, periods)
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{"WITH " + gapPeriods + gapsDuplicates + " ORDER BY period, currency", "WITH " + gapPeriods + ", " + gapsDecisions + " ORDER BY p.period, g.no"} {
		var rows []gapRow
		if err := tx.WithContext(ctx).Raw(sql, args).Scan(&rows).Error; err != nil {
			return nil, wrap(err)
		}
		out = append(out, rows...)
	}
	return out, nil
}

// Gaps counts what does not meet in a month: what its cycle froze, and what is summed of its
// facts and decisions now, or was when the connection's figures were last computed.
func (r *Reader) Gaps(ctx context.Context, accountID, month string) ([]reconcile.Gap, error) {
	in, err := r.interval(ctx, accountID, month)
	if err != nil {
		return nil, err
	}
	var out []reconcile.Gap
	if err := r.db.gorm.WithContext(ctx).Raw(gapsFrozen+" ORDER BY reason DESC, currency", accountID, month).Scan(&out).Error; err != nil {
		return nil, wrap(err)
	}
	var connectionID string
	if err := r.db.gorm.WithContext(ctx).Raw(`SELECT source_connection FROM accounts WHERE id = ?`, accountID).Scan(&connectionID).Error; err != nil {
		return nil, wrap(err)
	}
	kept, err := keptCoverage(ctx, r.db.gorm, connectionID, month, in)
	if err != nil {
		return nil, err
	}
	var rows []gapRow
	if kept == nil {
		rows, err = joinGaps(ctx, r.db.gorm, accountID, connectionID, []figurePeriod{{Name: month, Start: in.Start, End: in.End}})
	} else {
		err = json.Unmarshal([]byte(kept.Gaps), &rows)
	}
	for _, g := range rows {
		out = append(out, reconcile.Gap{Reason: reconcile.GapReason(g.Reason), Currency: g.Currency, Count: g.Count, AmountMinor: g.AmountMinor})
	}
	return out, err
}
