package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/domain/reward"
)

// telling is what one event or one read says of whose its objects are.
type telling struct {
	connectionID, metadataKey, eventID string
	facts                              []reward.Fact
	seen                               []reward.Holding
	// readAt is when the object was read; zero for an event.
	readAt time.Time
}

// subject is a customer or a subscription of a connection.
type subject struct {
	ConnectionID string `json:"connection_id"`
	SubjectID    string `json:"subject_id"`
}

// bookLinks adds what a batch says of whose its customers are, and computes the spans of
// those customers anew. It returns how many statements were new.
func bookLinks(ctx context.Context, tx *gorm.DB, outcomes []ingest.Outcome, at time.Time) (int, error) {
	tellings := make([]telling, 0, len(outcomes))
	var aids []aidOf
	for _, o := range outcomes {
		tellings = append(tellings, telling{o.Event.ConnectionID, o.Event.UserIDKey, o.Event.EventID, o.Facts, o.Holdings, time.Time{}})
		if o.Aid != nil {
			aids = append(aids, aidOf{o.Event.ConnectionID, *o.Aid})
		}
	}
	if err := bookAids(ctx, tx, aids); err != nil {
		return 0, err
	}
	return bookTellings(ctx, tx, tellings, at)
}

func bookTellings(ctx context.Context, tx *gorm.DB, tellings []telling, at time.Time) (int, error) {
	told, seen := statementsOf(tellings)
	if len(told) == 0 && len(seen) == 0 {
		return 0, nil
	}
	var subjects []subject
	for s := range told {
		subjects = append(subjects, s)
	}
	for s := range seen {
		if _, both := told[s]; !both {
			subjects = append(subjects, s)
		}
	}
	return updateSpans(ctx, tx, subjects, at, func(s subject, known []mapping.Statement, key string) []mapping.Statement {
		return news(known, key, told[s], seen[s])
	})
}

// statementsOf sorts what was told into changes, which stand, and into what happened to
// be there, which counts only where nobody knew it.
func statementsOf(tellings []telling) (told, seen map[subject][]mapping.Statement) {
	told, seen = map[subject][]mapping.Statement{}, map[subject][]mapping.Statement{}
	for _, t := range tellings {
		for _, f := range t.facts {
			s := mapping.Statement{
				Subject: f.Customer, User: f.UserID, Previous: f.PreviousUserID, Source: mapping.Metadata, Key: t.metadataKey,
				From: f.EffectiveAt, EventID: t.eventID, Deleted: f.Kind == reward.CustomerDeleted,
			}
			of := subject{t.connectionID, f.Customer}
			switch {
			case f.Kind == reward.CustomerMapping && f.Flags.Inferred:
				s.From, s.Seen = t.readAt, true // of a customer that was read nobody knows since when it is so
				seen[of] = append(seen[of], s.Identified(t.connectionID, 0))
			case f.Kind == reward.CustomerMapping, s.Deleted:
				told[of] = append(told[of], s.Identified(t.connectionID, 0))
			}
		}
		for _, o := range t.seen {
			s := mapping.Statement{
				Subject: o.Subject, User: o.User, Previous: o.Previous, Source: mapping.Metadata, Key: t.metadataKey, From: o.At, EventID: t.eventID,
				Seen: o.At.Equal(t.readAt),
			}
			of := subject{t.connectionID, o.Subject}
			if o.Changed {
				told[of] = append(told[of], s.Identified(t.connectionID, 0))
			} else {
				seen[of] = append(seen[of], s.Identified(t.connectionID, 0))
			}
		}
	}
	return told, seen
}

// news are the statements that are not known yet. Something seen is news only where the
// spans do not say the same already.
func news(known []mapping.Statement, key string, told, seen []mapping.Statement) []mapping.Statement {
	have, next := map[string]bool{}, int64(0)
	for _, k := range known {
		have[k.ID], next = true, max(next, k.Seq)
	}
	var out []mapping.Statement
	add := func(n mapping.Statement) {
		if have[n.ID] {
			return
		}
		next++
		n.Seq, have[n.ID] = next, true
		out, known = append(out, n), append(known, n)
	}
	for _, n := range told {
		add(n)
	}
	slices.SortFunc(seen, func(a, b mapping.Statement) int { return a.From.Compare(b.From) })
	for _, n := range seen {
		if n.Key != key || !saidAlready(mapping.Spans(known, key), n) {
			add(n)
		}
	}
	return out
}

func saidAlready(spans []mapping.Span, n mapping.Statement) bool {
	for _, s := range spans {
		if !n.From.Before(s.From) && (s.To.IsZero() || n.From.Before(s.To)) {
			return (s.State == mapping.Linked || s.State == mapping.Closed) && s.User == n.User
		}
	}
	return false
}

