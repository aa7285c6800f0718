package stripefake

import (
	"bytes"
	"encoding/json"
	"sort"
)

// event is a stored event. The object in it is a snapshot of the moment.
type event struct {
	head
	APIVersion string       `json:"api_version"`
	Created    int64        `json:"created"`
	Data       eventData    `json:"data"`
	Livemode   bool         `json:"livemode"`
	Pending    int          `json:"pending_webhooks"`
	Request    eventRequest `json:"request"`
	Type       string       `json:"type"`
}

type eventData struct {
	Object   json.RawMessage `json:"object"`
	Previous json.RawMessage `json:"previous_attributes,omitempty"`
}

type eventRequest struct {
	ID  *string `json:"id"`
	Key *string `json:"idempotency_key"`
}

const eventRetention = 30 * day

// emit stores an event with the object as it is now and queues its deliveries.
func (r *realm) emit(typ string, o any) { r.emitRaw(typ, render(o), nil) }

func (r *realm) emitRaw(typ string, object, previous json.RawMessage) {
	e := &event{
		head: head{ID: r.id("evt"), Object: "event"}, APIVersion: APIVersion, Created: r.now,
		Data: eventData{Object: object, Previous: previous}, Livemode: r.live, Type: typ,
	}
	if c := r.current; c != nil {
		e.Request.ID = &c.reqID
		if c.idem != "" {
			e.Request.Key = &c.idem
		}
	}
	r.events.add(e, r.now)
	r.byType[typ] = append(r.byType[typ], e)
	r.dropOldEvents()
	r.dispatch(e)
}

// dropOldEvents forgets what is older than the 30 days that the API serves.
func (r *realm) dropOldEvents() {
	all, oldest := r.events.all, r.now-eventRetention
	if len(all) == 0 || all[0].born >= oldest {
		return
	}
	n := sort.Search(len(all), func(i int) bool { return all[i].born >= oldest })
	for _, e := range all[:n] {
		delete(r.events.byID, e.ID)
		r.byType[e.Type] = r.byType[e.Type][1:]
	}
	r.events.all = append([]*event(nil), all[n:]...)
}

// update changes an object and emits the event with exactly the attributes
// that changed. Without a change there is no event.
func (r *realm) update(typ string, o any, change func()) {
	before := render(o)
	change()
	after := render(o)
	if prev := diff(before, after); prev != nil {
		r.emitRaw(typ, after, prev)
	}
}

// diff gives Stripe's previous_attributes: the old values of the keys that
// changed, nested hashes reduced to what changed in them, arrays complete.
func diff(before, after json.RawMessage) json.RawMessage {
	if bytes.Equal(before, after) {
		return nil
	}
	var a, b map[string]json.RawMessage
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil {
		return before
	}
	out := map[string]json.RawMessage{}
	for k, old := range a {
		cur, ok := b[k]
		switch {
		case !ok:
			out[k] = old
		case bytes.Equal(old, cur):
		case isHash(old) && isHash(cur):
			if inner := diff(old, cur); inner != nil {
				out[k] = inner
			}
		default:
			out[k] = old
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out[k] = json.RawMessage("null")
		}
	}
	if len(out) == 0 {
		return nil
	}
	return render(out)
}

func isHash(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

func getEvent(c *call) action {
	return func() (any, error) {
		e, ok := c.r.events.get(c.id())
		if !ok {
			return nil, missing("event", c.id())
		}
		return e, nil
	}
}

func listEvents(c *call) action {
	p := c.args.paging()
	p.created = c.args.created("created")
	typ, types := c.args.text("type"), c.args.strings("types")
	delivered := c.args.boolean("delivery_success")
	if typ != "" && len(types) > 0 {
		c.args.fail(invalid("", "types", "You may only specify one of these parameters: type, types."))
	}
	if len(types) > 20 {
		c.args.fail(invalid("", "types", "You may pass at most 20 event types."))
	}
	return func() (any, error) {
		from := c.r.events.all
		if typ != "" && typ[len(typ)-1] != '*' {
			from = c.r.byType[typ]
		}
		wanted := types
		if typ != "" {
			wanted = []string{typ}
		}
		oldest := c.r.now - eventRetention
		return page(c.r.events, from, p, "/v1/events", "event", func(e *event) bool {
			return e.born >= oldest && (len(wanted) == 0 || matchesType(wanted, e.Type)) &&
				(delivered == nil || *delivered == (e.Pending == 0))
		})
	}
}

// matchesType knows exact names and the wildcards that Stripe documents.
func matchesType(wanted []string, typ string) bool {
	for _, w := range wanted {
		if w == typ || w == "*" {
			return true
		}
		if n := len(w); n > 2 && w[n-2:] == ".*" && len(typ) >= n-1 && typ[:n-1] == w[:n-1] {
			return true
		}
	}
	return false
}
