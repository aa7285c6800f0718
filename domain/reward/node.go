package reward

import (
	"maps"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// node is a JSON object read without a schema. Objects and arrays in it are decoded when
// a getter asks for them. Its getters never fail: a field
// that is absent, null or of an unexpected shape is the zero value, because ten
// years of API versions disagree about nearly every field.
type node map[string]value

// maxUnix is the last second of the year 9999; anything later is not a time.
const maxUnix = 253402300799

// decodeNode decodes a body that holds one object and nothing else.
func decodeNode(raw []byte) (node, error) {
	text := string(raw)
	if !valid(text) {
		return nil, fault.New(fault.Invalid, "not_json", "the body is not JSON")
	}
	l := lexer{raw: text}
	n := l.take().node()
	if n == nil {
		return nil, fault.New(fault.Invalid, "not_an_object", "the body is JSON but no object")
	}
	return n, nil
}

// node is the members of an object, nil for any other value.
func (v value) node() node {
	if !v.begins('{') {
		return nil
	}
	return v.open().in.members
}

// str reads a string; NUL is dropped because PostgreSQL text cannot hold it.
func (v value) str() string {
	if s, ok := v.string(); ok {
		return strings.ReplaceAll(s, "\x00", "")
	}
	text, _ := v.number()
	return text
}

// id reads a reference, which is a string or, when expanded, an object with an id.
func (v value) id() string {
	if n := v.node(); n != nil {
		return n.own()
	}
	return idOf(v.str())
}

// maxID is what Stripe allows an ID. A longer one is none: no index could hold it.
const maxID = 255

func idOf(s string) string {
	if len(s) > maxID {
		return ""
	}
	return s
}

// own is the object's ID.
func (n node) own() string { return idOf(n.str("id")) }

// truth reads a boolean; stated means that the value is one.
func (v value) truth() (is, stated bool) {
	return v.text == "true", v.text == "true" || v.text == "false"
}

// dec reads an exact number from a JSON number or a decimal string.
func (v value) dec() (decimal.Decimal, bool) {
	text, ok := v.number()
	if !ok {
		text, ok = v.string()
	}
	if !ok {
		return decimal.Zero, false
	}
	return parseDecimal(text)
}

// num reads an integer that fits 64 bits.
func (v value) num() (int64, bool) {
	if n, ok := shortInteger(v.text); ok {
		return n, true
	}
	d, ok := v.dec()
	if !ok {
		return 0, false
	}
	return integer(d)
}

// when reads Unix seconds, or RFC 3339 as version 2 objects write it.
func (v value) when() time.Time {
	if s, ok := v.string(); ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil && t.Year() > 0 && t.Year() < 10000 {
			return t.UTC()
		}
	}
	s, ok := v.num()
	if !ok || s <= 0 || s > maxUnix {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

func (n node) has(key string) bool {
	_, ok := n[key]
	return ok
}

// isSet reports whether the field is there and not null.
func (n node) isSet(key string) bool { return n[key].text != "" && n[key].text != "null" }

func (n node) str(key string) string                  { return n[key].str() }
func (n node) id(key string) string                   { return n.opened(key).id() }
func (n node) dec(key string) (decimal.Decimal, bool) { return n[key].dec() }
func (n node) num(key string) (int64, bool)           { return n[key].num() }
func (n node) when(key string) time.Time              { return n[key].when() }

func (n node) truth(key string) bool {
	is, _ := n[key].truth()
	return is
}

// opened is a member, and remembers what is in it when there is something.
func (n node) opened(key string) value {
	v := n[key]
	if v.in == nil && (v.begins('{') || v.begins('[')) {
		v = v.open()
		n[key] = v
	}
	return v
}

// obj walks nested objects; a missing step gives an empty node.
func (n node) obj(path ...string) node {
	for _, key := range path {
		if n = n.opened(key).node(); n == nil {
			return nil
		}
	}
	return n
}

// list reads an array of objects, bare or wrapped in a Stripe list; elements that
// are not objects (ids of unexpanded objects) are empty nodes, so that the length stays true.
func (n node) list(key string) []node {
	elements := n.elements(key)
	if elements == nil {
		return nil
	}
	out := make([]node, len(elements))
	for i := range elements {
		elements[i] = elements[i].open()
		out[i] = elements[i].node()
	}
	return out
}

// elements are those of an array, bare or wrapped in a Stripe list; nil is no array.
func (n node) elements(key string) []value {
	v := n.opened(key)
	if v.begins('{') {
		v = v.node().opened("data")
	}
	if !v.begins('[') {
		return nil
	}
	return v.in.list
}

// numPtr is num as an optional value.
func (n node) numPtr(key string) *int64 {
	if v, ok := n.num(key); ok {
		return &v
	}
	return nil
}

// overlay is n with the fields of patch in place: objects merge, all else replaces.
func (n node) overlay(patch node) node {
	out := make(node, len(n)+len(patch))
	maps.Copy(out, n)
	for k := range patch {
		v := patch.opened(k)
		if sub, base := v.node(), out.obj(k); sub != nil && base != nil {
			v = objectOf(base.overlay(sub))
		}
		out[k] = v
	}
	return out
}
