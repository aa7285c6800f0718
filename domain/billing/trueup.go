package billing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// TrueUpDirection is in which direction a settled contract year may still move.
type TrueUpDirection string

// The directions.
const (
	// TrueUpDown: never above what its settlement came to. What a credit took off comes
	// back when its cause goes away, for example a dispute that is won.
	TrueUpDown TrueUpDirection = "down"
	// TrueUpBoth: up as well, within the guardrail and the caps.
	TrueUpBoth TrueUpDirection = "both"
)

// TrueUpMonths is for how long after its run-off a settled year is trued up, unless the
// terms say otherwise. Cards allow a dispute for 120 days at most, and its end takes months.
const TrueUpMonths = 12

// TrueUp is what is agreed on for a contract year after its settlement.
type TrueUp struct {
	// Direction is down unless said otherwise.
	Direction TrueUpDirection `json:"direction"`
	// LimitMonths is for how long after the run-off: TrueUpMonths unless said otherwise.
	LimitMonths int `json:"limit_months"`
}

// AfterSettlement are the terms with their defaults.
func (t Terms) AfterSettlement() TrueUp {
	out := TrueUp{Direction: TrueUpDown, LimitMonths: TrueUpMonths}
	if t.TrueUp != nil {
		out = *t.TrueUp
	}
	return out
}

// maxTrueUpMonths bounds the limit.
const maxTrueUpMonths = 36

func (t *Terms) checkTrueUp() error {
	if t.TrueUp == nil {
		return nil
	}
	u := *t.TrueUp
	u.Direction = cmp.Or(u.Direction, TrueUpDown)
	u.LimitMonths = cmp.Or(u.LimitMonths, TrueUpMonths)
	if err := oneOf("true_up.direction", u.Direction, TrueUpDown, TrueUpBoth); err != nil {
		return err
	}
	if u.LimitMonths < 1 || u.LimitMonths > maxTrueUpMonths {
		return fault.InvalidField("true_up.limit_months", "limit_range", "true-ups for %d months after a settlement", u.LimitMonths).Fix("Write 1 to %d, or leave it out for %d", maxTrueUpMonths, TrueUpMonths)
	}
	if t.TrueUp = &u; u == (TrueUp{Direction: TrueUpDown, LimitMonths: TrueUpMonths}) {
		t.TrueUp = nil
	}
	return nil
}

// Nets reports whether the terms true up what happened at a time and belongs to a month.
// What an agreed rate covers, and what comes after the lookback, they do not.
func (c Contract) Nets(reason AdjustmentReason, origin period.Month, at time.Time) (bool, error) {
	n := c.Terms.Netting
	if n == nil || (reason != AdjustRefund && reason != AdjustDispute) {
		return true, nil
	}
	if n.Mode == NetAgreedRate {
		return false, nil
	}
	zone, err := c.Zone()
	if err != nil {
		return false, err
	}
	return n.LookbackDays == 0 || at.Before(origin.In(zone).End.AddDate(0, 0, n.LookbackDays)), nil
}

// TrueUpCell is what came since of one month, line and cause: the revenue, and what the
// sealed plan measures of it. Amounts are minor units.
type TrueUpCell struct {
	// Origin is the month of the payment; the settlement for one of the run-off.
	Origin       period.Month
	SnapshotID   string
	Cause        AdjustmentReason
	RevenueMinor int64
	LiftMinor    int64
}

// TrueUpInput is one look at a settled contract year.
type TrueUpInput struct {
	// Settled is the settlement's price input as it was, Measured its readouts with what
	// came since; those of snapshots that nothing came of are the settlement's own.
	Settled  BillInput
	Measured []lift.Readout
	// Fees are what the year's lines on lift came to, by snapshot, and Lines what all of its
	// lines did, by kind, the settlement's among them and shadow months not; Booked is what
	// earlier looks made of them, with BookedMinor as its sum.
	Fees        map[string]int64
	Lines       map[LineKind]int64
	Booked      map[string]int64
	BookedMinor int64
	// Cells are what is new at this look, each one once.
	Cells []TrueUpCell
}

