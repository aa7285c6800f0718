package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Reader implements reconcile.Reader. Every statement names its columns and pages by key.
type Reader struct {
	db *DB
	// facts and owners bound what a filtered page of facts looks at.
	facts, owners int
	// adjustments bounds what a filtered page of adjustments begins with.
	adjustments int
}

// NewReader opens the read side.
func (db *DB) NewReader() *Reader { return &Reader{db, factsLooked, ownersLooked, adjustmentsLooked} }

type summaryRow struct {
	ID, AccountID, AccountName, Environment, Period, State, Reason, WorkflowID, Terms string
	PeriodStart, PeriodEnd, UpdatedAt                                                 time.Time
	LiftMinor, EngineMinor                                                            int64
	WithheldLines, Lines                                                              int
	StripeMinor                                                                       *int64
	StripeInvoiceID, InvoiceNumber                                                    string
	Planned                                                                           *int64
	Shadow                                                                            bool
	OpenBreaks, BlockingBreaks                                                        int
	BreaksMinor                                                                       int64
	Approver, ClosedBy, InvoiceHash                                                   string
	ClosedAt                                                                          *time.Time
	Paid                                                                              paymentRow `gorm:"embedded"`
}

const summarySelect = `
	SELECT c.id, c.account_id, a.name AS account_name, c.environment, c.period, c.period_start, c.period_end, c.state, c.reason, c.workflow_id,
		c.updated_at, k.terms, coalesce(l.lift, 0) AS lift_minor, coalesce(l.withheld, 0) AS withheld_lines, coalesce(l.billed, 0) AS lines,
		coalesce(i.total_minor, 0) AS engine_minor, w.stripe_total AS stripe_minor, coalesce(w.invoice_id, '') AS stripe_invoice_id,
		coalesce(w.number, '') AS invoice_number, w.total_minor AS planned, coalesce(i.plan_hash, '') AS invoice_hash, coalesce(i.phase = 'shadow', false) AS shadow,
		br.open AS open_breaks, br.blocking AS blocking_breaks, br.stake AS breaks_minor, coalesce(ap.name, '') AS approver, coalesce(mc.actor, '') AS closed_by, mc.at AS closed_at, ` + paymentColumns + `
	FROM `

// summaryJoins look up beside cycles c what they came to. The rows of the present revision
// are named by the cycle's own number, so that each is one entry of a key; the views would
// ask for the number row by row.
const summaryJoins = ` JOIN accounts a ON a.id = c.account_id JOIN contracts k ON k.id = c.contract_id` + cycleInvoice + `
	LEFT JOIN writeback_intents w ON w.cycle_id = c.id AND w.state <> 'superseded'` + paymentJoin + `
	LEFT JOIN LATERAL (
		SELECT sum(measured_minor) FILTER (WHERE fee_minor > 0)::bigint AS lift, count(*) FILTER (WHERE fee_minor = 0 AND base_minor = 0) AS withheld,
			count(*) FILTER (WHERE billed_minor > 0) + (SELECT count(*) FROM all_cycle_charges WHERE cycle_id = c.id AND revision = c.revision AND billed_minor > 0) AS billed
		FROM all_cycle_lines WHERE cycle_id = c.id AND revision = c.revision) l ON true
	LEFT JOIN LATERAL (
		SELECT count(*) AS open, count(*) FILTER (WHERE b.severity IN ('error', 'critical')) AS blocking, coalesce(sum(b.amount_minor) FILTER (WHERE b.currency = k.terms::json ->> 'currency'), 0)::bigint AS stake
		FROM recon_breaks b WHERE b.account_id = c.account_id AND b.period = c.period AND ` + breakPending + `) br ON true
	LEFT JOIN LATERAL (
		SELECT CASE d.actor_kind WHEN 'system' THEN d.actor_id ELSE d.actor_name END AS name FROM cycle_decisions d WHERE d.cycle_id = c.id AND d.action = 'approve' ORDER BY d.number DESC LIMIT 1) ap ON true
	LEFT JOIN LATERAL (
		SELECT x.actor, x.at FROM (SELECT actor, at, action FROM month_closes WHERE account_id = c.account_id AND period = c.period ORDER BY seq DESC LIMIT 1) x WHERE x.action = 'closed') mc ON true`

