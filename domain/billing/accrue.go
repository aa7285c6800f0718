package billing

import (
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// Accrual is what a month that is not closed would come to on the data so far, in minor
// units of the contract's currency: three figures with Low ≤ Expected ≤ High. It is made
// of numbers and words only: it holds no permission to bill and no line of an invoice.
type Accrual struct {
	Currency money.Currency
	Phase    PhaseKind
	// Held is why the expected price would not be invoiced in full, empty when it would.
	Held HeldReason
	// Low is the constrained estimate: the same terms at the lower confidence bound (the
	// idea of ASC 606-10-32-11). Expected is what Bill comes to.
	Low, Expected Accrued
	// HighMinor is the upper end: Expected and what the upper ends of the intervals leave
	// room for, at the highest rate of the terms, within the caps.
	HighMinor int64
	// Lines are the snapshots, ascending by ID; their amounts are before floors and caps.
	Lines []AccruedLine
}

// Accrued is one figure by what it would be booked as; the parts are what would stand on
// the invoice.
type Accrued struct {
	PerformanceMinor int64 // fees on lift and outcomes, true-ups included
	FixedMinor       int64 // floor, platform fee, minimum commitment
	BalanceMinor     int64 // holdbacks released and balances carried in
}

// TotalMinor is the figure.
func (a Accrued) TotalMinor() int64 { return a.PerformanceMinor + a.FixedMinor + a.BalanceMinor }

// AccruedLine is one snapshot of an accrual. Lift is contract year to date, fees are the
// month's.
type AccruedLine struct {
	SnapshotID string `json:"snapshot_id"`
	Passed     bool   `json:"passed"`
	// Reason is why something or everything of it would not be billed now.
	Reason lift.Code `json:"reason,omitempty"`
	// HasEstimate is whether the next three figures mean anything. UpperMinor is as far
	// above the point as the bound is below it.
	HasEstimate bool  `json:"has_estimate"`
	PointMinor  int64 `json:"point_minor"`
	BoundMinor  int64 `json:"bound_minor"`
	UpperMinor  int64 `json:"upper_minor"`
	// MarkMinor is what the contract year has billed before, HeadroomMinor what lies
	// between the mark after the expected month and the upper end.
	MarkMinor     int64 `json:"mark_minor"`
	HeadroomMinor int64 `json:"headroom_minor"`
	LowMinor      int64 `json:"low_minor"`
	ExpectedMinor int64 `json:"expected_minor"`
	HighMinor     int64 `json:"high_minor"`
}

// Accrue says what a month would come to before it is closed: docs/accruals.md has the
// rule and examples worked by hand. It is a function of what [Bill] is a function of.
func Accrue(in BillInput) (Accrual, error) {
	expected, err := Bill(in)
	if err != nil {
		return Accrual{}, err
	}
	bound := in
	bound.Contract.Terms.Basis, bound.Contract.Terms.Settlement = lift.BasisProven, lift.SettleProvenLift
	low, err := Bill(bound)
	if err != nil {
		return Accrual{}, err
	}
	out := Accrual{Currency: in.Contract.Terms.Currency, Phase: expected.Phase, Held: expected.Held, Expected: accruedOf(expected), Low: accruedOf(low)}
	if out.Low.TotalMinor() > out.Expected.TotalMinor() {
		out.Low = out.Expected // terms whose price falls when the lift rises
	}
	lows := map[string]int64{}
	for _, r := range low.Rows {
		lows[r.SnapshotID] = r.Fee
	}
	for _, r := range expected.Rows {
		l := AccruedLine{
			SnapshotID: r.SnapshotID, Passed: r.Passed, Reason: r.Reason, HasEstimate: r.HasEstimate, MarkMinor: r.HighWaterBefore,
			LowMinor: min(lows[r.SnapshotID], r.Fee), ExpectedMinor: r.Fee, HighMinor: r.Fee,
		}
		if r.HasEstimate {
			l.PointMinor, l.BoundMinor, l.UpperMinor = r.PointMinor, r.BoundMinor, upperOf(r.PointMinor, r.BoundMinor)
			l.HeadroomMinor = max(0, l.UpperMinor-r.HighWaterAfter)
		}
		out.Lines = append(out.Lines, l)
	}
	p, err := newPricer(PriceInput{Contract: in.Contract, Period: in.Period, Context: in.Context})
	if err != nil {
		return Accrual{}, err
	}
	p.rows, p.lines = expected.Rows, expected.Lines
	out.HighMinor, err = p.upper(in, out.Expected.TotalMinor(), out.Lines)
	return out, err
}

// accruedOf splits what would stand on the invoice as a journal books it.
func accruedOf(p Priced) Accrued {
	var a Accrued
	for _, l := range p.Lines {
		switch l.Kind {
		case LineFloor, LinePlatformFee, LineMinimum:
			a.FixedMinor += l.BilledMinor
		case LineHoldbackRelease, LineCarryIn:
			a.BalanceMinor += l.BilledMinor
		default:
			a.PerformanceMinor += l.BilledMinor
		}
	}
	return a
}

// upper is the high figure of a month that comes to expected; it fills in what the lines
// may rise to.
func (p *pricer) upper(in BillInput, expected int64, lines []AccruedLine) (int64, error) {
	look := pooledOf(in.Readouts)
	if p.phase.Kind == PhaseShadow || (look.Look != lift.LookMonth && look.Look != lift.LookSettlement) {
		for i := range lines {
			lines[i].HeadroomMinor = 0
		}
		return expected, nil // whatever is measured, the month bills no lift
	}
	if err := p.portfolio(look, lines); err != nil {
		return 0, err
	}
	more, err := p.headroom(lines)
	if err != nil {
		return 0, err
	}
	more += -p.charges(LineSettlementCredit) // what would confirm the year's lift leaves nothing to give back
	room, _, _ := p.room()
	more = min(more, max(0, room-p.charges(performance...)))
	gross := expected - p.charges(LineCarryOut)
	high := gross + more - p.absorbed(more) - p.heldBack(more)
	if p.t.FloorMinor > 0 || p.t.Minimum != nil {
		high = max(high, gross-p.charges(LineHoldback)) // a top-up replaces fees, and nothing is held back of it
	}
	return max(expected, min(high, maxMinor)), nil
}

// upperOf is as far above the point as the bound is below it. An interval without an end,
// which a guardrail withholds, ends where amounts do.
func upperOf(point, bound int64) int64 {
	within := func(v int64) int64 { return max(-maxMinor, min(v, maxMinor)) }
	return within(2*within(point) - within(bound))
}

// pooledOf is the verdict of the pooled readout; without one there is no look.
func pooledOf(readouts []lift.Readout) lift.Verdict {
	for _, r := range readouts {
		if r.SnapshotID == lift.SnapshotPooled {
			return r.Verdict
		}
	}
	return lift.Verdict{Look: lift.LookNone}
}

// portfolio limits the headroom of all lines by the upper end of the pooled readout, where
// the terms cap the portfolio.
func (p *pricer) portfolio(pooled lift.Verdict, lines []AccruedLine) error {
	if !p.t.Capped() || !pooled.HasEstimate {
		return nil
	}
	room := upperOf(pooled.PointMinor, pooled.BoundMinor)
	heads := make([]int64, len(lines))
	var sum int64
	for i, l := range lines {
		room -= p.rows[i].HighWaterAfter
		heads[i] = l.HeadroomMinor
		sum += l.HeadroomMinor
	}
	parts, err := money.Allocate(max(0, min(room, sum)), heads)
	if err != nil {
		return err
	}
	for i := range lines {
		lines[i].HeadroomMinor = parts[i]
	}
	return nil
}

// headroom prices what the lines may still rise by and returns the sum, rounded up.
func (p *pricer) headroom(lines []AccruedLine) (int64, error) {
	var base, rise int64
	for i, l := range lines {
		base, rise = base+p.rows[i].DeltaMinor, rise+l.HeadroomMinor
	}
	if rise == 0 {
		return 0, nil
	}
	rate, again, err := p.highest(base, rise)
	if err != nil {
		return 0, err
	}
	sum := p.up(again)
	// Several lines that are rounded, or share a tier, may together lose or gain a step each.
	slack := int64(0)
	if p.t.Rounding != money.Down || p.t.Tiers != nil {
		slack = p.t.Currency.Step()
	}
	for i := range lines {
		l := &lines[i]
		if l.HeadroomMinor > 0 {
			fee := p.up(decimal.NewFromInt(l.HeadroomMinor).Mul(rate))
			l.HighMinor += fee
			sum += fee
		}
		sum += slack
	}
	return sum, nil
}

// highest is the highest rate of the terms that the month's base may reach, netting and
// ramp included; again is what of earlier base a whole tier would price anew.
func (p *pricer) highest(base, rise int64) (rate, again decimal.Decimal, err error) {
	rate = p.share
	if t := p.t.Tiers; t != nil {
		all, err := p.brackets()
		if err != nil {
			return rate, again, err
		}
		before := p.time.base(t.Reset)
		now := reached(all, before+base).share
		for _, b := range all {
			if b.from <= before+base+rise {
				rate = decimal.Max(rate, b.share)
			}
		}
		if t.Mode == Whole && rate.GreaterThan(now) {
			again = decimal.NewFromInt(before + base).Mul(rate.Sub(now)).Mul(p.kept)
		}
	}
	return rate.Mul(p.kept).Mul(p.factor), again, nil
}

// up rounds up to what the currency can charge.
func (p *pricer) up(v decimal.Decimal) int64 {
	step := decimal.NewFromInt(p.t.Currency.Step())
	return v.Div(step).Ceil().Mul(step).IntPart()
}

// absorbed is what of further performance fees only replaces the top-ups to floor and
// minimum that the expected month has.
func (p *pricer) absorbed(more int64) int64 {
	counted := max(0, more+min(0, p.charges(LineLift, LineTiers, LineOutcome, LineCapExcess)))
	floor := min(counted, p.charges(LineFloor))
	m := p.t.Minimum
	if m == nil {
		return floor
	}
	var rises int64
	for _, c := range m.Counts {
		switch c {
		case CountsPerformance:
			rises += counted
		case CountsFloor:
			rises -= floor
		case CountsPlatformFee:
		}
	}
	return floor + min(max(0, rises), p.charges(LineMinimum))
}

// heldBack is what of further performance fees the holdback keeps for later.
func (p *pricer) heldBack(more int64) int64 {
	h := p.t.Holdback
	if h == nil || (h.ReleaseAfterMonths == 0 && p.Context.ClosesYear) {
		return 0
	}
	share, _ := fraction(h.Share) // Bill has read it
	step := p.t.Currency.Step()
	fees := max(0, more+min(0, p.charges(performance...)))
	return max(0, decimal.NewFromInt(fees).Mul(share).Div(decimal.NewFromInt(step)).Floor().IntPart()-1) * step
}
