package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

type breakRow struct {
	ID, AccountID, AccountName, Environment, Period, Type, Subject, Severity, Line string
	LeftSource, LeftID                                                             string
	LeftMinor                                                                      *int64
	LeftCurrency                                                                   string
	LeftCounted                                                                    int64
	RightSource, RightID                                                           string
	RightMinor                                                                     *int64
	RightCurrency                                                                  string
	RightCounted                                                                   int64
	AmountMinor                                                                    int64
	Currency, CustomerID, Detail                                                   string
	TargetConnection, TargetObject, TargetID                                       string
	State, Owner, Reason                                                           string
	FirstSeen, LastSeen                                                            time.Time
	Fingerprint, RequestedBy, RequestedPerson, ForcedBy, ForcedPerson              string
	UpdatedAt                                                                      time.Time
	Notes                                                                          int
}

const breakFields = `id, account_id, environment, period, type, subject, severity, line, left_source, left_id, left_minor, left_currency, left_counted,
	right_source, right_id, right_minor, right_currency, right_counted, amount_minor, currency, customer_id, detail,
	target_connection, target_object, target_id, state, owner, reason, first_seen, last_seen, fingerprint, requested_by, requested_person, forced_by, forced_person, updated_at`

func (r breakRow) domain() recon.Break {
	return recon.Break{
		ID: r.ID, AccountID: r.AccountID, Period: r.Period,
		Finding: recon.Finding{
			Type: recon.Type(r.Type), Subject: r.Subject, Line: recon.Line(r.Line),
			Left:        recon.Side{Source: r.LeftSource, ID: r.LeftID, AmountMinor: r.LeftMinor, Currency: r.LeftCurrency, CountedMinor: r.LeftCounted},
			Right:       recon.Side{Source: r.RightSource, ID: r.RightID, AmountMinor: r.RightMinor, Currency: r.RightCurrency, CountedMinor: r.RightCounted},
			AmountMinor: r.AmountMinor, Currency: r.Currency, CustomerID: r.CustomerID, Detail: r.Detail,
			Target: recon.Target{ConnectionID: r.TargetConnection, Object: r.TargetObject, ID: r.TargetID},
		},
		State: recon.State(r.State), Owner: r.Owner, Reason: recon.Reason(r.Reason), FirstSeen: r.FirstSeen.UTC(), LastSeen: r.LastSeen.UTC(), Seen: r.Fingerprint,
		RequestedBy: recon.Actor{ID: r.RequestedBy, Person: r.RequestedPerson}, ForcedBy: recon.Actor{ID: r.ForcedBy, Person: r.ForcedPerson}, UpdatedAt: r.UpdatedAt.UTC(),
	}
}

func (r breakRow) row() reconcile.BreakRow {
	return reconcile.BreakRow{Break: r.domain(), Environment: environmentOf(r.Environment), AccountName: r.AccountName, Notes: r.Notes}
}

func breakValues(env account.Environment, b recon.Break) []any {
	return []any{
		b.ID, b.AccountID, env.String(), b.Period, string(b.Type), b.Subject, string(b.Rule().Severity), string(b.Line),
		b.Left.Source, b.Left.ID, b.Left.AmountMinor, b.Left.Currency, b.Left.CountedMinor,
		b.Right.Source, b.Right.ID, b.Right.AmountMinor, b.Right.Currency, b.Right.CountedMinor, b.AmountMinor, b.Currency, b.CustomerID, b.Detail,
		b.Target.ConnectionID, b.Target.Object, b.Target.ID, string(b.State), b.Owner, string(b.Reason), b.FirstSeen, b.LastSeen, b.Seen,
		b.RequestedBy.ID, b.RequestedBy.Person, b.ForcedBy.ID, b.ForcedBy.Person, b.UpdatedAt,
	}
}

// lockBreaks loads all breaks of a period under lock, in one order.
func lockBreaks(tx *gorm.DB, accountID, period string) ([]recon.Break, error) {
	return breaksOf(tx, accountID, period, " FOR UPDATE")
}

