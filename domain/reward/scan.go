package reward

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Events are read by a scanner of our own, because reading is most of what a delivery
// costs: one pass checks the text and finds the few members that matter, and decoding
// cuts an object into its members, whose values stay text until somebody asks for them and
// are then exactly what encoding/json makes with UseNumber, at a fraction of its price.
// The fuzz tests hold both to encoding/json.

// maxDepth is how deep encoding/json lets values nest.
const maxDepth = 10000

// lexer walks over JSON text once. The first fault ends it: bad stays set and nothing
// moves any more.
type lexer struct {
	raw   string
	i     int
	depth int
	bad   bool
}

// The classes of bytes that a string may not simply be read over.
const (
	plain = iota
	quote
	escape
	control
)

var stringClass = func() (t [256]byte) {
	for c := range 0x20 {
		t[c] = control
	}
	t['"'], t['\\'] = quote, escape
	return t
}()

func (l *lexer) fail() {
	l.bad = true
	l.i = len(l.raw)
}

// peek skips white space and returns the next byte, 0 at the end. (A NUL in the text is
// no token either, so the two need no telling apart.)
func (l *lexer) peek() byte {
	for l.i < len(l.raw) {
		switch c := l.raw[l.i]; c {
		case ' ', '\n', '\t', '\r':
			l.i++
		default:
			return c
		}
	}
	return 0
}

// end reports whether nothing but white space is left and nothing was wrong.
func (l *lexer) end() bool { return l.peek() == 0 && l.i == len(l.raw) && !l.bad }

// each visits the members of an object in order. visit must consume the value, by skip
// or by each. Any other value has no members and is skipped.
func (l *lexer) each(visit func(key string)) {
	if l.peek() != '{' {
		l.skip()
		return
	}
	l.open()
	for more := l.peek() != '}'; more && !l.bad; more = l.comma('}') {
		key := l.key()
		if !l.bad {
			visit(key)
		}
	}
	l.close('}')
}

func (l *lexer) open() {
	l.i++
	if l.depth++; l.depth > maxDepth {
		l.fail()
	}
}

func (l *lexer) close(bracket byte) {
	if l.bad || l.peek() != bracket {
		l.fail()
		return
	}
	l.i++
	l.depth--
}

// comma reports whether another element follows: a comma, and not the closing bracket.
func (l *lexer) comma(bracket byte) bool {
	if l.bad || l.peek() != ',' {
		return false
	}
	l.i++
	if l.peek() == bracket {
		l.fail()
	}
	return !l.bad
}

// key consumes a member's name and colon and returns the name, decoded.
func (l *lexer) key() string {
	if l.peek() != '"' {
		l.fail()
		return ""
	}
	from := l.i
	simple := l.text()
	to := l.i
	if l.peek() != ':' {
		l.fail()
		return ""
	}
	l.i++
	if simple {
		return l.raw[from+1 : to-1]
	}
	return unquote(l.raw[from:to])
}

// skip consumes one value of any kind.
func (l *lexer) skip() {
	switch c := l.peek(); {
	case c == '"':
		l.text()
	case c == '{':
		l.open()
		for more := l.peek() != '}'; more && !l.bad; more = l.comma('}') {
			if l.peek() != '"' {
				l.fail()
				return
			}
			l.text()
			if l.peek() != ':' {
				l.fail()
				return
			}
			l.i++
			l.skip()
		}
		l.close('}')
	case c == '[':
		l.open()
		for more := l.peek() != ']'; more && !l.bad; more = l.comma(']') {
			l.skip()
		}
		l.close(']')
	case c == '-' || (c >= '0' && c <= '9'):
		l.number()
	case c == 't':
		l.word("true")
	case c == 'f':
		l.word("false")
	case c == 'n':
		l.word("null")
	default:
		l.fail()
	}
}

func (l *lexer) word(w string) {
	if len(l.raw)-l.i < len(w) || l.raw[l.i:l.i+len(w)] != w {
		l.fail()
		return
	}
	l.i += len(w)
}

