package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/reward"
)

// paymentSums are what payments of facts e come to.
const paymentSums = `count(*) FILTER (WHERE e.kind = @paid AND e.amount_minor <> 0) AS paid, coalesce(sum(e.amount_minor) FILTER (WHERE e.kind = @paid), 0)::bigint AS paid_minor,
			count(*) FILTER (WHERE e.kind = @failed) AS failed, count(*) FILTER (WHERE e.kind = @recovered) AS recovered`

// paymentArgs are the parameters of payments since an instant.
func paymentArgs(since time.Time) map[string]any {
	kinds := []string{reward.RevenueConfirmation.String(), reward.PaymentFailed.String(), reward.PaymentRecovered.String()}
	return map[string]any{"since": since, "paid": kinds[0], "failed": kinds[1], "recovered": kinds[2], "kinds": kinds}
}

// paymentPace is how old sums of payments may be before they are computed again.
const paymentPace = 5 * time.Minute

// RefreshPayments sums the payments of every connection that an account takes its revenue
// from, in one transaction, unless that was done within paymentPace.
func (k *KeptFigures) RefreshPayments(ctx context.Context, since time.Time, few int64, at time.Time) error {
	return wrap(k.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var due bool
		err := tx.Raw(`SELECT pg_try_advisory_xact_lock(hashtext('sums of payments')) AND NOT EXISTS (SELECT 1 FROM payment_figures WHERE as_of > ? AND as_of <= ?)`, at.Add(-paymentPace), at).Scan(&due).Error
		if err != nil || !due {
			return err
		}
		if err := tx.Exec(`DELETE FROM payment_figures`).Error; err != nil {
			return err
		}
		args := paymentArgs(since)
		args["few"], args["many"], args["at"] = few, few+1, at
		// The default partition and those of other times are left out by the instant, which is
		// known before the statement is planned.
		var many bool
		err = tx.Raw(`SELECT count(*) > @few FROM (SELECT 1 FROM reward_events WHERE effective_at >= @since LIMIT @many) s`, args).Scan(&many).Error
		if err != nil || !many {
			return err
		}
		return tx.Exec(`INSERT INTO payment_figures (connection_id, currency, as_of, paid, paid_minor, failed, recovered)
			SELECT e.connection_id, e.currency, @at, `+paymentSums+` FROM reward_events e
			WHERE e.effective_at >= @since AND NOT e.historic AND e.kind IN @kinds AND e.connection_id IN (SELECT source_connection FROM accounts)
			GROUP BY e.connection_id, e.currency`, args).Error
	}))
}
