package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/reward"
)

// conversions are the outcomes of the conversions of a customer's subscriptions, by
// subscription, as the facts told them up to a moment.
func (r *CustomerReader) conversions(ctx context.Context, connectionID, customerID string, asOf time.Time) (map[string]reward.ConversionOutcome, error) {
	var of []reward.History
	err := query(ctx, r.db.sql, `
		WITH facts AS (
			SELECT subscription_id, kind, effective_at, min(effective_at) FILTER (WHERE kind = 'conversion') OVER (PARTITION BY subscription_id) AS converted
			FROM reward_events
			WHERE connection_id = $1 AND customer_id = $2 AND effective_at <= $3 AND subscription_id <> ''
				AND (kind IN ('conversion', 'churn', 'churn_finalised') OR (kind = 'revenue_confirmation' AND amount_minor > 0)))
		SELECT subscription_id, min(converted),
			min(effective_at) FILTER (WHERE kind = 'revenue_confirmation' AND effective_at >= coalesce(converted, '-infinity')),
			min(effective_at) FILTER (WHERE kind = 'churn' AND effective_at >= coalesce(converted, '-infinity')),
			max(effective_at) FILTER (WHERE kind IN ('churn', 'churn_finalised'))
		FROM facts GROUP BY subscription_id ORDER BY subscription_id`, []any{connectionID, customerID, asOf}, func(scan func(...any) error) error {
		var h reward.History
		var converted, paid, ended, left *time.Time
		err := scan(&h.Subscription, &converted, &paid, &ended, &left)
		h.ConvertedAt, h.PaidAt, h.EndedAt, h.LeftAt = orNever(converted), orNever(paid), orNever(ended), orNever(left)
		of = append(of, h)
		return err
	})
	return reward.Conversions(of), wrap(err)
}

func orNever(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
