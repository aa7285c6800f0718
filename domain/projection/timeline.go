package projection

import (
	"cmp"
	"math"
	"slices"

	"github.com/liftbill/liftbill/domain/reward"
)

// Point is one status change of a subscription, as an event told it.
type Point struct {
	At int64 `json:"at"` // Unix seconds
	// Was is the status before; empty is unknown, Born is none.
	Was string `json:"was,omitempty"`
	Is  string `json:"is"`
}

// Born is the status before the first one.
const Born = "new"

func comparePoints(a, b Point) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Is, b.Is), cmp.Compare(a.Was, b.Was))
}

// joinPoints is the union of two sorted sets.
func joinPoints(into *[]Point, from []Point) bool {
	changed := false
	for _, p := range from {
		i, found := slices.BinarySearchFunc(*into, p, comparePoints)
		if found {
			continue
		}
		if !changed {
			*into = slices.Clone(*into)
		}
		*into, changed = slices.Insert(*into, i, p), true
	}
	return changed
}

// Entry is one step of a timeline: from At on the status is Is.
type Entry struct {
	Point
	// Inferred: no event told it. It follows from the object's own dates, or from its
	// present status, whose beginning is then only known to be not later.
	Inferred bool `json:"inferred,omitempty"`
	// Void: it lies behind the end of the subscription and counts for nothing.
	Void bool `json:"void,omitempty"`
}

// terminal statuses end a life.
func terminal(status string) bool {
	return status == string(reward.Canceled) || status == string(reward.IncompleteExpired)
}

// Timeline puts the points in order and adds what the object's own dates tell of the
// time before the first and after the last of them.
func Timeline(o *Object[Subscription]) []Entry { return timeline(o, o.Stamp.At) }

// Settled reports whether later versions that change neither the status nor a date
// leave the timeline as it is.
func Settled(o *Object[Subscription], entries []Entry) bool {
	if !slices.ContainsFunc(entries, func(e Entry) bool { return e.Inferred }) {
		return true
	}
	return slices.Equal(entries, timeline(o, math.MaxInt64))
}

// timeline takes the present version to be of the given time.
func timeline(o *Object[Subscription], now int64) []Entry {
	points := chain(o.Points)
	out := before(o, points, now)
	for _, p := range points {
		out = append(out, Entry{Point: p})
	}
	out = append(out, after(o, out, now)...)
	ended := false
	for i := range out {
		out[i].Void = ended
		ended = ended || terminal(out[i].Is)
	}
	return out
}

// chain orders points by time, and those of one second so that each begins with the
// status in which the one before it ended, as far as they tell.
func chain(points []Point) []Point {
	left := slices.Clone(points)
	slices.SortFunc(left, comparePoints)
	out := make([]Point, 0, len(left))
	status := Born
	for len(left) > 0 {
		next := 0
		for i, p := range left {
			if p.At != left[0].At {
				break
			}
			if fits(p, status) > fits(left[next], status) {
				next = i
			}
		}
		out = append(out, left[next])
		status = left[next].Is
		left = slices.Delete(left, next, next+1)
	}
	return out
}

// fits says how well a point follows a status: the end of a life comes last.
func fits(p Point, status string) int {
	switch {
	case terminal(p.Is):
		return 0
	case p.Was == status:
		return 3
	case p.Was == Born:
		return 2
	default:
		return 1
	}
}

// before infers the statuses up to the first point from the dates of the object.
func before(o *Object[Subscription], points []Point, now int64) []Entry {
	s, ok := o.Now()
	if !ok || (len(points) > 0 && points[0].Was == Born) {
		return nil
	}
	start, status, until := cmp.Or(s.StartedAt, s.CreatedAt), s.Status, now
	if terminal(status) {
		until = cmp.Or(s.EndedAt, until)
	}
	if len(points) > 0 {
		until = points[0].At
		status = cmp.Or(points[0].Was, status)
	}
	if start == 0 || start >= until {
		return nil
	}
	infer := func(at int64, status string) Entry { return Entry{Point: Point{At: at, Is: status}, Inferred: true} }
	first := earlier(s, status)
	if s.TrialStart == 0 || s.TrialStart >= until {
		return []Entry{infer(start, first)}
	}
	out := []Entry{infer(s.TrialStart, string(reward.Trialing))}
	if start < s.TrialStart {
		out = append([]Entry{infer(start, string(reward.Active))}, out...)
	}
	if s.TrialEnd != 0 && s.TrialEnd < until && first != string(reward.Trialing) && status != string(reward.Paused) {
		out = append(out, infer(s.TrialEnd, first))
	}
	return out
}

// earlier is the status of a life whose first known one is given: what follows from a
// failed payment or an end was active before.
func earlier(s Subscription, status string) string {
	switch {
	case s.Status == string(reward.IncompleteExpired):
		return string(reward.Incomplete)
	case status == string(reward.Trialing) || status == string(reward.Incomplete):
		return status
	default:
		return string(reward.Active)
	}
}

// after adds the present status when no point leads to it: its event was lost, or the
// object was only read.
func after(o *Object[Subscription], entries []Entry, now int64) []Entry {
	s, ok := o.Now()
	if !ok || s.Status == "" {
		return nil
	}
	last := Entry{}
	if len(entries) > 0 {
		last = entries[len(entries)-1]
	}
	if last.Is == s.Status || terminal(last.Is) {
		return nil
	}
	at := now
	switch {
	case terminal(s.Status) && s.EndedAt != 0:
		at = s.EndedAt
	case last.Is == string(reward.Trialing) && s.TrialEnd != 0 && s.TrialEnd <= at:
		at = s.TrialEnd
	}
	if at < last.At {
		// What counts is older than the last change: the change said more.
		return nil
	}
	return []Entry{{Point: Point{At: at, Is: s.Status}, Inferred: true}}
}

// Interval is one status of a subscription, half open.
type Interval struct {
	Status string
	From   int64
	Until  int64 // 0: it still lasts
	// Inferred as in Entry.
	Inferred bool
	// Gap: the event that ended it names another status before it, so that at least one
	// change in between is not known.
	Gap bool
}

// Intervals are the statuses one after the other, without those that lasted no second.
func Intervals(timeline []Entry) []Interval {
	var out []Interval
	for _, e := range timeline {
		if e.Void {
			continue
		}
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.Status == e.Is {
				continue
			}
			last.Until = e.At
			last.Gap = e.Was != "" && e.Was != Born && e.Was != last.Status
			if last.From >= last.Until {
				out = out[:n-1]
			}
		}
		if n := len(out); n > 0 && out[n-1].Status == e.Is {
			out[n-1].Until, out[n-1].Gap = 0, false
			continue
		}
		out = append(out, Interval{Status: e.Is, From: e.At, Inferred: e.Inferred})
	}
	return out
}

// StatusAt is the status at a moment, and since when; ok is false before the first one.
func StatusAt(intervals []Interval, at int64) (Interval, bool) {
	for _, i := range intervals {
		if i.From <= at && (i.Until == 0 || at < i.Until) {
			return i, true
		}
	}
	return Interval{}, false
}

// ActivatedAt is when the status last became active; 0 when it never did.
func ActivatedAt(intervals []Interval) int64 {
	for _, i := range slices.Backward(intervals) {
		if i.Status == string(reward.Active) {
			return i.From
		}
	}
	return 0
}

// PointsOf are the points that a timeline was made of.
func PointsOf(timeline []Entry) []Point {
	var out []Point
	for _, e := range timeline {
		if !e.Inferred {
			out = append(out, e.Point)
		}
	}
	slices.SortFunc(out, comparePoints)
	return out
}
