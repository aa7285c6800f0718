package reward

import "encoding/json"

// Valid is what the scanner says of a text.
func Valid(raw []byte) bool { return valid(string(raw)) }

// Decode decodes a valid text to the last level.
func Decode(raw []byte) any {
	l := lexer{raw: string(raw)}
	return decoded(l.take())
}

func decoded(v value) any {
	if s, ok := v.string(); ok {
		return s
	}
	if text, ok := v.number(); ok {
		return json.Number(text)
	}
	if is, ok := v.truth(); ok {
		return is
	}
	switch v = v.open(); {
	case v.begins('{'):
		out := map[string]any{}
		for k, e := range v.in.members {
			out[k] = decoded(e)
		}
		return out
	case v.begins('['):
		out := []any{}
		for _, e := range v.in.list {
			out = append(out, decoded(e))
		}
		return out
	default:
		return nil
	}
}
