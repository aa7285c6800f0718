package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

// AccountHealth reads what has a row per month, never what has one per event.
func (r *Reader) AccountHealth(ctx context.Context, accountIDs []string, now time.Time) ([]reconcile.AccountHealth, error) {
	var rows []struct {
		AccountID, Period, Currency, Trend, Unpaid     string
		PaidMinor, UnmappedMinor, Withheld, OpenBreaks int64
	}
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT a.id AS account_id, coalesce(m.period, '') AS period, coalesce(m.currency, '') AS currency, coalesce(m.paid_minor, 0) AS paid_minor,
			coalesce((SELECT sum(b.amount_minor)::bigint FROM all_cycle_buckets b WHERE b.cycle_id = m.id AND b.revision = m.revision AND b.bucket = 'unmapped' AND b.currency = m.currency), 0) AS unmapped_minor,
			(SELECT count(*) FROM cycles c WHERE c.account_id = a.id AND c.state = 'withheld' AND c.reason <> 'shadow_phase') AS withheld,
			(SELECT count(*) FROM recon_breaks b WHERE b.account_id = a.id AND b.state IN ('open', 'assigned', 'waiting', 'force_requested')) AS open_breaks,
			coalesce((SELECT jsonb_agg(jsonb_build_object('period', t.period, 'lift', t.lift, 'ess', t.ess) ORDER BY t.period) FROM (
				SELECT y.period, sum(r.lift) AS lift, min(r.ess) AS ess FROM cycles y
				CROSS JOIN LATERAL (SELECT lift, ess FROM all_readouts WHERE cycle_id = y.id AND revision = y.revision AND snapshot_id <> 'pooled' OFFSET 0) r
				WHERE y.account_id = a.id AND length(y.period) = 7 GROUP BY y.period ORDER BY y.period DESC LIMIT @months) t), '[]')::text AS trend,
			coalesce((SELECT jsonb_agg(jsonb_build_object('currency', u.currency, 'minor', jsonb_build_array(u.d30, u.d60, u.d90, u.more)) ORDER BY u.currency) FROM (
				SELECT o.currency, coalesce(sum(o.remains) FILTER (WHERE o.days <= 30), 0) AS d30, coalesce(sum(o.remains) FILTER (WHERE o.days > 30 AND o.days <= 60), 0) AS d60,
					coalesce(sum(o.remains) FILTER (WHERE o.days > 60 AND o.days <= 90), 0) AS d90, coalesce(sum(o.remains) FILTER (WHERE o.days > 90), 0) AS more
				FROM (SELECT w.currency, coalesce(p.amount_remaining_minor, w.total_minor) AS remains, coalesce(extract(epoch FROM CAST(@now AS timestamptz) - p.due_at) / 86400, 0) AS days
					FROM writeback_intents w`+paymentJoin+`
					WHERE w.account_id = a.id AND w.state = 'released' AND w.stripe_status = 'open' AND coalesce(p.status, 'open') IN ('draft', 'open')) o
				WHERE o.remains > 0 GROUP BY o.currency) u), '[]')::text AS unpaid
		FROM accounts a LEFT JOIN LATERAL (
			SELECT c.id, c.revision, c.period, c.paid_minor, p.plan::jsonb ->> 'currency' AS currency FROM cycles c JOIN measurement_plans p ON p.id = c.plan_id
			WHERE c.account_id = a.id AND c.paid_minor IS NOT NULL ORDER BY c.period DESC LIMIT 1) m ON true
		WHERE a.id = ANY (CAST(@ids AS text[])) ORDER BY a.id`,
		map[string]any{"ids": wordsOf(accountIDs), "now": now, "months": reconcile.HealthMonths}).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]reconcile.AccountHealth, len(rows))
	for i, row := range rows {
		out[i] = reconcile.AccountHealth{
			AccountID: row.AccountID, Period: row.Period, Currency: row.Currency, PaidMinor: row.PaidMinor, UnmappedMinor: row.UnmappedMinor, Withheld: row.Withheld, OpenBreaks: row.OpenBreaks,
		}
		if err := errors.Join(json.Unmarshal([]byte(row.Trend), &out[i].Trend), json.Unmarshal([]byte(row.Unpaid), &out[i].Unpaid)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
