package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

// approvalSource is one place in which something waits or was decided. Its statement gives
// the columns of a row; each source is cut to a page before they are merged.
type approvalSource struct {
	state, subject                 string
	id, at                         string
	environment, accountID, period string
	columns, from                  string
	cond                           string
}

// approvalSources: the IDs are those of the rows with a letter before, so that no two
// sources meet.
var approvalSources = []approvalSource{
	{
		state: "waiting", subject: "cycle", id: "('a~' || c.id)", at: "coalesce(c.waiting_since, c.updated_at)", environment: "c.environment", accountID: "c.account_id", period: "c.period",
		columns: "c.id AS subject_id, 'approve' AS action, NULL::bigint AS amount_minor, '' AS currency, '' AS actor, c.reason",
		from:    "cycles c", cond: "c.state = 'awaiting_approval'",
	},
	{
		state: "decided", subject: "cycle", id: "('b~' || d.id)", at: "d.at", environment: "c.environment", accountID: "c.account_id", period: "c.period",
		columns: "c.id AS subject_id, d.action, d.total_minor AS amount_minor, '' AS currency, d.actor_id AS actor, d.reason",
		from:    "cycle_decisions d JOIN cycles c ON c.id = d.cycle_id",
	},
	{
		state: "waiting", subject: "correction", id: "('c~' || k.id)", at: "k.proposed_at", environment: "c.environment", accountID: "c.account_id", period: "c.period",
		columns: "k.cycle_id || '/' || k.number AS subject_id, 'approve' AS action, k.amount_minor, w.currency, k.proposed_by AS actor, k.reason",
		from:    "corrections k JOIN cycles c ON c.id = k.cycle_id JOIN writeback_intents w ON w.id = k.intent_id", cond: "k.state = 'proposed'",
	},
	{
		state: "decided", subject: "correction", id: "('d~' || k.id)", at: "coalesce(k.approved_at, k.proposed_at)", environment: "c.environment", accountID: "c.account_id", period: "c.period",
		columns: "k.cycle_id || '/' || k.number AS subject_id, CASE k.state WHEN 'withdrawn' THEN 'withdraw' ELSE 'approve' END AS action, k.amount_minor, w.currency, coalesce(nullif(k.approved_by, ''), k.proposed_by) AS actor, k.reason",
		from:    "corrections k JOIN cycles c ON c.id = k.cycle_id JOIN writeback_intents w ON w.id = k.intent_id", cond: "k.state <> 'proposed'",
	},
	{
		state: "waiting", subject: "break", id: "('e~' || b.id)", at: "b.updated_at", environment: "b.environment", accountID: "b.account_id", period: "b.period",
		columns: "b.id AS subject_id, 'force' AS action, b.amount_minor, b.currency, b.requested_by AS actor, b.reason",
		from:    "recon_breaks b", cond: "b.state = 'force_requested'",
	},
	{
		state: "decided", subject: "break", id: "('f~' || lpad(h.seq::text, 19, '0'))", at: "h.at", environment: "b.environment", accountID: "b.account_id", period: "b.period",
		columns: "b.id AS subject_id, CASE h.action WHEN 'forced' THEN 'force' ELSE 'decline' END AS action, b.amount_minor, b.currency, h.actor, h.body AS reason",
		from:    "recon_break_changes h JOIN recon_breaks b ON b.id = h.break_id", cond: "h.action IN ('forced', 'force_declined')",
	},
}

// Approvals pages by (time, ID) through all places in which something waits or was decided.
func (r *Reader) Approvals(ctx context.Context, f reconcile.ApprovalsFilter) (reconcile.Page[reconcile.Approval], error) {
	var page reconcile.Page[reconcile.Approval]
	if f.Cursor != "" {
		if _, _, err := timeCursor(f.Cursor); err != nil {
			return page, err
		}
	}
	var parts []string
	var args []any
	for _, s := range approvalSources {
		if (f.State != "" && f.State != s.state) || (f.Subject != "" && f.Subject != s.subject) {
			continue
		}
		q := where{}
		if s.cond != "" {
			q.add(s.cond)
		}
		q.scoped(f.Scope, s.environment, s.accountID)
		q.eq(s.accountID, f.AccountID)
		q.eq(s.environment, f.Environment)
		q.eq(s.period, f.Period)
		if err := q.after(f.Cursor, "("+s.at+", "+s.id+") < (?::timestamptz, ?)"); err != nil {
			return page, err
		}
		parts = append(parts, "(SELECT "+s.id+" AS id, '"+s.state+"' AS state, '"+s.subject+"' AS subject, "+s.accountID+" AS account_id, "+s.environment+" AS env, "+
			s.period+" AS period, "+s.columns+", "+s.at+" AS at FROM "+s.from+q.sql()+" ORDER BY "+s.at+" DESC, "+s.id+" DESC LIMIT ?)")
		args = append(append(args, q.args...), f.Limit+1)
	}
	if len(parts) == 0 {
		return page, nil
	}
	type approvalRow struct {
		reconcile.Approval
		Env string
	}
	var rows []approvalRow
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT s.id, s.state, s.subject, s.account_id, s.env, s.period, s.subject_id, s.action, s.actor, s.reason, s.at, coalesce(i.currency, s.currency) AS currency,
			CASE WHEN s.subject = 'cycle' AND s.state = 'waiting' THEN i.total_minor ELSE s.amount_minor END AS amount_minor
		FROM (SELECT * FROM (`+strings.Join(parts, " UNION ALL ")+`) s ORDER BY at DESC, id DESC LIMIT ?) s
		LEFT JOIN cycles c ON s.subject = 'cycle' AND c.id = s.subject_id
		LEFT JOIN all_invoices i ON i.cycle_id = c.id AND i.revision = c.revision
		ORDER BY s.at DESC, s.id DESC`, append(args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	return pageOf(rows, f.Limit, func(a approvalRow) (reconcile.Approval, error) {
		out := a.Approval
		out.Environment, out.At = environmentOf(a.Env), a.At.UTC()
		return out, nil
	}, func(a approvalRow) string { return cursor(a.At.UTC().Format(time.RFC3339Nano), a.ID) })
}
