package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// EventLog implements app/operate's Log, Queue and Figures.
type EventLog struct{ db *DB }

// NewEventLog opens the log of events.
func (db *DB) NewEventLog() *EventLog { return &EventLog{db} }

// objectsOfCustomer selects events about a customer and about what its facts name. The
// connections that know the customer are found first: facts are looked up within one.
const objectsOfCustomer = `e.object_id = ANY (ARRAY(SELECT CAST(? AS text) UNION
	SELECT o FROM (SELECT r.object_id, r.subscription_id, r.invoice_id, r.charge_id FROM connections c
		JOIN stripe_customers k ON k.connection_id = c.id AND k.id = ?
		CROSS JOIN LATERAL (SELECT * FROM reward_events f WHERE f.connection_id = c.id AND f.customer_id = ?) r WHERE ? IN ('', c.id)) f,
		unnest(ARRAY[f.object_id, f.subscription_id, f.invoice_id, f.charge_id]) o WHERE o <> '')) AND ? IN ('', e.connection_id)`

// selectionOf turns a selection into conditions on e, p and c.
func selectionOf(s operate.Selection) selection {
	var q selection
	q.served(s.Scope, "e.environment", "e.connection_id")
	q.eq("e.connection_id", s.ConnectionID)
	if s.EventID != "" { // the key of an event begins with its connection
		q.add("p.event_id = ? AND p.connection_id IN (SELECT id FROM connections)", s.EventID)
	}
	q.eq("e.type", s.Type)
	q.eq("p.status", s.Status)
	q.eq("e.object_id", s.Object)
	if s.Customer != "" {
		q.add(objectsOfCustomer, s.Customer, s.Customer, s.Customer, s.ConnectionID, s.ConnectionID)
	}
	if !s.From.IsZero() {
		q.add("e.created >= ?", s.From)
	}
	if !s.To.IsZero() {
		q.add("e.created < ?", s.To)
	}
	return q
}

type eventRow struct {
	operate.Event
	Env string
}

const eventSelect = "SELECT " + loggedColumns + `
	FROM stripe_events e JOIN event_processing p ON p.connection_id = e.connection_id AND p.event_id = e.event_id AND p.created = e.created`

func (r eventRow) event() operate.Event {
	e := r.Event
	e.Environment = environmentOf(r.Env)
	e.Created, e.ReceivedAt, e.ProcessedAt = e.Created.UTC(), e.ReceivedAt.UTC(), utc(e.ProcessedAt)
	return e
}

const loggedColumns = `e.connection_id, e.environment AS env, e.event_id, e.type, e.object_id, e.api_version, e.source, e.livemode, e.created, e.received_at,
		p.processed_at, p.attempts, p.status, p.reason, encode(e.body_sha256, 'hex') AS body_sha256, length(e.sealed_body) = 0 AS body_erased`

// The log is read in the order of one of its two tables, and the row of the other is looked
// up beside each: left to itself the planner joins all of both, because it takes the three
// columns of the key for independent. What waits or was set aside is little, and has an
// index of its own; everything else is found soonest from the events.
const (
	fromEvents = ` FROM stripe_events e CROSS JOIN LATERAL (SELECT q.* FROM event_processing q
		WHERE q.connection_id = e.connection_id AND q.event_id = e.event_id AND q.created = e.created OFFSET 0) p`
	fromProcessing = ` FROM event_processing p CROSS JOIN LATERAL (SELECT q.* FROM stripe_events q
		WHERE q.connection_id = p.connection_id AND q.event_id = p.event_id AND q.created = p.created OFFSET 0) e`
)

// Events pages by (created, connection, event), newest first unless the sort says otherwise.
func (l *EventLog) Events(ctx context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error) {
	var page operate.Page[operate.Event]
	direction, beyond := " DESC", "<"
	if f.Sort == operate.SortOldest {
		direction, beyond = "", ">"
	}
	from, table := fromEvents, "e"
	q := selectionOf(f.Selection)
	if f.Attention {
		q.add("p.status IN ('dead', 'quarantined')")
	}
	switch {
	case f.EventID != "", f.Attention, f.Status == "pending", f.Status == "dead", f.Status == "quarantined":
		from, table = fromProcessing, "p"
		q.eq("p.connection_id", f.ConnectionID)
	}
	if f.Cursor != "" {
		at, id, err := timeCursor(f.Cursor)
		connection, event, ok := strings.Cut(id, " ")
		if err != nil || !ok {
			return page, badCursor(f.Cursor)
		}
		q.add(strings.ReplaceAll("(t.created, t.connection_id, t.event_id) ", "t.", table+".")+beyond+" (?::timestamptz, ?, ?)", at, connection, event)
	}
	order := strings.ReplaceAll(" ORDER BY t.created"+direction+", t.connection_id"+direction+", t.event_id"+direction, "t.", table+".")
	var rows []eventRow
	err := l.db.gorm.WithContext(ctx).Raw("SELECT "+loggedColumns+from+q.sql()+order+" LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		last := rows[f.Limit-1]
		page.NextCursor = cursor(instantKey(last.Created), last.ConnectionID+" "+last.EventID)
	}
	for _, r := range rows {
		page.Items = append(page.Items, r.event())
	}
	return page, nil
}

