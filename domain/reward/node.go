package reward

import (
	"encoding/json"
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
type node map[string]any

// maxUnix is the last second of the year 9999; anything later is not a time.
const maxUnix = 253402300799

// decodeNode decodes a body that holds one object and nothing else.
func decodeNode(raw []byte) (node, error) {
	if !valid(raw) {
		return nil, fault.New(fault.Invalid, "not_json", "the body is not JSON")
	}
	m, ok := decode(raw).(map[string]any)
	if !ok {
		return nil, fault.New(fault.Invalid, "not_an_object", "the body is JSON but no object")
	}
	return m, nil
}

func (n node) has(key string) bool {
	_, ok := n[key]
	return ok
}

// isSet reports whether the field is there and not null.
func (n node) isSet(key string) bool { return n[key] != nil }

// str reads a string; NUL is dropped because PostgreSQL text cannot hold it.
func (n node) str(key string) string {
	switch v := n[key].(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "")
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

// id reads a reference, which is a string or, when expanded, an object with an id.
func (n node) id(key string) string {
	if m, ok := n.inside(key).(map[string]any); ok {
		return node(m).str("id")
	}
	return n.str(key)
}

// inside is a member, decoded by one more level when it has one.
func (n node) inside(key string) any {
	v := n[key]
	if u, ok := v.(unread); ok {
		v = u.open(0)
		n[key] = v
	}
	return v
}

func (n node) truth(key string) bool {
	v, _ := n[key].(bool)
	return v
}

// obj walks nested objects; a missing step gives an empty node.
func (n node) obj(path ...string) node {
	for _, key := range path {
		m, ok := n.inside(key).(map[string]any)
		if !ok {
			return nil
		}
		n = m
	}
	return n
}

// list reads an array of objects, bare or wrapped in a Stripe list; elements that
// are not objects (ids of unexpanded objects) are empty nodes, so that the length stays true.
func (n node) list(key string) []node {
	v := n.inside(key)
	if m, ok := v.(map[string]any); ok {
		v = node(m).inside("data")
	}
	arr, ok := v.([]any)
	if !ok {
		return nil
	}
	out := make([]node, 0, len(arr))
	for i := range arr {
		arr[i] = open(arr[i])
		m, _ := arr[i].(map[string]any)
		out = append(out, m)
	}
	return out
}

// dec reads an exact number from a JSON number or a decimal string.
func (n node) dec(key string) (decimal.Decimal, bool) {
	var text string
	switch v := n[key].(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	default:
		return decimal.Zero, false
	}
	return parseDecimal(text)
}

// num reads an integer that fits 64 bits.
func (n node) num(key string) (int64, bool) {
	d, ok := n.dec(key)
	if !ok {
		return 0, false
	}
	return integer(d)
}

// numPtr is num as an optional value.
func (n node) numPtr(key string) *int64 {
	if v, ok := n.num(key); ok {
		return &v
	}
	return nil
}

// when reads Unix seconds, or RFC 3339 as version 2 objects write it.
func (n node) when(key string) time.Time {
	if s, ok := n[key].(string); ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil && t.Year() > 0 && t.Year() < 10000 {
			return t.UTC()
		}
	}
	s, ok := n.num(key)
	if !ok || s <= 0 || s > maxUnix {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// overlay is n with the fields of patch in place: objects merge, all else replaces.
func (n node) overlay(patch node) node {
	out := make(node, len(n)+len(patch))
	maps.Copy(out, n)
	for k := range patch {
		v := patch.inside(k)
		sub, isObj := v.(map[string]any)
		base, baseObj := out.inside(k).(map[string]any)
		if isObj && baseObj {
			out[k] = map[string]any(node(base).overlay(sub))
			continue
		}
		out[k] = v
	}
	return out
}