// TrueUpResult says what is due of a settled year, in minor units.
type TrueUpResult struct {
	// SettledMinor is what the settlement comes to, of the lines that a measurement can
	// move; MeasuredMinor is the same with what came since.
	SettledMinor, MeasuredMinor int64
	// DueMinor is the sum of Amounts, which are those of Cells in their order: the cells of
	// the input, and behind them lines that give something back although nothing came of
	// them, because their settlement billed what all lines together do not carry any more.
	DueMinor int64
	Cells    []TrueUpCell
	Amounts  []int64
}

// measurable are the lines of a settlement that a measurement can move. A commitment of the
// year is among them: what it topped up is not given back.
var measurable = append(append([]LineKind{}, performance...), LineMinimum)

// TrueUpYear prices the settlement of a contract year once more, by the function that priced
// it, with the readouts that the sealed plan gives with everything that came since:
//
//	position = fees(settlement, measured now) − fees(settlement, as it was)
//	due      = position, at most 0 unless the terms go both ways, less what was booked before
//
// A snapshot that did not pass at its settlement gets no second look, so that the year's
// error budget is not spent twice; one that passed must pass now too, or what its settlement
// billed is given back. What months billed stays as settlements do: given back is only what
// the year does not measure any more. The guardrail and the caps hold as ever.
//
// The amount is split over the cells that moved the lift in its direction, in proportion to
// their lift, by largest remainder. No snapshot's year goes below 0, and so no sum does.
func TrueUpYear(in TrueUpInput) (TrueUpResult, error) {
	was, err := in.fees(in.Settled.Readouts)
	if err != nil {
		return TrueUpResult{}, err
	}
	now, err := in.fees(in.Measured)
	if err != nil {
		return TrueUpResult{}, err
	}
	out := TrueUpResult{SettledMinor: was, MeasuredMinor: now, Cells: in.Cells, Amounts: make([]int64, len(in.Cells))}
	position := now - was
	if in.Settled.Contract.Terms.AfterSettlement().Direction == TrueUpDown {
		position = min(position, 0)
	}
	due := position - in.BookedMinor
	if due == 0 || len(in.Cells) == 0 {
		return out, nil
	}
	if err := in.split(due, &out); err != nil {
		return TrueUpResult{}, err
	}
	for _, a := range out.Amounts {
		out.DueMinor += a
	}
	return out, nil
}

// fees are the measurable lines of the settlement under some readouts. What did not pass at
// the settlement may not be billed by any of them.
func (in TrueUpInput) fees(readouts []lift.Readout) (int64, error) {
	b := in.Settled
	b.Readouts, b.Barred = readouts, map[string]bool{}
	for _, r := range in.Settled.Readouts {
		if _, ok := r.Billable(); !ok {
			b.Barred[r.SnapshotID] = true
		}
	}
	p, err := Bill(b)
	if err != nil {
		return 0, err
	}
	if p.Phase == PhaseShadow {
		return 0, nil // nothing of it was invoiced
	}
	var sum int64
	for _, l := range p.Lines {
		if slices.Contains(measurable, l.Kind) {
			sum += l.AmountMinor
		}
	}
	return sum, nil
}

// split gives each cell its part of what is due.
func (in TrueUpInput) split(due int64, out *TrueUpResult) error {
	step, sign := in.Settled.Contract.Terms.Currency.Step(), int64(1)
	if due < 0 {
		sign = -1
	}
	left, err := in.capacity(step)
	if err != nil {
		return err
	}
	rest := sign * due / step
	for rest > 0 {
		weights, some := in.weights(sign, left)
		if !some {
			return in.others(rest, step, left, out)
		}
		parts, err := money.Allocate(rest, weights)
		if err != nil {
			return err
		}
		var taken int64
		for _, i := range in.order() {
			part := parts[i]
			if sign < 0 {
				part = min(part, left[in.Cells[i].SnapshotID])
			}
			left[in.Cells[i].SnapshotID] += sign * part
			out.Amounts[i] += sign * part * step
			taken += part
		}
		rest -= taken
	}
	return nil
}