type statementRow struct {
	ConnectionID   string    `json:"connection_id"`
	LinkID         string    `json:"link_id"`
	SubjectID      string    `json:"subject_id"`
	UserID         string    `json:"user_id"`
	PreviousUserID string    `json:"previous_user_id"`
	Source         string    `json:"source"`
	MetadataKey    string    `json:"metadata_key"`
	ValidFrom      time.Time `json:"valid_from"`
	Deleted        bool      `json:"deleted"`
	Seen           bool      `json:"seen"`
	EventID        string    `json:"event_id"`
	DecidedBy      string    `json:"decided_by"`
	Reason         string    `json:"reason"`
	Seq            int64     `json:"-"`
}

func (r statementRow) statement() mapping.Statement {
	return mapping.Statement{
		ID: r.LinkID, Subject: r.SubjectID, User: r.UserID, Previous: r.PreviousUserID, Source: mapping.Source(r.Source), Key: r.MetadataKey,
		From: mapping.Instant(r.ValidFrom), EventID: r.EventID, Deleted: r.Deleted, Seen: r.Seen, Seq: r.Seq,
	}
}

func rowOfStatement(connectionID string, s mapping.Statement) statementRow {
	return statementRow{
		ConnectionID: connectionID, LinkID: s.ID, SubjectID: s.Subject, UserID: s.User, PreviousUserID: s.Previous, Source: string(s.Source),
		MetadataKey: s.Key, ValidFrom: s.From, Deleted: s.Deleted, Seen: s.Seen, EventID: s.EventID,
	}
}

// updateSpans locks the subjects, adds the statements that add names, and replaces the
// spans of the subjects that have new ones. Who comes second waits and sees what the first one
// added, so that the spans always follow from all statements.
func updateSpans(ctx context.Context, tx *gorm.DB, subjects []subject, at time.Time,
	add func(s subject, known []mapping.Statement, currentKey string) []mapping.Statement,
) (int, error) {
	known, keys, err := lockStatements(ctx, tx, subjects)
	if err != nil {
		return 0, err
	}
	var rows []statementRow
	var changed []subject
	for _, s := range subjects {
		fresh := add(s, known[s], keys[s.ConnectionID])
		if len(fresh) == 0 {
			continue
		}
		changed = append(changed, s)
		known[s] = append(known[s], fresh...)
		for _, n := range fresh {
			rows = append(rows, rowOfStatement(s.ConnectionID, n))
		}
	}
	if err := insertStatements(ctx, tx, rows, at); err != nil {
		return 0, err
	}
	return len(rows), replaceSpans(ctx, tx, changed, known, keys)
}

// lockStatements locks subjects in one order for everybody and loads their statements,
// oldest first, with the metadata entry that each connection reads now.
func lockStatements(ctx context.Context, tx *gorm.DB, subjects []subject) (map[subject][]mapping.Statement, map[string]string, error) {
	slices.SortFunc(subjects, func(a, b subject) int {
		return strings.Compare(a.ConnectionID+"\x00"+a.SubjectID, b.ConnectionID+"\x00"+b.SubjectID)
	})
	doc, err := json.Marshal(subjects)
	if err != nil {
		return nil, nil, err
	}
	tx = tx.WithContext(ctx)
	err = tx.Exec(`SELECT pg_advisory_xact_lock(hashtextextended(connection_id || '/' || subject_id, 7)) FROM (
		SELECT connection_id, subject_id FROM jsonb_to_recordset(?::jsonb) AS s(connection_id text, subject_id text)
		ORDER BY hashtextextended(connection_id || '/' || subject_id, 7)) ordered`, string(doc)).Error
	if err != nil {
		return nil, nil, wrap(err)
	}
	var rows []statementRow
	err = tx.Raw(`
		SELECT m.connection_id, m.link_id, m.subject_id, m.user_id, m.previous_user_id, m.source, m.metadata_key, m.valid_from, m.deleted, m.seen, m.event_id, m.seq
		FROM jsonb_to_recordset(?::jsonb) AS s(connection_id text, subject_id text)
		JOIN mapping_statements m ON m.connection_id = s.connection_id AND m.subject_id = s.subject_id
		WHERE NOT EXISTS (SELECT 1 FROM mapping_retractions t WHERE t.connection_id = m.connection_id AND t.link_id = m.link_id)
		ORDER BY m.seq`, string(doc)).Scan(&rows).Error
	if err != nil {
		return nil, nil, wrap(err)
	}
	known := map[subject][]mapping.Statement{}
	for _, r := range rows {
		of := subject{r.ConnectionID, r.SubjectID}
		known[of] = append(known[of], r.statement())
	}
	var keyRows []struct{ ID, UserIDKey string }
	err = tx.Raw(`SELECT id, user_id_key FROM connections WHERE id IN (SELECT DISTINCT connection_id FROM jsonb_to_recordset(?::jsonb) AS s(connection_id text))`,
		string(doc)).Scan(&keyRows).Error
	keys := map[string]string{}
	for _, k := range keyRows {
		keys[k.ID] = k.UserIDKey
	}
	return known, keys, wrap(err)
}

