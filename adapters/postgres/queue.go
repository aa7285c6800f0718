package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// Classification is the unit of work of the classifier.
func (db *DB) Classification() Work[ingest.Stores] {
	q := &queue{db: db}
	return Work[ingest.Stores]{db: db, make: func(tx *gorm.DB) ingest.Stores {
		return ingest.Stores{Queue: queueTx{q, plain(tx)}}
	}}
}

// plain is the same transaction without GORM's store of prepared statements. That store
// prepares a statement anew in every transaction and lets it go with the transaction: three
// round trips and a parse for what the driver, which keeps its own for each connection, does in
// one. The classifier sends some twenty statements for each batch.
func plain(tx *gorm.DB) *gorm.DB {
	out := tx.Session(&gorm.Session{})
	if prepared, ok := out.Statement.ConnPool.(*gorm.PreparedStmtTX); ok {
		out.Statement.ConnPool = prepared.Tx
	}
	return out
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
// a paused connection stay where they are until it runs again. Statements of the batch are
// planned for the arrays that they get: a plan for any array expects ten rows, and pairs
// hundreds with hundreds.
func (q queueTx) Take(ctx context.Context, limit int) ([]ingest.PendingEvent, error) {
	if _, err := q.tx.Statement.ConnPool.ExecContext(ctx, `SET LOCAL plan_cache_mode = force_custom_plan`); err != nil {
		return nil, wrap(err)
	}
	rows, err := q.tx.Statement.ConnPool.QueryContext(ctx, `
		WITH batch AS MATERIALIZED (
			SELECT seq, connection_id, event_id, created FROM event_processing
			WHERE status = 'pending' AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.id = connection_id AND c.paused)
			ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED)
		SELECT b.seq, b.connection_id, b.event_id, b.created, e.sealed_body, c.user_id_key, c.map_by_email, c.map_by_domain
		FROM batch b
		JOIN LATERAL (SELECT sealed_body FROM stripe_events e
			WHERE e.connection_id = b.connection_id AND e.event_id = b.event_id AND e.created = b.created LIMIT 1) e ON true
		JOIN connections c ON c.id = b.connection_id
		ORDER BY b.seq`, limit)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // its Err tells
	out := make([]ingest.PendingEvent, 0, limit)
	for rows.Next() {
		var e ingest.PendingEvent
		if err := rows.Scan(&e.Seq, &e.ConnectionID, &e.EventID, &e.Created, &e.SealedBody, &e.UserIDKey, &e.MapByEmail, &e.MapByDomain); err != nil {
			return nil, wrap(err)
		}
		out = append(out, e)
	}
	return out, wrap(rows.Err())
}

// Book appends the new facts of a batch, the customer links and the reads that
// they ask for, joins what was seen into the projections, and marks the events, all in
// the caller's transaction.
func (q queueTx) Book(ctx context.Context, outcomes []ingest.Outcome, at time.Time) (ingest.Booked, error) {
	booked := ingest.Booked{Events: len(outcomes)}
	subjects := make([]string, len(outcomes))
	for i, o := range outcomes {
		subjects[i] = factsOf(o.Event.ConnectionID)
	}
	at, err := afterFreeze(ctx, q.tx, at, subjects...)
	if err != nil {
		return booked, err
	}
	var rows []factRow
	var reads []readRow
	seen := seenObjects{}
	for _, o := range outcomes {
		seen.add(o.Event.ConnectionID, o.Seen)
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
	rows, err = admitted(ctx, q.tx, rows)
	if err != nil {
		return booked, err
	}
	booked.Beyond = told - len(rows)
	if rows, err = othersOnly(ctx, q.tx, rows); err != nil {
		return booked, err
	}
	fresh, err := q.bookFacts(ctx, q.tx, rows, at)
	if err != nil {
		return booked, err
	}
	booked.Facts, booked.Duplicates = len(fresh), len(rows)-len(fresh)
	if booked.Links, err = bookLinks(ctx, q.tx, outcomes, at); err != nil {
		return booked, err
	}
	undecided, err := seen.book(ctx, q.tx.Statement.ConnPool, at)
	if err != nil {
		return booked, err
	}
	if err := askReads(ctx, q.tx, append(reads, undecided...), at); err != nil {
		return booked, err
	}
	return booked, markEvents(ctx, q.tx, outcomes, at)
}

type readRow struct{ ConnectionID, Object, ObjectID, Reason string }

// askReads queues reads; one that was done is asked again, because its object changed.
// They are locked in one order by everybody.
func askReads(ctx context.Context, tx *gorm.DB, reads []readRow, at time.Time) error {
	slices.SortStableFunc(reads, func(a, b readRow) int {
		return cmp.Or(strings.Compare(a.ConnectionID, b.ConnectionID), strings.Compare(a.Object, b.Object), strings.Compare(a.ObjectID, b.ObjectID))
	})
	var connections, objects, ids, reasons []string
	var asked []int32
	for i, r := range reads {
		if last := len(ids) - 1; i > 0 && r.ConnectionID == connections[last] && r.Object == objects[last] && r.ObjectID == ids[last] {
			reasons[last] = r.Reason
			asked[last]++
			continue
		}
		connections, objects, ids = append(connections, r.ConnectionID), append(objects, r.Object), append(ids, r.ObjectID)
		reasons, asked = append(reasons, r.Reason), append(asked, 1)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Statement.ConnPool.ExecContext(ctx, `
		INSERT INTO object_reads (connection_id, object, object_id, reason, asked, status, requested_at)
		SELECT connection_id, object, object_id, reason, asked, 'pending', $6
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[]) AS r(connection_id, object, object_id, reason, asked)
		ON CONFLICT (connection_id, object, object_id) DO UPDATE SET status = 'pending', reason = excluded.reason,
			requested_at = excluded.requested_at, asked = object_reads.asked + excluded.asked, attempts = 0, next_attempt_at = '-infinity', next_action = ''`,
		connections, objects, ids, reasons, asked, at)
	return wrap(err)
}

// markEvents takes events out of the queue, found by their place in it.
func markEvents(ctx context.Context, tx *gorm.DB, outcomes []ingest.Outcome, at time.Time) error {
	places, statuses, reasons := make([]int64, len(outcomes)), make([]string, len(outcomes)), make([]string, len(outcomes))
	for i, o := range outcomes {
		places[i], statuses[i], reasons[i] = o.Event.Seq, string(o.Status), o.Reason
	}
	res, err := tx.Statement.ConnPool.ExecContext(ctx, `
		UPDATE event_processing p SET status = m.status, reason = m.reason, processed_at = $4, attempts = p.attempts + 1
		FROM unnest($1::bigint[], $2::text[], $3::text[]) AS m(seq, status, reason)
		WHERE p.seq = m.seq AND p.status = 'pending'`, places, statuses, reasons, at)
	if err != nil {
		return wrap(err)
	}
	n, err := res.RowsAffected()
	if err == nil && n != int64(len(outcomes)) {
		err = fault.New(fault.Internal, "events_not_marked", "%d of %d classified events were pending", n, len(outcomes))
	}
	return wrap(err)
}
