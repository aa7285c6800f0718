package measure

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
)

// evidenceInput is what the collection observed.
type evidenceInput struct {
	watermark, sourceMark time.Time
	paid, stripeNet       map[string]int64 // by currency
	spent                 map[string]bool
}

// evidenceSet makes the evidence of each table: the cycle's, what the join knows of
// the table, and what the decision log shows of its units.
type evidenceSet struct {
	base        lift.Evidence
	joined      lift.Joined
	badUnits    map[string]bool
	mismatched  map[string]bool
	perDecision bool
	// refused decisions never came whole.
	refused int
	spent   map[string]bool
	// saltHex is the revealed salt, empty while it is secret.
	saltHex string
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
	set := evidenceSet{
		base: lift.Evidence{
			Environment: c.Account.Environment, Look: look, PeriodStart: c.Interval.Start, PeriodEnd: c.Interval.End, PlanDue: &due,
			SourceWatermark: &in.sourceMark, Books: booksOf(string(c.Contract.Terms.Currency), in.paid, in.stripeNet),
		},
		joined: j, badUnits: map[string]bool{}, mismatched: map[string]bool{}, perDecision: c.Plan.Plan().PerDecision(), spent: in.spent,
	}
	if c.Revision > 1 {
		set.base.Revision = c.Revision
	}
	gaps, numbered, err := s.Ledger.DecisionGaps(ctx, c, in.watermark)
	if err != nil {
		return evidenceSet{}, err
	}
	if numbered {
		set.base.DecisionGaps = &gaps
	}
	var units []string
	if set.refused, units, err = s.Ledger.Incomplete(ctx, c, in.watermark); err != nil {
		return evidenceSet{}, err
	}
	for _, id := range units {
		set.badUnits[j.UnitOf(id)] = true
	}
	set.plans(c.Plan.Hash(), exposures)
	if c.Plan.Plan().PerDecision() {
		return set, nil
	}
	err = s.arms(c, &set, exposures, lift.SaltRevealed(first, c.Period))
	return set, err
}

// plans counts the decisions that name the plan which they were made under.
func (s *evidenceSet) plans(hash string, exposures []lift.Exposure) {
	var with, other int
	for i := range exposures {
		e := &exposures[i]
		if e.NextYear {
			continue
		}
		if !e.PropensityOK {
			s.badUnits[s.joined.UnitOf(e.UnitID)] = true
		}
		if e.PlanHash == "" {
			continue
		}
		with++
		if e.PlanHash != hash {
			other++
		}
	}
	s.base.DecisionsWithPlan, s.base.DecisionsOtherPlan = &with, &other
}

// arms finds the units that were logged in another arm, or under another salt, than
// the committed salt gives.
func (s *Service) arms(c Cycle, set *evidenceSet, exposures []lift.Exposure, reveal bool) error {
	plan := c.Plan.Plan()
	salt, err := s.Box.Open(s.SaltContext(c.PlanID), c.SealedSalt)
	if err != nil {
		return err
	}
	h, err := plan.Holdout()
	if err != nil {
		return err
	}
	if reveal {
		set.saltHex = hex.EncodeToString(salt)
	}
	for i := range exposures {
		e := &exposures[i]
		if e.NextYear {
			continue
		}
		if lift.ArmOf(salt, e.UnitID, h) != e.Arm || (e.SaltCommitment != "" && e.SaltCommitment != plan.SaltCommitment) {
			set.mismatched[set.joined.UnitOf(e.UnitID)] = true
		}
	}
	return nil
}

// booksOf sets both sides beside each other, ascending by currency; that of the
// contract is there even when nothing was paid.
func booksOf(currency string, ours, stripe map[string]int64) []lift.Books {
	all := map[string]bool{currency: true}
	for _, side := range []map[string]int64{ours, stripe} {
		for currency := range side {
			all[currency] = true
		}
	}
	var out []lift.Books
	for _, currency := range slices.Sorted(maps.Keys(all)) {
		out = append(out, lift.Books{Currency: currency, OursMinor: ours[currency], StripeMinor: stripe[currency]})
	}
	return out
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
	e.LookSpent = s.spent[t.SnapshotID]
	// Stricter than the join, which leaves decisions without their vector out: a unit
	// that has one counts, whatever else it has.
	decisions, missing := *e.Decisions+s.refused, *e.DecisionsWithoutPropensity+s.refused
	e.Decisions, e.DecisionsWithoutPropensity, e.UnitsWithoutPropensity = &decisions, &missing, &bad
	if e.ArmMismatches = &mismatched; s.perDecision {
		e.ArmMismatches = nil
	}
	return e
}
