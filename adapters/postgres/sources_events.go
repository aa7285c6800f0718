package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/source"
)

// Known tells which of the events are stored.
func (s *Sources) Known(ctx context.Context, connectionID string, refs []sourcesync.EventRef) (map[string]bool, error) {
	known := map[string]bool{}
	if len(refs) == 0 {
		return known, nil
	}
	type ref struct {
		EventID string    `json:"event_id"`
		Created time.Time `json:"created"`
	}
	rows := make([]ref, len(refs))
	for i, r := range refs {
		rows[i] = ref{r.EventID, r.Created.UTC()}
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	var ids []string
	err = s.db.gorm.WithContext(ctx).Raw(`
		SELECT r.event_id FROM jsonb_to_recordset(?::jsonb) AS r(event_id text, created timestamptz)
		WHERE EXISTS (SELECT 1 FROM stripe_events e WHERE e.connection_id = ? AND e.event_id = r.event_id AND e.created = r.created)`,
		string(doc), connectionID).Scan(&ids).Error
	for _, id := range ids {
		known[id] = true
	}
	return known, wrap(err)
}

// eventDoc is an event as it travels to PostgreSQL; bodies are base64 there.
type eventDoc struct {
	EventID    string    `json:"event_id"`
	Type       string    `json:"type"`
	ObjectID   string    `json:"object_id"`
	APIVersion string    `json:"api_version"`
	Created    time.Time `json:"created"`
	Livemode   bool      `json:"livemode"`
	Body       []byte    `json:"body"`
	SHA256     []byte    `json:"sha256"`
	Status     string    `json:"status"`
	Reason     string    `json:"reason"`
	Missed     bool      `json:"missed"`
}

// AppendBatch stores fetched events with their processing marks and, with the last page
// of a window, moves the high-water mark: one commit decides about all of it.
func (s *Sources) AppendBatch(ctx context.Context, c sourcesync.Connection, from sourcesync.Origin, events []sourcesync.StoredEvent, mark time.Time, at time.Time) (int, error) {
	docs := make([]eventDoc, len(events))
	for i, e := range events {
		if err := s.events.ensure(ctx, s.db, "stripe_events", e.Created); err != nil {
			return 0, err
		}
		docs[i] = eventDoc{
			EventID: e.EventID, Type: e.Type, ObjectID: e.ObjectID, APIVersion: e.APIVersion, Created: e.Created.UTC(), Livemode: e.Livemode,
			Body: e.SealedBody, SHA256: e.BodySHA256[:], Status: string(ingest.Pending), Missed: e.Missed,
		}
		if e.Quarantine != "" {
			docs[i].Status, docs[i].Reason = string(ingest.Quarantined), e.Quarantine
		}
	}
	stored := 0
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var err error
		if stored, err = appendEvents(tx, c, from, docs, at); err != nil || mark.IsZero() {
			return err
		}
		return tx.Exec(`UPDATE source_syncs SET high_water = greatest(high_water, ?), updated_at = ? WHERE connection_id = ?`, mark, at, c.ID).Error
	})
	return stored, wrap(err)
}

func appendEvents(tx *gorm.DB, c sourcesync.Connection, from sourcesync.Origin, docs []eventDoc, at time.Time) (stored int, err error) {
	if len(docs) == 0 {
		return 0, nil
	}
	doc, err := json.Marshal(docs)
	if err != nil {
		return 0, err
	}
	err = tx.Raw(`
		WITH given AS MATERIALIZED (
			SELECT * FROM json_to_recordset(CAST(@doc AS json)) AS e(event_id text, type text, object_id text, api_version text, created timestamptz,
				livemode boolean, body text, sha256 text, status text, reason text, missed boolean)),
		stored AS (
			INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at, source)
			SELECT @connection, @environment, event_id, created, type, object_id, api_version, livemode, decode(body, 'base64'), decode(sha256, 'base64'), @at, @source
			FROM given ORDER BY created, event_id
			ON CONFLICT (connection_id, event_id, created) DO NOTHING
			RETURNING event_id, created),
		marked AS (
			INSERT INTO event_processing (connection_id, event_id, created, status, reason)
			SELECT @connection, g.event_id, g.created, g.status, g.reason FROM stored JOIN given g USING (event_id, created) ORDER BY g.created, g.event_id),
		missed AS (
			INSERT INTO missed_events (connection_id, event_id, type, created, found_at)
			SELECT @connection, g.event_id, g.type, g.created, @at FROM stored JOIN given g USING (event_id, created) WHERE g.missed
			ON CONFLICT DO NOTHING)
		SELECT count(*) FROM stored`,
		map[string]any{"doc": string(doc), "connection": c.ID, "environment": c.Environment.String(), "at": at, "source": string(from)}).Scan(&stored).Error
	return stored, err
}

// LoseEvents records a gap and makes sure that lists are read for it.
func (s *Sources) LoseEvents(ctx context.Context, c sourcesync.Connection, gaps []source.Gap, at time.Time) error {
	from, to := gaps[0].From, gaps[len(gaps)-1].To
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec(`UPDATE source_syncs SET high_water = ?, updated_at = ? WHERE connection_id = ? AND high_water < ?`, to, at, c.ID, to)
		if res.Error != nil || res.RowsAffected == 0 {
			return res.Error // somebody else has found it
		}
		for _, g := range gaps {
			err := tx.Exec(`INSERT INTO source_gaps (connection_id, starts, ends, delivered, found_at) SELECT @id, @from, @to,
				@delivered OR EXISTS (SELECT 1 FROM stripe_events WHERE connection_id = @id AND created >= @from AND created < @to AND source IN ('webhook', 'resend')), @at`,
				map[string]any{"id": c.ID, "from": g.From, "to": g.To, "delivered": g.Delivered, "at": at}).Error
			if err != nil {
				return err
			}
		}
		_, _, err := openBackfill(tx, c, sourcesync.Backfill{
			ConnectionID: c.ID, Kind: sourcesync.ForGap, State: sourcesync.BackfillRunning, Start: from, Until: at.Truncate(time.Second), Resource: sourcesync.Events,
		}, at)
		return err
	})
	return wrap(err)
}
