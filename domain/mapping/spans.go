package mapping

import (
	"cmp"
	"slices"
	"time"
)

// State says what is known of a subject in a span.
type State string

// The states of a span.
const (
	// Linked: the subject is the user's.
	Linked State = "linked"
	// Unlinked: it was said to be nobody's.
	Unlinked State = "unlinked"
	// Conflict: two statements contradict each other, and a person must decide.
	Conflict State = "conflict"
	// Closed: the customer was deleted. Facts that trail it (the ends of its
	// subscriptions, refunds, a payment under way) are still its last user's.
	Closed State = "closed"
)

// Span is half open: [From, To). A zero From is the beginning of time, a zero To its end.
type Span struct {
	Subject string
	From    time.Time
	To      time.Time
	State   State
	// User is empty for Unlinked and Conflict, and for Closed when nobody was known.
	User string
	// LinkID is the statement that the user rests on: the version that facts keep.
	LinkID  string
	Source  Source
	EventID string
	// Former: the span lies before its statement, a change that names the former user.
	Former bool
}

// Spans computes the spans of one subject from all its statements. currentKey is the
// metadata entry that the connection reads now: statements under it stand; where there
// are none, those under the entry before it do, so that renaming the entry loses nobody.
func Spans(statements []Statement, currentKey string) []Span {
	instants := byInstant(valid(statements, currentKey))
	if len(instants) == 0 {
		return nil
	}
	var w walker
	for _, at := range instants {
		w.step(at)
	}
	return w.spans
}

// valid leaves out the metadata statements of entries that are not read any more, and of
// reads that an event overtook.
func valid(statements []Statement, currentKey string) []Statement {
	key, newest := "", int64(-1)
	for _, s := range statements {
		if s.Source.ByPerson() || s.Deleted {
			continue
		}
		if s.Key == currentKey {
			key = currentKey
			break
		}
		if s.Seq > newest {
			key, newest = s.Key, s.Seq
		}
	}
	out := make([]Statement, 0, len(statements))
	for _, s := range statements {
		if s.Source.ByPerson() || s.Deleted || s.Key == key {
			out = append(out, s)
		}
	}
	return slices.DeleteFunc(out, func(s Statement) bool { return s.Seen && overtaken(s, statements, key) })
}

// readingSlack is how long a read may be under way, or apart from Stripe's clock.
const readingSlack = 10 * time.Minute

// overtaken reports whether an event tells of about the time at which an object was read:
// which of both came first nobody can tell, and the event knows more.
func overtaken(seen Statement, statements []Statement, key string) bool {
	return slices.ContainsFunc(statements, func(s Statement) bool {
		return !s.Seen && !s.Deleted && !s.Source.ByPerson() && s.Key == key && s.From.Sub(seen.From).Abs() <= readingSlack
	})
}

// instant is everything that was said of one moment.
type instant struct {
	from    time.Time
	told    []Statement // by Stripe's metadata
	decided *Statement  // by a person, the last one recorded
	deleted *Statement
}

func byInstant(statements []Statement) []instant {
	sorted := slices.SortedFunc(slices.Values(statements), func(a, b Statement) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
	})
	var out []instant
	for i := range sorted {
		s := &sorted[i]
		if len(out) == 0 || !out[len(out)-1].from.Equal(s.From) {
			out = append(out, instant{from: s.From})
		}
		at := &out[len(out)-1]
		switch {
		case s.Deleted:
			at.deleted = s
		case s.Source.ByPerson():
			at.decided = s
		default:
			at.told = append(at.told, *s)
		}
	}
	return out
}

// outcome is what the metadata says after one moment. Stripe's times are whole seconds,
// so several changes may share one: they form a chain, and its end counts. When there
// is no single end, nobody can tell which came last.
func (i instant) outcome() (last Statement, contradictory bool) {
	var ends []Statement
	for _, s := range i.told {
		followed := slices.ContainsFunc(i.told, func(o Statement) bool { return o.Previous == s.User && o.User != s.User && s.User != "" })
		if !followed {
			ends = append(ends, s)
		}
	}
	if len(ends) == 0 {
		return i.told[0], true // a circle
	}
	last = slices.MinFunc(ends, func(a, b Statement) int { return cmp.Compare(a.ID, b.ID) })
	for _, e := range ends {
		if e.User != last.User {
			return last, true
		}
	}
	return last, false
}

