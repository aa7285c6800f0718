package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	app "github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/mapping"
)

// Mapping is the unit of work of app/mapping.
func (db *DB) Mapping() Work[app.Stores] {
	return Work[app.Stores]{db: db, make: func(tx *gorm.DB) app.Stores { return app.Stores{Writer: mapper{tx}, Audit: auditLog{tx}} }}
}

// mapper implements app/mapping's Writer.
type mapper struct{ tx *gorm.DB }

type settingsRow struct {
	ID, Environment                            string
	UserIDKey                                  string
	MapByEmail, MapByDomain, MapBySubscription bool
	LeaveOutSuggested                          bool
}

func (r settingsRow) settings() app.Settings {
	return app.Settings{
		ConnectionID: r.ID, Environment: environmentOf(r.Environment), UserIDKey: r.UserIDKey, ByEmail: r.MapByEmail, ByDomain: r.MapByDomain,
		BySubscription: r.MapBySubscription, LeaveOutSuggested: r.LeaveOutSuggested,
	}
}

const settingsSelect = `SELECT id, environment, user_id_key, map_by_email, map_by_domain, map_by_subscription, leave_out_suggested FROM connections WHERE id = ?`

func settingsOf(ctx context.Context, tx *gorm.DB, connectionID, suffix string) (app.Settings, error) {
	var r settingsRow
	err := tx.WithContext(ctx).Raw(settingsSelect+suffix, connectionID).Scan(&r).Error
	if err == nil && r.ID == "" {
		err = fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", connectionID)
	}
	return r.settings(), wrap(err)
}

// LockSettings locks the connection's row, so that decisions about it go one by one.
func (m mapper) LockSettings(ctx context.Context, connectionID string) (app.Settings, error) {
	return settingsOf(ctx, m.tx, connectionID, " FOR NO KEY UPDATE")
}