const (
	breakPending = `b.state IN ('open', 'assigned', 'waiting', 'force_requested')`
	// cycleInvoice is what the present revision of a cycle c comes to.
	cycleInvoice = `
	LEFT JOIN LATERAL (SELECT total_minor, plan_hash, phase FROM all_invoices x WHERE x.cycle_id = c.id AND x.revision = c.revision OFFSET 0) i ON true`
)

// cycleCurrency is that of a cycle's contract.
const cycleCurrency = `k.terms::json ->> 'currency'`

func (r summaryRow) view() (reconcile.CycleSummary, error) {
	var t billing.Terms
	if err := json.Unmarshal([]byte(r.Terms), &t); err != nil {
		return reconcile.CycleSummary{}, fault.Wrap(err, fault.Internal, "contract_unreadable", "the contract of cycle %s cannot be read", r.ID)
	}
	v := reconcile.CycleSummary{
		ID: r.ID, AccountID: r.AccountID, AccountName: r.AccountName, Period: r.Period, PeriodStart: r.PeriodStart.UTC(), PeriodEnd: r.PeriodEnd.UTC(),
		TimeZone: t.TimeZone, Basis: string(t.Basis), State: billing.CycleState(r.State), Reason: r.Reason, Currency: string(t.Currency),
		LiftMinor: r.LiftMinor, WithheldLines: r.WithheldLines, Lines: r.Lines, EngineMinor: r.EngineMinor, StripeMinor: r.StripeMinor,
		StripeInvoiceID: r.StripeInvoiceID, InvoiceNumber: r.InvoiceNumber, WorkflowID: r.WorkflowID, UpdatedAt: r.UpdatedAt.UTC(),
		OpenBreaks: r.OpenBreaks, BlockingBreaks: r.BlockingBreaks, BreaksMinor: r.BreaksMinor, Approver: r.Approver, ClosedBy: r.ClosedBy, InvoiceHash: r.InvoiceHash, Shadow: r.Shadow,
	}
	if r.ClosedAt != nil {
		at := r.ClosedAt.UTC()
		v.ClosedAt = &at
	}
	v.Environment = environmentOf(r.Environment)
	v.Payment = r.Paid.payment()
	v.NextAction = billing.NextActionOf(billing.CycleFacts{State: v.State, Reason: v.Reason, Voided: v.Payment != nil && v.Payment.Status == "void"})
	if r.StripeMinor != nil {
		d := r.EngineMinor - *r.StripeMinor
		v.DifferenceMinor = &d
	}
	return v, nil
}

var cycleOrders = keyset[summaryRow]{
	id: "c.id", value: func(c summaryRow) string { return c.ID }, first: "period",
	by: map[string]sorting[summaryRow]{
		"period":  {"c.period", byText, func(c summaryRow) string { return c.Period }},
		"updated": {"c.updated_at", byTime, func(c summaryRow) string { return instantKey(c.UpdatedAt) }},
		"account": {"c.account_id", byText, func(c summaryRow) string { return c.AccountID }},
		"state":   {"c.state", byText, func(c summaryRow) string { return c.State }},
	},
}