// text consumes a string; simple means that its bytes are its characters: no escape, and
// nothing beyond ASCII, which might be no valid UTF-8.
func (l *lexer) text() (simple bool) {
	raw, i, all := l.raw, l.i+1, byte(0)
	simple = true
	for i < len(raw) {
		c := raw[i]
		switch stringClass[c] {
		case plain:
			all |= c
			i++
			continue
		case quote:
			l.i = i + 1
			return simple && all < utf8.RuneSelf
		case control:
			l.fail()
			return false
		}
		simple = false
		if i = escaped(raw, i+1); i < 0 {
			break
		}
	}
	l.fail()
	return false
}

// escaped is the place behind an escape whose letter is at i, or -1.
func escaped(raw string, i int) int {
	if i >= len(raw) {
		return -1
	}
	switch raw[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for n := 1; n <= 4; n++ {
			if i+n >= len(raw) || !isHex(raw[i+n]) {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func isHex(c byte) bool {
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')
}

// number consumes a number as RFC 8259 writes it.
func (l *lexer) number() {
	raw, i := l.raw, l.i
	if raw[i] == '-' {
		i++
	}
	whole := i
	if i = digits(raw, i); i == whole || (raw[whole] == '0' && i > whole+1) {
		l.fail()
		return
	}
	if i < len(raw) && raw[i] == '.' {
		fraction := i + 1
		if i = digits(raw, fraction); i == fraction {
			l.fail()
			return
		}
	}
	if i < len(raw) && (raw[i] == 'e' || raw[i] == 'E') {
		exponent := i + 1
		if exponent < len(raw) && (raw[exponent] == '+' || raw[exponent] == '-') {
			exponent++
		}
		if i = digits(raw, exponent); i == exponent {
			l.fail()
			return
		}
	}
	l.i = i
}

func digits(raw string, i int) int {
	for i < len(raw) && raw[i] >= '0' && raw[i] <= '9' {
		i++
	}
	return i
}

// valid reports whether raw is one JSON value.
func valid(raw string) bool {
	l := lexer{raw: raw}
	l.skip()
	return l.end()
}

// unquote decodes a string that is valid JSON, with its quotes.
func unquote(quoted string) string {
	var s string
	if json.Unmarshal([]byte(quoted), &s) != nil {
		return ""
	}
	return s
}

// value is a JSON value as it is written, without white space around it. The zero value is
// one that is not there. A value that was put together here has a text that tells its kind,
// and is opened.
type value struct {
	text string
	in   *inside
}

// inside is what is in an object or an array.
type inside struct {
	members node
	list    []value
}

func objectOf(members node) value  { return value{"{}", &inside{members: members}} }
func arrayOf(list ...value) value  { return value{"[]", &inside{list: list}} }
func (v value) begins(c byte) bool { return v.text != "" && v.text[0] == c }

// open looks into an object or an array, one level deep, where nobody has yet. The text is
// known to be valid.
func (v value) open() value {
	if v.in != nil || !v.begins('{') && !v.begins('[') {
		return v
	}
	l := lexer{raw: v.text}
	if v.text[0] == '{' {
		v.in = &inside{members: l.object()}
	} else {
		v.in = &inside{list: l.array()}
	}
	return v
}

// take cuts the value that follows out.
func (l *lexer) take() value {
	l.peek()
	from := l.i
	l.skip()
	return value{text: l.raw[from:l.i]}
}

// object cuts out the members of a valid object; of those that are there twice the last counts.
func (l *lexer) object() node {
	out := node{}
	l.i++
	for more := l.peek() != '}'; more; more = l.comma('}') {
		key := l.key()
		out[key] = l.take()
	}
	return out
}

func (l *lexer) array() []value {
	out := []value{}
	l.i++
	for more := l.peek() != ']'; more; more = l.comma(']') {
		out = append(out, l.take())
	}
	return out
}

// string decodes a string; any other value is none.
func (v value) string() (s string, ok bool) {
	if !v.begins('"') {
		return "", false
	}
	if plain := v.text[1 : len(v.text)-1]; strings.IndexByte(plain, '\\') < 0 && utf8.ValidString(plain) {
		return plain, true
	}
	return unquote(v.text), true
}

// number is the text of a number; any other value is none.
func (v value) number() (text string, ok bool) {
	ok = v.text != "" && (v.text[0] == '-' || v.text[0] >= '0' && v.text[0] <= '9')
	if !ok {
		return "", false
	}
	return v.text, true
}
