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

// evidenceSet makes the evidence of each table: the cycle's, what the join knows of
// the table, and what the decision log shows of its units.
type evidenceSet struct {
	base       lift.Evidence
	joined     lift.Joined
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
	mismatch := in.stripeNet - in.paidMinor
	if mismatch < 0 {
		mismatch = -mismatch
	}
	set := evidenceSet{
		base: lift.Evidence{
			Environment: c.Account.Environment, Look: look, PeriodStart: c.Interval.Start, PeriodEnd: c.Interval.End, PlanDue: &due,
			SourceWatermark: &in.sourceMark, ReconMismatchMinor: &mismatch,
		},
		joined: j, badUnits: map[string]bool{}, mismatched: map[string]bool{},
	}
	if numbered {
		set.base.DecisionGaps = &gaps
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
	var bad, mismatched int
	for i := range t.Rows {
		id := t.Rows[i].UnitID
		if s.badUnits[id] {
			bad++
		}
		if s.mismatched[id] {
			mismatched++
		}
	}
	e := s.joined.Fill(s.base, t)
	// Stricter than the join, which leaves decisions without their vector out: a unit
	// that has one counts, whatever else it has.
	e.UnitsWithoutPropensity, e.ArmMismatches = &bad, &mismatched
	return e
}
