package reward

import (
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// thinPrefix begins the object names of version 2 events, which carry no payload.
const thinPrefix = "v2."

// ParseEnvelope reads the part that events of every API version share. It refuses
// only what cannot be an event: no JSON, no object, no id or no type. Data and
// Previous are slices of raw. Of members that are there twice the last counts.
func ParseEnvelope(raw []byte) (Envelope, error) {
	env, _, err := parseEnvelope(raw, nil)
	return env, err
}

// parseEnvelope also returns the payload. Members of its object are only cut out when there
// is room for them: whoever wants no more than the envelope pays for no more.
func parseEnvelope(raw []byte, room []member) (env Envelope, all payload, err error) {
	p := envelopeParser{lexer: lexer{raw: string(raw)}, whole: room != nil, members: room}
	isObject := p.peek() == '{'
	p.each(p.top)
	switch {
	case !p.end():
		return env, all, fault.New(fault.Invalid, "event_not_json", "the body is not JSON")
	case !isObject:
		return env, all, fault.New(fault.Invalid, "event_not_an_object", "the body is JSON but no object")
	}
	h, kind := &p.head, p.head.object.str()
	live, _ := h.livemode.truth()
	env = Envelope{
		ID: h.id.str(), Object: kind, Type: h.kind.str(),
		Created: h.created.when(), Livemode: live,
		Account: h.account.id(), APIVersion: h.apiVersion.str(),
		RequestID: h.request.id(), IdempotencyKey: h.request.node().str("idempotency_key"),
		Thin: strings.HasPrefix(kind, thinPrefix),
	}
	if env.ID == "" || env.Type == "" {
		return Envelope{}, all, fault.New(fault.Invalid, "event_malformed", "the body is JSON but no Stripe event: id or type is missing")
	}
	if env.Thin {
		related := h.related.node()
		env.ObjectID, env.ObjectType = related.own(), related.str("type")
		return env, all, nil
	}
	env.Data, env.Previous = p.object.of(raw), p.previous.of(raw)
	o := &p.inside
	env.ObjectID, env.ObjectType, env.Customer = idOf(o.id.str()), o.object.str(), o.customer.id()
	if mode, stated := o.livemode.truth(); stated {
		env.ObjectLivemode = &mode
	}
	if env.ObjectType == "customer" {
		env.Customer = env.ObjectID
	}
	return env, payload{p.members, value{text: p.previous.in(p.raw)}}, nil
}

// member is one of an object, as it stands there.
type member struct {
	key   string
	value value
}

// usualMembers is room for the members of nearly every object of Stripe's.
const usualMembers = 96

// payload is the object of an event, and what it says of it before.
type payload struct {
	object   []member
	previous value
}

// node is the object; of members that are there twice the last counts.
func (p payload) node() node {
	out := make(node, len(p.object))
	for _, m := range p.object {
		out[m.key] = m.value
	}
	return out
}

// envelopeParser checks a whole body and keeps, on the way, what an envelope holds.
type envelopeParser struct {
	lexer
	head             headMembers
	inside           objectMembers
	object, previous stretch
	whole            bool
	members          []member // of the object, when the whole of it is wanted
}

// headMembers are the members of an event, and objectMembers those of its object, that an
// envelope is made of.
type (
	headMembers   struct{ id, object, kind, created, livemode, account, apiVersion, request, related value }
	objectMembers struct{ id, object, customer, livemode value }
)

// stretch is a part of a text.
type stretch struct{ from, to int }

func (s stretch) in(text string) string { return text[s.from:s.to] }

// of is the part of raw, nil when it is empty.
func (s stretch) of(raw []byte) []byte {
	if s.from == s.to {
		return nil
	}
	return raw[s.from:s.to:s.to]
}

func (h *headMembers) place(key string) *value {
	switch key {
	case "id":
		return &h.id
	case "object":
		return &h.object
	case "type":
		return &h.kind
	case "created":
		return &h.created
	case "livemode":
		return &h.livemode
	case "account":
		return &h.account
	case "api_version":
		return &h.apiVersion
	case "request":
		return &h.request
	case "related_object":
		return &h.related
	}
	return nil
}

func (o *objectMembers) place(key string) *value {
	switch key {
	case "id":
		return &o.id
	case "object":
		return &o.object
	case "customer":
		return &o.customer
	case "livemode":
		return &o.livemode
	}
	return nil
}

// top takes a member of the event.
func (p *envelopeParser) top(key string) {
	if key == "data" {
		p.inside, p.object, p.previous, p.members = objectMembers{}, stretch{}, stretch{}, p.members[:0]
		p.each(p.inData)
		return
	}
	place := p.head.place(key)
	if place == nil {
		p.skip()
		return
	}
	*place = p.take()
}

// inData takes a member of the event's data.
func (p *envelopeParser) inData(key string) {
	switch key {
	case "object":
		p.inside, p.members = objectMembers{}, p.members[:0]
		p.object = p.part(func() { p.each(p.inObject) })
	case "previous_attributes":
		p.previous = p.part(p.skip)
	default:
		p.skip()
	}
}

// inObject takes a member of the object that the event is about.
func (p *envelopeParser) inObject(key string) {
	place := p.inside.place(key)
	if place == nil && !p.whole {
		p.skip()
		return
	}
	v := p.take()
	if place != nil {
		*place = v
	}
	if p.whole {
		p.members = append(p.members, member{key, v})
	}
}

// part is where the value stands that consume walks over, when it is an object.
func (p *envelopeParser) part(consume func()) stretch {
	isObject, from := p.peek() == '{', p.i
	consume()
	if p.bad || !isObject {
		return stretch{}
	}
	return stretch{from, p.i}
}