// others gives back the rest of what is due on the lines that nothing came of, in proportion
// to what they have left. What no line has left was not billed for one.
func (in TrueUpInput) others(rest, step int64, left map[string]int64, out *TrueUpResult) error {
	names, weights, sum := make([]string, 0, len(left)), []int64{}, int64(0)
	for name, steps := range left {
		if steps > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		weights, sum = append(weights, left[name]), sum+left[name]
	}
	if sum == 0 {
		return nil
	}
	parts, err := money.Allocate(min(rest, sum), weights)
	if err != nil {
		return err
	}
	out.Cells = slices.Clone(in.Cells)
	for i, name := range names {
		out.Cells = append(out.Cells, TrueUpCell{Origin: in.Settled.Period.Settlement(), SnapshotID: name, Cause: in.Cells[in.order()[0]].Cause})
		out.Amounts = append(out.Amounts, -parts[i]*step)
	}
	return nil
}

// order is that of the cells by their names, which no order of the input changes.
func (in TrueUpInput) order() []int {
	out := make([]int, len(in.Cells))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int {
		x, y := in.Cells[a], in.Cells[b]
		return cmp.Or(strings.Compare(x.Origin.String(), y.Origin.String()), strings.Compare(x.SnapshotID, y.SnapshotID), strings.Compare(string(x.Cause), string(y.Cause)))
	})
	return out
}

// weights are the lift of the cells that moved it in the direction of what is due; where
// none did, their lift in any direction, and then their revenue. A snapshot that has nothing
// left to give back has no weight; some is false where all have none.
func (in TrueUpInput) weights(sign int64, left map[string]int64) (weights []int64, some bool) {
	for _, weigh := range []func(TrueUpCell) int64{
		func(c TrueUpCell) int64 { return max(0, sign*c.LiftMinor) },
		func(c TrueUpCell) int64 { return max(c.LiftMinor, -c.LiftMinor) },
		func(c TrueUpCell) int64 { return max(c.RevenueMinor, -c.RevenueMinor) },
		func(TrueUpCell) int64 { return 1 },
	} {
		weights = make([]int64, len(in.Cells))
		for i, c := range in.Cells {
			if sign > 0 || left[c.SnapshotID] > 0 {
				weights[i] = weigh(c)
				some = some || weights[i] > 0
			}
		}
		if some {
			break
		}
	}
	return weights, some
}

// capacity is what each snapshot's year can give back, in steps of the currency: its part of
// what the lines of the year came to after tiers, caps and the settlement, and what earlier
// looks made of it.
func (in TrueUpInput) capacity(step int64) (map[string]int64, error) {
	names := make([]string, 0, len(in.Fees))
	var fees int64
	for name, minor := range in.Fees {
		if minor > 0 {
			names, fees = append(names, name), fees+minor
		}
	}
	slices.Sort(names)
	paid := in.paid(fees)
	weights := make([]int64, len(names))
	for i, name := range names {
		weights[i] = in.Fees[name] / step
	}
	parts, err := money.Allocate(paid/step, weights)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for i, name := range names {
		out[name] = parts[i]
	}
	for name, minor := range in.Booked {
		out[name] = max(0, out[name]+minor/step)
	}
	return out, nil
}

// paid is what the fees on lift of the year came to, tiers and caps included, at most the
// lines themselves.
func (in TrueUpInput) paid(fees int64) int64 {
	sum := func(kinds ...LineKind) decimal.Decimal {
		total := decimal.Zero
		for _, k := range kinds {
			total = total.Add(decimal.NewFromInt(in.Lines[k]))
		}
		return total
	}
	lifts := decimal.NewFromInt(fees).Add(sum(LineTiers))
	all := lifts.Add(sum(LineOutcome))
	if !all.IsPositive() {
		return 0
	}
	return min(fees, max(0, lifts.Mul(all.Add(sum(LineCap, LineCapExcess))).Div(all).IntPart()))
}

// TrueUpID is the natural key of a look at a settled year by a cycle.
func TrueUpID(settlementCycle, bookingCycle string) string {
	return settlementCycle + "/" + bookingCycle
}

// AdjustmentID is the natural key of what a look made due of a month, line and cause.
func AdjustmentID(trueUp string, c TrueUpCell) string {
	return nameUUID("true_up", trueUp, c.Origin.String(), c.SnapshotID, string(c.Cause))
}
