package postgres

import (
	"context"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
)

// reprocessBatch bounds one statement.
const reprocessBatch = 20000

// setAside are the reasons with which an event was set aside when it came in: it does not
// belong to its connection, or is no event. No classifier may ever see those.
func setAside() []string {
	return []string{ingest.ReasonModeMismatch, ingest.ReasonAccountMismatch, ingest.ReasonNotJSON, ingest.ReasonThin}
}

// selection are conditions on stripe_events e, event_processing p and connections c.
type selection struct{ where }

// again puts the selected events back into the queue, batch by batch behind the last one's
// number, and returns how many they were. Facts have natural keys: an event that is
// classified again books what is new to it and nothing twice. An event whose body was
// erased cannot be read again and stays as it is.
func (s selection) again(ctx context.Context, tx *gorm.DB, after int64, limit int) (n int64, last int64, err error) {
	q := s.where
	q.add("p.seq > ?", after)
	q.add("p.status <> 'pending' AND p.reason NOT IN ?", setAside())
	q.add("e.livemode = (c.environment = 'live') AND length(e.sealed_body) > 0")
	var out struct{ N, Last int64 }
	err = tx.WithContext(ctx).Raw(`
		WITH chosen AS MATERIALIZED (
			SELECT p.seq FROM event_processing p
			JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
			JOIN connections c ON c.id = p.connection_id`+q.sql()+`
			ORDER BY p.seq LIMIT ? FOR UPDATE OF p),
		marked AS (
			UPDATE event_processing p SET status = 'pending', reason = '', first_processed_at = coalesce(p.first_processed_at, p.processed_at)
			FROM chosen WHERE p.seq = chosen.seq RETURNING p.seq)
		SELECT count(*) AS n, coalesce(max(seq), 0) AS last FROM marked`, append(q.args, limit)...).Scan(&out).Error
	return out.N, out.Last, wrap(err)
}

// allAgain is again for everything that is selected.
func (s selection) allAgain(ctx context.Context, tx *gorm.DB) (int64, error) {
	var total, after int64
	for {
		n, last, err := s.again(ctx, tx, after, reprocessBatch)
		total, after = total+n, last
		if err != nil || n < reprocessBatch {
			return total, err
		}
	}
}
