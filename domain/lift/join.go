package lift

import (
	"sort"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// SnapshotPooled names the pooled readout of all snapshots of a contract year.
// No policy snapshot may bear it.
const SnapshotPooled = "pooled"

// Revenue is one confirmed money event: positive for cash, negative for a
// refund or a dispute, booked when it happens.
type Revenue struct {
	// Key is the natural key; the same key twice is refused.
	Key string
	// UnitID is empty where the customer belongs to no known unit.
	UnitID      string
	AmountMinor int64
	At          time.Time
	// OwnInvoice marks our own outcome invoices, which never count.
	OwnInvoice bool
}

// Bucket names where a revenue event went that no snapshot got.
type Bucket string

// The buckets, in the order in which they are tried.
const (
	// BucketOwnInvoice: our own outcome invoice.
	BucketOwnInvoice Bucket = "own_invoice"
	// BucketUnmapped: the customer belongs to no known unit.
	BucketUnmapped Bucket = "unmapped"
	// BucketNextYear: paid in the run-off of a contract year, after the unit's first
	// decision in the following one, which measures it.
	BucketNextYear Bucket = "next_year"
	// BucketNoDecision: the unit was never exposed.
	BucketNoDecision Bucket = "no_decision"
	// BucketBeforeExposure: the unit was first exposed later.
	BucketBeforeExposure Bucket = "before_exposure"
	// BucketOutOfWindow: more than W after the first exposure to the snapshot.
	BucketOutOfWindow Bucket = "out_of_window"
)

// Buckets lists the buckets in their order.
func Buckets() []Bucket {
	return []Bucket{BucketOwnInvoice, BucketUnmapped, BucketNextYear, BucketNoDecision, BucketBeforeExposure, BucketOutOfWindow}
}

// Tally counts events and sums their minor units.
type Tally struct {
	Events   int   `json:"events"`
	SumMinor int64 `json:"sum_minor"`
}

// Attribution is where one revenue event went: to a snapshot or to a bucket.
type Attribution struct {
	Key        string
	SnapshotID string
	Bucket     Bucket
}

// Joined is the outcome of Join.
type Joined struct {
	// Tables holds one unit table per snapshot, ascending by snapshot id.
	Tables []UnitTable
	// Pooled has one row per unit exposed to any snapshot: revenue summed,
	// features at the first exposure.
	Pooled UnitTable
	// Attributions has one entry per event, in the order of the input.
	Attributions []Attribution
	// Input is the whole input; Attributed what went to snapshots; Input equals
	// Attributed plus every bucket.
	Input, Attributed Tally
	buckets           map[Bucket]Tally
	// Exposures counts the decisions that were read, MissingPropensity those
	// without a full propensity vector.
	Exposures, MissingPropensity int
	// Crossover are the units seen in both arms, and those that met another unit at a
	// customer or user only after the first exposure, ascending. A unit counts in the
	// arm of its first exposure.
	Crossover []string

	merged  merger
	balance map[string]Balance
}

// UnitOf is the unit that a logged unit is part of; itself unless the plan's unit
// is the account and the log has several units for one.
func (j *Joined) UnitOf(logged string) string { return j.merged.root(logged) }

// Balance is that of one of the tables.
func (j Joined) Balance(snapshotID string) Balance { return j.balance[snapshotID] }

// Bucket is the tally of one bucket.
func (j Joined) Bucket(b Bucket) Tally { return j.buckets[b] }

// Fill puts what the join knows about one of its tables into the evidence: the
// decisions, the units in both arms, the balance of the randomisation, and the
// unmapped share of net revenue (own invoices are no revenue).
func (j Joined) Fill(ev Evidence, table UnitTable) Evidence {
	crossed := make(map[string]bool, len(j.Crossover))
	for _, id := range j.Crossover {
		crossed[id] = true
	}
	both := 0
	for i := range table.Rows {
		if crossed[table.Rows[i].UnitID] {
			both++
		}
	}
	inTable := 0 // Join admits no decision without its vector
	decisions, missing := j.Exposures, j.MissingPropensity
	unmapped := j.Bucket(BucketUnmapped).SumMinor
	net := j.Input.SumMinor - j.Bucket(BucketOwnInvoice).SumMinor
	ev.Decisions, ev.DecisionsWithoutPropensity, ev.UnitsWithoutPropensity = &decisions, &missing, &inTable
	ev.CrossoverUnits, ev.UnmappedMinor, ev.NetMinor = &both, &unmapped, &net
	if b, ok := j.balance[table.SnapshotID]; ok {
		ev.Balance = &b
	}
	return ev
}

// unitHistory are the exposures of one unit in time order.
type unitHistory struct {
	exposures []Exposure
	// firstOf is the index of the first exposure per snapshot.
	firstOf map[string]int
	revenue map[string]int64
	crossed bool
}

// thisYear parts the decisions of the contract year from those of the next one.
func thisYear(exposures []Exposure) (year, next []Exposure) {
	for i := range exposures {
		if exposures[i].NextYear {
			next = append(next, exposures[i])
		}
	}
	if len(next) == 0 {
		return exposures, nil
	}
	for i := range exposures {
		if !exposures[i].NextYear {
			year = append(year, exposures[i])
		}
	}
	return year, next
}

// cutsOf is from when on a unit belongs to the next year.
func cutsOf(next []Exposure, merged *merger) map[string]time.Time {
	cuts := map[string]time.Time{}
	for i := range next {
		id := merged.root(next[i].UnitID)
		if at, ok := cuts[id]; !ok || next[i].At.Before(at) {
			cuts[id] = next[i].At
		}
	}
	return cuts
}

// Join attributes every revenue event to exactly one snapshot or bucket. An
// event belongs to the snapshot of the unit's latest eligible decision at or
// before it (the same rule in both arms, so that no cent counts twice), if it is
// at most window after the unit's first exposure to that snapshot. Arms are
// looked at last: attribution cannot depend on them. links, which may be nil, are
// the customers of the users; see mergeUnits.
func Join(plan Plan, exposures []Exposure, revenue []Revenue, links []Link) (Joined, error) {
	h := Probability{}
	if !plan.PerDecision() {
		var err error
		if h, err = plan.Holdout(); err != nil {
			return Joined{}, err
		}
	}
	where, err := arrange(plan, exposures, links)
	if err != nil {
		return Joined{}, err
	}
	units, ids := where.units, where.ids
	out := Joined{buckets: map[Bucket]Tally{}, Exposures: where.decisions, MissingPropensity: where.decisions, merged: where.merged}
	for _, id := range ids {
		out.MissingPropensity -= len(units[id].exposures)
	}
	if err := out.attribute(where, revenue); err != nil {
		return Joined{}, err
	}
	for _, id := range ids {
		if units[id].crossed {
			out.Crossover = append(out.Crossover, id)
		}
	}
	b := tableBuilder{perDecision: plan.PerDecision(), h: h.Float(), window: where.window, rows: map[string][]UnitRow{}, balancers: map[string]*balancer{}}
	for _, id := range ids {
		if err := b.add(id, units[id]); err != nil {
			return Joined{}, err
		}
	}
	if err := b.finish(plan, &out); err != nil {
		return Joined{}, err
	}
	return out, out.tie()
}

// histories groups exposures by unit; ids are ascending.
func histories(plan Plan, exposures []Exposure, merged *merger) (map[string]*unitHistory, []string) {
	units := make(map[string]*unitHistory)
	var ids []string
	for i := range exposures {
		e := &exposures[i]
		if !e.PropensityOK {
			continue
		}
		id := merged.root(e.UnitID)
		u := units[id]
		if u == nil {
			u = &unitHistory{firstOf: map[string]int{}, revenue: map[string]int64{}}
			units[id] = u
			ids = append(ids, id)
		}
		u.exposures = append(u.exposures, *e)
		u.crossed = u.crossed || merged.late[e.UnitID]
	}
	sort.Strings(ids)
	for _, id := range ids {
		u := units[id]
		// Equal instants fall back on the other fields, so that the order of the input
		// never decides.
		sort.SliceStable(u.exposures, func(a, b int) bool { return earlier(&u.exposures[a], &u.exposures[b]) })
		for i := range u.exposures {
			if _, ok := u.firstOf[u.exposures[i].SnapshotID]; !ok {
				u.firstOf[u.exposures[i].SnapshotID] = i
			}
			u.crossed = u.crossed || (!plan.PerDecision() && u.exposures[i].Arm != u.exposures[0].Arm)
		}
	}
	return units, ids
}

// places is what the place of an event depends on.
type places struct {
	units map[string]*unitHistory
	// ids are the units, ascending; decisions counts those of the year.
	ids       []string
	decisions int
	merged    merger
	cuts      map[string]time.Time
	window    time.Duration
}

// arrange checks the decisions and puts them as the rule of attribution reads them.
func arrange(plan Plan, exposures []Exposure, links []Link) (places, error) {
	for i := range exposures {
		if err := checkExposure(plan, &exposures[i], i); err != nil {
			return places{}, err
		}
	}
	year, next := thisYear(exposures)
	p := places{decisions: len(year), merged: mergeUnits(plan, year, links), window: time.Duration(plan.AttributionDays) * 24 * time.Hour}
	p.units, p.ids = histories(plan, year, &p.merged)
	p.cuts = cutsOf(next, &p.merged)
	return p, nil
}

// place is where an event of a unit went. latest is the unit's latest decision at or before
// the event, first its first decision for the same snapshot, both by their index in the
// unit's history; -1 where the rule did not come to them.
type place struct {
	snapshot      string
	bucket        Bucket
	latest, first int
}

// attribute gives every event its place and keeps the sums.
func (j *Joined) attribute(where places, revenue []Revenue) error {
	seen := make(map[string]bool, len(revenue))
	j.Attributions = make([]Attribution, len(revenue))
	for i := range revenue {
		r := &revenue[i]
		if r.Key == "" || seen[r.Key] {
			return fault.New(fault.Conflict, "revenue_key_repeated", "revenue event %d has the key %q, which is empty or was seen before", i, r.Key).On("key")
		}
		seen[r.Key] = true
		unit := j.merged.root(r.UnitID)
		at := where.of(unit, r)
		snapshot, bucket := at.snapshot, at.bucket
		j.Attributions[i] = Attribution{Key: r.Key, SnapshotID: snapshot, Bucket: bucket}
		if !add(&j.Input, r.AmountMinor) {
			return overflow()
		}
		if bucket != "" {
			t := j.buckets[bucket]
			if !add(&t, r.AmountMinor) {
				return overflow()
			}
			j.buckets[bucket] = t
			continue
		}
		if !add(&j.Attributed, r.AmountMinor) {
			return overflow()
		}
		of := where.units[unit].revenue
		sum, ok := addMinor(of[snapshot], r.AmountMinor)
		if !ok {
			return overflow()
		}
		of[snapshot] = sum
	}
	return nil
}

// of is the attribution rule for one event of a unit.
func (p places) of(unit string, r *Revenue) place {
	u := p.units[unit]
	cut, again := p.cuts[unit]
	none := func(b Bucket) place { return place{bucket: b, latest: -1, first: -1} }
	switch {
	case r.OwnInvoice:
		return none(BucketOwnInvoice)
	case r.UnitID == "":
		return none(BucketUnmapped)
	case again && !r.At.Before(cut):
		return none(BucketNextYear)
	case u == nil:
		return none(BucketNoDecision)
	}
	after := sort.Search(len(u.exposures), func(i int) bool { return u.exposures[i].At.After(r.At) })
	if after == 0 {
		return none(BucketBeforeExposure)
	}
	at := place{snapshot: u.exposures[after-1].SnapshotID, latest: after - 1}
	at.first = u.firstOf[at.snapshot]
	if r.At.After(u.exposures[at.first].At.Add(p.window)) {
		at.snapshot, at.bucket = "", BucketOutOfWindow
	}
	return at
}

// tie checks that every minor unit of the input is on a snapshot or in a
// bucket, and that the tables hold what was attributed.
func (j *Joined) tie() error {
	sum, events := j.Attributed.SumMinor, j.Attributed.Events
	for _, b := range Buckets() {
		sum, events = sum+j.buckets[b].SumMinor, events+j.buckets[b].Events
	}
	var lines, pooled int64
	for i := range j.Tables {
		lines += j.Tables[i].SumMinor()
	}
	pooled = j.Pooled.SumMinor()
	if sum != j.Input.SumMinor || events != j.Input.Events || lines != j.Attributed.SumMinor || pooled != j.Attributed.SumMinor {
		return fault.New(fault.Internal, "attribution_unbalanced", "revenue of %d does not equal %d on snapshots and in buckets (tables %d, pooled %d)", j.Input.SumMinor, sum, lines, pooled)
	}
	return nil
}

func overflow() error {
	return fault.New(fault.Invalid, "amount_overflow", "the revenue events sum to more than 64 bits")
}

// addMinor adds two amounts; ok is false when they exceed 64 bits.
func addMinor(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (b >= 0 && sum >= a) || (b < 0 && sum < a)
}

func add(t *Tally, minor int64) bool {
	sum, ok := addMinor(t.SumMinor, minor)
	t.Events, t.SumMinor = t.Events+1, sum
	return ok
}
