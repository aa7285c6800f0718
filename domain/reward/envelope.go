package reward

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// thinPrefix begins the object names of version 2 events, which carry no payload.
const thinPrefix = "v2."

// wire is the payload of an event, read without a schema.
type wire struct {
	data     node
	previous node
}

// ParseEnvelope reads the part that events of every API version share. It refuses
// only what cannot be an event: no JSON, no object, no id or no type.
func ParseEnvelope(raw []byte) (Envelope, error) {
	env, _, err := parse(raw)
	return env, err
}

func parse(raw []byte) (Envelope, wire, error) {
	n, err := decodeNode(raw)
	if err != nil {
		return Envelope{}, wire{}, fault.Wrap(err, fault.Invalid, "event_"+fault.CodeOf(err), "the body is no Stripe event")
	}
	data := n.obj("data")
	w := wire{data: data.obj("object"), previous: data.obj("previous_attributes")}
	env := Envelope{
		ID: n.str("id"), Object: n.str("object"), Type: n.str("type"),
		Created: n.when("created"), Livemode: n.truth("livemode"),
		Account: n.id("account"), APIVersion: n.str("api_version"),
		RequestID: n.id("request"), IdempotencyKey: n.obj("request").str("idempotency_key"),
		ObjectID: w.data.str("id"), ObjectType: w.data.str("object"),
		Thin: strings.HasPrefix(n.str("object"), thinPrefix),
	}
	if env.ID == "" || env.Type == "" {
		return Envelope{}, wire{}, fault.New(fault.Invalid, "event_malformed", "the body is JSON but no Stripe event: id or type is missing")
	}
	if env.Thin {
		related := n.obj("related_object")
		env.ObjectID, env.ObjectType = related.str("id"), related.str("type")
		return env, w, nil
	}
	env.Customer = w.data.id("customer")
	if env.ObjectType == "customer" {
		env.Customer = env.ObjectID
	}
	env.Data, env.Previous = rawParts(raw)
	return env, w, nil
}

// rawParts cuts out data.object and data.previous_attributes byte for byte. A part
// that is not an object is left out, as the tolerant reading of it is empty too.
func rawParts(raw []byte) (object, previous json.RawMessage) {
	var parts struct {
		Data json.RawMessage `json:"data"`
	}
	var inner struct {
		Object   json.RawMessage `json:"object"`
		Previous json.RawMessage `json:"previous_attributes"`
	}
	if json.Unmarshal(raw, &parts) != nil || json.Unmarshal(parts.Data, &inner) != nil {
		return nil, nil
	}
	return objectOnly(inner.Object), objectOnly(inner.Previous)
}

func objectOnly(raw json.RawMessage) json.RawMessage {
	if t := bytes.TrimSpace(raw); len(t) == 0 || t[0] != '{' {
		return nil
	}
	return raw
}