// breaksOf loads the breaks of a period; lock is a locking clause, or nothing.
func breaksOf(tx *gorm.DB, accountID, period, lock string) ([]recon.Break, error) {
	var rows []breakRow
	err := tx.Raw(`SELECT `+breakFields+` FROM recon_breaks WHERE account_id = ? AND period = ? ORDER BY id`+lock, accountID, period).Scan(&rows).Error
	out := make([]recon.Break, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, err
}

// breakKept are the columns that a break keeps for ever.
var breakKept = map[string]bool{
	"id": true, "account_id": true, "environment": true, "period": true, "type": true, "subject": true, "severity": true, "first_seen": true,
}

// breakUpsert writes one row, new or changed.
var breakUpsert = func() string {
	columns := strings.FieldsFunc(breakFields, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
	var set []string
	for _, c := range columns {
		if !breakKept[c] {
			set = append(set, c+" = excluded."+c)
		}
	}
	return `INSERT INTO recon_breaks (` + breakFields + `) VALUES (?` + strings.Repeat(", ?", len(columns)-1) + `) ON CONFLICT (id) DO UPDATE SET ` + strings.Join(set, ", ")
}()

func saveBreaks(tx *gorm.DB, env account.Environment, all []recon.Break) error {
	for _, b := range all {
		if err := tx.Exec(breakUpsert, breakValues(env, b)...).Error; err != nil {
			return err
		}
	}
	return nil
}

func appendChanges(tx *gorm.DB, all []recon.Change) error {
	for _, c := range all {
		err := tx.Exec(`INSERT INTO recon_break_changes (break_id, action, from_state, to_state, actor, person, at, reason, body, link, owner, left_minor, right_minor)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, c.BreakID, string(c.Action), string(c.From), string(c.To), c.Actor.ID, c.Actor.Person, c.At, string(c.Reason),
			c.Text, c.Link, c.Owner, c.LeftMinor, c.RightMinor).Error
		if err != nil {
			return err
		}
	}
	return nil
}

func breakMissing(id string) error {
	return fault.New(fault.NotFound, "break_not_found", "there is no break %q", id)
}

// Update changes one break under its lock, and appends the change and the audit entry.
func (r *Recon) Update(ctx context.Context, id string, change func(*reconcile.BreakRow) (recon.Change, audit.Entry, error)) (recon.Break, error) {
	var out reconcile.BreakRow
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var row breakRow
		if err := tx.Raw(`SELECT `+breakFields+` FROM recon_breaks WHERE id = ? FOR UPDATE`, id).Scan(&row).Error; err != nil {
			return err
		}
		if row.ID == "" {
			return breakMissing(id)
		}
		out = row.row()
		c, note, err := change(&out)
		if err != nil {
			return err
		}
		if err := saveBreaks(tx, out.Environment, []recon.Break{out.Break}); err != nil {
			return err
		}
		if err := appendChanges(tx, []recon.Change{c}); err != nil || note.Action == "" {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return out.Break, wrap(err)
}

// blockingBreak is the condition of a break that keeps its month from being closed.
func blockingBreak(alias string) string {
	return alias + ".state IN ('open', 'assigned', 'waiting', 'force_requested') AND " + alias + ".severity IN ('error', 'critical')"
}

// breakSelect lists breaks with the account's name; the columns of both tables differ
// but for the environment and the account.
var breakSelect = `SELECT a.name AS account_name, (SELECT count(*) FROM recon_break_changes n WHERE n.break_id = b.id AND n.action IN ('noted', 'linked')) AS notes, b.` + strings.Join(strings.FieldsFunc(breakFields, func(r rune) bool { return strings.ContainsRune(", \n\t", r) }), ", b.") +
	` FROM recon_breaks b JOIN accounts a ON a.id = b.account_id`

// breakOrders are the orders of the list; each ends in the ID.
var breakOrders = map[string]struct {
	column, cast string
	key          func(breakRow) string
	ok           func(string) bool
}{
	"": {"b.first_seen", "timestamptz", func(b breakRow) string { return b.FirstSeen.UTC().Format(time.RFC3339Nano) }, func(s string) bool {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil
	}},
	"amount": {"b.amount_minor", "bigint", func(b breakRow) string { return strconv.FormatInt(b.AmountMinor, 10) }, func(s string) bool {
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	}},
}

// Breaks pages by the order's column and the ID, newest or largest first.
func (r *Recon) Breaks(ctx context.Context, f reconcile.BreaksFilter, at time.Time) (reconcile.Page[reconcile.BreakRow], error) {
	q, order := where{}, breakOrders[f.Sort]
	q.scoped(f.Scope, "b.environment", "b.account_id")
	for column, value := range map[string]string{
		"b.account_id": f.AccountID, "b.environment": f.Environment, "b.period": f.Period, "b.type": f.Type, "b.state": f.State, "b.severity": f.Severity, "b.owner": f.Owner, "b.currency": f.Currency,
	} {
		q.eq(column, value)
	}
	if f.Pending {
		q.add("b.state IN ('open', 'assigned', 'waiting', 'force_requested')")
	}
	if f.MinMinor > 0 {
		q.add("b.amount_minor >= ?", f.MinMinor)
	}
	if f.Blocking {
		q.add(blockingBreak("b"))
	}
	if f.Min != nil {
		q.major("b.amount_minor", "b.currency", ">=", *f.Min)
	}
	if f.Max != nil {
		q.major("b.amount_minor", "b.currency", "<=", *f.Max)
	}
	if f.Search != "" {
		q.add("? IN (b.id, b.subject, b.left_id, b.right_id, b.customer_id, b.target_id)", f.Search)
	}
	if f.Age != "" {
		from, to, err := recon.Age(f.Age).Bounds(at)
		if err != nil {
			return reconcile.Page[reconcile.BreakRow]{}, err
		}
		q.add("b.first_seen >= ? AND b.first_seen < ?", from, to)
	}
	if f.Cursor != "" {
		key, id, err := parseCursor(f.Cursor)
		if err != nil || !order.ok(key) {
			return reconcile.Page[reconcile.BreakRow]{}, badCursor(f.Cursor)
		}
		q.add("("+order.column+", b.id) < (?::"+order.cast+", ?)", key, id)
	}
	var rows []breakRow
	err := r.db.gorm.WithContext(ctx).Raw(breakSelect+q.sql()+` ORDER BY `+order.column+` DESC, b.id DESC LIMIT ?`, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.BreakRow]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, func(b breakRow) (reconcile.BreakRow, error) { return b.row(), nil },
		func(last breakRow) string { return cursor(order.key(last), last.ID) })
}

// Break loads a break with its history.
func (r *Recon) Break(ctx context.Context, id string) (reconcile.BreakRow, []recon.Change, error) {
	tx := r.db.gorm.WithContext(ctx)
	var row breakRow
	if err := tx.Raw(breakSelect+` WHERE b.id = ?`, id).Scan(&row).Error; err != nil {
		return reconcile.BreakRow{}, nil, wrap(err)
	}
	if row.ID == "" {
		return reconcile.BreakRow{}, nil, breakMissing(id)
	}
	var rows []struct {
		Action, FromState, ToState, Actor, Person, Reason, Body, Link, Owner string
		At                                                                   time.Time
		LeftMinor, RightMinor                                                *int64
	}
	err := tx.Raw(`SELECT action, from_state, to_state, actor, person, at, reason, body, link, owner, left_minor, right_minor FROM recon_break_changes WHERE break_id = ? ORDER BY seq`, id).Scan(&rows).Error
	out := make([]recon.Change, len(rows))
	for i, c := range rows {
		out[i] = recon.Change{
			BreakID: id, Action: recon.Action(c.Action), From: recon.State(c.FromState), To: recon.State(c.ToState), Actor: recon.Actor{ID: c.Actor, Person: c.Person}, At: c.At.UTC(),
			Reason: recon.Reason(c.Reason), Text: c.Body, Link: c.Link, Owner: c.Owner, LeftMinor: c.LeftMinor, RightMinor: c.RightMinor,
		}
	}
	return row.row(), out, wrap(err)
}

// Newest is the newest complete run of a period with its sums and the period's breaks.
func (r *Recon) Newest(ctx context.Context, accountID, period string) (complete, newest *reconcile.Run, sums []recon.Sum, breaks []recon.Break, err error) {
	if _, err := r.db.Account(ctx, accountID); err != nil {
		return nil, nil, nil, nil, err
	}
	tx := r.db.gorm.WithContext(ctx)
	var runs []runRow
	err = tx.Raw(`(SELECT `+runColumns+` FROM recon_runs WHERE account_id = ? AND period = ? ORDER BY id DESC LIMIT 1)
		UNION (SELECT `+runColumns+` FROM recon_runs WHERE account_id = ? AND period = ? AND state = 'complete' ORDER BY id DESC LIMIT 1) ORDER BY id`,
		accountID, period, accountID, period).Scan(&runs).Error
	if err != nil || len(runs) == 0 {
		return nil, nil, nil, nil, wrap(err)
	}
	last := runs[len(runs)-1].run()
	newest = &last
	if first := runs[0].run(); first.State == reconcile.Complete {
		complete = &first
		if err = tx.Raw(`SELECT line, currency, left_minor, right_minor, left_objects, right_objects FROM recon_sums WHERE run_id = ?`, first.ID).Scan(&sums).Error; err != nil {
			return nil, nil, nil, nil, wrap(err)
		}
	}
	var rows []breakRow
	err = tx.Raw(`SELECT `+breakFields+` FROM recon_breaks WHERE account_id = ? AND period = ? ORDER BY type, id`, accountID, period).Scan(&rows).Error
	for _, b := range rows {
		breaks = append(breaks, b.domain())
	}
	return complete, newest, sums, breaks, wrap(err)
}
