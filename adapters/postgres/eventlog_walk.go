package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/operate"
)

// What one page of the log may cost, whatever it is filtered by: the events that are looked
// at one after another, and the look-ups of an object in a month.
const (
	eventsLooked  = 2500
	objectLookups = 60
)

// eventKey is an event's place in the log. One without names stands before every event of
// its instant in the oldest first, and behind all of them in the newest first.
type eventKey struct {
	Created      time.Time
	ConnectionID string
	EventID      string
}

func (k eventKey) cursor() string {
	return cursor(instantKey(k.Created), k.ConnectionID+" "+k.EventID)
}

func parseEventKey(c string) (eventKey, error) {
	at, id, err := timeCursor(c)
	connection, event, ok := strings.Cut(id, " ")
	if err != nil || !ok {
		return eventKey{}, badCursor(c)
	}
	return eventKey{at, connection, event}, nil
}

// window is a half-open time; a zero end is open.
type window struct{ from, to time.Time }

// bounds are the window's ends as a statement takes them.
func (w window) bounds() (from, to string) {
	from, to = "-infinity", "infinity"
	if !w.from.IsZero() {
		from = instantKey(w.from)
	}
	if !w.to.IsZero() {
		to = instantKey(w.to)
	}
	return from, to
}

// eventWalk collects the keys of one page. There is no index of the log's order over all
// connections, nor of what an event says: the walk goes through windows of time that
// widen until the page is full, in each of which the events of every connection are read
// by its key. It looks at so many events at most; a page that is then not full ends where
// the walk stopped, and the next one goes on there.
type eventWalk struct {
	log   *EventLog
	f     operate.EventsFilter
	after *eventKey
	// objects are what the events have to be about, as a JSON array; empty is anything.
	objects string
	left    int // events that it may still look at
	found   []eventKey
	// last is the last event that it looked at.
	last *eventKey
	// stopped is where the walk ended before the end of the log.
	stopped *eventKey
}

func (w *eventWalk) oldest() bool { return w.f.Sort == operate.SortOldest }

// order replaces the marks of a statement: > is the direction and < what lies beyond a key.
func (w *eventWalk) order(sql string) string {
	direction, beyond := "DESC", "<"
	if w.oldest() {
		direction, beyond = "ASC", ">"
	}
	return strings.NewReplacer("@order", direction, "@beyond", beyond).Replace(sql)
}

// whole is everything that the filter's times and the page before leave.
func (w *eventWalk) whole() window {
	all := window{w.f.From, w.f.To}
	if w.after == nil {
		return all
	}
	if w.oldest() {
		if w.after.Created.After(all.from) {
			all.from = w.after.Created
		}
		return all
	}
	end := w.after.Created
	if w.after.EventID != "" {
		end = end.Add(time.Microsecond) // other events of the key's own instant
	}
	if all.to.IsZero() || end.Before(all.to) {
		all.to = end
	}
	return all
}

const (
	hour      = time.Hour
	widestRun = 200 * 24 * time.Hour
)

// run walks until the page is full, the log ends or enough was looked at: a first look at
// few events fills most pages.
func (w *eventWalk) run(ctx context.Context) error {
	rest, err := w.glance(ctx)
	if err != nil || w.stopped == nil || len(w.found) > w.f.Limit || rest == 0 {
		return err
	}
	return w.goOn(ctx, rest)
}

// glance walks through few events and says how many more may be looked at.
func (w *eventWalk) glance(ctx context.Context) (rest int, err error) {
	whole := w.left
	w.left = min(whole, 4*w.f.Limit)
	return whole - w.left, w.walk(ctx)
}

// goOn walks on from where the walk stopped.
func (w *eventWalk) goOn(ctx context.Context, left int) error {
	w.after, w.stopped, w.last, w.left = w.stopped, nil, nil, left
	return w.walk(ctx)
}

func (w *eventWalk) walk(ctx context.Context) error {
	all := w.whole()
	if w.f.ConnectionID != "" { // its key is the order
		_, err := w.look(ctx, all)
		return err
	}
	near, span, err := w.begin(ctx, all)
	if err != nil {
		return err
	}
	for here := w.first(all, near, span); ; {
		seen, err := w.look(ctx, here)
		if err != nil || w.done() || w.ends(all, here) {
			return err
		}
		// As many more as may still be looked at, if they lie as close together.
		growth := 16
		if seen > 0 {
			growth = min(max(w.left/seen, 2), growth)
		}
		span *= time.Duration(growth)
		here = w.next(all, here, span)
	}
}

func (w *eventWalk) done() bool { return w.stopped != nil || len(w.found) > w.f.Limit }

