package stripefake

import "strings"

// meta is an object's metadata; it is never nil.
type meta map[string]string

const (
	metaKeys     = 50
	metaKeyLen   = 40
	metaValueLen = 500
)

// metaPatch is what a request says about metadata.
type metaPatch struct {
	given bool
	clear bool // "metadata=": unset all
	set   map[string]string
}

// metadata reads and checks metadata; an empty value deletes its key.
func (a args) metadata() metaPatch {
	o, ok, empty := a.object("metadata")
	p := metaPatch{given: ok, clear: empty, set: map[string]string{}}
	if !ok || empty {
		return p
	}
	for k, n := range o.n.children {
		n.used = true
		switch {
		case !n.leaf || strings.ContainsAny(k, "[]"):
			a.fail(invalid("", o.name(k), "Invalid metadata: keys must not contain square brackets and values must be strings."))
		case len([]rune(k)) > metaKeyLen:
			a.fail(invalid("", o.name(k), "Invalid metadata key: keys must be at most %d characters (got %d): %s", metaKeyLen, len([]rune(k)), clip(k)))
		case len([]rune(n.value)) > metaValueLen:
			a.fail(invalid("", o.name(k), "Metadata values can have up to %d characters, but you passed in a value that is %d characters. Invalid value: %s", metaValueLen, len([]rune(n.value)), clip(n.value)))
		}
		p.set[k] = n.value
	}
	return p
}

// apply merges the patch into m and refuses more than 50 keys.
func (p metaPatch) apply(m meta) (meta, *apiError) {
	out := meta{}
	if !p.clear {
		for k, v := range m {
			out[k] = v
		}
	}
	for k, v := range p.set {
		if v == "" {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	if len(out) > metaKeys {
		return nil, invalid("", "metadata", "You can have up to %d keys in metadata, but this request would leave %d.", metaKeys, len(out))
	}
	return out, nil
}

// fresh is the metadata of a new object.
func (p metaPatch) fresh() (meta, *apiError) { return p.apply(nil) }
