package measure

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Tracer reads what the place of single facts rests on.
type Tracer interface {
	// Recorded says when facts of the account's source were recorded; what is not there is
	// left out.
	Recorded(ctx context.Context, accountID string, facts []lift.FactRef) (map[string]time.Time, error)
	// YearsOf lists the first periods of the account's measurement plans.
	YearsOf(ctx context.Context, accountID string) ([]period.Month, error)
	// FrozenOf lists the frozen cycles of the contract year of c, the one that ends last first.
	FrozenOf(ctx context.Context, c Cycle) ([]FrozenCycle, error)
	// RevenueOf lists facts as Ledger.Revenue does, those that no readout counts too.
	RevenueOf(ctx context.Context, c Cycle, watermark time.Time, facts []lift.FactRef) ([]TracedRow, error)
	// Near lists the decisions of units and of every unit that is tied to them, as
	// Ledger.Exposures does and with their IDs, and the links between them.
	Near(ctx context.Context, c Cycle, watermark time.Time, units []string) ([]lift.Exposure, []lift.Link, error)
}

// FrozenCycle is a cycle whose inputs are frozen.
type FrozenCycle struct {
	ID             string
	Watermark, End time.Time
}

// TracedRow is a fact with what keeps it out of every readout.
type TracedRow struct {
	RevenueRow
	// Money: it is of a kind that moves money, and moves some.
	Money, Historic bool
}

// look is a cycle that a fact is joined in.
type look struct {
	cycle     Cycle
	frozen    bool
	watermark time.Time
}

// placing finds places; it remembers the cycles, because the facts of a page share them.
type placing struct {
	*Service
	account string
	now     time.Time
	plans   []period.Month // the first ones of the years that have a plan
	planned map[period.Month]plannedCycle
	years   map[string][]FrozenCycle
	cycles  map[string]Cycle
}

type plannedCycle struct {
	cycle Cycle
	err   error
}

// Places says where facts of an account went: the contract year that joined a fact with a
// decision first. A fact in the run-off of a year may be that year's or the next one's. What
// is asked for and not there is left out.
//
// The rule is Collect's: the same rows, read for few facts only, go through lift.Trace, which
// shares its code with lift.Join. Of a fact that a cycle froze it reads what the newest such
// cycle of the year read; of another one, what its month's cycle would read now.
func (s *Service) Places(ctx context.Context, accountID string, facts []lift.FactRef) (map[string][]lift.Placement, error) {
	years, err := s.Tracer.YearsOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	p := &placing{s, accountID, s.Clock.Now(), years, map[period.Month]plannedCycle{}, map[string][]FrozenCycle{}, map[string]Cycle{}}
	recorded, err := s.Tracer.Recorded(ctx, accountID, facts)
	if err != nil {
		return nil, err
	}
	out := map[string][]lift.Placement{}
	groups, order := map[string]look{}, []string(nil)
	of := map[string][]lift.FactRef{}
	for _, f := range facts {
		at, there := recorded[f.Key]
		if !there {
			continue
		}
		looks, refused, err := p.looks(ctx, f, at)
		if err != nil {
			return nil, err
		}
		if refused != nil {
			none := lift.Traced{Attribution: lift.Attribution{Key: f.Key}, Latest: -1, First: -1}
			out[f.Key] = append(out[f.Key], lift.Placement{Traced: none, At: f.At, Uncounted: lift.UncountedNoAgreement, Detail: refused.Msg})
		}
		for _, l := range looks {
			id := l.cycle.ID
			if _, seen := groups[id]; !seen {
				groups[id], order = l, append(order, id)
			}
			of[id] = append(of[id], f)
		}
	}
	for _, id := range order {
		placed, err := p.place(ctx, groups[id], of[id])
		if err != nil {
			return nil, err
		}
		for _, at := range placed {
			out[at.Key] = append(out[at.Key], at)
		}
	}
	for key := range out {
		slices.SortStableFunc(out[key], func(a, b lift.Placement) int { return rank(a) - rank(b) })
	}
	return out, nil
}

// rank puts the year that joined a fact before one that did not.
func rank(p lift.Placement) int {
	if p.SnapshotID != "" {
		return 0
	}
	return 1
}

// looks are the cycles that a fact is joined in: one of its own contract year, and one of an
// earlier year whose run-off reaches so far. refused says why there is none.
func (p *placing) looks(ctx context.Context, f lift.FactRef, recorded time.Time) (looks []look, refused *fault.Error, err error) {
	c, refused, err := p.own(ctx, f.At)
	if err != nil {
		return nil, nil, err
	}
	candidates := []Cycle{c}
	if refused != nil {
		candidates = nil
	}
	for _, year := range p.plans {
		last := year.Add(lift.PeriodsPerYear - 1)
		if over := period.Of(f.At, time.UTC).Sub(last); over < 0 || over > lift.PeriodsPerYear {
			continue
		}
		before, none, err := p.plan(ctx, last.Settlement())
		if err != nil {
			return nil, nil, err
		}
		if none == nil && before.Interval.Contains(f.At) {
			candidates = append(candidates, before)
		}
	}
	for _, c := range candidates {
		l, err := p.newest(ctx, c, f, recorded)
		if err != nil {
			return nil, nil, err
		}
		looks = append(looks, l)
	}
	if len(looks) > 0 {
		refused = nil
	}
	return looks, refused, nil
}

