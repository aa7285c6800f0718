package lift

import (
	"sort"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// SettleLine is one snapshot at one look. Every snapshot of the contract year
// with a readout or with a high-water mark above zero must be there.
type SettleLine struct {
	SnapshotID string
	// Verdict is that of the snapshot's readout of this period.
	Verdict Verdict
	// Billable is the readout's permission; the zero value bills nothing.
	Billable Billable
	// HighWaterMinor is what the contract year has billed of this snapshot (the
	// base, not the fee).
	HighWaterMinor int64
}

// SettleInput is one look of one contract.
type SettleInput struct {
	Basis Basis
	// Settlement is that of the contract and the sealed plan; empty is SettleProvenLift.
	Settlement Settlement
	// PortfolioCap caps the year's total by the pooled readout.
	PortfolioCap bool
	Look         Look
	// SnapshotLimit is m of the sealed plan's error budget.
	SnapshotLimit int
	Lines         []SettleLine
	// Pooled is the verdict of the pooled readout.
	Pooled Verdict
	// TotalHighWaterMinor is the sum of the lines' marks, checked.
	TotalHighWaterMinor int64
}

// SettleRow explains one snapshot, in minor units. Deferred is what this look
// did not bill although the figure of the basis lies above the mark; at the
// settlement of the year it is waived.
type SettleRow struct {
	SnapshotID      string
	CaseID          string
	HasEstimate     bool
	PointMinor      int64
	BoundMinor      int64
	Eligible        bool
	TargetMinor     int64 // the figure of the basis, not below 0
	HighWaterBefore int64
	DeltaMinor      int64 // the base that is billed now
	HighWaterAfter  int64
	DeferredMinor   int64
	WaivedMinor     int64
	CreditMinor     int64 // how far a two-way settlement takes the snapshot back
	// Reason is why something or everything was not billed, empty when nothing was held back.
	Reason Code
}

// SettleResult is the outcome, rows ascending by snapshot id.
type SettleResult struct {
	Rows []SettleRow
	// BaseMinor is the sum of the deltas.
	BaseMinor int64
	// TotalBefore and TotalAfter are the year's marks.
	TotalBefore, TotalAfter int64
	// CapMinor is the pooled figure, not below 0, where a cap applied; RisesMinor is
	// what the snapshots alone would have billed.
	CapMinor   *int64
	RisesMinor int64
	// DeferredMinor and WaivedMinor sum the rows.
	DeferredMinor, WaivedMinor int64
	// DriftMinor is how far the measured lift of what was billed has fallen
	// below it: max(0, TotalAfter - max(0, sum of the points of billed snapshots)).
	// DriftKnown is false when a billed snapshot has no estimate.
	DriftMinor int64
	DriftKnown bool
	// CreditMinor is the base to credit at the settlement of the year: the drift, or
	// the sum of the rows' credits where that is more. Before the settlement the mark
	// carries it: later lift bills only above the mark.
	CreditMinor int64
}

// Settle applies the billing rule of the contract to one look:
//
//	target_s = max(0, floor(T_s)) measured, max(0, floor(LCB_s)) proven; for eligible s.
//	           At the settlement max(0, floor(T_s)) unless it is proven_lift
//	sum      = sum_s max(target_s, H_s)            (H_s alone where s is not eligible)
//	total    = max(Htot, min(sum, P)) with the cap, P = max(0, floor(pooled LCB)), of
//	           the pooled T where a proven year is settled to points; else sum
//	delta    = total - Htot, split over eligible s in proportion to max(0, target_s - H_s),
//	           largest remainder, ties by snapshot id
//	credit   = at the settlement, max(0, Htot - max(0, sum of T_s over billed s)); two-way
//	           at least sum_s max(0, H_s - max(0, floor(T_s)))
//
// A snapshot is eligible when its readout is billable at this look. When a data
// gate of the pooled readout fails, or the look is none, nothing is billed.
// Nothing is ever negative and no mark ever falls.
func Settle(in SettleInput) (SettleResult, error) {
	rule, err := Rule{in.Basis, in.Settlement}.Normalise()
	if err != nil {
		return SettleResult{}, err
	}
	lines, err := checkSettle(in)
	if err != nil {
		return SettleResult{}, err
	}
	res := SettleResult{Rows: make([]SettleRow, len(lines)), TotalBefore: in.TotalHighWaterMinor}
	blocked := in.blocked()
	rises := make([]int64, len(lines))
	var sum, room int64
	for i := range lines {
		r := rule.row(in.Look, &lines[i], blocked)
		if r.Eligible {
			rises[i] = max(0, r.TargetMinor-r.HighWaterBefore)
		}
		var ok bool
		if sum, ok = addMinor(sum, rises[i]); !ok {
			return SettleResult{}, overflow()
		}
		res.Rows[i] = r
	}
	room, res.RisesMinor = sum, sum
	if in.PortfolioCap && blocked == "" {
		limit := rule.limit(in.Look, in.Pooled)
		res.CapMinor = &limit
		room = max(0, min(sum, limit-in.TotalHighWaterMinor))
	}
	deltas, err := money.Allocate(room, rises)
	if err != nil {
		return SettleResult{}, err
	}
	return res.finish(rule, in.Look, deltas)
}

// blocked is the reason why this look bills nothing at all, empty when it may.
func (in SettleInput) blocked() Code {
	switch {
	case in.Look != LookMonth && in.Look != LookSettlement:
		return CodeNoLook
	case len(in.Pooled.Checks) == 0 || !in.Pooled.HasEstimate || !in.Pooled.DataGatesPassed:
		return CodePooledDataGate
	default:
		return ""
	}
}

// row is a line before the amounts are split.
func (r Rule) row(look Look, l *SettleLine, blocked Code) SettleRow {
	v := &l.Verdict
	out := SettleRow{SnapshotID: l.SnapshotID, CaseID: l.Billable.CaseID(), HasEstimate: v.HasEstimate,
		PointMinor: v.PointMinor, BoundMinor: v.BoundMinor, HighWaterBefore: l.HighWaterMinor, Reason: blocked}
	if !l.Billable.IsZero() {
		out.TargetMinor = r.figure(look, l.Billable.PointMinor(), l.Billable.BoundMinor())
		out.Eligible = blocked == ""
		return out
	}
	if v.HasEstimate {
		out.TargetMinor = r.figure(look, v.PointMinor, v.BoundMinor)
	}
	if out.Reason == "" {
		out.Reason = v.Headline
	}
	if out.Reason == "" {
		out.Reason = CodeNotIdentified // no readout at all in this period
	}
	return out
}

// finish fills in the rows and the sums.
func (res SettleResult) finish(rule Rule, look Look, deltas []int64) (SettleResult, error) {
	var measured, back int64
	res.DriftKnown = true
	for i := range res.Rows {
		r := &res.Rows[i]
		r.DeltaMinor = deltas[i]
		r.HighWaterAfter = r.HighWaterBefore + r.DeltaMinor
		held := max(0, r.TargetMinor-r.HighWaterAfter)
		switch {
		case look == LookSettlement:
			r.WaivedMinor = held
		default:
			r.DeferredMinor = held
		}
		if r.Eligible && held > 0 {
			r.Reason = CodePortfolioCapped
		} else if r.Eligible && r.DeltaMinor == 0 {
			r.Reason = CodeBelowHighWater
		}
		res.BaseMinor += r.DeltaMinor
		res.DeferredMinor += r.DeferredMinor
		res.WaivedMinor += r.WaivedMinor
		if r.HighWaterAfter > 0 {
			var ok bool
			if measured, ok = addMinor(measured, r.PointMinor); !ok {
				return SettleResult{}, overflow()
			}
			res.DriftKnown = res.DriftKnown && r.HasEstimate
		}
		if rule.Settlement == SettlePointTwoWay && look == LookSettlement && r.HasEstimate {
			r.CreditMinor = max(0, r.HighWaterAfter-max(0, r.PointMinor))
			back += r.CreditMinor
		}
	}
	res.TotalAfter = res.TotalBefore + res.BaseMinor
	if res.DriftKnown {
		res.DriftMinor = max(0, res.TotalAfter-max(0, measured))
		if look == LookSettlement {
			res.CreditMinor = res.DriftMinor
		}
	}
	res.CreditMinor = max(res.CreditMinor, back)
	return res, nil
}

// maxBase keeps sums of marks and rises inside 64 bits.
const maxBase = 1 << 53

// checkSettle validates the input and returns the lines ascending by snapshot id.
func checkSettle(in SettleInput) ([]SettleLine, error) {
	if len(in.Pooled.Checks) > 0 && in.Pooled.Look != in.Look {
		return nil, fault.New(fault.Conflict, "settle_pooled", "the pooled readout was judged at look %q, not at %q", string(in.Pooled.Look), string(in.Look))
	}
	if len(in.Lines) > in.SnapshotLimit {
		return nil, fault.InvalidField("lines", "snapshot_limit", "%d snapshots, the plan's error budget is split over %d", len(in.Lines), in.SnapshotLimit).
			Fix("Seal the next year's plan with a higher snapshot limit")
	}
	lines := append([]SettleLine(nil), in.Lines...)
	sort.Slice(lines, func(i, j int) bool { return lines[i].SnapshotID < lines[j].SnapshotID })
	var total int64
	for i := range lines {
		l := &lines[i]
		b := l.Billable
		switch {
		case l.SnapshotID == "" || l.SnapshotID == SnapshotPooled || (i > 0 && lines[i-1].SnapshotID == l.SnapshotID):
			return nil, fault.InvalidField("lines", "settle_snapshot", "snapshot %q is empty, reserved or repeated", l.SnapshotID)
		case l.HighWaterMinor < 0 || l.HighWaterMinor > maxBase:
			return nil, fault.InvalidField("lines", "settle_mark", "the mark of %s is %d", l.SnapshotID, l.HighWaterMinor)
		case b.IsZero():
		case b.SnapshotID() != l.SnapshotID || b.Look() != in.Look || !l.Verdict.Passed || b.PointMinor() != l.Verdict.PointMinor || b.BoundMinor() != l.Verdict.BoundMinor:
			return nil, fault.New(fault.Conflict, "settle_permission", "the permission for %s at look %q is used for %s at %q", b.SnapshotID(), string(b.Look()), l.SnapshotID, string(in.Look))
		case b.PointMinor() > maxBase:
			return nil, overflow()
		}
		total += l.HighWaterMinor
	}
	if total != in.TotalHighWaterMinor {
		return nil, fault.New(fault.Conflict, "settle_marks", "the marks of the snapshots sum to %d, the year's mark is %d", total, in.TotalHighWaterMinor).
			Fix("Pass every snapshot that was billed in the contract year")
	}
	return lines, nil
}
