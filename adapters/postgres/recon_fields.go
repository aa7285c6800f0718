package postgres

import (
	"context"
	"database/sql"
	"strconv"
	"time"
)

// reconFields are the ledger's fields of each object, by the names of reconcile.Stripe.
// net_minor sums the facts that the object has booked.
var reconFields = map[string]string{
	"invoice": `SELECT i.status, i.currency, i.customer_id AS customer, i.subscription_id AS subscription, i.number, i.total_minor, i.subtotal_minor, i.total_excluding_tax_minor,
			i.amount_due_minor, i.amount_paid_minor, i.amount_remaining_minor, i.created_at, i.paid_at,
			coalesce((SELECT sum(amount_minor)::bigint FROM reward_events r WHERE r.connection_id = i.connection_id AND r.customer_id = i.customer_id AND r.invoice_id = i.id AND r.kind = 'revenue_confirmation'), 0) AS net_minor
		FROM stripe_invoices i WHERE i.connection_id = $1 AND i.id = $2 AND i.deleted_at IS NULL`,
	"subscription": `SELECT status, currency, customer_id AS customer, created_at, trial_end, cancel_at, cancel_at_term_end AS cancel_at_period_end, canceled_at, ended_at, latest_invoice_id AS latest_invoice
		FROM stripe_subscriptions WHERE connection_id = $1 AND id = $2 AND deleted_at IS NULL`,
	"refund": `SELECT min(currency) AS currency, max(charge_id) AS charge, min(effective_at) AS created_at, sum(amount_minor)::bigint AS net_minor
		FROM reward_events WHERE connection_id = $1 AND kind = 'refund' AND effective_at > '1970-01-01' AND object_id = $2 HAVING count(*) > 0`,
	"dispute": `SELECT d.status, d.reason, d.currency, d.charge_id AS charge, d.created_at, d.amount_minor,
			coalesce((SELECT sum(amount_minor)::bigint FROM reward_events r WHERE r.connection_id = d.connection_id AND r.kind IN ('dispute', 'dispute_won', 'dispute_lost') AND r.effective_at > '1970-01-01' AND r.object_id = d.id), 0) AS net_minor
		FROM stripe_disputes d WHERE d.connection_id = $1 AND d.id = $2 AND d.deleted_at IS NULL`,
}

// Fields are what the ledger says of an object: texts as they are, times in RFC 3339,
// amounts in minor units, nothing as an empty text. No fields for what it does not know.
func (r *Recon) Fields(ctx context.Context, connectionID, object, id string) (map[string]string, error) {
	rows, err := r.db.sql.QueryContext(ctx, reconFields[object], connectionID, id)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // its Err tells
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return nil, wrap(errorsOf(err, rows))
	}
	values := make([]any, len(names))
	for i := range values {
		values[i] = new(any)
	}
	if err := rows.Scan(values...); err != nil {
		return nil, wrap(err)
	}
	out := map[string]string{}
	for i, name := range names {
		out[name] = plainText(*values[i].(*any)) //nolint:forcetypeassert // made above
	}
	return out, wrap(rows.Err())
}

func errorsOf(err error, rows *sql.Rows) error {
	if err != nil {
		return err
	}
	return rows.Err()
}

// plainText writes a value of a column as Stripe's side is written.
func plainText(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Truncate(time.Second).Format(time.RFC3339)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}
