package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/reward"
)

// Classification is the unit of work of the classifier.
func (db *DB) Classification() Work[ingest.Stores] {
	q := &queue{db: db}
	return Work[ingest.Stores]{db: db, make: func(tx *gorm.DB) ingest.Stores {
		return ingest.Stores{Queue: queueTx{q, tx}}
	}}
}

// Reads implements ingest.ReadQueue.
func (db *DB) Reads() ingest.ReadQueue { return &queue{db: db} }

type queue struct {
	db         *DB
	partitions partitions
}

type queueTx struct {
	*queue
	tx *gorm.DB
}

// Take locks a batch; SKIP LOCKED lets other classifiers take the next one. Events of
// a paused connection stay where they are until it runs again.
func (q queueTx) Take(ctx context.Context, limit int) ([]ingest.PendingEvent, error) {
	var out []ingest.PendingEvent
	err := q.tx.WithContext(ctx).Raw(`
		WITH batch AS MATERIALIZED (
			SELECT seq, connection_id, event_id, created FROM event_processing
			WHERE status = 'pending' AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.id = connection_id AND c.paused)
			ORDER BY seq LIMIT ? FOR UPDATE SKIP LOCKED)
		SELECT b.connection_id, b.event_id, b.created, e.sealed_body, c.user_id_key
		FROM batch b
		JOIN LATERAL (SELECT sealed_body FROM stripe_events e
			WHERE e.connection_id = b.connection_id AND e.event_id = b.event_id AND e.created = b.created LIMIT 1) e ON true
		JOIN connections c ON c.id = b.connection_id
		ORDER BY b.seq`, limit).Scan(&out).Error
	return out, wrap(err)
}

// factRow is a fact as it travels to PostgreSQL, in one JSON document a batch.
type factRow struct {
	ConnectionID   string     `json:"connection_id"`
	FactKey        string     `json:"fact_key"`
	Kind           string     `json:"kind"`
	IsReward       bool       `json:"is_reward"`
	ObjectID       string     `json:"object_id"`
	CustomerID     string     `json:"customer_id"`
	SubscriptionID string     `json:"subscription_id"`
	InvoiceID      string     `json:"invoice_id"`
	ChargeID       string     `json:"charge_id"`
	AmountMinor    *int64     `json:"amount_minor"`
	Currency       string     `json:"currency"`
	EffectiveAt    time.Time  `json:"effective_at"`
	EventID        string     `json:"event_id"`
	Detail         factDetail `json:"detail"`
	UserID         string     `json:"-"`
	PreviousUserID string     `json:"-"`
	// live is a fact of an event; the others were read off objects.
	live bool
	fact reward.Fact
}

// factDetail is what qualifies a fact and is shown, not summed.
type factDetail struct {
	UserID    string       `json:"user_id,omitempty"`
	MRRBefore string       `json:"mrr_before,omitempty"`
	MRRAfter  string       `json:"mrr_after,omitempty"`
	Flags     reward.Flags `json:"flags,omitzero"`
}

func rowOf(connectionID, eventID string, f reward.Fact) factRow {
	return factRow{
		ConnectionID: connectionID, FactKey: f.Key, Kind: f.Kind.String(), IsReward: f.IsReward, ObjectID: f.ObjectID,
		CustomerID: f.Customer, SubscriptionID: f.Subscription, InvoiceID: f.Invoice, ChargeID: f.Charge,
		AmountMinor: f.Amount, Currency: f.Currency, EffectiveAt: f.EffectiveAt.UTC(), EventID: eventID,
		UserID: f.UserID, PreviousUserID: f.PreviousUserID, fact: f,
		Detail: factDetail{UserID: f.UserID, MRRBefore: f.MRRBefore, MRRAfter: f.MRRAfter, Flags: f.Flags},
	}
}

