package stripefake

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// node is one position of a form-encoded parameter tree. Arrays are nodes
// whose keys are indexes, as Stripe's own decoder treats them.
type node struct {
	leaf     bool
	value    string
	children map[string]*node
	used     bool
}

func (n *node) child(key string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c := n.children[key]
	if c == nil {
		c = &node{}
		n.children[key] = c
	}
	return c
}

// parseForm decodes "a[b][0][c]=v" pairs in their order of arrival.
func parseForm(raw string) (*node, *apiError) {
	root := &node{}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, invalid("", "", "Invalid request: the parameters are not correctly URL-encoded.")
		}
		insert(root, segments(key), value)
	}
	return root, nil
}

func segments(key string) []string {
	head, rest, ok := strings.Cut(key, "[")
	out := []string{head}
	for ok {
		var seg string
		seg, rest, ok = strings.Cut(rest, "]")
		if !ok {
			break
		}
		out = append(out, seg)
		_, rest, ok = strings.Cut(rest, "[")
	}
	return out
}

// insert follows Rack's rules for "[]": a repeated key starts a new element.
func insert(n *node, path []string, value string) {
	for i, seg := range path {
		if seg == "" {
			last := len(n.children) - 1
			reuse := last >= 0 && i+1 < len(path)
			if reuse {
				prev := n.children[strconv.Itoa(last)]
				reuse = prev != nil && prev.children[path[i+1]] == nil
			}
			if !reuse {
				last++
			}
			seg = strconv.Itoa(last)
		}
		n = n.child(seg)
	}
	n.leaf, n.value = true, value
}

// canonical renders the tree in a fixed order: the fingerprint of a request.
func (n *node) canonical(prefix string, b *strings.Builder) {
	if n.leaf {
		b.WriteString(prefix)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(n.value))
		b.WriteByte('&')
	}
	for _, k := range n.keys() {
		p := k
		if prefix != "" {
			p = prefix + "[" + k + "]"
		}
		n.children[k].canonical(p, b)
	}
}

func (n *node) keys() []string {
	out := make([]string, 0, len(n.children))
	for k := range n.children {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool {
		a, errA := strconv.Atoi(out[i])
		b, errB := strconv.Atoi(out[j])
		if errA == nil && errB == nil {
			return a < b
		}
		return out[i] < out[j]
	})
	return out
}

func (n *node) unused(prefix string) string {
	for _, k := range n.keys() {
		c, p := n.children[k], k
		if prefix != "" {
			p = prefix + "[" + k + "]"
		}
		if !c.used {
			return p
		}
		if bad := c.unused(p); bad != "" {
			return bad
		}
	}
	return ""
}

// args reads parameters and remembers the first thing wrong with them, so that
// a handler reads everything first and the pipeline refuses once.
type args struct {
	n    *node
	path string
	err  **apiError
}

func newArgs(n *node) args {
	var first *apiError
	return args{n: n, err: &first}
}

// finish reports the first problem, then any parameter nobody asked for.
func (a args) finish() *apiError {
	if *a.err != nil {
		return *a.err
	}
	if bad := a.n.unused(a.path); bad != "" {
		return invalid("parameter_unknown", bad, "Received unknown parameter: %s", bad)
	}
	return nil
}

func (a args) fail(e *apiError) {
	if *a.err == nil {
		*a.err = e
	}
}

func (a args) name(key string) string {
	if a.path == "" {
		return key
	}
	return a.path + "[" + key + "]"
}

func (a args) has(key string) bool { return a.n.children[key] != nil }

// take marks the parameter as known and returns it.
func (a args) take(key string) *node {
	c := a.n.children[key]
	if c != nil {
		c.used = true
	}
	return c
}

// str reads an optional string; present tells an empty value from an absent one.
func (a args) str(key string, max int) *string {
	c := a.take(key)
	if c == nil {
		return nil
	}
	if !c.leaf {
		a.fail(invalid("parameter_invalid_string", a.name(key), "Invalid string: %s", a.name(key)))
		return nil
	}
	if n := len([]rune(c.value)); max > 0 && n > max {
		a.fail(invalid("parameter_invalid_string_too_long", a.name(key),
			"Invalid string: %s; must be at most %d characters (got %d)", clip(c.value), max, n))
		return nil
	}
	v := c.value
	return &v
}

