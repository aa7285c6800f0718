package billing

import (
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// BillInput is one look of one contract, as it is stored.
type BillInput struct {
	Contract Contract
	Period   period.Month
	// Snapshots is the snapshot limit of the sealed plan.
	Snapshots int
	// Readouts are those of the period, the pooled one among them.
	Readouts []lift.Readout
	// HighWater is what the contract year consumed before, base and waived, by snapshot.
	HighWater map[string]int64
	Context   Context
	// Barred snapshots are not billed, whatever their readouts permit.
	Barred map[string]bool
}

// Bill settles the readouts by the terms and prices the result. It is the one way from
// readouts to an invoice, for a cycle as for the question what other terms had cost.
func Bill(in BillInput) (Priced, error) {
	t := in.Contract.Terms
	settle := lift.SettleInput{Basis: t.Basis, Settlement: t.Settlement, PortfolioCap: t.Capped(), Look: lift.LookNone, SnapshotLimit: in.Snapshots}
	var readouts []lift.Readout
	for _, r := range in.Readouts {
		if r.SnapshotID == lift.SnapshotPooled {
			settle.Pooled, settle.Look = r.Verdict, r.Verdict.Look
			continue
		}
		line := lift.SettleLine{SnapshotID: r.SnapshotID, Verdict: r.Verdict, HighWaterMinor: in.HighWater[r.SnapshotID]}
		if b, ok := r.Billable(); ok && !in.Barred[r.SnapshotID] {
			line.Billable = b
		}
		readouts = append(readouts, r)
		settle.Lines = append(settle.Lines, line)
		settle.TotalHighWaterMinor += line.HighWaterMinor
	}
	settled, err := lift.Settle(settle)
	if err != nil {
		return Priced{}, err
	}
	return Price(PriceInput{Contract: in.Contract, Period: in.Period, Settled: settled, Readouts: readouts, Context: in.Context})
}