// SaveSettings stores the settings with who and why, and has the events, and the history, read again.
func (m mapper) SaveSettings(ctx context.Context, s app.Settings, again []string, by app.Decision, at time.Time) (app.Reread, error) {
	tx := m.tx.WithContext(ctx)
	was, err := settingsOf(ctx, m.tx, s.ConnectionID, "")
	if err != nil {
		return app.Reread{}, err
	}
	if at, err = afterFreeze(ctx, m.tx, at, factsOf(s.ConnectionID)); err != nil {
		return app.Reread{}, err
	}
	err = tx.Exec(`UPDATE connections SET user_id_key = ?, map_by_email = ?, map_by_domain = ?, map_by_subscription = ?, leave_out_suggested = ? WHERE id = ?`,
		s.UserIDKey, s.ByEmail, s.ByDomain, s.BySubscription, s.LeaveOutSuggested, s.ConnectionID).Error
	if err != nil {
		return app.Reread{}, wrap(err)
	}
	if err := forgetAids(ctx, m.tx, s); err != nil {
		return app.Reread{}, err
	}
	if err := m.spansUnder(ctx, s.ConnectionID, s.UserIDKey); err != nil {
		return app.Reread{}, err
	}
	if err := coverageChanged(tx, s.ConnectionID, at); err != nil {
		return app.Reread{}, err
	}
	var read app.Reread
	if len(again) > 0 {
		var q selection
		q.add("p.connection_id = ?", s.ConnectionID)
		q.add("e.type IN ?", again)
		if read.Events, err = q.allAgain(ctx, m.tx); err != nil {
			return app.Reread{}, err
		}
		if read.Backfill, err = historyAgain(tx, s, at); err != nil {
			return app.Reread{}, wrap(err)
		}
	}
	before, err := json.Marshal(settingsDocOf(was))
	if err != nil {
		return app.Reread{}, err
	}
	after, err := json.Marshal(settingsDocOf(s))
	if err != nil {
		return app.Reread{}, err
	}
	return read, wrap(tx.Exec(`INSERT INTO mapping_changes (connection_id, before, settings, events, decided_by, reason, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		s.ConnectionID, string(before), string(after), read.Events, by.Who(), by.Reason, at).Error)
}

// settingsDoc is how settings are kept in the list of changes.
type settingsDoc struct {
	UserIDKey         string `json:"user_id_key"`
	ByEmail           bool   `json:"by_email"`
	ByDomain          bool   `json:"by_domain"`
	BySubscription    bool   `json:"by_subscription"`
	LeaveOutSuggested bool   `json:"leave_out_suggested"`
}

func settingsDocOf(s app.Settings) settingsDoc {
	return settingsDoc{s.UserIDKey, s.ByEmail, s.ByDomain, s.BySubscription, s.LeaveOutSuggested}
}

// forgetAids deletes the hashes that the settings do not ask for.
func forgetAids(ctx context.Context, tx *gorm.DB, s app.Settings) error {
	err := tx.WithContext(ctx).Exec(`DELETE FROM user_aids WHERE connection_id = ? AND (kind = 'email' AND NOT ? OR kind = 'domain' AND NOT ?)`,
		s.ConnectionID, s.ByEmail, s.ByDomain).Error
	if err == nil {
		err = tx.WithContext(ctx).Exec(`UPDATE customer_aids SET email_hash = CASE WHEN ? THEN email_hash END, domain_hash = CASE WHEN ? THEN domain_hash END
			WHERE connection_id = ? AND (email_hash IS NOT NULL AND NOT ? OR domain_hash IS NOT NULL AND NOT ?)`,
			s.ByEmail, s.ByDomain, s.ConnectionID, s.ByEmail, s.ByDomain).Error
	}
	if err == nil {
		err = tx.WithContext(ctx).Exec(`DELETE FROM customer_aids WHERE connection_id = ? AND email_hash IS NULL AND domain_hash IS NULL`, s.ConnectionID).Error
	}
	return wrap(err)
}

// spansUnder computes the spans of the subjects anew that have statements under the entry
// which is read from now on, and under others too: which of them stand has changed.
func (m mapper) spansUnder(ctx context.Context, connectionID, key string) error {
	after := ""
	for {
		var ids []string
		err := m.tx.WithContext(ctx).Raw(`SELECT subject_id FROM mapping_statements WHERE connection_id = ? AND source = 'metadata' AND NOT deleted AND subject_id > ?
			GROUP BY subject_id HAVING count(DISTINCT metadata_key) > 1 AND bool_or(metadata_key = ?) ORDER BY subject_id LIMIT ?`, connectionID, after, key, linkBatch).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return wrap(err)
		}
		subjects := make([]subject, len(ids))
		for i, id := range ids {
			subjects[i] = subject{connectionID, id}
		}
		known, keys, err := lockStatements(ctx, m.tx, subjects)
		if err != nil {
			return err
		}
		if err := replaceSpans(ctx, m.tx, subjects, known, keys); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// Decide stores a person's statement, unless the very statement stands.
func (m mapper) Decide(ctx context.Context, connectionID string, s mapping.Statement, by app.Decision, at time.Time) (app.Link, bool, error) {
	if _, err := settingsOf(ctx, m.tx, connectionID, ""); err != nil {
		return app.Link{}, false, err
	}
	at, err := afterFreeze(ctx, m.tx, at, factsOf(connectionID))
	if err != nil {
		return app.Link{}, false, err
	}
	of := subject{connectionID, s.Subject}
	known, keys, err := lockStatements(ctx, m.tx, []subject{of})
	if err != nil {
		return app.Link{}, false, err
	}
	standing := map[string]bool{}
	for _, k := range known[of] {
		standing[k.ID] = true
	}
	s.Seq = 1
	for _, k := range known[of] {
		s.Seq = max(s.Seq, k.Seq+1)
	}
	created := false
	for round := 0; ; round++ {
		s = s.Identified(connectionID, round)
		if standing[s.ID] {
			break
		}
		row := rowOfStatement(connectionID, s)
		row.DecidedBy, row.Reason = by.Who(), by.Reason
		var taken bool
		err := m.tx.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM mapping_statements WHERE connection_id = ? AND link_id = ?)`, connectionID, s.ID).Scan(&taken).Error
		if err != nil {
			return app.Link{}, false, wrap(err)
		}
		if taken {
			continue // it was retracted: said again, it is another statement
		}
		if err := insertStatements(ctx, m.tx, []statementRow{row}, at); err != nil {
			return app.Link{}, false, err
		}
		known[of], created = append(known[of], s), true
		if err := replaceSpans(ctx, m.tx, []subject{of}, known, keys); err != nil {
			return app.Link{}, false, err
		}
		break
	}
	if err := coverageChanged(m.tx.WithContext(ctx), connectionID, at); err != nil {
		return app.Link{}, false, err
	}
	link, err := linkOfStatement(ctx, m.tx, connectionID, s)
	return link, created, err
}

// linkOfStatement is the link that a statement made; a statement that changes nothing is
// answered with what it says.
func linkOfStatement(ctx context.Context, tx *gorm.DB, connectionID string, s mapping.Statement) (app.Link, error) {
	var row linkRow
	err := tx.WithContext(ctx).Raw(linkSelect+` WHERE m.connection_id = ? AND m.subject_id = ? AND m.link_id = ? ORDER BY m.valid_from DESC LIMIT 1`,
		connectionID, s.Subject, s.ID).Scan(&row).Error
	if err != nil || row.SubjectID != "" {
		return row.link(), wrap(err)
	}
	state := mapping.Linked
	if s.User == "" {
		state = mapping.Unlinked
	}
	return app.Link{ConnectionID: connectionID, Span: mapping.Span{Subject: s.Subject, From: s.From, State: state, User: s.User, LinkID: s.ID, Source: s.Source}}, nil
}

