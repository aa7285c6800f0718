package measure

import (
	"context"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// defaultPartitionUnits is how many units are worth a worker of their own.
const (
	defaultPartitionUnits = 250_000
	maxPartitions         = 16
	// rangesPerPartition is how often a worker of a full part shows signs of life.
	rangesPerPartition = 5
)

// How a table is cut never reaches a number: moments are made by bucket and merged in
// the order of the buckets.

func (s *Service) partitionUnits() int {
	if s.PartitionUnits > 0 {
		return s.PartitionUnits
	}
	return defaultPartitionUnits
}

// partitions is into how many parts a pass over units is worth cutting.
func (s *Service) partitions(units int) int {
	size := s.partitionUnits()
	return min(max(1, (units+size-1)/size), maxPartitions)
}

// rangeWidth is how many buckets of a table are read at once.
func (s *Service) rangeWidth(units int) int {
	return min(max(1, ope.Buckets*s.partitionUnits()/(rangesPerPartition*max(units, 1))), ope.Buckets)
}

// Estimate computes, judges and stores a readout for every frozen table. It reads
// nothing but what Collect stored, so that running it again gives the same cases.
func (s *Service) Estimate(ctx context.Context, cycleID string, progress Progress) (Summary, error) {
	c, heads, err := s.heads(ctx, cycleID)
	if err != nil {
		return Summary{}, err
	}
	sum := c.summary()
	sum.State = billing.Computing
	readouts := make([]lift.Readout, 0, len(heads))
	for i, h := range heads {
		est, err := s.measure(ctx, c, h, func(done, total int, what string) {
			progress(i*total+done, len(heads)*total, what+" "+h.SnapshotID)
		})
		if err != nil {
			return sum, err
		}
		r, err := s.readout(ctx, c, h, est)
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

// Accumulate keeps the moments of one part of every frozen table, for Estimate to merge.
// Estimate makes what is missing itself, so that no part is needed and none is wrong.
func (s *Service) Accumulate(ctx context.Context, cycleID string, part, parts int, progress Progress) (Summary, error) {
	if parts < 1 || part < 0 || part >= parts {
		return Summary{}, fault.New(fault.Invalid, "partition_range", "there is no part %d of %d", part, parts)
	}
	c, heads, err := s.heads(ctx, cycleID)
	if err != nil {
		return Summary{}, err
	}
	from, to := part*ope.Buckets/parts, (part+1)*ope.Buckets/parts
	for i, h := range heads {
		_, err := s.moments(ctx, c, h, from, to, true, func(done, total int, what string) {
			progress(i*total+done, len(heads)*total, what+" "+h.SnapshotID)
		})
		if err != nil && !lift.IsRefusal(err) { // what is refused, Estimate will say
			return Summary{}, err
		}
	}
	return Summary{CycleID: c.ID, Environment: c.Account.Environment, State: c.State}, nil
}

func (s *Service) heads(ctx context.Context, cycleID string) (Cycle, []Head, error) {
	c, err := s.Ledger.Cycle(ctx, cycleID)
	if err != nil {
		return c, nil, err
	}
	if c.Watermark.IsZero() {
		return c, nil, fault.New(fault.Conflict, "not_collected", "cycle %s has no frozen inputs", cycleID)
	}
	heads, err := s.Ledger.Heads(ctx, c)
	return c, heads, err
}

func (s *Service) readout(ctx context.Context, c Cycle, h Head, est lift.Estimate) (lift.Readout, error) {
	previous, err := s.Ledger.PreviousCase(ctx, c, h.SnapshotID)
	if err != nil {
		return lift.Readout{}, err
	}
	return lift.NewReadout(lift.ReadoutInput{
		AccountID: c.Account.ID, ContractID: c.Contract.ID, Period: c.Period, Plan: c.Plan,
		Estimate: est, Evidence: h.Evidence, Inputs: h.Inputs, PreviousCaseID: previous,
	})
}

// measure runs the estimator on one frozen table: one pass for the numbers, a second one
// for the unit that speaks most for the lift.
func (s *Service) measure(ctx context.Context, c Cycle, h Head, progress Progress) (lift.Estimate, error) {
	buckets, err := s.moments(ctx, c, h, 0, ope.Buckets, s.partitions(h.Inputs.Units) > 1, func(done, total int, what string) { progress(done, 2*total, what) })
	if err != nil {
		return lift.RefusedEstimate(h.SnapshotID, h.Inputs.Units, h.Inputs.SumMinor, err)
	}
	m, err := lift.MeasureMoments(h.SnapshotID, c.Plan.Plan(), h.Layout, buckets)
	if err != nil {
		return lift.Estimate{}, err
	}
	// What is estimated is what was hashed: the frozen rows must still give the digest.
	if m.Digest != h.Inputs.UnitDigest {
		return lift.Estimate{}, fault.New(fault.Conflict, "unit_table_changed", "the frozen unit table of %s in cycle %s does not have its digest any more", h.SnapshotID, c.ID)
	}
	src, width := s.Ledger.Units(ctx, c, h.SnapshotID), s.rangeWidth(h.Inputs.Units)
	var top ope.Top
	for at := 0; at < ope.Buckets && !m.Estimate.Refused(); at += width {
		progress(ope.Buckets+at, 2*ope.Buckets, "looking for the most favourable unit of")
		part, err := m.Top(src, at, min(at+width, ope.Buckets))
		if err != nil {
			return lift.Estimate{}, err
		}
		top.Merge(part)
	}
	if err := m.Complete(top, src); err != nil {
		return lift.Estimate{}, err
	}
	return m.Estimate, nil
}

// moments reads the buckets from up to to, a range at a time, and with keep leaves each
// range's moments where a retry or the merging step finds them.
func (s *Service) moments(ctx context.Context, c Cycle, h Head, from, to int, keep bool, progress Progress) ([]lift.BucketMoments, error) {
	src, width := s.Ledger.Units(ctx, c, h.SnapshotID), s.rangeWidth(h.Inputs.Units)
	var out []lift.BucketMoments
	for at := from; at < to; at += width {
		end := min(at+width, to)
		progress(at-from, to-from, "reading the units of")
		m, err := s.rangeMoments(ctx, c, h, src, at, end, keep)
		if err != nil {
			return nil, err
		}
		out = append(out, m...)
	}
	return out, nil
}

func (s *Service) rangeMoments(ctx context.Context, c Cycle, h Head, src lift.Source, from, to int, keep bool) ([]lift.BucketMoments, error) {
	if !keep {
		return lift.MomentsOf(h.Layout, src, from, to, "")
	}
	m, whole, err := s.Ledger.Moments(ctx, c, h, from, to)
	if err != nil || whole {
		return m, err
	}
	if m, err = lift.MomentsOf(h.Layout, src, from, to, ""); err != nil {
		return nil, err
	}
	return m, s.Ledger.SaveMoments(ctx, c, h.SnapshotID, from, to, m)
}
