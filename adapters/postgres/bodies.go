package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Bodies implements ingest.Bodies.
type Bodies struct{ db *DB }

// NewBodies opens the stored bodies.
func (db *DB) NewBodies() *Bodies { return &Bodies{db} }

// ConnectionEnvironment looks a connection up.
func (b *Bodies) ConnectionEnvironment(ctx context.Context, connectionID string) (account.Environment, error) {
	c, err := b.db.SealedConnection(ctx, connectionID)
	return c.Environment, err
}

// StoredBodies pages along the primary key.
func (b *Bodies) StoredBodies(ctx context.Context, after ingest.EventRef, limit int) ([]ingest.StoredBody, error) {
	var out []ingest.StoredBody
	err := b.db.gorm.WithContext(ctx).Raw(`
		SELECT e.connection_id, e.event_id, e.created, e.sealed_body, coalesce(p.status = 'pending', false) AS pending
		FROM (SELECT connection_id, event_id, created, sealed_body FROM stripe_events
			WHERE connection_id = ? AND (created, event_id) > (?, ?) ORDER BY created, event_id LIMIT ?) e
		LEFT JOIN event_processing p ON p.connection_id = e.connection_id AND p.event_id = e.event_id AND p.created = e.created
		ORDER BY e.created, e.event_id`, after.ConnectionID, after.Created, after.EventID, limit).Scan(&out).Error
	return out, wrap(err)
}

// OpenErasure writes the record of a request, and writes it down.
func (b *Bodies) OpenErasure(ctx context.Context, r ingest.ErasureRequest, note audit.Entry) (int64, error) {
	var id int64
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Raw(`
		INSERT INTO body_erasures (connection_id, environment, customer_id, reason, requested_at) VALUES (?, ?, ?, ?, ?) RETURNING id`,
			r.ConnectionID, r.Environment.String(), r.CustomerID, r.Reason, r.At).Scan(&id).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return id, wrap(err)
}

// EraseBodies empties the bodies and records each; both or neither. A body that is
// pending is refused: its facts are not booked yet.
func (b *Bodies) EraseBodies(ctx context.Context, erasure int64, events []ingest.EventRef, at time.Time) error {
	connections, ids, created := make([]string, len(events)), make([]string, len(events)), make([]time.Time, len(events))
	for i, e := range events {
		connections[i], ids[i], created[i] = e.ConnectionID, e.EventID, e.Created
	}
	res, err := b.db.sql.ExecContext(ctx, `
		WITH given AS (SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS g(connection_id, event_id, created)),
		done AS MATERIALIZED (
			SELECT p.connection_id, p.event_id, p.created FROM event_processing p JOIN given g USING (connection_id, event_id, created)
			WHERE p.status <> 'pending' FOR UPDATE OF p),
		recorded AS (
			INSERT INTO erased_bodies (connection_id, event_id, created, erasure_id, erased_at)
			SELECT connection_id, event_id, created, $4, $5 FROM done)
		UPDATE stripe_events e SET sealed_body = '' FROM done d
		WHERE e.connection_id = d.connection_id AND e.event_id = d.event_id AND e.created = d.created`,
		connections, ids, created, erasure, at)
	if err != nil {
		return wrap(err)
	}
	n, err := res.RowsAffected()
	if err == nil && n != int64(len(events)) {
		err = fault.New(fault.Unavailable, "bodies_in_use", "%d of %d bodies are being classified again", int64(len(events))-n, len(events)).Fix("Erase once more in a moment")
	}
	return wrap(err)
}

// Reclaim vacuums the partitions that hold emptied rows: until then the old versions lie
// in them.
func (b *Bodies) Reclaim(ctx context.Context, erasure int64) error {
	var tables []string
	err := b.db.gorm.WithContext(ctx).Raw(`
		SELECT DISTINCT e.tableoid::regclass::text FROM erased_bodies d
		JOIN stripe_events e ON e.connection_id = d.connection_id AND e.event_id = d.event_id AND e.created = d.created
		WHERE d.erasure_id = ? ORDER BY 1`, erasure).Scan(&tables).Error
	if err != nil {
		return wrap(err)
	}
	for _, table := range tables {
		if _, err := b.db.sql.ExecContext(ctx, "VACUUM "+table); err != nil { // the name is the catalogue's own, quoted where it has to be
			return fault.Wrap(wrap(err), fault.Unavailable, "bodies_not_reclaimed", "the bodies are erased, but their old versions lie in %s until its next vacuum", table).
				Fix("Run VACUUM %s", table)
		}
	}
	return nil
}
