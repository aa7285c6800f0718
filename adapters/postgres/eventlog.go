package postgres

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// EventLog implements app/operate's Log, Queue and Figures.
type EventLog struct {
	db *DB
	// looked and lookups bound what one page costs.
	looked, lookups int
}

// NewEventLog opens the log of events.
func (db *DB) NewEventLog() *EventLog { return &EventLog{db, eventsLooked, objectLookups} }

// objectsOfCustomer lists a customer and what its facts name. The
// connections that know the customer are found first: facts are looked up within one.
const objectsOfCustomer = `SELECT CAST(? AS text) AS o UNION
	SELECT o FROM (SELECT r.object_id, r.subscription_id, r.invoice_id, r.charge_id FROM connections c
		JOIN stripe_customers k ON k.connection_id = c.id AND k.id = ?
		CROSS JOIN LATERAL (SELECT * FROM reward_events f WHERE f.connection_id = c.id AND f.customer_id = ?) r WHERE ? IN ('', c.id)) f,
		unnest(ARRAY[f.object_id, f.subscription_id, f.invoice_id, f.charge_id]) o WHERE o <> ''`

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
		q.add("e.object_id = ANY (ARRAY("+objectsOfCustomer+"))", s.Customer, s.Customer, s.Customer, s.ConnectionID)
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

// Events pages by (created, connection, event), newest first unless the sort says otherwise.
// What few events have is found by an index of it; for everything else the log is walked,
// and a page that looked at enough may be short and still have a next one.
func (l *EventLog) Events(ctx context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error) {
	w := eventWalk{log: l, f: f, left: l.looked}
	if f.Cursor != "" {
		key, err := parseEventKey(f.Cursor)
		if err != nil {
			return operate.Page[operate.Event]{}, err
		}
		w.after = &key
	}
	var err error
	switch {
	case f.EventID == "" && f.Object != "" && f.Customer == "" && !f.Attention:
		err = w.about(ctx)
	case f.EventID != "", f.Attention, f.Status == "pending", f.Status == "dead", f.Status == "quarantined":
		err = w.processing(ctx)
	case f.Customer != "":
		err = w.customer(ctx)
	case f.Type != "" && f.ConnectionID == "":
		err = w.typed(ctx)
	default:
		if f.Type == "" && f.Status == "" { // every one that is looked at is shown
			w.left = f.Limit
		}
		err = w.run(ctx)
	}
	if err != nil {
		return operate.Page[operate.Event]{}, err
	}
	return w.page(ctx)
}

// about pages the events of one object, which are few.
func (w *eventWalk) about(ctx context.Context) error {
	return w.lookUp(ctx, w.whole(), "stripe_events_about(?, ?::timestamptz, ?::timestamptz) k", []any{w.f.Object})
}

// processing pages what waits, was set aside or is named: little that stands in an index
// of its own. Nothing is looked up for what is behind the page.
func (w *eventWalk) processing(ctx context.Context) error {
	q := selectionOf(operate.Selection{Scope: access.Everything(), EventID: w.f.EventID, Status: w.f.Status})
	q.served(w.f.Scope, "c.environment", "c.id")
	q.eq("p.connection_id", w.f.ConnectionID)
	if w.f.Attention {
		q.add("p.status IN ('dead', 'quarantined')")
	}
	from, to := window{w.f.From, w.f.To}.bounds()
	q.add("p.created >= ?::timestamptz AND p.created < ?::timestamptz", from, to)
	if k := w.after; k != nil {
		q.add("(p.created, p.connection_id, p.event_id) @beyond (?::timestamptz, ?, ?)", instantKey(k.Created), k.ConnectionID, k.EventID)
	}
	of := selectionOf(operate.Selection{Scope: access.Everything(), ConnectionID: w.f.ConnectionID, Type: w.f.Type, Object: w.f.Object, Customer: w.f.Customer})
	sql := " FROM event_processing p JOIN connections c ON c.id = p.connection_id" + q.sql() + " ORDER BY p.created @order, p.connection_id @order, p.event_id @order"
	args := q.args
	if len(of.conds) > 0 {
		sql = " FROM (SELECT p.*" + sql + " OFFSET 0) p" + eventOfProcessing + of.sql() + " ORDER BY p.created @order, p.connection_id @order, p.event_id @order"
		args = append(args, of.args...)
	}
	return w.keys(ctx, "SELECT p.created, p.connection_id, p.event_id"+sql+" LIMIT ?", append(args, w.f.Limit+1))
}

// customer looks the objects of a customer up, month by month; those of one with more of
// them than may be looked up are told from the others while the log is walked.
func (w *eventWalk) customer(ctx context.Context) error {
	var objects []string
	c := w.f.Customer
	if err := w.log.db.gorm.WithContext(ctx).Raw(objectsOfCustomer, c, c, c, w.f.ConnectionID).Scan(&objects).Error; err != nil {
		return wrap(err)
	}
	doc, err := json.Marshal(objects)
	if err != nil {
		return err
	}
	if len(objects) > w.log.lookups {
		w.objects = string(doc)
		return w.run(ctx)
	}
	return w.months(ctx, "jsonb_array_elements_text(?::jsonb) AS o (id) CROSS JOIN LATERAL stripe_events_about(o.id, ?::timestamptz, ?::timestamptz) k",
		[]any{string(doc)}, w.log.lookups/len(objects), false)
}

// typed glances, walks on where it met one of the type, and goes by the Bloom filters where it
// met none: then it is rare, or was never sent.
func (w *eventWalk) typed(ctx context.Context) error {
	rest, err := w.glance(ctx)
	switch {
	case err != nil || w.stopped == nil || len(w.found) > w.f.Limit:
		return err
	case len(w.found) > 0 && rest > 0:
		return w.goOn(ctx, rest)
	case len(w.found) > 0:
		return nil
	}
	w.after, w.stopped = w.stopped, nil
	var some bool
	from, to := w.whole().bounds()
	err = w.log.db.gorm.WithContext(ctx).Raw("SELECT stripe_events_have_type(?, ?::timestamptz, ?::timestamptz)", w.f.Type, from, to).Scan(&some).Error
	if err != nil || !some {
		return wrap(err)
	}
	return w.months(ctx, "stripe_events_of_type(?, ?::timestamptz, ?::timestamptz) k", []any{w.f.Type}, math.MaxInt, true)
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
	return l.facts(ctx, " AND (effective_at, fact_key) IN (SELECT k.effective_at, k.fact_key FROM reward_events_told_by(?) k WHERE k.connection_id = ?)", connectionID, eventID, connectionID)
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
	q, err := l.chosen(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	q.add("p.status <> 'pending'")
	found, rows, args := q.from()
	args = append(append(args, setAside()), q.args...)
	var out struct{ Again, Not int64 }
	err = l.db.gorm.WithContext(ctx).Raw(`
		WITH `+found+`counted AS (
			SELECT p.reason NOT IN ? AND e.livemode = (c.environment = 'live') AND length(e.sealed_body) > 0 AS good
			FROM `+rows+q.sql()+`)
		SELECT count(*) FILTER (WHERE good) AS again, count(*) FILTER (WHERE NOT good) AS not FROM counted`, args...).Scan(&out).Error
	return out.Again, out.Not, wrap(err)
}

// Again puts a batch back into the queue.
func (l *EventLog) Again(ctx context.Context, s operate.Selection, after int64, limit int) (n, last int64, err error) {
	q, err := l.chosen(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	return q.again(ctx, l.db.gorm, after, limit)
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