// own is the cycle of the month that a time lies in: UTC's month or, by the zone of the
// contract, one beside it.
func (p *placing) own(ctx context.Context, at time.Time) (c Cycle, refused *fault.Error, err error) {
	month := period.Of(at, time.UTC)
	for _, m := range []period.Month{month, month.Add(1), month.Add(-1)} {
		c, none, err := p.plan(ctx, m)
		if err != nil {
			return Cycle{}, nil, err
		}
		if none == nil && c.Interval.Contains(at) {
			return c, nil, nil
		}
		if refused == nil {
			refused = none
		}
	}
	if refused == nil {
		refused = fault.New(fault.NotFound, "no_agreement", "no month of the contract contains %s", at.UTC().Format(time.RFC3339))
	}
	return Cycle{}, refused, nil
}

// plan is the cycle of a period as it would be opened; refused where no agreement holds.
func (p *placing) plan(ctx context.Context, m period.Month) (Cycle, *fault.Error, error) {
	got, known := p.planned[m]
	if !known {
		got.cycle, _, got.err = p.Planner.Planned(ctx, p.account, m)
		p.planned[m] = got
	}
	var refused *fault.Error
	if errors.As(got.err, &refused) && (refused.Kind == fault.NotFound || refused.Kind == fault.Invalid || refused.Kind == fault.Conflict) {
		return Cycle{}, refused, nil
	}
	return got.cycle, nil, got.err
}

// newest is the cycle of c's contract year that froze the fact last, or c as it would be
// collected now.
func (p *placing) newest(ctx context.Context, c Cycle, f lift.FactRef, recorded time.Time) (look, error) {
	year := c.PlanID + " " + c.YearStart.String()
	frozen, known := p.years[year]
	if !known {
		var err error
		if frozen, err = p.Tracer.FrozenOf(ctx, c); err != nil {
			return look{}, err
		}
		p.years[year] = frozen
	}
	for _, z := range frozen {
		if recorded.After(z.Watermark) || !f.At.Before(z.End) {
			continue
		}
		got, known := p.cycles[z.ID]
		if !known {
			var err error
			if got, err = p.Ledger.Cycle(ctx, z.ID); err != nil {
				return look{}, err
			}
			p.cycles[z.ID] = got
		}
		if !got.Watermark.IsZero() { // it is not being computed again
			return look{got, true, got.Watermark}, nil
		}
	}
	return look{c, false, p.now}, nil
}

// place joins facts in one cycle.
func (p *placing) place(ctx context.Context, l look, facts []lift.FactRef) ([]lift.Placement, error) {
	c, plan := l.cycle, l.cycle.Plan.Plan()
	rows, err := p.Tracer.RevenueOf(ctx, c, l.watermark, facts)
	if err != nil {
		return nil, err
	}
	out := make([]lift.Placement, len(rows))
	events, units := make([]lift.Revenue, len(rows)), []string(nil)
	for i, r := range rows {
		if l.frozen && r.Money && !r.Historic && !r.Link.Kept {
			// The cycle kept the link of every fact that it joined to a user; who the customer
			// was said to be afterwards has no say in it.
			r.UnitID, r.Link = "", Link{}
		}
		out[i] = lift.Placement{
			At: r.At, Uncounted: uncounted(r, c, plan), CycleID: c.ID, Period: c.Period.String(), Frozen: l.frozen, Revision: c.Revision, Watermark: l.watermark,
			PlanID: c.PlanID, PlanHash: c.Plan.Hash(), Unit: plan.Unit, WindowDays: plan.AttributionDays, UserID: r.Link.UserID, LinkID: r.Link.ID, LinkSource: r.Link.Source,
		}
		events[i] = r.Revenue
		if r.UnitID != "" {
			units = append(units, r.UnitID)
		}
	}
	slices.Sort(units)
	exposures, links, err := p.Tracer.Near(ctx, c, l.watermark, slices.Compact(units))
	if err != nil {
		return nil, err
	}
	traced, err := lift.Trace(plan, exposures, links, events)
	if err != nil {
		return nil, err
	}
	for i := range traced {
		out[i].Traced = traced[i]
	}
	return out, nil
}

// uncounted is why the contract counts a fact nowhere; empty when it does.
func uncounted(r TracedRow, c Cycle, plan lift.Plan) lift.Uncounted {
	switch {
	case r.Historic:
		return lift.UncountedHistoric
	case !r.Money:
		return lift.UncountedNoMoney
	case r.OwnInvoice:
		return ""
	}
	return outside(r.RevenueRow, c.Contract, plan)
}