// Book appends the new facts of a batch, the customer links and the reads that
// they ask for, and marks the events, all in the caller's transaction.
func (q queueTx) Book(ctx context.Context, outcomes []ingest.Outcome, at time.Time) (ingest.Booked, error) {
	booked := ingest.Booked{Events: len(outcomes)}
	var rows []factRow
	var reads []readRow
	for _, o := range outcomes {
		for _, f := range o.Facts {
			row := rowOf(o.Event.ConnectionID, o.Event.EventID, f)
			row.live = true
			rows = append(rows, row)
			if f.Charge != "" && f.Customer == "" {
				reads = append(reads, readRow{o.Event.ConnectionID, "charge", f.Charge, "owner"})
			}
		}
		for _, r := range o.Reads {
			reads = append(reads, readRow{o.Event.ConnectionID, r.Object, r.ID, r.Reason})
		}
	}
	told := len(rows)
	rows, err := admitted(ctx, q.tx, rows)
	if err != nil {
		return booked, err
	}
	booked.Beyond = told - len(rows)
	fresh, err := q.bookFacts(ctx, q.tx, rows, at)
	if err != nil {
		return booked, err
	}
	booked.Facts, booked.Duplicates = len(fresh), len(rows)-len(fresh)
	if booked.Links, err = bookLinks(ctx, q.tx, fresh); err != nil {
		return booked, err
	}
	if err := askReads(ctx, q.tx, reads, at); err != nil {
		return booked, err
	}
	return booked, markEvents(ctx, q.tx, outcomes, at)
}

// bookFacts inserts keys first; only facts whose key was new are appended.
func (q *queue) bookFacts(ctx context.Context, tx *gorm.DB, rows []factRow, at time.Time) ([]factRow, error) {
	type key struct{ ConnectionID, FactKey string }
	first := map[key]int{}
	var unique []factRow
	for _, r := range rows {
		k := key{r.ConnectionID, r.FactKey}
		if _, seen := first[k]; !seen {
			first[k] = len(unique)
			unique = append(unique, r)
		}
	}
	if len(unique) == 0 {
		return nil, nil
	}
	doc, err := json.Marshal(unique)
	if err != nil {
		return nil, err
	}
	var inserted []key
	err = tx.WithContext(ctx).Raw(`
		INSERT INTO fact_keys (connection_id, fact_key)
		SELECT connection_id, fact_key FROM jsonb_to_recordset(?::jsonb) AS f(connection_id text, fact_key text)
		ORDER BY connection_id, fact_key -- one lock order for all classifiers
		ON CONFLICT DO NOTHING RETURNING connection_id, fact_key`, string(doc)).Scan(&inserted).Error
	if err != nil || len(inserted) == 0 {
		return nil, wrap(err)
	}
	fresh := make([]factRow, len(inserted))
	for i, k := range inserted {
		fresh[i] = unique[first[k]]
		if err := q.partitions.ensure(ctx, q.db, "reward_events", fresh[i].EffectiveAt); err != nil {
			return nil, err
		}
	}
	if doc, err = json.Marshal(fresh); err != nil {
		return nil, err
	}
	err = tx.WithContext(ctx).Exec(`
		INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id,
			invoice_id, charge_id, amount_minor, currency, effective_at, event_id, detail, recorded_at, historic)
		SELECT f.connection_id, c.environment, f.fact_key, f.kind, f.is_reward, f.object_id, f.customer_id, f.subscription_id,
			f.invoice_id, f.charge_id, f.amount_minor, f.currency, f.effective_at, f.event_id, f.detail, ?, coalesce(f.effective_at < s.sync_start, false)
		FROM jsonb_to_recordset(?::jsonb) AS f(connection_id text, fact_key text, kind text, is_reward boolean, object_id text,
			customer_id text, subscription_id text, invoice_id text, charge_id text, amount_minor bigint, currency text,
			effective_at timestamptz, event_id text, detail jsonb)
		JOIN connections c ON c.id = f.connection_id
		LEFT JOIN source_syncs s ON s.connection_id = f.connection_id`, at, string(doc)).Error
	return fresh, wrap(err)
}

// bookLinks derives the customer links from new mapping facts.
func bookLinks(ctx context.Context, tx *gorm.DB, fresh []factRow) (int, error) {
	type link struct {
		ConnectionID string    `json:"connection_id"`
		CustomerID   string    `json:"customer_id"`
		UserID       string    `json:"user_id"`
		ValidFrom    time.Time `json:"valid_from"`
		EventID      string    `json:"event_id"`
		Inferred     bool      `json:"inferred"`
	}
	var links []link
	for _, f := range fresh {
		if f.Kind != reward.CustomerMapping.String() {
			continue
		}
		links = append(links, link{f.ConnectionID, f.CustomerID, f.UserID, f.EffectiveAt, f.EventID, !f.live})
		if f.live {
			if err := dropInferred(ctx, tx, f); err != nil {
				return 0, err
			}
		}
	}
	if len(links) == 0 {
		return 0, nil
	}
	doc, err := json.Marshal(links)
	if err != nil {
		return 0, err
	}
	res := tx.WithContext(ctx).Exec(`
		INSERT INTO customer_links (connection_id, customer_id, user_id, valid_from, event_id)
		SELECT connection_id, customer_id, user_id, valid_from, event_id
		FROM jsonb_to_recordset(?::jsonb) AS l(connection_id text, customer_id text, user_id text, valid_from timestamptz, event_id text, inferred boolean)
		WHERE NOT inferred OR NOT EXISTS ( -- what a customer's metadata say today is no news beside its events
			SELECT 1 FROM customer_links k WHERE k.connection_id = l.connection_id AND k.customer_id = l.customer_id)
		ON CONFLICT DO NOTHING`, string(doc))
	if res.Error != nil {
		return 0, wrap(res.Error)
	}
	for _, f := range fresh {
		if err := bookPrevious(ctx, tx, f); err != nil {
			return 0, err
		}
	}
	return int(res.RowsAffected), nil
}

