package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/reconcile"
)

// CountAccount counts at most once on a UTC day: the condition is asked before anything is read.
func (r *Recon) CountAccount(ctx context.Context, accountID string, at time.Time) error {
	day := at.UTC().Truncate(24 * time.Hour)
	return wrap(r.db.gorm.WithContext(ctx).Exec(`
		INSERT INTO account_figures (account_id, at, decisions, worth)
		SELECT a.id, CAST(@at AS timestamptz), (SELECT count(*) FROM decision_keys d WHERE d.account_id = a.id), coalesce((
			SELECT jsonb_agg(jsonb_build_object('currency', m.currency, 'mrr', m.mrr::text, 'net', m.net::text, 'unknown', m.unknown, 'undiscounted', m.undiscounted) ORDER BY m.currency)
			FROM (SELECT b.currency, coalesce(sum(b.mrr_minor), 0) AS mrr, coalesce(sum(b.net_mrr_minor), 0) AS net,
					count(*) FILTER (WHERE b.mrr_minor IS NULL) AS unknown, count(*) FILTER (WHERE b.mrr_minor IS NOT NULL AND b.net_mrr_minor IS NULL) AS undiscounted
				FROM stripe_subscriptions b WHERE b.connection_id = a.source_connection AND b.status IN ('active', 'past_due') GROUP BY b.currency) m), '[]')
		FROM accounts a WHERE a.id = @account AND NOT EXISTS (SELECT 1 FROM account_figures WHERE account_id = @account AND at >= CAST(@day AS timestamptz))
		ON CONFLICT (account_id) DO UPDATE SET at = excluded.at, decisions = excluded.decisions, worth = excluded.worth`,
		map[string]any{"account": accountID, "at": at, "day": day}).Error)
}

// AccountFigures reads one row of each account, of its newest frozen month and of each of our
// invoices.
func (r *Reader) AccountFigures(ctx context.Context, accountIDs []string) (map[string]reconcile.AccountFigures, error) {
	var rows []struct {
		AccountID, Period, Currency, Worth string
		RevenueMinor, Invoices, Decisions  int64
		CountedAt                          *time.Time
	}
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT a.id AS account_id, coalesce(m.period, '') AS period, coalesce(m.currency, '') AS currency, coalesce(m.paid_minor, 0) AS revenue_minor,
			(SELECT count(*) FROM writeback_intents w WHERE w.account_id = a.id AND w.state <> 'superseded' AND w.finalized_at IS NOT NULL) AS invoices,
			f.at AS counted_at, coalesce(f.decisions, 0) AS decisions, coalesce(f.worth::text, '[]') AS worth
		FROM accounts a LEFT JOIN account_figures f ON f.account_id = a.id
		LEFT JOIN LATERAL (
			SELECT c.period, c.paid_minor, p.plan::jsonb ->> 'currency' AS currency FROM cycles c JOIN measurement_plans p ON p.id = c.plan_id
			WHERE c.account_id = a.id AND c.paid_minor IS NOT NULL ORDER BY c.period DESC LIMIT 1) m ON true
		WHERE a.id = ANY (?::text[])`, wordsOf(accountIDs)).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make(map[string]reconcile.AccountFigures, len(rows))
	for _, row := range rows {
		f := reconcile.AccountFigures{
			AccountID: row.AccountID, Period: row.Period, Currency: row.Currency, RevenueMinor: row.RevenueMinor, Invoices: row.Invoices, CountedAt: utc(row.CountedAt), Decisions: row.Decisions,
		}
		var worth []struct {
			Currency              string
			MRR, Net              decimal.Decimal
			Unknown, Undiscounted int
		}
		if err := json.Unmarshal([]byte(row.Worth), &worth); err != nil {
			return nil, err
		}
		for _, w := range worth {
			f.Worth = append(f.Worth, reconcile.Worth{Currency: w.Currency, MRR: w.MRR, NetMRR: w.Net, Unknown: w.Unknown, Undiscounted: w.Undiscounted})
		}
		out[row.AccountID] = f
	}
	return out, nil
}
