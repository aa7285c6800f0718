package reward

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// thinPrefix begins the object names of version 2 events, which carry no payload.
const thinPrefix = "v2."

// ParseEnvelope reads the part that events of every API version share. It refuses
// only what cannot be an event: no JSON, no object, no id or no type. Data and
// Previous are slices of raw.
func ParseEnvelope(raw []byte) (Envelope, error) {
	if !json.Valid(raw) {
		return Envelope{}, fault.New(fault.Invalid, "event_not_json", "the body is not JSON")
	}
	if bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return Envelope{}, fault.New(fault.Invalid, "event_not_an_object", "the body is JSON but no object")
	}
	n := pick(raw, func(key string) bool { return key != "data" })
	env := Envelope{
		ID: n.str("id"), Object: n.str("object"), Type: n.str("type"),
		Created: n.when("created"), Livemode: n.truth("livemode"),
		Account: n.id("account"), APIVersion: n.str("api_version"),
		RequestID: n.id("request"), IdempotencyKey: n.obj("request").str("idempotency_key"),
		Thin: strings.HasPrefix(n.str("object"), thinPrefix),
	}
	if env.ID == "" || env.Type == "" {
		return Envelope{}, fault.New(fault.Invalid, "event_malformed", "the body is JSON but no Stripe event: id or type is missing")
	}
	if env.Thin {
		related := n.obj("related_object")
		env.ObjectID, env.ObjectType = related.str("id"), related.str("type")
		return env, nil
	}
	data := part(raw, "data")
	env.Data, env.Previous = part(data, "object"), part(data, "previous_attributes")
	o := pick(env.Data, func(key string) bool { return key == "id" || key == "object" || key == "customer" })
	env.ObjectID, env.ObjectType, env.Customer = o.str("id"), o.str("object"), o.id("customer")
	if env.ObjectType == "customer" {
		env.Customer = env.ObjectID
	}
	return env, nil
}