// first is the statement of a moment whose Previous tells of the time before it.
func (i instant) first() (Statement, bool) {
	for _, s := range i.told {
		begins := !slices.ContainsFunc(i.told, func(o Statement) bool { return o.User == s.Previous && s.Previous != "" && o.User != o.Previous })
		if begins && s.Previous != "" {
			return s, true
		}
	}
	return Statement{}, false
}

// walker goes through the moments in order. Metadata and persons are two tracks; what
// holds follows from both.
type walker struct {
	spans   []Span
	told    *Statement
	decided *Statement
	quarrel bool // the metadata contradicts itself since its last moment
}

func (w *walker) step(at instant) {
	if len(at.told) > 0 {
		last, contradictory := at.outcome()
		w.told, w.quarrel = &last, contradictory
	}
	if at.decided != nil {
		w.decided = at.decided
	}
	if len(w.spans) == 0 {
		w.begin(at)
	}
	if len(at.told) > 0 || at.decided != nil {
		w.open(w.effective(at.from))
	}
	if at.deleted != nil {
		w.close(at.deleted)
	}
}

// begin opens the span before the first moment: the former user that a change names,
// or else the first user at all.
func (w *walker) begin(at instant) {
	if at.from.IsZero() {
		return
	}
	s := Span{Subject: subjectOf(at), Former: true}
	if former, ok := at.first(); ok {
		s.State, s.User, s.LinkID, s.Source, s.EventID = Linked, former.Previous, former.ID, former.Source, former.EventID
		w.open(s)
		return
	}
	if len(at.told) == 0 && at.decided == nil {
		return // a deletion tells of nobody
	}
	e := w.effective(at.from)
	if e.State == Linked {
		e.From = time.Time{} // a late mapping joins the facts before it
		w.open(e)
	}
}

func subjectOf(at instant) string {
	switch {
	case len(at.told) > 0:
		return at.told[0].Subject
	case at.decided != nil:
		return at.decided.Subject
	default:
		return at.deleted.Subject
	}
}

// effective is what holds from an instant on.
func (w *walker) effective(from time.Time) Span {
	told, decided := w.told, w.decided
	switch {
	case decided == nil:
		return w.byMetadata(from)
	case told == nil, !decided.From.Before(told.From), told.User == decided.User:
		return spanOf(*decided, from)
	case told.User == "" && !w.quarrel:
		return spanOf(*decided, from) // an entry that went away contradicts nobody
	case w.quarrel:
		return Span{Subject: decided.Subject, From: from, State: Conflict}
	case told.Seq > decided.Seq && told.Previous != decided.User && decided.User != "":
		// The metadata names another user, and the person could not know of it.
		return Span{Subject: told.Subject, From: from, State: Conflict, LinkID: told.ID, Source: told.Source, EventID: told.EventID}
	}
	return w.byMetadata(from)
}

func (w *walker) byMetadata(from time.Time) Span {
	if w.quarrel {
		return Span{Subject: w.told.Subject, From: from, State: Conflict}
	}
	return spanOf(*w.told, from)
}

func spanOf(s Statement, from time.Time) Span {
	out := Span{Subject: s.Subject, From: from, State: Linked, User: s.User, LinkID: s.ID, Source: s.Source, EventID: s.EventID}
	if s.User == "" {
		out.State = Unlinked
	}
	return out
}

// open begins a span unless the one that runs says the same: a repeated statement is
// no new version.
func (w *walker) open(s Span) {
	if n := len(w.spans); n > 0 {
		running := &w.spans[n-1]
		if running.State == Closed {
			return // nothing that is said after a deletion makes the customer come back
		}
		if running.State == s.State && running.User == s.User {
			return
		}
		if running.From.Equal(s.From) {
			w.spans = w.spans[:n-1]
		} else {
			running.To = s.From
		}
	}
	w.spans = append(w.spans, s)
}

func (w *walker) close(d *Statement) {
	s := Span{Subject: d.Subject, From: d.From, State: Closed, LinkID: d.ID, Source: d.Source, EventID: d.EventID}
	if n := len(w.spans); n > 0 {
		last := w.spans[n-1]
		if last.State == Closed {
			return
		}
		s.User, s.LinkID, s.Source = last.User, last.LinkID, last.Source
	}
	w.open(s)
}
