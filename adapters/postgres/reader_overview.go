package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
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
				w.stripe_total, `+paymentStatus+` AS stripe_status
			FROM cycles c JOIN contracts k ON k.id = c.contract_id`+cycleInvoice+`
			LEFT JOIN writeback_intents w ON w.cycle_id = c.id AND w.state <> 'superseded'`+paymentJoin+q.sql()+`),
		places AS MATERIALIZED (
			SELECT m.id, sum(b.amount_minor) FILTER (WHERE b.bucket = 'snapshot') AS attributed, sum(b.amount_minor) FILTER (WHERE b.bucket = 'unmapped') AS unmapped,
				sum(b.amount_minor) FILTER (WHERE b.bucket = 'no_decision') AS undecided
			FROM months m CROSS JOIN LATERAL (SELECT * FROM all_cycle_buckets b WHERE b.cycle_id = m.id AND b.revision = m.revision AND b.currency = m.currency OFFSET 0) b GROUP BY m.id)
		SELECT m.environment, m.currency, count(*) AS cycles, sum(m.paid)::bigint AS paid_minor, coalesce(sum(p.attributed), 0)::bigint AS attributed_minor,
			coalesce(sum(p.unmapped), 0)::bigint AS unmapped_minor, coalesce(sum(p.undecided), 0)::bigint AS undecided_minor, sum(m.engine)::bigint AS engine_minor,
			count(m.stripe_total) AS invoices, coalesce(sum(m.stripe_total), 0)::bigint AS invoiced_minor,
			count(*) FILTER (WHERE m.stripe_status = 'paid') AS settled, coalesce(sum(m.stripe_total) FILTER (WHERE m.stripe_status = 'paid'), 0)::bigint AS settled_minor
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

const invoiceSelect = `
	SELECT w.cycle_id, w.account_id, a.name AS account_name, w.period, w.state, ` + paymentStatus + ` AS stripe_status, coalesce(w.invoice_id, '') AS invoice_id, w.number,
		w.customer AS payer, w.issuer_connection AS issuer, w.currency, w.total_minor AS engine_minor, w.stripe_total AS stripe_minor,
		w.total_minor - w.stripe_total AS difference_minor, (SELECT count(*) FROM writeback_lines l WHERE l.intent_id = w.id) AS lines,
		(SELECT count(*) FROM writeback_attempts t WHERE t.intent_id = w.id) AS attempts, w.plan_hash, w.finalized_at, w.created_at, w.updated_at, c.state AS cycle_state,
		(SELECT sum(k.amount_minor)::bigint FROM corrections k WHERE k.cycle_id = w.cycle_id AND k.state = 'done' AND k.kind LIKE 'credit%') AS credited_minor, ` + paymentColumns + `
	FROM writeback_intents w JOIN accounts a ON a.id = w.account_id JOIN cycles c ON c.id = w.cycle_id` + paymentJoin

// invoiceOrders are the orders of the list; an invoice that is not finalized comes as if
// it had been before all others.
var invoiceOrders = keyset[ownInvoiceRow]{
	id: "w.cycle_id", value: func(i ownInvoiceRow) string { return i.CycleID }, first: "period",
	by: map[string]sorting[ownInvoiceRow]{
		"period": {"w.period", byText, func(i ownInvoiceRow) string { return i.Period }},
		"amount": {"w.total_minor", byNumber, func(i ownInvoiceRow) string { return strconv.FormatInt(i.EngineMinor, 10) }},
		"number": {"w.number", byText, func(i ownInvoiceRow) string { return i.Number }},
		"finalized": {"coalesce(w.finalized_at, 'epoch')", byTime, func(i ownInvoiceRow) string {
			if i.FinalizedAt == nil {
				return instantKey(time.Unix(0, 0))
			}
			return instantKey(*i.FinalizedAt)
		}},
	},
}

// Invoices pages by the key of the order that is asked for.
func (r *Reader) Invoices(ctx context.Context, f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error) {
	q := where{}
	q.add("w.state <> 'superseded'")
	q.scoped(f.Scope, "w.environment", "w.account_id")
	q.eq("w.period", f.Period)
	q.eq("w.account_id", f.AccountID)
	q.eq("w.currency", f.Currency)
	if f.Status == "none" {
		q.add("w.stripe_status = ''")
	} else {
		q.eq(paymentStatus, f.Status)
	}
	if !f.DueBefore.IsZero() {
		q.add("p.due_at < ? AND "+paymentStatus+" = 'open'", f.DueBefore)
	}
	if !f.From.IsZero() {
		q.add("w.finalized_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add("w.finalized_at < ?", f.To)
	}
	if f.AtStripe {
		q.add("w.invoice_id IS NOT NULL")
	}
	if f.Search != "" {
		q.add("(w.invoice_id = ? OR w.number = ? OR w.customer = ? OR w.cycle_id = ?)", f.Search, f.Search, f.Search, f.Search)
	}
	if f.MinMinor != nil {
		q.add("w.total_minor >= ?", *f.MinMinor)
	}
	if f.MaxMinor != nil {
		q.add("w.total_minor <= ?", *f.MaxMinor)
	}
	if f.MinMajor != nil {
		q.major("w.total_minor", "w.currency", ">=", *f.MinMajor)
	}
	if f.MaxMajor != nil {
		q.major("w.total_minor", "w.currency", "<=", *f.MaxMajor)
	}
	order, key, err := invoiceOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return reconcile.Page[reconcile.InvoiceRow]{}, err
	}
	var rows []ownInvoiceRow
	err = r.db.gorm.WithContext(ctx).Raw(invoiceSelect+q.sql()+" ORDER BY "+order+" LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.InvoiceRow]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, ownInvoiceRow.view, key)
}

// ownInvoiceRow is one of our invoices with what has become of it.
type ownInvoiceRow struct {
	CycleID, AccountID, AccountName, Period, State, StripeStatus, InvoiceID, Number, Payer, Issuer, Currency, PlanHash, CycleState string
	EngineMinor                                                                                                                    int64
	StripeMinor, DifferenceMinor, CreditedMinor                                                                                    *int64
	Lines, Attempts                                                                                                                int
	FinalizedAt                                                                                                                    *time.Time
	CreatedAt, UpdatedAt                                                                                                           time.Time
	Paid                                                                                                                           paymentRow `gorm:"embedded"`
}

func (r ownInvoiceRow) view() (reconcile.InvoiceRow, error) {
	return reconcile.InvoiceRow{
		CycleID: r.CycleID, AccountID: r.AccountID, AccountName: r.AccountName, Period: r.Period, State: r.State, StripeStatus: r.StripeStatus,
		InvoiceID: r.InvoiceID, Number: r.Number, Payer: r.Payer, Issuer: r.Issuer, Currency: r.Currency, PlanHash: r.PlanHash,
		CycleState: billing.CycleState(r.CycleState), EngineMinor: r.EngineMinor, StripeMinor: r.StripeMinor, DifferenceMinor: r.DifferenceMinor, CreditedMinor: r.CreditedMinor,
		Lines: r.Lines, Attempts: r.Attempts, HostedURL: r.Paid.HostedURL, PDFURL: r.Paid.PDFURL, Payment: r.Paid.payment(),
		FinalizedAt: utc(r.FinalizedAt), CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}, nil
}
