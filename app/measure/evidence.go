package measure

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
)

// evidenceInput is what the collection observed.
type evidenceInput struct {
	watermark, sourceMark time.Time
	paidMinor, stripeNet  int64
}

// evidenceSet makes the evidence of each table: most of it is the cycle's, what
// concerns units is the table's.
type evidenceSet struct {
	base       lift.Evidence
	crossed    map[string]bool
	badUnits   map[string]bool
	mismatched map[string]bool
}

func (s *Service) evidence(ctx context.Context, c Cycle, j lift.Joined, exposures []lift.Exposure, in evidenceInput) (evidenceSet, error) {
	first, err := c.Plan.Plan().First()
	if err != nil {
		return evidenceSet{}, err
	}
	zone, err := c.Contract.Zone()
	if err != nil {
		return evidenceSet{}, err
	}
	due := first.In(zone).Start
	look, _, _ := lift.LookOf(first, c.Period)
	salt, err := s.Box.Open(s.SaltContext(c.PlanID), c.SealedSalt)
	if err != nil {
		return evidenceSet{}, err
	}
	h, err := c.Plan.Plan().Holdout()
	if err != nil {
		return evidenceSet{}, err
	}
	gaps, numbered, err := s.Ledger.DecisionGaps(ctx, c, in.watermark)
	if err != nil {
		return evidenceSet{}, err
	}
	unmapped, net := j.Bucket(lift.BucketUnmapped).SumMinor, j.Input.SumMinor-j.Bucket(lift.BucketOwnInvoice).SumMinor
	mismatch := in.stripeNet - in.paidMinor
	if mismatch < 0 {
		mismatch = -mismatch
	}
	missing, decisions := j.MissingPropensity, j.Exposures
	set := evidenceSet{
		base: lift.Evidence{
			Environment: c.Account.Environment, Look: look, PeriodStart: c.Interval.Start, PeriodEnd: c.Interval.End, PlanDue: &due,
			Decisions: &decisions, DecisionsWithoutPropensity: &missing, SourceWatermark: &in.sourceMark,
			ReconMismatchMinor: &mismatch, UnmappedMinor: &unmapped, NetMinor: &net,
		},
		crossed: map[string]bool{}, badUnits: map[string]bool{}, mismatched: map[string]bool{},
	}
	if numbered {
		set.base.DecisionGaps = &gaps
	}
	for _, id := range j.Crossover {
		set.crossed[id] = true
	}
	for i := range exposures {
		e := &exposures[i]
		if !e.PropensityOK {
			set.badUnits[e.UnitID] = true
		}
		if lift.ArmOf(salt, e.UnitID, h) != e.Arm {
			set.mismatched[e.UnitID] = true
		}
	}
	return set, nil
}

// forTable counts the units of one table that each finding concerns.
func (s evidenceSet) forTable(t lift.UnitTable) lift.Evidence {
	var crossed, bad, mismatched int
	for i := range t.Rows {
		id := t.Rows[i].UnitID
		if s.crossed[id] {
			crossed++
		}
		if s.badUnits[id] {
			bad++
		}
		if s.mismatched[id] {
			mismatched++
		}
	}
	e := s.base
	e.CrossoverUnits, e.UnitsWithoutPropensity, e.ArmMismatches = &crossed, &bad, &mismatched
	return e
}
