package lift

import "time"

// Traced is where one money event went and which decisions say so.
type Traced struct {
	Attribution
	// UnitID is the unit that the event was looked up under: the logged one, or the one that
	// it is part of. Empty where the customer belongs to no known unit.
	UnitID string
	// Decisions are the unit's decisions of the contract year that the rule reads, in its
	// order: by time, equal instants by their content.
	Decisions []Exposure
	// Latest is the index in Decisions of the latest one at or before the event, First that of
	// the first one for the same snapshot; -1 where the rule did not come to them.
	Latest, First int
	// Until is the last moment of the attribution window that began with First; zero without.
	Until time.Time
	// NextYearFrom is when the unit was first decided about in the next contract year, to
	// which its payments belong from then on; zero when it was not.
	NextYearFrom time.Time
}

// Trace tells of single events what Join says of all of them, by the same rule, with the
// decisions that it rests on. exposures and links are those of a whole join, or those of
// every unit that is tied to the events' units by a user or a customer: the others have no
// say in where these events went.
func Trace(plan Plan, exposures []Exposure, links []Link, events []Revenue) ([]Traced, error) {
	where, err := arrange(plan, exposures, links)
	if err != nil {
		return nil, err
	}
	out := make([]Traced, len(events))
	for i := range events {
		r := &events[i]
		unit := where.merged.root(r.UnitID)
		at := where.of(unit, r)
		t := Traced{Attribution: Attribution{Key: r.Key, SnapshotID: at.snapshot, Bucket: at.bucket}, UnitID: unit, Latest: at.latest, First: at.first, NextYearFrom: where.cuts[unit]}
		if u := where.units[unit]; u != nil {
			t.Decisions = u.exposures
		}
		if at.first >= 0 {
			t.Until = t.Decisions[at.first].At.Add(where.window)
		}
		out[i] = t
	}
	return out, nil
}
