package postgres

import (
	"context"
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

// adjustmentBranches are the lines of the looks at settled years, the adjustments of
// corrections and the corrections of the invoices, as one table x. The key is that of the row,
// in each of them. A correction of the next cycle that is done is an adjustment.
var adjustmentBranches = []string{
	`SELECT l.true_up_id || '/' || l.origin_cycle || '/' || l.snapshot_id || '/' || l.cause AS key, l.adjustment_id AS id, t.account_id, t.environment,
			l.origin_cycle, l.snapshot_id AS line, l.cause, l.facts, l.revenue_minor, l.lift_minor, l.amount_minor, l.happened_at, t.recorded_at,
			t.settlement_cycle, t.booking_cycle AS booked_by, t.state = 'proposed' AS proposed, 'true_up' AS kind, '' AS reason, '' AS actor, '' AS stripe_id, '' AS corrected
		FROM true_ups t JOIN true_up_lines l ON l.true_up_id = t.id`,
	`SELECT j.id AS key, j.id, j.account_id, j.environment, j.origin_cycle, j.line, j.reason AS cause, 0 AS facts, NULL::bigint AS revenue_minor, NULL::bigint AS lift_minor, j.amount_minor, j.happened_at, j.recorded_at,
			'' AS settlement_cycle, '' AS booked_by, false AS proposed, 'next_cycle' AS kind, coalesce(c.reason, '') AS reason, coalesce(c.proposed_by, '') AS actor, '' AS stripe_id, '' AS corrected
		FROM adjustments j LEFT JOIN corrections c ON c.id = j.source WHERE j.reason = 'correction'`,
	`SELECT c.id AS key, '' AS id, y.account_id, c.environment, c.cycle_id AS origin_cycle, c.line, 'correction' AS cause, 0 AS facts, NULL::bigint AS revenue_minor, NULL::bigint AS lift_minor,
			CASE WHEN c.kind = 'void' THEN -coalesce((SELECT i.total_minor FROM invoices i WHERE i.cycle_id = c.cycle_id), 0) ELSE -c.amount_minor END AS amount_minor,
			c.proposed_at AS happened_at, c.proposed_at AS recorded_at, '' AS settlement_cycle, '' AS booked_by, false AS proposed, c.kind, c.reason, c.proposed_by AS actor, c.stripe_id, c.state AS corrected
		FROM corrections c JOIN cycles y ON y.id = c.cycle_id WHERE NOT (c.kind = 'next_cycle' AND c.state = 'done')`,
}

// adjustmentsLooked are the rows of each table that a filtered page begins with.
const adjustmentsLooked = 60

// adjustmentReach is the time behind which a filtered page looks no further: the latest of
// those that each table has as many rows up to, behind @until.
const adjustmentReach = `SELECT max(s.at) FROM (
		(SELECT recorded_at AS at FROM true_ups WHERE recorded_at @until CAST(@from AS timestamptz) AND @account IN ('', account_id) ORDER BY recorded_at DESC OFFSET @looked LIMIT 1)
		UNION ALL (SELECT recorded_at FROM adjustments WHERE reason = 'correction' AND recorded_at @until CAST(@from AS timestamptz) ORDER BY recorded_at DESC OFFSET @looked LIMIT 1)
		UNION ALL (SELECT proposed_at FROM corrections WHERE proposed_at @until CAST(@from AS timestamptz) ORDER BY proposed_at DESC OFFSET @looked LIMIT 1)) s`

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
` + adjustmentUsed + `
	LEFT JOIN LATERAL (
		SELECT -sum(f.amount_minor)::bigint AS minor FROM cycle_charges f JOIN cycles c ON c.id = f.cycle_id JOIN invoices i ON i.cycle_id = c.id
		WHERE c.account_id = x.account_id AND ` + consumed + ` AND i.phase <> 'shadow' AND f.kind IN ('carry_in', 'carry_out')) b ON true`
)

// adjustmentUsed is the charge u of the row x, where it has one.
const adjustmentUsed = `
	LEFT JOIN LATERAL (` + adjustmentUse + ` AND c.account_id = x.account_id AND f.line = 'fee:adjustment:' || x.id AND x.id <> '') u ON true`

const adjustmentOrder = " ORDER BY x.recorded_at DESC, x.key DESC"

const adjustmentState = `CASE WHEN x.corrected <> '' THEN x.corrected WHEN x.proposed AND x.amount_minor <> 0 THEN 'proposed' WHEN x.id = '' THEN 'nothing_due' WHEN u.cycle_id IS NULL THEN 'due'
		WHEN u.amount_minor = 0 THEN 'left_out' ELSE 'applied' END`

// adjustmentUse selects the charge f of the cycle c that has an adjustment as a line. One
// that was skipped has it no more.
const adjustmentUse = `SELECT f.cycle_id, c.period, f.amount_minor FROM cycle_charges f JOIN cycles c ON c.id = f.cycle_id
		WHERE f.line LIKE 'fee:adjustment:%' AND c.state <> 'skipped'`

// Adjustments implements reconcile.Reader. A page that is filtered by what has no index looks
// at so many rows at most: it may be short, or empty, and still have a next one.
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
	from, until := "infinity", "<="
	if f.Cursor != "" {
		at, key, err := timeCursor(f.Cursor)
		if err != nil {
			return page, err
		}
		if from = instantKey(at); key == "" { // all of that instant were looked at
			until = "<"
		}
		q.add("x.recorded_at <= ?::timestamptz AND (x.recorded_at, x.key) < (?::timestamptz, ?)", from, from, key)
	}
	next := ""
	if f.AppliedPeriod == "" && (f.OriginPeriod != "" || f.Cause != "" || f.State != "") {
		var reach *time.Time
		err := r.db.gorm.WithContext(ctx).Raw(strings.ReplaceAll(adjustmentReach, "@until", until), map[string]any{"from": from, "account": f.AccountID, "looked": r.adjustments}).Row().Scan(&reach)
		if err != nil {
			return page, wrap(err)
		}
		if reach != nil {
			q.add("x.recorded_at >= ?::timestamptz", instantKey(*reach))
			next = cursor(instantKey(*reach), "")
		}
	}
	inner, args := adjustmentsInOrder(q, f.Limit+1, len(became.args) == 0)
	if len(became.args) > 0 {
		inner = "SELECT x.* FROM (" + inner + ") x" + adjustmentUsed + became.sql() + adjustmentOrder + " LIMIT ?"
		args = append(append(args, became.args...), f.Limit+1)
	}
	var rows []adjustmentRow
	err := r.db.gorm.WithContext(ctx).Raw(adjustmentSelect+inner+adjustmentJoins+adjustmentOrder, args...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	page, err = pageOf(rows, f.Limit, func(r adjustmentRow) (reconcile.Adjustment, error) { return r.view(), nil },
		func(r adjustmentRow) string { return cursor(instantKey(r.RecordedAt), r.Key) })
	if page.NextCursor == "" {
		page.NextCursor = next
	}
	if err != nil {
		return page, err
	}
	return page, r.remeasured(ctx, page.Items)
}

// adjustmentsInOrder merges the branches, each in its own order. The page is known before
// anything is looked up for its rows, unless it depends on that.
func adjustmentsInOrder(q where, limit int, known bool) (sql string, args []any) {
	parts := make([]string, len(adjustmentBranches))
	for i, branch := range adjustmentBranches {
		parts[i] = "SELECT x.* FROM (" + branch + ") x JOIN cycles o ON o.id = x.origin_cycle" + q.sql()
		args = append(args, q.args...)
		if known {
			parts[i] += adjustmentOrder + " LIMIT ?"
			args = append(args, limit)
		}
	}
	sql = "SELECT x.* FROM ((" + strings.Join(parts, ") UNION ALL (") + ")) x"
	if known {
		sql += adjustmentOrder + " LIMIT ?"
		args = append(args, limit)
	}
	return sql, args
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