// begin says where the walk begins and how wide its first window is: by the events that
// were stored last, or first. It need not be exact; the first window is open to that side.
func (w *eventWalk) begin(ctx context.Context, all window) (near time.Time, span time.Duration, err error) {
	near = all.to
	if w.oldest() {
		near = all.from
	}
	var stored struct{ First, Last *time.Time }
	err = w.log.db.gorm.WithContext(ctx).Raw(w.order(`SELECT min(created) AS first, max(created) AS last
		FROM (SELECT created FROM event_processing ORDER BY seq @order LIMIT 1000) s`)).Scan(&stored).Error
	if err != nil || stored.First == nil {
		return near, hour, wrap(err)
	}
	hint := stored.Last.UTC()
	if w.oldest() {
		hint = stored.First.UTC()
	}
	if near.IsZero() || (w.oldest() && hint.After(near)) || (!w.oldest() && hint.Before(near)) {
		near = hint
	}
	return near, min(max(stored.Last.Sub(*stored.First), time.Second), hour), nil
}

func (w *eventWalk) first(all window, near time.Time, span time.Duration) window {
	if w.oldest() {
		return w.bound(all, window{all.from, near.Add(span)})
	}
	return w.bound(all, window{near.Add(-span), all.to})
}

func (w *eventWalk) next(all, here window, span time.Duration) window {
	switch {
	case span > widestRun && w.oldest():
		return window{here.to, all.to}
	case span > widestRun:
		return window{all.from, here.from}
	case w.oldest():
		return w.bound(all, window{here.to, here.to.Add(span)})
	default:
		return w.bound(all, window{here.from.Add(-span), here.from})
	}
}

// bound cuts a window's far end off where everything ends.
func (w *eventWalk) bound(all, here window) window {
	if w.oldest() && !all.to.IsZero() && here.to.After(all.to) {
		here.to = all.to
	}
	if !w.oldest() && here.from.Before(all.from) {
		here.from = all.from
	}
	return here
}

func (w *eventWalk) ends(all, here window) bool {
	if w.oldest() {
		return here.to.Equal(all.to)
	}
	return here.from.Equal(all.from)
}

// look goes through a window and says how many events it looked at.
func (w *eventWalk) look(ctx context.Context, here window) (seen int, err error) {
	from, to := here.bounds()
	args := []any{from, to}
	cond := ""
	if w.after != nil {
		cond = " AND (q.created, q.connection_id, q.event_id) @beyond (?::timestamptz, ?, ?)"
		args = append(args, instantKey(w.after.Created), w.after.ConnectionID, w.after.EventID)
	}
	var of where
	of.served(w.f.Scope, "c.environment", "c.id")
	of.eq("c.id", w.f.ConnectionID)
	args = append(args, w.left+1)
	args = append(append(args, of.args...), w.left+1)
	var hit where
	hit.add("k.n <= ?", w.left)
	hit.eq("k.type", w.f.Type)
	hit.eq("k.object_id", w.f.Object)
	if w.objects != "" {
		hit.add("k.object_id IN (SELECT jsonb_array_elements_text(?::jsonb))", w.objects)
	}
	join := ""
	if w.f.Status != "" {
		join = ` CROSS JOIN LATERAL (SELECT q.status FROM event_processing q
			WHERE q.connection_id = k.connection_id AND q.event_id = k.event_id AND q.created = k.created OFFSET 0) p`
		hit.eq("p.status", w.f.Status)
	}
	args = append(append(args, hit.args...), w.f.Limit+1-len(w.found))
	var rows []struct {
		Created               time.Time
		ConnectionID, EventID string
		N                     int
		Hit                   bool
	}
	err = w.log.db.gorm.WithContext(ctx).Raw(w.order(`
		WITH looked AS MATERIALIZED (
			SELECT s.*, row_number() OVER (ORDER BY s.created @order, s.connection_id @order, s.event_id @order) AS n FROM (
				SELECT k.* FROM connections c CROSS JOIN LATERAL (
					SELECT q.connection_id, q.created, q.event_id, q.type, q.object_id FROM stripe_events q
					WHERE q.connection_id = c.id AND q.created >= ?::timestamptz AND q.created < ?::timestamptz`+cond+`
					ORDER BY q.created @order, q.event_id @order LIMIT ?) k`+of.sql()+`
				ORDER BY k.created @order, k.connection_id @order, k.event_id @order LIMIT ?) s)
		(SELECT k.created, k.connection_id, k.event_id, k.n, true AS hit FROM looked k`+join+hit.sql()+` ORDER BY k.n LIMIT ?)
		UNION ALL (SELECT k.created, k.connection_id, k.event_id, k.n, false FROM looked k ORDER BY k.n DESC LIMIT 2)`), args...).Scan(&rows).Error
	if err != nil {
		return 0, wrap(err)
	}
	more := false
	for _, r := range rows {
		key := eventKey{r.Created.UTC(), r.ConnectionID, r.EventID}
		switch {
		case r.Hit:
			w.found = append(w.found, key)
		case r.N > w.left:
			more = true
		case r.N > seen:
			seen, w.last = r.N, &key
		}
	}
	if more { // behind the last one that was looked at
		w.stopped = w.last
	}
	w.left -= seen
	return seen, nil
}

