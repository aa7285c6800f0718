package webhookload

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Script makes any number of events: event n is one of the recorded life's, in the
// life of customer n. Equal numbers give equal bytes.
type Script struct {
	steps []step
	// together is how many customers live side by side: their events alternate.
	together int
	// from is the time of the first event, and seconds how many different ones a life has.
	from    int64
	seconds int
}

// step is one recorded event and the places in it where the customer's number goes.
type step struct {
	body    []byte
	at      []int
	id      []int // the event's own ID
	created int   // where the event's time stands
	second  int   // how many different seconds of the life lie before it
}

// ownIDs are the identifiers that belong to one customer. Products and prices are
// shared by all of them.
var ownIDs = regexp.MustCompile(`"(?:(?:evt|cus|sub|si|in|il|ch|pi|re|txn|pm|req)_[0-9A-Za-z]+|user_[A-Z]{12})"`)

// eventHead is the event's own ID and time, which stand before anything else's.
var eventHead = regexp.MustCompile(`^\{\s*"id": "(evt_[^"]+)",[^{]*?"created": ([0-9]{10}),`)

// numberDigits is how many characters of an identifier tell customers apart.
const numberDigits = 8

// NewScript records a life. The events of its copies are told from the given time on:
// what happened in one second keeps sharing one, and what lies between is left out, so
// that an hour is enough for many lives and events are as new as deliveries are.
func NewScript(from time.Time, together int) (*Script, error) {
	bodies, err := record(from)
	if err != nil {
		return nil, err
	}
	s := &Script{together: together, from: from.Unix()}
	var last string
	for _, body := range bodies {
		st := step{body: body}
		for _, m := range ownIDs.FindAllIndex(body, -1) {
			st.at = append(st.at, m[1]-1-numberDigits)
		}
		m := eventHead.FindSubmatchIndex(body)
		if m == nil {
			return nil, fmt.Errorf("a recorded event has no head: %.200s", body)
		}
		if at := string(body[m[4]:m[5]]); at != last {
			last = at
			s.seconds++
		}
		st.id, st.created, st.second = m[2:4], m[4], s.seconds-1
		s.steps = append(s.steps, st)
	}
	return s, nil
}

// Steps is the number of events in one life.
func (s *Script) Steps() int { return len(s.steps) }

// MeanBytes is the mean size of a body.
func (s *Script) MeanBytes() int {
	total := 0
	for _, st := range s.steps {
		total += len(st.body)
	}
	return total / len(s.steps)
}

// Sizes are the smallest and the largest body.
func (s *Script) Sizes() (smallest, largest int) {
	smallest = len(s.steps[0].body)
	for _, st := range s.steps {
		smallest, largest = min(smallest, len(st.body)), max(largest, len(st.body))
	}
	return smallest, largest
}

// position finds the customer and the step of event n.
func (s *Script) position(n int) (customer int, st step) {
	block := s.together * len(s.steps)
	return n/block*s.together + n%s.together, s.steps[n%block/s.together]
}

// Event appends event n to buf, which may be nil, and returns it.
func (s *Script) Event(buf []byte, n int) []byte {
	customer, st := s.position(n)
	buf = append(buf[:0], st.body...)
	var digits [numberDigits]byte
	for i, rest := numberDigits-1, customer; i >= 0; i, rest = i-1, rest/36 {
		digits[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest%36]
	}
	for _, at := range st.at {
		copy(buf[at:], digits[:])
	}
	strconv.AppendInt(buf[:st.created], s.from+int64(customer/s.together*s.seconds+st.second), 10)
	return buf
}

// EventID is the identifier of event n.
func (s *Script) EventID(n int) string {
	_, st := s.position(n)
	return string(s.Event(nil, n)[st.id[0]:st.id[1]])
}
