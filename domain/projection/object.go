package projection

import (
	"cmp"
	"slices"
)

// View is what is kept of one kind of object.
type View interface {
	// rank is how far the object's life has come; what has a higher rank counts,
	// whatever its time, because a life does not go back. It is never 0.
	rank() uint8
	// canonical appends every field, so that equal views have equal bytes.
	canonical(b canon) canon
}

// Stamp orders the versions of one object. The zero Stamp is that of an object which is
// only referred to.
type Stamp struct {
	Rank uint8
	// At is the second of the event, by Stripe's created, or of the read.
	At int64
	// Later is false for the event that announces the object and so precedes everything
	// else of its second.
	Later bool
}

// Compare orders stamps: a positive result says that s counts more.
func (s Stamp) Compare(o Stamp) int {
	switch {
	case s.Rank != o.Rank:
		return cmp.Compare(s.Rank, o.Rank)
	case s.At != o.At:
		return cmp.Compare(s.At, o.At)
	case s.Later == o.Later:
		return 0
	case s.Later:
		return 1
	default:
		return -1
	}
}

// Version is an object as one payload showed it.
type Version[V View] struct {
	View V
	// Digest identifies the view, Before the view that it replaced (0 is unknown).
	Digest, Before uint64
	// ReadAt is when it was read, in Unix microseconds; 0 for an event.
	ReadAt int64
}

// Object is everything known of one object.
type Object[V View] struct {
	ID    string
	Stamp Stamp
	// Versions are those of Stamp, the one that counts first. There is more than one
	// only when several different ones stem from the same second.
	Versions []Version[V]
	// Undecided: the payloads do not tell which of the versions is the last one. A read
	// after that second settles it.
	Undecided bool
	// Known are fields that only some payloads state, each from the newest that does.
	Known []Known
	// DeletedAt is the earliest second at which the object was known to be gone; 0 is never.
	DeletedAt int64
	// Points are the status changes of a subscription.
	Points []Point
}

// Now is the version that counts; ok is false when the object is only referred to.
func (o *Object[V]) Now() (v V, ok bool) {
	if len(o.Versions) == 0 {
		return v, false
	}
	return o.Versions[0].View, true
}

// Join adds what p knows and reports whether o changed. The two must be states of one
// object; neither shares memory with the result that a later Join would change.
func (o *Object[V]) Join(p *Object[V]) bool {
	changed := o.joinVersions(p)
	if p.DeletedAt != 0 && (o.DeletedAt == 0 || p.DeletedAt < o.DeletedAt) {
		o.DeletedAt, changed = p.DeletedAt, true
	}
	if joinKnown(&o.Known, p.Known) {
		changed = true
	}
	if joinPoints(&o.Points, p.Points) {
		changed = true
	}
	return changed
}

func (o *Object[V]) joinVersions(p *Object[V]) bool {
	if len(p.Versions) == 0 {
		return false
	}
	switch order := p.Stamp.Compare(o.Stamp); {
	case order < 0:
		return false
	case order > 0:
		o.Stamp, o.Versions, o.Undecided = p.Stamp, p.Versions, p.Undecided
		return true
	}
	merged, changed := o.Versions, false
	for _, v := range p.Versions {
		if slices.ContainsFunc(merged, v.within) {
			continue
		}
		merged = slices.DeleteFunc(slices.Clone(merged), func(have Version[V]) bool { return have.within(v) })
		merged, changed = append(merged, v), true
	}
	if changed {
		o.Versions = merged
		o.settle()
	}
	return changed
}

// within reports whether o says everything that v says: it is the same version, one that
// also knows what it replaced, or a later read of the same second, which is the newer
// knowledge.
func (v Version[V]) within(o Version[V]) bool {
	switch {
	case v.ReadAt != 0 && o.ReadAt != 0:
		return v.compare(o) <= 0
	case v.ReadAt != o.ReadAt || v.Digest != o.Digest:
		return false
	default:
		return v.Before == o.Before || v.Before == 0
	}
}

// Same reports whether two versions are one.
func (v Version[V]) Same(o Version[V]) bool {
	return v.Digest == o.Digest && v.Before == o.Before && v.ReadAt == o.ReadAt
}

func (v Version[V]) compare(o Version[V]) int {
	return cmp.Or(cmp.Compare(v.ReadAt, o.ReadAt), cmp.Compare(v.Digest, o.Digest), cmp.Compare(v.Before, o.Before))
}

// settle puts the version first that the others lead to. previous_attributes name what
// a version replaced; where they lead to exactly one version, that one is the last of
// its second. Otherwise the second is undecided and the choice is arbitrary, but the
// same for everybody.
func (o *Object[V]) settle() {
	ends := make([]uint64, 0, len(o.Versions))
	for _, v := range o.Versions {
		if !slices.Contains(ends, v.Digest) && !o.replaced(v.Digest) {
			ends = append(ends, v.Digest)
		}
	}
	o.Undecided = len(ends) != 1 || !o.allLeadTo(ends[0])
	slices.SortFunc(o.Versions, func(a, b Version[V]) int {
		endA, endB := slices.Contains(ends, a.Digest), slices.Contains(ends, b.Digest)
		switch {
		case endA && !endB:
			return -1
		case endB && !endA:
			return 1
		default:
			return b.compare(a)
		}
	})
}

// replaced reports whether another version of the second replaced this view.
func (o *Object[V]) replaced(digest uint64) bool {
	return slices.ContainsFunc(o.Versions, func(v Version[V]) bool { return v.Before == digest && v.Digest != digest })
}

// allLeadTo reports whether every view of the second was replaced, step by step, by the
// given one.
func (o *Object[V]) allLeadTo(end uint64) bool {
	reached := []uint64{end}
	for grew := true; grew; {
		grew = false
		for _, v := range o.Versions {
			if v.Before != 0 && slices.Contains(reached, v.Digest) && !slices.Contains(reached, v.Before) {
				reached, grew = append(reached, v.Before), true
			}
		}
	}
	return !slices.ContainsFunc(o.Versions, func(v Version[V]) bool { return !slices.Contains(reached, v.Digest) })
}