// months looks the events of a source up month by month: a source is a function k of the
// blooms' index with the two ends of its time behind other arguments. No more than so many
// months are looked up, and none behind one in which something of what is frequent was found.
func (w *eventWalk) months(ctx context.Context, source string, args []any, limit int, frequent bool) error {
	windows, err := w.monthsOf(ctx)
	if err != nil {
		return err
	}
	for i, here := range windows {
		before := len(w.found)
		if err := w.lookUp(ctx, here, source, args); err != nil || w.done() {
			return err
		}
		if i+1 < len(windows) && (i+1 >= limit || frequent && len(w.found) > before) {
			w.stopped = &eventKey{Created: here.from}
			if w.oldest() {
				w.stopped = &eventKey{Created: here.to}
			}
			return nil
		}
	}
	return nil
}

// monthsOf cuts what is left of the log at the bounds of its partitions.
func (w *eventWalk) monthsOf(ctx context.Context) ([]window, error) {
	months, err := eventMonths(ctx, w.log.db.gorm)
	if err != nil {
		return nil, err
	}
	all := w.whole()
	var out []window
	for _, m := range months {
		if at := m.Start; at.After(all.from) && (all.to.IsZero() || at.Before(all.to)) {
			out = append(out, window{all.from, at})
			all.from = at
		}
	}
	out = append(out, all)
	if !w.oldest() {
		slices.Reverse(out)
	}
	return out, nil
}

func (w *eventWalk) lookUp(ctx context.Context, here window, source string, args []any) error {
	from, to := here.bounds()
	q := selectionOf(operate.Selection{Scope: w.f.Scope, ConnectionID: w.f.ConnectionID, Type: w.f.Type, Status: w.f.Status, Object: w.f.Object})
	if w.after != nil {
		q.add("(e.created, e.connection_id, e.event_id) @beyond (?::timestamptz, ?, ?)", instantKey(w.after.Created), w.after.ConnectionID, w.after.EventID)
	}
	return w.keys(ctx, "SELECT e.created, e.connection_id, e.event_id FROM "+source+eventOfKey+processingOfEvent+q.sql()+`
		ORDER BY e.created @order, e.connection_id @order, e.event_id @order LIMIT ?`, slices.Concat(args, []any{from, to}, q.args, []any{w.f.Limit + 1 - len(w.found)}))
}

// keys adds what a statement finds.
func (w *eventWalk) keys(ctx context.Context, sql string, args []any) error {
	var keys []eventKey
	err := w.log.db.gorm.WithContext(ctx).Raw(w.order(sql), args...).Scan(&keys).Error
	for _, k := range keys {
		k.Created = k.Created.UTC()
		w.found = append(w.found, k)
	}
	return wrap(err)
}

// page loads the rows of the walk.
func (w *eventWalk) page(ctx context.Context) (operate.Page[operate.Event], error) {
	var page operate.Page[operate.Event]
	keys := w.found
	switch {
	case len(keys) > w.f.Limit:
		keys = keys[:w.f.Limit]
		page.NextCursor = keys[w.f.Limit-1].cursor()
	case w.stopped != nil:
		page.NextCursor = w.stopped.cursor()
	}
	if len(keys) == 0 {
		return page, nil
	}
	doc, err := json.Marshal(keys)
	if err != nil {
		return page, err
	}
	var rows []eventRow
	err = w.log.db.gorm.WithContext(ctx).Raw("SELECT "+loggedColumns+` FROM ROWS FROM (jsonb_to_recordset(?::jsonb) AS ("Created" timestamptz, "ConnectionID" text, "EventID" text))
		WITH ORDINALITY AS k (created, connection_id, event_id, n)`+eventOfKey+processingOfEvent+" ORDER BY k.n", string(doc)).Scan(&rows).Error
	for _, r := range rows {
		page.Items = append(page.Items, r.event())
	}
	return page, wrap(err)
}

// The rows of the two tables are looked up one beside the other: left to itself the planner
// joins all of both, because it takes the columns of the key for independent.
const (
	eventOfKey = ` CROSS JOIN LATERAL (SELECT q.* FROM stripe_events q
		WHERE q.connection_id = k.connection_id AND q.created = k.created AND q.event_id = k.event_id OFFSET 0) e`
	eventOfProcessing = ` CROSS JOIN LATERAL (SELECT q.* FROM stripe_events q
		WHERE q.connection_id = p.connection_id AND q.created = p.created AND q.event_id = p.event_id OFFSET 0) e`
	processingOfEvent = ` CROSS JOIN LATERAL (SELECT q.* FROM event_processing q
		WHERE q.connection_id = e.connection_id AND q.event_id = e.event_id AND q.created = e.created OFFSET 0) p`
)
