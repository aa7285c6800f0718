package trueups

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// places are where late events belong in the settled year, in their order.
func (s *Service) places(ctx context.Context, y Year, late []Late, watermark time.Time) ([]lift.LatePlace, error) {
	year, later, links, err := s.Ledger.Exposures(ctx, y, watermark)
	if err != nil {
		return nil, err
	}
	events := make([]lift.Late, len(late))
	for i, l := range late {
		events[i] = l.Late
	}
	return lift.PlaceLate(y.Plan.Plan(), year, later, links, events)
}

// price measures the year with what came, cell by cell, and says what is due. Where the
// sealed plan gives no estimate any more, nothing is taken up.
func (s *Service) price(ctx context.Context, l *Look) error {
	l.State, l.Lines = Booked, cellsOf(l.Facts)
	refused, err := s.measure(ctx, l)
	if err != nil {
		return err
	}
	if refused != "" {
		l.State, l.Reason, l.Facts, l.Lines, l.Readouts = NotMeasured, refused, nil, nil, nil
		return nil
	}
	y := l.Year
	in := billing.TrueUpInput{Settled: y.Bill, Fees: y.Fees, Lines: y.Lines, Booked: y.Booked, BookedMinor: y.BookedMinor}
	for _, line := range l.Lines {
		in.Cells = append(in.Cells, line.TrueUpCell)
	}
	measured := map[string]lift.Readout{}
	for _, r := range l.Readouts {
		measured[r.SnapshotID] = r
	}
	for _, r := range y.Bill.Readouts {
		if now, ok := measured[r.SnapshotID]; ok {
			r = now
		}
		in.Measured = append(in.Measured, r)
	}
	if l.TrueUpResult, err = billing.TrueUpYear(in); err != nil {
		return err
	}
	for _, c := range l.Cells[len(l.Lines):] {
		l.Lines = append(l.Lines, Line{TrueUpCell: c, HappenedAt: lastOf(l.Facts)})
	}
	for i := range l.Lines {
		if l.Lines[i].AmountMinor = l.Amounts[i]; l.Amounts[i] != 0 {
			l.Lines[i].AdjustmentID = billing.AdjustmentID(l.ID, l.Lines[i].TrueUpCell)
		}
	}
	return nil
}

// lastOf is when the last of some facts happened.
func lastOf(facts []Fact) (at time.Time) {
	for _, f := range facts {
		if f.At.After(at) {
			at = f.At
		}
	}
	return at
}

// measure measures every table that changed. The lift of a cell is what the estimate moves
// by when the cell is added to those before it, so that the cells sum to the whole. It
// returns why there is no estimate, or nothing.
func (s *Service) measure(ctx context.Context, l *Look) (refused string, err error) {
	changed := map[string]bool{lift.SnapshotPooled: true}
	for _, f := range l.Facts {
		changed[f.SnapshotID] = true
	}
	for _, f := range l.Year.Taken {
		changed[f.SnapshotID] = true
	}
	for _, h := range l.Year.Heads {
		if !changed[h.SnapshotID] {
			continue
		}
		settled, ok := readoutOf(l.Year, h.SnapshotID)
		if !ok || settled.Estimate.Refused() {
			continue // there was no number, and the settlement billed none
		}
		r, err := s.remeasure(ctx, l, h, settled)
		if lift.IsRefusal(err) {
			return err.Error(), nil
		}
		if err != nil {
			return "", err
		}
		if r.Estimate.Refused() {
			return h.SnapshotID + ": " + r.Estimate.Refusal, nil
		}
		l.Readouts = append(l.Readouts, r)
	}
	return "", nil
}

func readoutOf(y Year, snapshotID string) (lift.Readout, bool) {
	for _, r := range y.Bill.Readouts {
		if r.SnapshotID == snapshotID {
			return r, true
		}
	}
	return lift.Readout{}, false
}

// remeasure measures one frozen table with what came. Everything but the revenue is as it
// was frozen: units, arms, weights, features, and what the guardrail knows of them.
func (s *Service) remeasure(ctx context.Context, l *Look, h Head, settled lift.Readout) (lift.Readout, error) {
	y := l.Year
	table, err := lift.NewRemeasured(h.SnapshotID, y.Plan.Plan(), h.Layout, s.Ledger.Units(ctx, y.SettlementCycle, h.SnapshotID), h.Inputs.UnitDigest)
	if err != nil {
		return lift.Readout{}, err
	}
	taken := make([]Fact, 0, len(y.Taken))
	for _, f := range y.Taken {
		taken = append(taken, f)
	}
	if err := table.Change(changeOf(taken, h.SnapshotID, func(Fact) bool { return true })); err != nil {
		return lift.Readout{}, err
	}
	if err := cells(l, h.SnapshotID, table); err != nil {
		return lift.Readout{}, err
	}
	est, digest, err := table.Measure()
	if err != nil {
		return lift.Readout{}, err
	}
	inputs := h.Inputs
	inputs.Watermark, inputs.UnitDigest, inputs.SumMinor = l.Watermark, digest, est.SumMinor
	return lift.NewReadout(lift.ReadoutInput{
		AccountID: y.Account.ID, ContractID: y.Contract.ID, Period: y.Period, Plan: y.Plan, Estimate: est, Evidence: h.Evidence, Inputs: inputs, PreviousCaseID: settled.CaseID,
	})
}

// cells adds what is new to a table, one cell after the other; the pooled table takes all of
// it at once.
func cells(l *Look, snapshotID string, table *lift.Remeasured) error {
	if snapshotID == lift.SnapshotPooled {
		return table.Change(changeOf(l.Facts, snapshotID, func(Fact) bool { return true }))
	}
	before, _, err := table.PointMinor()
	if err != nil {
		return err
	}
	for i := range l.Lines {
		c := &l.Lines[i]
		if c.SnapshotID != snapshotID {
			continue
		}
		if err := table.Change(changeOf(l.Facts, snapshotID, func(f Fact) bool { return f.Origin == c.Origin && f.Cause == c.Cause })); err != nil {
			return err
		}
		after, ok, err := table.PointMinor()
		if err != nil {
			return err
		}
		if ok {
			c.LiftMinor, before = after-before, after
		}
	}
	return nil
}

// changeOf sums facts by unit: those of a snapshot, or of all for the pooled table.
func changeOf(facts []Fact, snapshotID string, of func(Fact) bool) map[string]int64 {
	out := map[string]int64{}
	for _, f := range facts {
		if (f.SnapshotID == snapshotID || snapshotID == lift.SnapshotPooled) && of(f) {
			out[f.UnitID] += f.AmountMinor
		}
	}
	return out
}