// Retract takes a person's statement back and computes the spans anew. A suggestion that
// had made it counts as rejected from now on.
func (m mapper) Retract(ctx context.Context, connectionID, linkID string, by app.Decision, at time.Time) (bool, error) {
	tx := m.tx.WithContext(ctx)
	var row struct{ SubjectID, Source string }
	err := tx.Raw(`SELECT subject_id, source FROM mapping_statements WHERE connection_id = ? AND link_id = ?`, connectionID, linkID).Scan(&row).Error
	switch {
	case err != nil:
		return false, wrap(err)
	case row.SubjectID == "":
		return false, fault.New(fault.NotFound, "link_not_found", "connection %s has no link %q", connectionID, linkID)
	case !mapping.Source(row.Source).ByPerson():
		return false, fault.New(fault.Conflict, "link_of_metadata", "the metadata of %s at Stripe say so; they cannot be retracted here", row.SubjectID).
			Fix("Change the metadata at Stripe, or say whose the customer is from a later time on")
	}
	if at, err = afterFreeze(ctx, m.tx, at, factsOf(connectionID)); err != nil {
		return false, err
	}
	of := subject{connectionID, row.SubjectID}
	if _, _, err := lockStatements(ctx, m.tx, []subject{of}); err != nil {
		return false, err
	}
	res := tx.Exec(`INSERT INTO mapping_retractions (connection_id, link_id, decided_by, reason, recorded_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		connectionID, linkID, by.Who(), by.Reason, at)
	if res.Error != nil || res.RowsAffected == 0 {
		return false, wrap(res.Error)
	}
	err = tx.Exec(`INSERT INTO suggestion_decisions (connection_id, suggestion_id, customer_id, user_id, source, decision, decided_by, reason, decided_at)
		SELECT connection_id, suggestion_id, customer_id, user_id, source, 'rejected', ?, ?, ? FROM suggestion_decisions WHERE connection_id = ? AND link_id = ?`,
		by.Who(), by.Reason, at, connectionID, linkID).Error
	if err != nil {
		return false, wrap(err)
	}
	known, keys, err := lockStatements(ctx, m.tx, []subject{of})
	if err != nil {
		return false, err
	}
	if err := replaceSpans(ctx, m.tx, []subject{of}, known, keys); err != nil {
		return false, err
	}
	return true, coverageChanged(tx, connectionID, at)
}

// SaveUsers replaces the aids of the users.
func (m mapper) SaveUsers(ctx context.Context, connectionID string, users []app.UserAid, who string, at time.Time) (int, error) {
	type row struct {
		Kind   string `json:"kind"`
		Hash   string `json:"hash"`
		UserID string `json:"user_id"`
	}
	ids, rows, with := make([]string, 0, len(users)), []row{}, 0
	for _, u := range users {
		ids = append(ids, u.User)
		if u.Email != nil {
			rows = append(rows, row{"email", u.Email.String(), u.User})
		}
		if u.Domain != nil {
			rows = append(rows, row{"domain", u.Domain.String(), u.User})
		}
		if u.Email != nil || u.Domain != nil {
			with++
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return 0, err
	}
	tx := m.tx.WithContext(ctx)
	if err := tx.Exec(`DELETE FROM user_aids WHERE connection_id = ? AND user_id IN ?`, connectionID, ids).Error; err != nil {
		return 0, wrap(err)
	}
	return with, wrap(tx.Exec(`INSERT INTO user_aids (connection_id, kind, hash, user_id, uploaded_by, uploaded_at)
		SELECT ?, kind, decode(hash, 'hex'), user_id, ?, ? FROM jsonb_to_recordset(?::jsonb) AS u(kind text, hash text, user_id text)`,
		connectionID, who, at, string(doc)).Error)
}

// AskCustomers implements app/mapping's Asker.
func (db *DB) AskCustomers(ctx context.Context, limit int, at time.Time) (int, error) {
	res := db.gorm.WithContext(ctx).Exec(`
		INSERT INTO object_reads (connection_id, object, object_id, reason, status, requested_at)
		SELECT DISTINCT r.connection_id, 'customer', r.customer_id, 'mapping', 'pending', ?::timestamptz
		FROM webhook_endpoints w JOIN connections c ON c.id = w.connection_id AND NOT c.paused JOIN reward_events r ON r.connection_id = w.connection_id
		WHERE w.set_up = 'manual' AND (w.enabled_events IS NULL OR NOT jsonb_exists_any(w.enabled_events, ARRAY['*', 'customer.updated']))
			AND r.customer_id <> '' AND r.customer_id LIKE 'cus\_%'
			AND NOT EXISTS (SELECT 1 FROM mapping_statements m WHERE m.connection_id = r.connection_id AND m.subject_id = r.customer_id)
			AND NOT EXISTS (SELECT 1 FROM object_reads o WHERE o.connection_id = r.connection_id AND o.object = 'customer' AND o.object_id = r.customer_id)
		LIMIT ? ON CONFLICT DO NOTHING`, at, limit)
	return int(res.RowsAffected), wrap(res.Error)
}

var _ app.Asker = (*DB)(nil)
