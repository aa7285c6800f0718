package decisionlog

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/liftbill/liftbill/domain/fault"
)

// eachMember calls f for every member of a JSON object in order, repeated names
// included, which encoding/json would hide.
func eachMember(raw []byte, f func(name string, value []byte) error) error {
	if !json.Valid(raw) {
		return notJSON(raw)
	}
	s := scanner{raw: raw}
	if !s.open('{') {
		return fault.New(fault.Invalid, "json_not_object", "the line is no JSON object").Fix("Write one JSON object per line")
	}
	for !s.closed('}') {
		name, _ := unquote(s.value())
		s.skip() // the colon
		s.i++
		if err := f(name, s.value()); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls f for every element of a JSON array that is valid already.
func eachElement(field string, raw []byte, most int, f func(element []byte) error) error {
	s := scanner{raw: raw}
	if !s.open('[') {
		return wrongType(field, "an array")
	}
	for n := 0; !s.closed(']'); n++ {
		if n == most {
			return fault.InvalidField(field, "actions_count", "more than %d entries", most)
		}
		if err := f(s.value()); err != nil {
			return err
		}
	}
	return nil
}

// notJSON says where the text stops being JSON.
func notJSON(raw []byte) error {
	var into any
	var syntax *json.SyntaxError
	where := ""
	if errors.As(json.Unmarshal(raw, &into), &syntax) {
		where = fmt.Sprintf(": error at byte %d", syntax.Offset)
	}
	return fault.New(fault.Invalid, "json_malformed", "the line is not JSON%s", where).Fix("Write one complete JSON object per line")
}

// scanner cuts JSON that is known to be valid into its values.
type scanner struct {
	raw []byte
	i   int
}

func (s *scanner) skip() {
	for s.i < len(s.raw) {
		switch s.raw[s.i] {
		case ' ', '\t', '\r', '\n', ',':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) open(bracket byte) bool {
	s.skip()
	if s.i < len(s.raw) && s.raw[s.i] == bracket {
		s.i++
		return true
	}
	return false
}

func (s *scanner) closed(bracket byte) bool {
	s.skip()
	return s.i >= len(s.raw) || s.raw[s.i] == bracket
}

// value returns the raw text of the next value and moves behind it.
func (s *scanner) value() []byte {
	s.skip()
	start, depth := s.i, 0
	for s.i < len(s.raw) {
		switch s.raw[s.i] {
		case '"':
			s.text()
			if depth == 0 {
				return s.raw[start:s.i]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.raw[start:s.i]
			}
			if depth--; depth == 0 {
				s.i++
				return s.raw[start:s.i]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return s.raw[start:s.i]
			}
		}
		s.i++
	}
	return s.raw[start:s.i]
}

// text moves behind a string.
func (s *scanner) text() {
	for s.i++; s.i < len(s.raw); s.i++ {
		switch s.raw[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return
		}
	}
}
