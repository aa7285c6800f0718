package measure

import (
	"context"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// Estimate computes, judges and stores a readout for every frozen table. It reads
// nothing but what Collect stored, so that running it again gives the same cases.
func (s *Service) Estimate(ctx context.Context, cycleID string, progress Progress) (Summary, error) {
	c, err := s.Ledger.Cycle(ctx, cycleID)
	if err != nil {
		return Summary{}, err
	}
	if c.Watermark.IsZero() {
		return Summary{}, fault.New(fault.Conflict, "not_collected", "cycle %s has no frozen inputs", cycleID)
	}
	tables, err := s.Ledger.Tables(ctx, c)
	if err != nil {
		return Summary{}, err
	}
	sum := Summary{CycleID: c.ID, Environment: c.Account.Environment, State: billing.Computing}
	readouts := make([]lift.Readout, 0, len(tables))
	for i, t := range tables {
		progress(i, len(tables), "estimating "+t.SnapshotID)
		r, err := s.readout(ctx, c, t)
		if err != nil {
			return sum, err
		}
		readouts = append(readouts, r)
		sum.Cases = append(sum.Cases, r.CaseID)
		switch {
		case r.SnapshotID == lift.SnapshotPooled:
			sum.Units = r.Estimate.Units
		case r.Verdict.Passed:
			sum.Passed++
		default:
			sum.Withheld++
		}
	}
	return sum, s.Ledger.SaveReadouts(ctx, c, readouts, s.Build, s.Clock.Now())
}

func (s *Service) readout(ctx context.Context, c Cycle, t Table) (lift.Readout, error) {
	// What is estimated is what was hashed: the frozen rows must still give the digest.
	if got := t.Digest(); got != t.Inputs.UnitDigest {
		return lift.Readout{}, fault.New(fault.Conflict, "unit_table_changed", "the frozen unit table of %s in cycle %s does not have its digest any more", t.SnapshotID, c.ID)
	}
	est, err := lift.Measure(t.UnitTable, c.Plan.Plan(), s.Workers)
	if err != nil {
		return lift.Readout{}, err
	}
	previous, err := s.Ledger.PreviousCase(ctx, c.Account.ID, t.SnapshotID, c.Period.String())
	if err != nil {
		return lift.Readout{}, err
	}
	return lift.NewReadout(lift.ReadoutInput{
		AccountID: c.Account.ID, ContractID: c.Contract.ID, Period: c.Period, Plan: c.Plan,
		Estimate: est, Evidence: t.Evidence, Inputs: t.Inputs, PreviousCaseID: previous,
	})
}
