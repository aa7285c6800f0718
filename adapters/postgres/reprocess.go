package postgres

import (
	"context"
	"encoding/json"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/operate"
)

// reprocessBatch bounds one statement.
const reprocessBatch = 20000

// setAside are the reasons with which an event was set aside when it came in: it does not
// belong to its connection, or is no event. No classifier may ever see those.
func setAside() []string {
	return []string{ingest.ReasonModeMismatch, ingest.ReasonAccountMismatch, ingest.ReasonNotJSON, ingest.ReasonThin}
}

// selection are conditions on stripe_events e, event_processing p and connections c.
type selection struct {
	where
	// told are the objects that the events are about, as a JSON array, where they are few enough
	// to be looked up, within one connection; "" walks through its events.
	told       string
	connection string
	within     window
}

// from is where the selection's rows come from, behind the part of the statement that finds
// them, and what that takes. Events of known objects are found by the Bloom filters, and the
// rest of them by their keys.
func (s selection) from() (found, rows string, args []any) {
	const processed = `event_processing p ON p.connection_id = k.connection_id AND p.event_id = k.event_id AND p.created = k.created`
	const joined = ` JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
			JOIN connections c ON c.id = p.connection_id`
	if s.told == "" {
		return "", "event_processing p" + joined, nil
	}
	from, to := s.within.bounds()
	return `told AS MATERIALIZED (SELECT k.connection_id, k.event_id, k.created FROM jsonb_array_elements_text(?::jsonb) o
			CROSS JOIN LATERAL stripe_events_about(o, ?::timestamptz, ?::timestamptz) k WHERE k.connection_id = ?), `,
		"told k JOIN " + processed + joined, []any{s.told, from, to, s.connection}
}

// objectsIn lists a customer of a connection and what its facts name.
const objectsIn = `SELECT CAST(@id AS text) UNION SELECT o FROM reward_events f, unnest(ARRAY[f.object_id, f.subscription_id, f.invoice_id, f.charge_id]) o
	WHERE f.connection_id = @connection AND f.customer_id = @id AND o <> ''`

// chosen is selectionOf within one connection. What few events are about is looked up; one with
// more objects than may be looked up has the events of the connection read, once for a batch.
func (l *EventLog) chosen(ctx context.Context, s operate.Selection) (selection, error) {
	var objects []string
	switch {
	case s.EventID != "" || s.ConnectionID == "":
		return selectionOf(s), nil
	case s.Object != "":
		objects, s.Object = []string{s.Object}, ""
	case s.Customer != "":
		err := l.db.gorm.WithContext(ctx).Raw(objectsIn, map[string]any{"id": s.Customer, "connection": s.ConnectionID}).Scan(&objects).Error
		if err != nil {
			return selection{}, wrap(err)
		}
		s.Customer = ""
	default:
		return selectionOf(s), nil
	}
	doc, err := json.Marshal(objects)
	if err != nil {
		return selection{}, err
	}
	q := selectionOf(s)
	if len(objects) > l.lookups {
		q.add("e.object_id IN (SELECT jsonb_array_elements_text(?::jsonb))", string(doc))
		return q, nil
	}
	q.told, q.connection, q.within = string(doc), s.ConnectionID, window{s.From, s.To}
	return q, nil
}

// again puts the selected events back into the queue, batch by batch behind the last one's
// number, and returns how many they were. Facts have natural keys: an event that is
// classified again books what is new to it and nothing twice. An event whose body was
// erased cannot be read again and stays as it is.
func (s selection) again(ctx context.Context, tx *gorm.DB, after int64, limit int) (n int64, last int64, err error) {
	q := s.where
	q.add("p.seq > ?", after)
	q.add("p.status <> 'pending' AND p.reason NOT IN ?", setAside())
	q.add("e.livemode = (c.environment = 'live') AND length(e.sealed_body) > 0")
	found, rows, args := s.from()
	var out struct{ N, Last int64 }
	err = tx.WithContext(ctx).Raw(`
		WITH `+found+`chosen AS MATERIALIZED (
			SELECT p.seq FROM `+rows+q.sql()+`
			ORDER BY p.seq LIMIT ? FOR UPDATE OF p),
		marked AS (
			UPDATE event_processing p SET status = 'pending', reason = '', first_processed_at = coalesce(p.first_processed_at, p.processed_at)
			FROM chosen WHERE p.seq = chosen.seq RETURNING p.seq)
		SELECT count(*) AS n, coalesce(max(seq), 0) AS last FROM marked`, append(append(args, q.args...), limit)...).Scan(&out).Error
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