// Environment finds a connection's environment.
func (l *EventLog) Environment(ctx context.Context, connectionID string) (account.Environment, error) {
	return l.db.NewBodies().ConnectionEnvironment(ctx, connectionID)
}

// Event loads one event with its body.
func (l *EventLog) Event(ctx context.Context, connectionID, eventID string) (operate.StoredEvent, error) {
	var row eventRow
	tx := l.db.gorm.WithContext(ctx)
	err := tx.Raw(eventSelect+` WHERE e.connection_id = ? AND e.event_id = ? ORDER BY e.created DESC LIMIT 1`, connectionID, eventID).Scan(&row).Error
	if err == nil && row.EventID == "" {
		err = fault.New(fault.NotFound, "event_not_found", "connection %q has no event %q", connectionID, eventID)
	}
	if err != nil {
		return operate.StoredEvent{}, wrap(err)
	}
	var body struct {
		SealedBody []byte
		UserIDKey  string
	}
	err = tx.Raw(`SELECT e.sealed_body, c.user_id_key FROM stripe_events e JOIN connections c ON c.id = e.connection_id
		WHERE e.connection_id = ? AND e.event_id = ? AND e.created = ?`, connectionID, eventID, row.Created).Scan(&body).Error
	return operate.StoredEvent{Event: row.event(), SealedBody: body.SealedBody, UserIDKey: body.UserIDKey}, wrap(err)
}

const eventFactSelect = `SELECT event_id AS booked_by, fact_key AS key, kind, is_reward, customer_id AS customer, subscription_id AS subscription,
	invoice_id AS invoice, charge_id AS charge, amount_minor, currency, effective_at, recorded_at FROM reward_events WHERE connection_id = ?`

// Facts loads booked facts by their keys.
func (l *EventLog) Facts(ctx context.Context, connectionID string, keys []string) ([]operate.EventFact, error) {
	return l.facts(ctx, " AND fact_key IN ?", connectionID, keys)
}

// FactsOf loads the facts that an event booked.
func (l *EventLog) FactsOf(ctx context.Context, connectionID, eventID string) ([]operate.EventFact, error) {
	return l.facts(ctx, " AND event_id = ?", connectionID, eventID)
}

func (l *EventLog) facts(ctx context.Context, cond string, args ...any) ([]operate.EventFact, error) {
	var out []operate.EventFact
	err := l.db.gorm.WithContext(ctx).Raw(eventFactSelect+cond+" ORDER BY effective_at, fact_key", args...).Scan(&out).Error
	for i := range out {
		out[i].EffectiveAt, out[i].RecordedAt = out[i].EffectiveAt.UTC(), out[i].RecordedAt.UTC()
	}
	return out, wrap(err)
}

// Count counts what could be classified again and what could not.
func (l *EventLog) Count(ctx context.Context, s operate.Selection) (again, not int64, err error) {
	q := selectionOf(s)
	q.add("p.status <> 'pending'")
	var out struct{ Again, Not int64 }
	err = l.db.gorm.WithContext(ctx).Raw(`
		SELECT count(*) FILTER (WHERE good) AS again, count(*) FILTER (WHERE NOT good) AS not FROM (
			SELECT p.reason NOT IN ? AND e.livemode = (c.environment = 'live') AND length(e.sealed_body) > 0 AS good
			FROM event_processing p
			JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
			JOIN connections c ON c.id = p.connection_id`+q.sql()+`) s`, append([]any{setAside()}, q.args...)...).Scan(&out).Error
	return out.Again, out.Not, wrap(err)
}

// Again puts a batch back into the queue.
func (l *EventLog) Again(ctx context.Context, s operate.Selection, after int64, limit int) (n, last int64, err error) {
	return selectionOf(s).again(ctx, l.db.gorm, after, limit)
}

// LogRequest keeps who had what classified again, and writes it down.
func (l *EventLog) LogRequest(ctx context.Context, s operate.Selection, events int64, who, reason string, at time.Time, note audit.Entry) error {
	doc := map[string]string{}
	for name, v := range map[string]string{"connection": s.ConnectionID, "event": s.EventID, "type": s.Type, "status": s.Status, "object": s.Object, "customer": s.Customer} {
		if v != "" {
			doc[name] = v
		}
	}
	for name, t := range map[string]time.Time{"from": s.From, "to": s.To} {
		if !t.IsZero() {
			doc[name] = t.UTC().Format(time.RFC3339)
		}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return wrap(l.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO reprocess_requests (selection, events, requested_by, reason, requested_at) VALUES (?, ?, ?, ?, ?)`,
			string(raw), events, who, reason, at).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	}))
}

// AskRead queues a read, and writes down who asked for it.
func (l *EventLog) AskRead(ctx context.Context, connectionID, object, objectID string, at time.Time, note audit.Entry) error {
	return wrap(l.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := askReads(ctx, tx, []readRow{{connectionID, object, objectID, "requested"}}, at); err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	}))
}

var (
	_ operate.Log     = (*EventLog)(nil)
	_ operate.Queue   = (*EventLog)(nil)
	_ operate.Figures = (*EventLog)(nil)
)