func insertStatements(ctx context.Context, tx *gorm.DB, rows []statementRow, at time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO mapping_statements (connection_id, link_id, subject_id, user_id, previous_user_id, source, metadata_key, valid_from, deleted, seen,
			event_id, decided_by, reason, recorded_at)
		SELECT connection_id, link_id, subject_id, user_id, previous_user_id, source, metadata_key, valid_from, deleted, seen, event_id, decided_by, reason, ?
		FROM ROWS FROM (jsonb_to_recordset(?::jsonb) AS (connection_id text, link_id text, subject_id text, user_id text, previous_user_id text, source text,
			metadata_key text, valid_from timestamptz, deleted boolean, seen boolean, event_id text, decided_by text, reason text)) WITH ORDINALITY
		ORDER BY ordinality
		ON CONFLICT (connection_id, link_id) DO NOTHING`, at, string(doc)).Error)
}

type spanRow struct {
	ConnectionID string     `json:"connection_id"`
	SubjectID    string     `json:"subject_id"`
	ValidFrom    time.Time  `json:"valid_from"`
	ValidTo      *time.Time `json:"valid_to"`
	State        string     `json:"state"`
	UserID       string     `json:"user_id"`
	LinkID       string     `json:"link_id"`
	Source       string     `json:"source"`
	EventID      string     `json:"event_id"`
	Former       bool       `json:"former"`
}

func replaceSpans(ctx context.Context, tx *gorm.DB, subjects []subject, known map[subject][]mapping.Statement, keys map[string]string) error {
	if len(subjects) == 0 {
		return nil
	}
	rows := []spanRow{}
	for _, of := range subjects {
		for _, s := range mapping.Spans(known[of], keys[of.ConnectionID]) {
			r := spanRow{
				ConnectionID: of.ConnectionID, SubjectID: of.SubjectID, ValidFrom: s.From, State: string(s.State), UserID: s.User,
				LinkID: s.LinkID, Source: string(s.Source), EventID: s.EventID, Former: s.Former,
			}
			if !s.To.IsZero() {
				r.ValidTo = &s.To
			}
			rows = append(rows, r)
		}
	}
	touched, err := json.Marshal(subjects)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	tx = tx.WithContext(ctx)
	err = tx.Exec(`DELETE FROM mapping_spans m USING jsonb_to_recordset(?::jsonb) AS s(connection_id text, subject_id text)
		WHERE m.connection_id = s.connection_id AND m.subject_id = s.subject_id`, string(touched)).Error
	if err != nil {
		return wrap(err)
	}
	return wrap(tx.Exec(`
		INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source, event_id, former)
		SELECT connection_id, subject_id, valid_from, coalesce(valid_to, 'infinity'), state, user_id, link_id, source, event_id, former
		FROM jsonb_to_recordset(?::jsonb) AS s(connection_id text, subject_id text, valid_from timestamptz, valid_to timestamptz, state text,
			user_id text, link_id text, source text, event_id text, former boolean)`, string(doc)).Error)
}

// aidOf is what a customer of a connection left behind.
type aidOf struct {
	connectionID string
	ingest.CustomerAid
}

// bookAids keeps the newest hashes of each customer.
func bookAids(ctx context.Context, tx *gorm.DB, aids []aidOf) error {
	type aid struct {
		ConnectionID string    `json:"connection_id"`
		CustomerID   string    `json:"customer_id"`
		EmailHash    *string   `json:"email_hash"`
		DomainHash   *string   `json:"domain_hash"`
		SeenAt       time.Time `json:"seen_at"`
	}
	newest := map[subject]aid{}
	for _, a := range aids {
		of := subject{a.connectionID, a.Customer}
		if have, ok := newest[of]; ok && !a.SeenAt.After(have.SeenAt) {
			continue
		}
		newest[of] = aid{of.ConnectionID, of.SubjectID, hexOf(a.Email), hexOf(a.Domain), a.SeenAt}
	}
	if len(newest) == 0 {
		return nil
	}
	rows := make([]aid, 0, len(newest))
	for _, a := range newest {
		rows = append(rows, a)
	}
	slices.SortFunc(rows, func(a, b aid) int {
		return strings.Compare(a.ConnectionID+"\x00"+a.CustomerID, b.ConnectionID+"\x00"+b.CustomerID)
	})
	doc, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO customer_aids (connection_id, customer_id, email_hash, domain_hash, seen_at)
		SELECT connection_id, customer_id, decode(email_hash, 'hex'), decode(domain_hash, 'hex'), seen_at
		FROM jsonb_to_recordset(?::jsonb) AS a(connection_id text, customer_id text, email_hash text, domain_hash text, seen_at timestamptz)
		ON CONFLICT (connection_id, customer_id) DO UPDATE SET email_hash = excluded.email_hash, domain_hash = excluded.domain_hash, seen_at = excluded.seen_at
		WHERE excluded.seen_at >= customer_aids.seen_at`, string(doc)).Error)
}

func hexOf(h *mapping.Hash) *string {
	if h == nil {
		return nil
	}
	s := h.String()
	return &s
}
