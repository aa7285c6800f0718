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
	env, _, err := parseEnvelope(raw)
	return env, err
}

// parseEnvelope also counts the members of the object, so that room for them can be made
// at once.
func parseEnvelope(raw []byte) (env Envelope, members int, err error) {
	p := envelopeParser{lexer: lexer{raw: raw}, head: node{}}
	isObject := p.peek() == '{'
	p.each(p.top)
	switch {
	case !p.end():
		return env, 0, fault.New(fault.Invalid, "event_not_json", "the body is not JSON")
	case !isObject:
		return env, 0, fault.New(fault.Invalid, "event_not_an_object", "the body is JSON but no object")
	}
	n := p.head
	env = Envelope{
		ID: n.str("id"), Object: n.str("object"), Type: n.str("type"),
		Created: n.when("created"), Livemode: n.truth("livemode"),
		Account: n.id("account"), APIVersion: n.str("api_version"),
		RequestID: n.id("request"), IdempotencyKey: n.obj("request").str("idempotency_key"),
		Thin: strings.HasPrefix(n.str("object"), thinPrefix),
	}
	if env.ID == "" || env.Type == "" {
		return Envelope{}, 0, fault.New(fault.Invalid, "event_malformed", "the body is JSON but no Stripe event: id or type is missing")
	}
	if env.Thin {
		related := n.obj("related_object")
		env.ObjectID, env.ObjectType = related.str("id"), related.str("type")
		return env, 0, nil
	}
	env.Data, env.Previous = p.data, p.previous
	o := p.object
	env.ObjectID, env.ObjectType, env.Customer = o.str("id"), o.str("object"), o.id("customer")
	if mode, stated := o["livemode"].(bool); stated {
		env.ObjectLivemode = &mode
	}
	if env.ObjectType == "customer" {
		env.Customer = env.ObjectID
	}
	return env, p.members, nil
}

// envelopeParser checks a whole body and keeps, on the way, what an envelope holds.
type envelopeParser struct {
	lexer
	head, object   node
	data, previous []byte
	members        int // of the object
}

// The members that an envelope is made of.
var (
	headMembers = names("id", "object", "type", "created", "livemode", "account", "api_version", "request", "related_object")
	dataMembers = names("id", "object", "customer", "livemode")
)

// names gives every name as it is looked up, so that no copy of it is made.
func names(of ...string) map[string]string {
	out := map[string]string{}
	for _, name := range of {
		out[name] = name
	}
	return out
}

// top takes a member of the event.
func (p *envelopeParser) top(key []byte) {
	if string(key) == "data" {
		p.object, p.data, p.previous = nil, nil, nil
		p.each(p.inData)
		return
	}
	p.keep(p.head, headMembers[string(key)])
}

// inData takes a member of the event's data.
func (p *envelopeParser) inData(key []byte) {
	switch string(key) {
	case "object":
		p.object, p.members = node{}, 0
		p.data = p.part(func() { p.each(p.inObject) })
	case "previous_attributes":
		p.previous = p.part(p.skip)
	default:
		p.skip()
	}
}

// inObject takes a member of the object that the event is about.
func (p *envelopeParser) inObject(key []byte) {
	p.members++
	p.keep(p.object, dataMembers[string(key)])
}

// keep decodes the value that follows when it has a name, and passes over it otherwise.
func (p *envelopeParser) keep(n node, name string) {
	if name == "" {
		p.skip()
		return
	}
	value := p.span(p.skip)
	if !p.bad {
		n[name] = decode(value)
	}
}

// part is the value that consume walks over, byte for byte, when it is an object.
func (p *envelopeParser) part(consume func()) []byte {
	value := p.span(consume)
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	return value
}

func (p *envelopeParser) span(consume func()) []byte {
	p.peek()
	from := p.i
	consume()
	if p.bad {
		return nil
	}
	return p.raw[from:p.i:p.i]
}
