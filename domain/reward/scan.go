package reward

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// The envelope is read in the request path of every delivery, so it is cut out of the
// body by a scan instead of a full decoding. All functions here need JSON that
// json.Valid has accepted.

// members visits the members of a valid JSON object; any other value has none.
func members(raw []byte, visit func(key string, value []byte)) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return
	}
	i = skipSpace(raw, i+1)
	for i < len(raw) && raw[i] == '"' {
		keyEnd := valueEnd(raw, i)
		key, _ := scalar(raw[i:keyEnd]).(string)
		start := skipSpace(raw, skipSpace(raw, keyEnd)+1) // past the colon
		end := valueEnd(raw, start)
		visit(key, raw[start:end])
		i = skipSpace(raw, end)
		if i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is the offset behind the value that begins at i.
func valueEnd(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(raw)
}

// scalar decodes one value exactly as a decoder with UseNumber does, with a short way
// for the plain ones.
func scalar(raw []byte) any {
	switch c := raw[0]; {
	case c == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw):
		return string(raw[1 : len(raw)-1])
	case c == '-' || (c >= '0' && c <= '9'):
		return json.Number(raw)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// pick decodes the members that the filter wants.
func pick(raw []byte, want func(key string) bool) node {
	n := node{}
	members(raw, func(key string, value []byte) {
		if want(key) {
			n[key] = scalar(value)
		}
	})
	return n
}

// part is one member, byte for byte, when it is an object; the last one counts, as it
// does in a decoder.
func part(raw []byte, name string) []byte {
	var found []byte
	members(raw, func(key string, value []byte) {
		if key == name {
			found = value
		}
	})
	if len(found) == 0 || found[0] != '{' {
		return nil
	}
	return found
}
