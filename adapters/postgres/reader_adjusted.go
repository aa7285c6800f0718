package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

type adjustedRow struct {
	ID, AccountID, AccountName, Environment, CycleID, Period, Line, Cause, Kind, Reason, State, Currency, AppliedOn, ProposedBy string
	AmountMinor, CarryMinor                                                                                                     *int64
	At                                                                                                                          time.Time
}

// adjustedSelect lists true-ups, and the corrections that are none: one of the next cycle is
// a true-up once it is approved.
const adjustedSelect = `SELECT x.*, a.name AS account_name FROM (
	SELECT j.id, j.account_id, j.environment, o.id AS cycle_id, o.period, j.line, j.reason AS cause, 'true_up' AS kind, coalesce(c.reason, '') AS reason,
		CASE WHEN u.cycle_id IS NULL THEN 'waiting' ELSE 'applied' END AS state, k.terms::json ->> 'currency' AS currency, j.amount_minor, coalesce(u.cycle_id, '') AS applied_on,
		(SELECT sum(amount_minor)::bigint FROM cycle_charges WHERE cycle_id = u.cycle_id AND kind = 'carry_out') AS carry_minor, coalesce(c.proposed_by, '') AS proposed_by, j.recorded_at AS at
	FROM adjustments j JOIN cycles o ON o.id = j.origin_cycle JOIN contracts k ON k.id = o.contract_id LEFT JOIN corrections c ON c.id = j.source
	LEFT JOIN LATERAL (SELECT f.cycle_id FROM cycle_charges f JOIN cycles y ON y.id = f.cycle_id WHERE y.account_id = j.account_id AND f.line = 'fee:adjustment:' || j.id LIMIT 1) u ON true
	UNION ALL
	SELECT c.id, o.account_id, c.environment, o.id, o.period, c.line, 'correction', c.kind, c.reason, c.state, k.terms::json ->> 'currency',
		CASE WHEN c.kind = 'void' THEN NULL ELSE -c.amount_minor END, c.stripe_id, NULL, c.proposed_by, c.proposed_at
	FROM corrections c JOIN cycles o ON o.id = c.cycle_id JOIN contracts k ON k.id = o.contract_id WHERE NOT (c.kind = 'next_cycle' AND c.state = 'done')) x
	JOIN accounts a ON a.id = x.account_id`

// Adjustments pages by (time, ID), newest first.
func (r *Reader) Adjustments(ctx context.Context, f reconcile.AdjustedFilter) (reconcile.Page[reconcile.Adjusted], error) {
	q := where{}
	q.scoped(f.Scope, "x.environment", "x.account_id")
	q.eq("x.account_id", f.AccountID)
	q.eq("x.period", f.Period)
	q.eq("x.cause", f.Cause)
	q.eq("x.state", f.State)
	if f.Cursor != "" {
		at, id, err := parseCursor(f.Cursor)
		if err == nil {
			_, err = time.Parse(time.RFC3339Nano, at)
		}
		if err != nil {
			return reconcile.Page[reconcile.Adjusted]{}, badCursor(f.Cursor)
		}
		q.add("(x.at, x.id) < (?::timestamptz, ?)", at, id)
	}
	var rows []adjustedRow
	err := r.db.gorm.WithContext(ctx).Raw(adjustedSelect+q.sql()+" ORDER BY x.at DESC, x.id DESC LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.Adjusted]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, func(a adjustedRow) (reconcile.Adjusted, error) {
		return reconcile.Adjusted{
			ID: a.ID, AccountID: a.AccountID, AccountName: a.AccountName, Environment: environmentOf(a.Environment), CycleID: a.CycleID, Period: a.Period, Line: a.Line, Cause: a.Cause, Kind: a.Kind,
			Reason: a.Reason, State: a.State, Currency: a.Currency, AmountMinor: a.AmountMinor, AppliedOn: a.AppliedOn, CarryMinor: a.CarryMinor, ProposedBy: a.ProposedBy, At: a.At.UTC(),
		}, nil
	}, func(last adjustedRow) string { return cursor(last.At.UTC().Format(time.RFC3339Nano), last.ID) })
}