func clip(s string) string {
	r := []rune(s)
	if len(r) <= 24 {
		return s
	}
	return string(r[:12]) + "..." + string(r[len(r)-6:])
}

const anyLength = 0

func (a args) require(key string) string {
	v := a.str(key, 5000)
	switch {
	case v == nil:
		a.fail(invalid("parameter_missing", a.name(key), "Missing required param: %s.", a.name(key)))
		return ""
	case *v == "":
		a.fail(invalid("parameter_invalid_empty", a.name(key), "You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; however '%s' cannot be unset. You should remove '%s' from your request or supply a non-empty value.", a.name(key), a.name(key), a.name(key)))
	}
	return *v
}

func (a args) text(key string) string {
	if v := a.str(key, 5000); v != nil {
		return *v
	}
	return ""
}

func (a args) integer(key string) *int64 {
	v := a.str(key, anyLength)
	if v == nil || *v == "" {
		return nil
	}
	i, err := strconv.ParseInt(*v, 10, 64)
	if err != nil {
		a.fail(invalid("parameter_invalid_integer", a.name(key), "Invalid integer: %s", *v))
		return nil
	}
	return &i
}

func (a args) number(key string) *float64 {
	v := a.str(key, anyLength)
	if v == nil || *v == "" {
		return nil
	}
	f, err := strconv.ParseFloat(*v, 64)
	if err != nil {
		a.fail(invalid("parameter_invalid_number", a.name(key), "Invalid decimal: %s", *v))
		return nil
	}
	return &f
}

func (a args) boolean(key string) *bool {
	v := a.str(key, anyLength)
	if v == nil || *v == "" {
		return nil
	}
	if *v != "true" && *v != "false" {
		a.fail(invalid("parameter_invalid_boolean", a.name(key), "Invalid boolean: %s", *v))
		return nil
	}
	b := *v == "true"
	return &b
}

func (a args) flag(key string) bool {
	b := a.boolean(key)
	return b != nil && *b
}

func (a args) enum(key string, allowed ...string) string {
	v := a.str(key, anyLength)
	if v == nil || *v == "" {
		return ""
	}
	for _, ok := range allowed {
		if *v == ok {
			return *v
		}
	}
	a.fail(invalid("", a.name(key), "Invalid %s: must be one of %s", a.name(key), strings.Join(allowed, ", ")))
	return ""
}

// object opens a nested hash; ok is false when it is absent, empty is true
// when it was passed as an empty string, Stripe's way to unset a hash.
func (a args) object(key string) (o args, ok, empty bool) {
	c := a.take(key)
	if c == nil {
		return a, false, false
	}
	if c.leaf && len(c.children) == 0 {
		if c.value != "" {
			a.fail(invalid("parameter_invalid_object", a.name(key), "Invalid object: %s", a.name(key)))
		}
		return args{n: c, path: a.name(key), err: a.err}, true, true
	}
	return args{n: c, path: a.name(key), err: a.err}, true, false
}

// list opens an array of hashes.
func (a args) list(key string) []args {
	c := a.take(key)
	if c == nil {
		return nil
	}
	if c.leaf && c.value != "" {
		a.fail(invalid("parameter_invalid_array", a.name(key), "Invalid array"))
		return nil
	}
	out := make([]args, 0, len(c.children))
	for _, k := range c.keys() {
		e := c.children[k]
		e.used = true
		out = append(out, args{n: e, path: a.name(key) + "[" + k + "]", err: a.err})
	}
	return out
}

// strings reads an array of scalars.
func (a args) strings(key string) []string {
	var out []string
	for _, e := range a.list(key) {
		if !e.n.leaf {
			a.fail(invalid("parameter_invalid_string", e.path, "Invalid string: %s", e.path))
			continue
		}
		out = append(out, e.n.value)
	}
	return out
}

// ignore accepts parameters that change nothing the fake models.
func (a args) ignore(keys ...string) {
	for _, k := range keys {
		if c := a.take(k); c != nil {
			c.markAll()
		}
	}
}

func (n *node) markAll() {
	n.used = true
	for _, c := range n.children {
		c.markAll()
	}
}
