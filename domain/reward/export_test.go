package reward

// Valid is what the scanner says of a text.
func Valid(raw []byte) bool { return valid(raw) }

// Decode decodes a valid text to the last level.
func Decode(raw []byte) any { return opened(decode(raw)) }

func opened(v any) any {
	switch v := open(v).(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = opened(e)
		}
		return v
	case []any:
		for i, e := range v {
			v[i] = opened(e)
		}
		return v
	default:
		return v
	}
}
