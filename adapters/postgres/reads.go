package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// PendingReads lists the objects that wait to be read, paged by their key. Those of a
// paused connection wait until it runs again.
func (q *queue) PendingReads(ctx context.Context, f ingest.ReadFilter, limit int) ([]ingest.PendingRead, error) {
	var out []ingest.PendingRead
	due := any("infinity")
	if !f.DueAt.IsZero() {
		due = f.DueAt
	}
	err := q.db.gorm.WithContext(ctx).Raw(`
		SELECT r.connection_id, r.object, r.object_id, r.reason, r.asked, r.attempts, c.user_id_key, c.map_by_email OR c.map_by_domain AS read_email
		FROM object_reads r JOIN connections c ON c.id = r.connection_id
		WHERE (r.status = 'pending' OR (? AND r.status = 'failed' AND r.attempts >= ?)) AND NOT c.paused AND NOT (? AND r.object = 'product') AND (? = '' OR r.connection_id = ?)
			AND r.next_attempt_at <= ?::timestamptz AND (r.connection_id, r.object, r.object_id) > (?, ?, ?)
		ORDER BY r.connection_id, r.object, r.object_id LIMIT ?`,
		f.DueAt.IsZero(), ingest.MaxAttempts, f.Facts, f.ConnectionID, f.ConnectionID, due, f.After.ConnectionID, f.After.Object, f.After.ObjectID, limit).Scan(&out).Error
	return out, wrap(err)
}

// FinishRead books what a read showed. A read that was asked for again meanwhile stays
// pending: its object changed after it was read.
func (q *queue) FinishRead(ctx context.Context, r ingest.PendingRead, seen []reward.Observation, at time.Time) error {
	err := q.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		lineage := func(reward.Observation) string { return "read:" + r.ObjectID }
		if _, err := q.observe(ctx, tx, r.ConnectionID, seen, lineage, at); err != nil {
			return err
		}
		if err := resolveEvents(tx, r, at); err != nil {
			return err
		}
		return tx.Exec(`UPDATE object_reads SET status = 'done', detail = '', next_action = '', done_at = ?
			WHERE connection_id = ? AND object = ? AND object_id = ? AND asked = ?`, at, r.ConnectionID, r.Object, r.ObjectID, r.Asked).Error
	})
	return wrap(err)
}

// resolveEvents takes the events of an object out of quarantine that were put there
// because they could not be understood: the object itself has told since. Events that
// contradict their connection stay.
func resolveEvents(tx *gorm.DB, r ingest.PendingRead, at time.Time) error {
	return tx.Exec(`
		UPDATE event_processing p SET status = 'processed', reason = ?, processed_at = ?
		FROM stripe_events e
		WHERE p.connection_id = ? AND p.status = 'quarantined' AND p.reason NOT IN ?
			AND e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created AND e.object_id = ?`,
		ingest.ReasonResolved, at, r.ConnectionID, []string{ingest.ReasonModeMismatch, ingest.ReasonAccountMismatch}, r.ObjectID).Error
}

// PostponeRead remembers a read that failed. One that was asked for again meanwhile is
// tried at once. What Stripe does not have any more is booked as deleted, which ends the
// read like an answer.
func (q *queue) PostponeRead(ctx context.Context, r ingest.PendingRead, p ingest.Postponed, at time.Time) error {
	status := "pending"
	if p.Final {
		status = "failed"
	}
	err := q.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if p.Gone != nil {
			status, p.Action = "done", ""
			seen := seenObjects{}
			seen.add(r.ConnectionID, *p.Gone)
			if _, err := seen.book(ctx, tx.Statement.ConnPool, at); err != nil {
				return err
			}
		}
		return tx.Exec(`
			UPDATE object_reads SET status = ?, detail = ?, next_action = ?, attempts = ?, next_attempt_at = ?,
				done_at = CASE WHEN ? THEN ?::timestamptz END
			WHERE connection_id = ? AND object = ? AND object_id = ? AND asked = ?`,
			status, p.Reason, p.Action, p.Attempts, p.NextAttempt, p.Final, at, r.ConnectionID, r.Object, r.ObjectID, r.Asked).Error
	})
	return wrap(err)
}

// Budget is the connection's read allowance.
func (q *queue) Budget(ctx context.Context, connectionID string, at time.Time) (source.Budget, error) {
	return budgetOf(ctx, q.db.gorm, connectionID, at)
}

// AddReads counts what was read.
func (q *queue) AddReads(ctx context.Context, connectionID string, reads int, at time.Time) error {
	return addReads(ctx, q.db.gorm, connectionID, reads, at)
}

// budgetOf sums the reads and the known payments of the last 30 days. Payments are
// counted only once they can matter.
func budgetOf(ctx context.Context, tx *gorm.DB, connectionID string, at time.Time) (source.Budget, error) {
	var b source.Budget
	since := at.UTC().AddDate(0, 0, -source.BudgetDays)
	err := tx.WithContext(ctx).Raw(`SELECT coalesce(sum(reads), 0) FROM source_reads WHERE connection_id = ? AND day > ?::date`,
		connectionID, since.Format(time.DateOnly)).Scan(&b.Used).Error
	if err != nil || b.Used < b.Limit()/2 {
		return b, wrap(err)
	}
	err = tx.WithContext(ctx).Raw(`SELECT count(*) FROM reward_events WHERE connection_id = ? AND kind = ? AND effective_at > ?`,
		connectionID, reward.RevenueConfirmation.String(), since).Scan(&b.Transactions).Error
	return b, wrap(err)
}

func addReads(ctx context.Context, tx *gorm.DB, connectionID string, reads int, at time.Time) error {
	if reads == 0 {
		return nil
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO source_reads (connection_id, day, reads) VALUES (?, ?::date, ?)
		ON CONFLICT (connection_id, day) DO UPDATE SET reads = source_reads.reads + excluded.reads`,
		connectionID, at.UTC().Format(time.DateOnly), reads).Error)
}