// Cycles pages by the key of the order that is asked for, newest period first.
func (r *Reader) Cycles(ctx context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error) {
	q := where{}
	q.scoped(f.Scope, "c.environment", "c.account_id")
	q.eq("c.period", f.Period)
	q.eq("c.state", f.State)
	q.eq("c.account_id", f.AccountID)
	q.eq("c.environment", f.Environment)
	q.mode(f.Mode)
	if f.Currency != "" {
		q.add("c.contract_id IN (SELECT k.id FROM contracts k WHERE "+cycleCurrency+" = ?)", f.Currency)
	}
	const pending = "EXISTS (SELECT 1 FROM recon_breaks b WHERE b.account_id = c.account_id AND b.period = c.period AND " + breakPending
	switch f.Breaks {
	case "open":
		q.add(pending + ")")
	case "blocking":
		q.add(pending + " AND b.severity IN ('error', 'critical'))")
	}
	from := "cycles c"
	if f.Min != nil || f.Max != nil {
		from += " JOIN contracts k ON k.id = c.contract_id" + cycleInvoice
	}
	if f.Min != nil {
		q.major("coalesce(i.total_minor, 0)", cycleCurrency, ">=", *f.Min)
	}
	if f.Max != nil {
		q.major("coalesce(i.total_minor, 0)", cycleCurrency, "<=", *f.Max)
	}
	order, key, err := cycleOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return reconcile.Page[reconcile.CycleSummary]{}, err
	}
	var rows []summaryRow
	err = r.db.gorm.WithContext(ctx).Raw(`WITH shown AS MATERIALIZED (SELECT c.* FROM `+from+q.sql()+` ORDER BY `+order+` LIMIT ?)`+
		summarySelect+`shown c`+summaryJoins+` ORDER BY `+order, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.CycleSummary]{}, wrap(err)
	}
	page, err := pageOf(rows, f.Limit, summaryRow.view, key)
	if err != nil {
		return page, err
	}
	return page, boardFigures(ctx, r.db.gorm, page.Items)
}

// mode selects cycles c by what becomes of their amount, as CycleSummary.Mode tells it.
func (q *where) mode(mode string) {
	const shadow = "EXISTS (SELECT 1 FROM all_invoices x WHERE x.cycle_id = c.id AND x.revision = c.revision AND x.phase = 'shadow')"
	switch mode {
	case reconcile.ModeTest:
		q.eq("c.environment", string(account.Test))
	case reconcile.ModeLive:
		q.eq("c.environment", string(account.Live))
		q.add("NOT " + shadow)
	case reconcile.ModeShadow:
		q.eq("c.environment", string(account.Live))
		q.add(shadow)
	}
}

// pageOf turns rows, of which one more than the limit was asked for, into a page.
func pageOf[R, V any](rows []R, limit int, view func(R) (V, error), key func(last R) string) (reconcile.Page[V], error) {
	var page reconcile.Page[V]
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = key(rows[limit-1])
	}
	for _, row := range rows {
		v, err := view(row)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, v)
	}
	return page, nil
}

// Periods lists the periods with cycles.
func (r *Reader) Periods(ctx context.Context, scope access.Scope) ([]string, error) {
	q := where{}
	q.scoped(scope, "environment", "account_id")
	var out []string
	err := wrap(r.db.gorm.WithContext(ctx).Raw(`SELECT DISTINCT period FROM cycles`+q.sql()+` ORDER BY period DESC`, q.args...).Scan(&out).Error)
	return out, err
}

// where collects conditions; column names come from this package only.
type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) clone() where { return where{slices.Clone(w.conds), slices.Clone(w.args)} }

func (w *where) eq(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) after(c, cond string) error {
	if c == "" {
		return nil
	}
	a, b, err := parseCursor(c)
	if err == nil {
		w.add(cond, a, b)
	}
	return err
}

func (w *where) sql() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// A cursor is the key of the last row, "a~b"; it holds nothing secret.
func cursor(a, b string) string { return fmt.Sprintf("%s~%s", a, b) }

func parseCursor(c string) (a, b string, err error) {
	a, b, ok := strings.Cut(c, "~")
	if !ok || strings.ContainsRune(c, 0) || !utf8.ValidString(c) {
		return "", "", badCursor(c)
	}
	return a, b, nil
}

func badCursor(c string) error {
	return fault.InvalidField("cursor", "cursor_malformed", "%q is not a cursor of this list", c).Fix("Use next_cursor of the previous page")
}
