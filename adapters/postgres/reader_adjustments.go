package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

type adjustmentRow struct {
	Key, ID, AccountID, AccountName, Environment, Currency, OriginCycle, OriginPeriod, Line, Cause string
	SettlementCycle, BookedBy, AppliedCycle, AppliedPeriod, State, Kind, Reason, Actor, StripeID   string
	Facts                                                                                          int
	RevenueMinor, LiftMinor                                                                        *int64
	AmountMinor, AppliedMinor, CarryMinor                                                          int64
	HappenedAt, RecordedAt                                                                         time.Time
}

// adjustmentRows lists the lines of the looks at settled years and the corrections of the
// invoices as one table x. The key is that of the row, in each of them. A correction of the
// next cycle that is done is an adjustment.
const adjustmentRows = `
	SELECT x.* FROM (
		SELECT l.true_up_id || '/' || l.origin_cycle || '/' || l.snapshot_id || '/' || l.cause AS key, l.adjustment_id AS id, t.account_id, t.environment,
			l.origin_cycle, l.snapshot_id AS line, l.cause, l.facts, l.revenue_minor, l.lift_minor, l.amount_minor, l.happened_at, t.recorded_at,
			t.settlement_cycle, t.booking_cycle AS booked_by, t.state = 'proposed' AS proposed, 'true_up' AS kind, '' AS reason, '' AS actor, '' AS stripe_id, '' AS corrected
		FROM true_up_lines l JOIN true_ups t ON t.id = l.true_up_id
		UNION ALL
		SELECT j.id, j.id, j.account_id, j.environment, j.origin_cycle, j.line, j.reason, 0, NULL, NULL, j.amount_minor, j.happened_at, j.recorded_at, '', '', false,
			'next_cycle', coalesce(c.reason, ''), coalesce(c.proposed_by, ''), '', ''
		FROM adjustments j LEFT JOIN corrections c ON c.id = j.source WHERE j.reason = 'correction'
		UNION ALL
		SELECT c.id, '', y.account_id, c.environment, c.cycle_id, c.line, 'correction', 0, NULL, NULL,
			CASE WHEN c.kind = 'void' THEN -coalesce((SELECT i.total_minor FROM invoices i WHERE i.cycle_id = c.cycle_id), 0) ELSE -c.amount_minor END,
			c.proposed_at, c.proposed_at, '', '', false, c.kind, c.reason, c.proposed_by, c.stripe_id, c.state
		FROM corrections c JOIN cycles y ON y.id = c.cycle_id WHERE NOT (c.kind = 'next_cycle' AND c.state = 'done')) x JOIN cycles o ON o.id = x.origin_cycle`

// adjustmentSelect and adjustmentJoins complete the rows x between them with what became of
// each. A line of a skipped cycle is on no invoice, so that it is due again.
const (
	adjustmentSelect = `
	SELECT x.*, a.name AS account_name, k.terms::jsonb ->> 'currency' AS currency, o.period AS origin_period,
		coalesce(u.cycle_id, '') AS applied_cycle, coalesce(u.period, '') AS applied_period, coalesce(u.amount_minor, 0) AS applied_minor,
		coalesce(b.minor, 0) AS carry_minor, ` + adjustmentState + ` AS state
	FROM (`
	adjustmentJoins = `) x
	JOIN accounts a ON a.id = x.account_id JOIN cycles o ON o.id = x.origin_cycle JOIN contracts k ON k.id = o.contract_id
	LEFT JOIN LATERAL (` + adjustmentUse + ` AND c.account_id = x.account_id AND f.line = 'fee:adjustment:' || x.id AND x.id <> '') u ON true
	LEFT JOIN LATERAL (
		SELECT -sum(f.amount_minor)::bigint AS minor FROM cycle_charges f JOIN cycles c ON c.id = f.cycle_id JOIN invoices i ON i.cycle_id = c.id
		WHERE c.account_id = x.account_id AND ` + consumed + ` AND i.phase <> 'shadow' AND f.kind IN ('carry_in', 'carry_out')) b ON true`
)

const adjustmentOrder = " ORDER BY x.recorded_at DESC, x.key DESC"

const adjustmentState = `CASE WHEN x.corrected <> '' THEN x.corrected WHEN x.proposed AND x.amount_minor <> 0 THEN 'proposed' WHEN x.id = '' THEN 'nothing_due' WHEN u.cycle_id IS NULL THEN 'due'
		WHEN u.amount_minor = 0 THEN 'left_out' ELSE 'applied' END`

// adjustmentUse selects the charge f of the cycle c that has an adjustment as a line. One
// that was skipped has it no more.
const adjustmentUse = `SELECT f.cycle_id, c.period, f.amount_minor FROM cycle_charges f JOIN cycles c ON c.id = f.cycle_id WHERE c.state <> 'skipped'`

// Adjustments implements reconcile.Reader.
func (r *Reader) Adjustments(ctx context.Context, f reconcile.AdjustmentsFilter) (reconcile.Page[reconcile.Adjustment], error) {
	q := where{}
	q.scoped(f.Scope, "x.environment", "x.account_id")
	q.eq("x.account_id", f.AccountID)
	q.eq("x.environment", f.Environment)
	q.eq("o.period", f.OriginPeriod)
	q.eq("x.cause", f.Cause)
	became := where{}
	became.eq("u.period", f.AppliedPeriod)
	became.eq(adjustmentState, f.State)
	var page reconcile.Page[reconcile.Adjustment]
	if err := q.after(f.Cursor, "(x.recorded_at, x.key) < (?::timestamptz, ?)"); err != nil {
		return page, err
	}
	inner, args := adjustmentRows+q.sql(), slices.Clone(q.args)
	if len(became.args) == 0 { // the page is known before anything is looked up for its rows
		inner, args = inner+adjustmentOrder+" LIMIT ?", append(args, f.Limit+1)
	}
	args = append(append(args, became.args...), f.Limit+1)
	var rows []adjustmentRow
	err := r.db.gorm.WithContext(ctx).Raw(adjustmentSelect+inner+adjustmentJoins+became.sql()+adjustmentOrder+" LIMIT ?", args...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	page, err = pageOf(rows, f.Limit, func(r adjustmentRow) (reconcile.Adjustment, error) { return r.view(), nil },
		func(r adjustmentRow) string { return cursor(r.RecordedAt.UTC().Format(time.RFC3339Nano), r.Key) })
	if err != nil {
		return page, err
	}
	return page, r.remeasured(ctx, page.Items)
}

func (r adjustmentRow) view() reconcile.Adjustment {
	return reconcile.Adjustment{
		Key: r.Key, ID: r.ID, AccountID: r.AccountID, AccountName: r.AccountName, Environment: environmentOf(r.Environment), Currency: strings.ToLower(r.Currency),
		OriginCycle: r.OriginCycle, OriginPeriod: r.OriginPeriod, Line: r.Line, Cause: r.Cause, Facts: r.Facts, RevenueMinor: r.RevenueMinor, LiftMinor: r.LiftMinor,
		AmountMinor: r.AmountMinor, HappenedAt: r.HappenedAt.UTC(), RecordedAt: r.RecordedAt.UTC(), SettlementCycle: r.SettlementCycle, BookedBy: r.BookedBy,
		AppliedCycle: r.AppliedCycle, AppliedPeriod: r.AppliedPeriod, AppliedMinor: r.AppliedMinor, State: reconcile.AdjustmentState(r.State), CarryMinor: r.CarryMinor,
		Kind: r.Kind, Reason: r.Reason, By: r.Actor, StripeID: r.StripeID,
	}
}