// dropInferred removes the link that was read off a customer when the first change after
// it, as its event tells it, began with another user: the customer was read later than
// it was changed.
func dropInferred(ctx context.Context, tx *gorm.DB, f factRow) error {
	return wrap(tx.WithContext(ctx).Exec(`
		DELETE FROM customer_links i WHERE connection_id = @connection AND customer_id = @customer AND valid_from < @at
			AND (event_id LIKE 'bf:%' OR event_id LIKE 'read:%') AND user_id <> @previous
			AND NOT EXISTS (SELECT 1 FROM customer_links k WHERE k.connection_id = @connection AND k.customer_id = @customer
				AND k.valid_from > i.valid_from AND k.valid_from < @at)`,
		map[string]any{"connection": f.ConnectionID, "customer": f.CustomerID, "previous": f.PreviousUserID, "at": f.EffectiveAt}).Error)
}

// bookPrevious keeps what the earliest known change tells of the time before it: whose
// the customer was. That link reaches back to the beginning, so that earlier revenue
// stays with the earlier user although nobody told us when it began.
func bookPrevious(ctx context.Context, tx *gorm.DB, f factRow) error {
	if f.PreviousUserID == "" {
		return nil
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO customer_links (connection_id, customer_id, user_id, valid_from, event_id)
		SELECT @connection, @customer, @previous, 'epoch', @event WHERE NOT EXISTS (
			SELECT 1 FROM customer_links WHERE connection_id = @connection AND customer_id = @customer AND valid_from > 'epoch' AND valid_from < @at)
		ON CONFLICT (connection_id, customer_id, valid_from) DO UPDATE SET user_id = excluded.user_id, event_id = excluded.event_id`,
		map[string]any{"connection": f.ConnectionID, "customer": f.CustomerID, "previous": f.PreviousUserID, "event": f.EventID, "at": f.EffectiveAt}).Error)
}

type readRow struct{ ConnectionID, Object, ObjectID, Reason string }

// askReads queues reads; one that was done is asked again, because its object changed.
func askReads(ctx context.Context, tx *gorm.DB, reads []readRow, at time.Time) error {
	for _, r := range reads {
		err := tx.WithContext(ctx).Exec(`
			INSERT INTO object_reads (connection_id, object, object_id, reason, status, requested_at) VALUES (?, ?, ?, ?, 'pending', ?)
			ON CONFLICT (connection_id, object, object_id) DO UPDATE SET status = 'pending', reason = excluded.reason,
				requested_at = excluded.requested_at, asked = object_reads.asked + 1, attempts = 0, next_attempt_at = '-infinity', next_action = ''`,
			r.ConnectionID, r.Object, r.ObjectID, r.Reason, at).Error
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}

func markEvents(ctx context.Context, tx *gorm.DB, outcomes []ingest.Outcome, at time.Time) error {
	type mark struct {
		ConnectionID string    `json:"connection_id"`
		EventID      string    `json:"event_id"`
		Created      time.Time `json:"created"`
		Status       string    `json:"status"`
		Reason       string    `json:"reason"`
	}
	marks := make([]mark, len(outcomes))
	for i, o := range outcomes {
		marks[i] = mark{o.Event.ConnectionID, o.Event.EventID, o.Event.Created, string(o.Status), o.Reason}
	}
	doc, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	return wrap(tx.WithContext(ctx).Exec(`
		UPDATE event_processing p SET status = m.status, reason = m.reason, processed_at = ?
		FROM jsonb_to_recordset(?::jsonb) AS m(connection_id text, event_id text, created timestamptz, status text, reason text)
		WHERE p.connection_id = m.connection_id AND p.event_id = m.event_id AND p.created = m.created`, at, string(doc)).Error)
}
