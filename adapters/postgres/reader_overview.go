package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
)

// Standings sums the cycles of a period; its cost grows with the cycles and their buckets,
// not with the events.
func (r *Reader) Standings(ctx context.Context, scope access.Scope, period string) ([]reconcile.Standing, error) {
	q := where{}
	q.scoped(scope, "c.environment", "c.account_id")
	q.add("c.period = ?", period)
	var out []reconcile.Standing
	err := r.db.gorm.WithContext(ctx).Raw(`
		WITH months AS MATERIALIZED (
			SELECT c.id, c.revision, c.environment, k.terms::jsonb ->> 'currency' AS currency, coalesce(c.paid_minor, 0) AS paid, coalesce(i.total_minor, 0) AS engine,
				w.stripe_total, `+paymentStatus+` AS stripe_status, p.amount_remaining_minor AS remaining
			FROM cycles c JOIN contracts k ON k.id = c.contract_id`+cycleInvoice+`
			LEFT JOIN writeback_intents w ON w.cycle_id = c.id AND w.state <> 'superseded'`+paymentJoin+q.sql()+`),
		places AS MATERIALIZED (
			SELECT m.id, sum(b.amount_minor) FILTER (WHERE b.bucket = 'snapshot') AS attributed, sum(b.amount_minor) FILTER (WHERE b.bucket = 'unmapped') AS unmapped,
				sum(b.amount_minor) FILTER (WHERE b.bucket = 'no_decision') AS undecided
			FROM months m CROSS JOIN LATERAL (SELECT * FROM all_cycle_buckets b WHERE b.cycle_id = m.id AND b.revision = m.revision AND b.currency = m.currency OFFSET 0) b GROUP BY m.id)
		SELECT m.environment, m.currency, count(*) AS cycles, sum(m.paid)::bigint AS paid_minor, coalesce(sum(p.attributed), 0)::bigint AS attributed_minor,
			coalesce(sum(p.unmapped), 0)::bigint AS unmapped_minor, coalesce(sum(p.undecided), 0)::bigint AS undecided_minor, sum(m.engine)::bigint AS engine_minor,
			count(m.stripe_total) AS invoices, coalesce(sum(m.stripe_total), 0)::bigint AS invoiced_minor,
			count(*) FILTER (WHERE m.stripe_status = 'paid') AS settled, coalesce(sum(m.stripe_total) FILTER (WHERE m.stripe_status = 'paid'), 0)::bigint AS settled_minor,
			coalesce(sum(coalesce(m.remaining, m.stripe_total)) FILTER (WHERE m.stripe_status = 'open'), 0)::bigint AS open_minor
		FROM months m LEFT JOIN places p ON p.id = m.id GROUP BY m.environment, m.currency ORDER BY m.environment, m.currency`, q.args...).Scan(&out).Error
	return out, wrap(err)
}

// Payments reads the last days of each connection by the index of the newest facts, or what is
// kept of them where they are many.
func (r *Reader) Payments(ctx context.Context, scope access.Scope, since time.Time) ([]reconcile.Payments, error) {
	q := where{}
	q.scoped(scope, "a.environment", "a.id")
	sources := `WITH sources AS MATERIALIZED (SELECT DISTINCT a.source_connection AS id, a.environment FROM accounts a` + q.sql() + `)`
	db := r.db.gorm.WithContext(ctx)
	var kept bool
	if err := db.Raw(`SELECT EXISTS (SELECT 1 FROM payment_figures)`).Scan(&kept).Error; err != nil {
		return nil, wrap(err)
	}
	var out []reconcile.Payments
	if kept {
		err := db.Raw(sources+`
			SELECT s.environment, f.currency, sum(f.paid)::bigint AS paid, sum(f.paid_minor)::bigint AS paid_minor, sum(f.failed)::bigint AS failed, sum(f.recovered)::bigint AS recovered, min(f.as_of) AS as_of
			FROM sources s JOIN payment_figures f ON f.connection_id = s.id GROUP BY s.environment, f.currency ORDER BY s.environment, f.currency`, q.args...).Scan(&out).Error
		for i := range out {
			out[i].AsOf = utc(out[i].AsOf)
		}
		return out, wrap(err)
	}
	sums := db.Raw(`SELECT environment, currency, `+paymentSums+` FROM recent e WHERE kind IN @kinds GROUP BY environment, currency ORDER BY environment, currency`, paymentArgs(since))
	recent := db.Raw(`SELECT s.environment, e.kind, e.currency, e.amount_minor FROM sources s JOIN reward_events e ON e.connection_id = s.id AND e.effective_at >= ? AND NOT e.historic`, since)
	err := db.Raw(sources+`, recent AS MATERIALIZED (?) ?`, append(append([]any{}, q.args...), recent, sums)...).Scan(&out).Error
	return out, wrap(err)
}
