package postgres

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	domain "github.com/liftbill/liftbill/domain/audit"
)

// auditLog appends within one transaction. The lock of the chain is held until the
// transaction ends, so that rows get their numbers in the order of the commits.
type auditLog struct{ tx *gorm.DB }

// AuditLog is a unit of work that does nothing but append.
func (db *DB) AuditLog() Work[audit.Log] {
	return Work[audit.Log]{db: db, make: func(tx *gorm.DB) audit.Log { return auditLog{tx} }}
}

const auditColumns = "chain, seq, at, actor_kind, actor_id, actor_name, person, action, outcome, object, object_id, account_id, environment, request_id, reason, before, after, previous, hash"

type auditRow struct {
	Chain                            string
	Seq                              int64
	At                               time.Time
	ActorKind, ActorID, ActorName    string
	Person, Action, Outcome          string
	Object, ObjectID                 string
	AccountID, Environment           string
	RequestID, Reason, Before, After string
	Previous, Hash                   []byte
}

func (auditRow) TableName() string { return "audit_log" }

func toAuditRow(r domain.Row) auditRow {
	return auditRow{
		Chain: string(r.Chain), Seq: r.Seq, At: r.At, ActorKind: string(r.Actor.Kind), ActorID: r.Actor.ID, ActorName: r.Actor.Name, Person: r.Actor.Person,
		Action: string(r.Action), Outcome: string(r.Outcome), Object: r.Object, ObjectID: r.ObjectID, AccountID: r.AccountID, Environment: string(r.Environment),
		RequestID: r.RequestID, Reason: r.Reason, Before: r.Before, After: r.After, Previous: r.Previous, Hash: r.Hash,
	}
}

func (r auditRow) domain() domain.Row {
	return domain.Row{
		Entry: domain.Entry{
			At: r.At.UTC(), Actor: access.Actor{Kind: access.Kind(r.ActorKind), ID: r.ActorID, Name: r.ActorName, Person: r.Person},
			Action: domain.Action(r.Action), Outcome: domain.Outcome(r.Outcome), Object: r.Object, ObjectID: r.ObjectID, AccountID: r.AccountID,
			Environment: account.Environment(r.Environment), RequestID: r.RequestID, Reason: r.Reason, Before: r.Before, After: r.After,
		},
		Link: domain.Link{Chain: domain.Chain(r.Chain), Seq: r.Seq, Previous: r.Previous, Hash: r.Hash},
	}
}

// Append waits for the chain, reads its end and adds the row.
func (l auditLog) Append(ctx context.Context, e domain.Entry) error {
	chain := e.ChainOf()
	tx := l.tx.WithContext(ctx)
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('audit chain ' || ?, 0))", string(chain)).Error; err != nil {
		return wrap(err)
	}
	last := domain.Origin(chain)
	var end struct {
		Seq  int64
		Hash []byte
	}
	if err := tx.Raw("SELECT seq, hash FROM audit_log WHERE chain = ? ORDER BY seq DESC LIMIT 1", string(chain)).Scan(&end).Error; err != nil {
		return wrap(err)
	}
	if end.Seq > 0 {
		last.Seq, last.Hash = end.Seq, end.Hash
	}
	row, err := domain.Append(last, e)
	if err != nil {
		return err
	}
	stored := toAuditRow(row)
	return wrap(tx.Create(&stored).Error)
}

// Actors lists who did something to an object.
func (l auditLog) Actors(ctx context.Context, object, id string, actions ...domain.Action) ([]access.Actor, error) {
	q := where{}
	q.add("object = ? AND object_id = ? AND outcome = 'done'", object, id)
	if len(actions) > 0 {
		q.add("action IN ?", actions)
	}
	var rows []struct{ ActorKind, ActorID, ActorName, Person string }
	err := l.tx.WithContext(ctx).Raw("SELECT DISTINCT actor_kind, actor_id, actor_name, person FROM audit_log"+q.sql()+" ORDER BY actor_id", q.args...).Scan(&rows).Error
	var out []access.Actor
	for _, r := range rows {
		out = append(out, access.Actor{Kind: access.Kind(r.ActorKind), ID: r.ActorID, Name: r.ActorName, Person: r.Person})
	}
	return out, wrap(err)
}

// AuditReader reads the log.
func (db *DB) AuditReader() audit.Reader { return auditReader{db} }

type auditReader struct{ db *DB }

// Entries pages by (at, chain, seq), newest first.
func (r auditReader) Entries(ctx context.Context, f audit.Filter) (audit.Page, error) {
	var page audit.Page
	direction, beyond := " DESC", "<"
	if f.Sort == audit.SortOldest {
		direction, beyond = "", ">"
	}
	q := where{}
	q.scoped(f.Scope, "environment", "account_id")
	q.eq("actor_id", f.ActorID)
	q.eq("action", f.Action)
	q.eq("object", f.Object)
	q.eq("object_id", f.ObjectID)
	q.eq("account_id", f.AccountID)
	q.eq("chain", f.Environment)
	q.eq("outcome", f.Outcome)
	if !f.From.IsZero() {
		q.add("at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add("at < ?", f.To)
	}
	if f.Cursor != "" {
		at, chain, seq, err := parseAuditCursor(f.Cursor)
		if err != nil {
			return page, badCursor(f.Cursor)
		}
		q.add("(at, chain, seq) "+beyond+" (?, ?, ?)", at, chain, seq)
	}
	var rows []auditRow
	err := r.db.gorm.WithContext(ctx).Raw("SELECT "+auditColumns+" FROM audit_log"+q.sql()+" ORDER BY at"+direction+", chain"+direction+", seq"+direction+" LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		last := rows[f.Limit-1]
		page.NextCursor = fmt.Sprintf("%s~%s~%d", last.At.UTC().Format(time.RFC3339Nano), last.Chain, last.Seq)
	}
	for _, row := range rows {
		page.Items = append(page.Items, row.domain())
	}
	return page, nil
}

func parseAuditCursor(c string) (time.Time, string, int64, error) {
	parts := strings.Split(c, "~")
	if len(parts) != 3 {
		return time.Time{}, "", 0, badCursor(c)
	}
	at, err := time.Parse(time.RFC3339Nano, parts[0])
	if err != nil {
		return at, "", 0, err
	}
	if strings.ContainsRune(parts[1], 0) {
		return at, "", 0, badCursor(c)
	}
	seq, err := strconv.ParseInt(parts[2], 10, 64)
	return at, parts[1], seq, err
}

// After reads a chain in order.
func (r auditReader) After(ctx context.Context, chain domain.Chain, seq int64, limit int) ([]domain.Row, error) {
	var rows []auditRow
	err := r.db.gorm.WithContext(ctx).Raw("SELECT "+auditColumns+" FROM audit_log WHERE chain = ? AND seq > ? ORDER BY seq LIMIT ?", string(chain), seq, limit).Scan(&rows).Error
	out := make([]domain.Row, len(rows))
	for i, row := range rows {
		out[i] = row.domain()
		out[i].Hash, out[i].Previous = bytes.Clone(row.Hash), bytes.Clone(row.Previous)
	}
	return out, wrap(err)
}
