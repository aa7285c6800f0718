package billing_test

import (
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// settledYear is a contract year that was billed in one month and settled, and what its
// looks have booked since.
type settledYear struct {
	in     billing.TrueUpInput
	priced billing.Priced
	plan   lift.SealedPlan
	// passed are the snapshots that passed their settlement.
	passed map[string]bool
	points map[string]float64
}

// withheld has so large an error that the guardrail withholds it.
const withheld = 1e8

// settle bills a year whose eleventh month and settlement measure the given lifts; what is
// in held did not pass at the settlement.
func settle(t require.TestingT, terms func(*billing.Terms), eleventh, final map[string]float64, held map[string]bool) *settledYear {
	tl := newTeller(t, terms)
	y := &settledYear{plan: sealedIn(t, tl.contract.Terms.Currency, 8), passed: map[string]bool{}, points: maps.Clone(final)}
	at := func(look lift.Look, points map[string]float64, held map[string]bool) []lift.Readout {
		return y.readouts(t, look, points, held)
	}
	bill := func(in billing.BillInput) billing.Priced {
		p, err := billing.Bill(in)
		require.NoError(t, err)
		for _, r := range p.Rows {
			tl.marks[r.SnapshotID] = r.HighWaterAfter
		}
		return p
	}
	first := month(t, tl.contract.Terms.FirstPeriod)
	eleven, last := first.Add(10), first.Add(11)
	months := billing.BillInput{Contract: tl.contract, Period: eleven, Snapshots: 8, Readouts: at(lift.LookMonth, eleventh, nil), HighWater: map[string]int64{}}
	before := bill(months)
	past := []billing.Past{billing.PastOf(eleven, false, before)}
	y.in.Settled = billing.BillInput{Contract: tl.contract, Period: last, Snapshots: 8, Readouts: at(lift.LookSettlement, final, held), HighWater: maps.Clone(tl.marks),
		Context: billing.Context{Settlement: true, ClosesYear: true, Past: past}}
	y.priced = bill(y.in.Settled)
	y.in.Fees, y.in.Lines, y.in.Booked = map[string]int64{}, map[billing.LineKind]int64{}, map[string]int64{}
	for _, p := range []billing.Priced{before, y.priced} {
		if p.Phase == billing.PhaseShadow {
			continue
		}
		for _, l := range p.Lines {
			y.in.Lines[l.Kind] += l.AmountMinor
			if l.Kind == billing.LineLift {
				y.in.Fees[l.SnapshotID] += l.AmountMinor
			}
		}
	}
	for _, r := range y.in.Settled.Readouts {
		y.passed[r.SnapshotID] = r.Verdict.Passed
	}
	return y
}

func (y *settledYear) readouts(t require.TestingT, look lift.Look, points map[string]float64, held map[string]bool) []lift.Readout {
	var sum float64
	for _, p := range points {
		sum += p
	}
	out := []lift.Readout{readoutAt(t, y.plan, estimate(lift.SnapshotPooled, sum, 0.1), look)}
	for _, id := range []string{"a", "b", "c"} {
		point, ok := points[id]
		if !ok {
			continue
		}
		se := 0.1
		if held[id] {
			se = withheld
		}
		out = append(out, readoutAt(t, y.plan, estimate(id, point, se), look))
	}
	return out
}

// look measures the year with the cells on top of those before, and books what is due.
func (y *settledYear) look(t require.TestingT, held map[string]bool, cells ...billing.TrueUpCell) billing.TrueUpResult {
	for _, c := range cells {
		y.points[c.SnapshotID] += float64(c.LiftMinor)
	}
	y.in.Measured, y.in.Cells = y.readouts(t, lift.LookSettlement, y.points, held), cells
	res, err := billing.TrueUpYear(y.in)
	require.NoError(t, err)
	for i, c := range res.Cells {
		y.in.Booked[c.SnapshotID] += res.Amounts[i]
		y.in.BookedMinor += res.Amounts[i]
	}
	return res
}

func minorOf(t require.TestingT, text string) int64 {
	v, err := strconv.ParseInt(strings.NewReplacer(".", "", ",", "", "−", "-").Replace(text), 10, 64)
	require.NoError(t, err, text)
	return v
}

// TestTrueUpPageByHand holds the code to every amount of the table of docs/corrections.md
// that was worked by hand.
func TestTrueUpPageByHand(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/corrections.md")
	require.NoError(t, err)
	billed := map[string]float64{"a": 100_000, "b": 40_000}
	down := settle(t, nil, billed, billed, nil)
	both := settle(t, func(x *billing.Terms) { x.TrueUp = &billing.TrueUp{Direction: billing.TrueUpBoth} }, billed, billed, nil)
	type row struct {
		cell       billing.TrueUpCell
		down, both int64
	}
	looks, order := map[string][]row{}, []string{}
	for _, line := range strings.Split(string(page), "\n") {
		f := strings.Split(line, "|")
		if len(f) != 10 || !strings.HasPrefix(strings.TrimSpace(f[1]), "look ") {
			continue
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		if len(looks[f[1]]) == 0 {
			order = append(order, f[1])
		}
		looks[f[1]] = append(looks[f[1]], row{billing.TrueUpCell{
			Origin: month(t, f[2]), SnapshotID: f[3], Cause: billing.AdjustmentReason(f[4]), RevenueMinor: minorOf(t, f[5]), LiftMinor: minorOf(t, f[6]),
		}, minorOf(t, f[7]), minorOf(t, f[8])})
	}
	require.Len(t, order, 5, "the table is on the page")
	for _, name := range order {
		var cells []billing.TrueUpCell
		for _, r := range looks[name] {
			cells = append(cells, r.cell)
		}
		one, other := down.look(t, nil, cells...), both.look(t, nil, cells...)
		for i, r := range looks[name] {
			require.Equal(t, r.down, one.Amounts[i], "%s, line %s, down", name, r.cell.SnapshotID)
			require.Equal(t, r.both, other.Amounts[i], "%s, line %s, both", name, r.cell.SnapshotID)
		}
	}
}

// TestASettledYearGetsNoSecondLook: what did not pass at the settlement is never billed by a
// true-up, and of what passes no more, what the settlement billed is given back.
func TestASettledYearGetsNoSecondLook(t *testing.T) {
	t.Parallel()
	upward := func(x *billing.Terms) { x.TrueUp = &billing.TrueUp{Direction: billing.TrueUpBoth} }
	y := settle(t, upward, map[string]float64{"a": 50_000}, map[string]float64{"a": 80_000, "b": 90_000}, map[string]bool{"b": true})
	late := billing.TrueUpCell{Origin: month(t, "2026-06"), SnapshotID: "b", Cause: billing.AdjustLateEvent, RevenueMinor: 5_000, LiftMinor: 5_000}
	require.Zero(t, y.look(t, nil, late).DueMinor, "b passes now, and did not then")
	refund := billing.TrueUpCell{Origin: month(t, "2026-06"), SnapshotID: "a", Cause: billing.AdjustRefund, RevenueMinor: -100, LiftMinor: -100}
	require.Equal(t, int64(-6_000), y.look(t, map[string]bool{"a": true}, refund).DueMinor, "a fifth of the 30,000 that the settlement billed")
	refund.Cause, refund.LiftMinor = billing.AdjustDispute, 100
	require.Equal(t, int64(6_000), y.look(t, nil, refund).DueMinor, "and back")
}

// TestTrueUpsKeepTheOtherTerms: a commitment that stood above the fees stands above less of
// them; a shadow year owes nothing; a year's cap holds upward.
func TestTrueUpsKeepTheOtherTerms(t *testing.T) {
	t.Parallel()
	down := billing.TrueUpCell{Origin: month(t, "2026-06"), SnapshotID: "a", Cause: billing.AdjustRefund, RevenueMinor: -20_000, LiftMinor: -20_000}
	up := down
	up.Cause, up.RevenueMinor, up.LiftMinor = billing.AdjustLateEvent, 50_000, 50_000
	billed := map[string]float64{"a": 100_000}
	y := settle(t, func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 30_000} }, billed, billed, nil)
	require.Zero(t, y.look(t, nil, down).DueMinor)
	y = settle(t, func(x *billing.Terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 12}} }, billed, billed, nil)
	require.Zero(t, y.look(t, nil, down).DueMinor)
	y = settle(t, func(x *billing.Terms) {
		x.Caps, x.TrueUp = &billing.Caps{YearMinor: 23_000}, &billing.TrueUp{Direction: billing.TrueUpBoth}
	}, billed, billed, nil)
	require.Equal(t, int64(3_000), y.look(t, nil, up).DueMinor, "20,000 were billed, 23,000 is the cap")
}

// TestTrueUpProperties: over random contracts, years and looks, what is due is split without
// a remainder, the year stands where its settlement would, and neither the year nor a
// snapshot of it goes below 0.
func TestTrueUpProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		direction := rapid.SampledFrom([]billing.TrueUpDirection{billing.TrueUpDown, billing.TrueUpBoth}).Draw(t, "direction")
		lifts := func(name string) map[string]float64 {
			out := map[string]float64{}
			for _, id := range []string{"a", "b", "c"} {
				out[id] = float64(rapid.Int64Range(-100_000, 1_000_000).Draw(t, name+id))
			}
			return out
		}
		held := func(name string) map[string]bool {
			return map[string]bool{rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, name): true}
		}
		y := settle(t, func(x *billing.Terms) {
			drawTerms(t, x)
			x.TrueUp = &billing.TrueUp{Direction: direction}
		}, lifts("eleventh "), lifts("final "), held("held"))
		step := y.in.Settled.Contract.Terms.Currency.Step()
		for range rapid.IntRange(1, 4).Draw(t, "looks") {
			var cells []billing.TrueUpCell
			for i := range rapid.IntRange(1, 4).Draw(t, "cells") {
				move := rapid.Int64Range(-400_000, 200_000).Draw(t, "lift")
				cells = append(cells, billing.TrueUpCell{Origin: month(t, "2026-01").Add(i), SnapshotID: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "line"),
					Cause:        rapid.SampledFrom([]billing.AdjustmentReason{billing.AdjustRefund, billing.AdjustDispute, billing.AdjustLateEvent}).Draw(t, "cause"),
					RevenueMinor: move, LiftMinor: move})
			}
			before := y.in.BookedMinor
			res := y.look(t, held("now held"), cells...)
			requireTruedUp(t, y, res, before, step)
		}
	})
}

func requireTruedUp(t require.TestingT, y *settledYear, res billing.TrueUpResult, before, step int64) {
	var sum int64
	for _, a := range res.Amounts {
		require.Zero(t, a%step)
		sum += a
	}
	require.Equal(t, res.DueMinor, sum)
	require.Len(t, res.Amounts, len(res.Cells))
	position := res.MeasuredMinor - res.SettledMinor
	if y.in.Settled.Contract.Terms.AfterSettlement().Direction == billing.TrueUpDown {
		position = min(position, 0)
		require.LessOrEqual(t, y.in.BookedMinor, int64(0))
	}
	if position >= before {
		require.Equal(t, position, y.in.BookedMinor, "upward the year stands where its settlement would")
	} else {
		require.GreaterOrEqual(t, y.in.BookedMinor, position, "downward it gives back no more than that")
	}
	for id, minor := range y.in.Booked {
		require.GreaterOrEqual(t, y.in.Fees[id]+minor, int64(0), "the year of %s", id)
	}
	again := y.in
	again.Cells = []billing.TrueUpCell{{Origin: again.Settled.Period, SnapshotID: "a", Cause: billing.AdjustRefund}}
	if y.in.BookedMinor == position {
		same, err := billing.TrueUpYear(again)
		require.NoError(t, err)
		require.Zero(t, same.DueMinor, "nothing is due twice")
	}
}

func TestTrueUpTerms(t *testing.T) {
	t.Parallel()
	plain := contract(t, nil)
	require.Equal(t, billing.TrueUp{Direction: billing.TrueUpDown, LimitMonths: billing.TrueUpMonths}, plain.Terms.AfterSettlement())
	spelled := contract(t, func(x *billing.Terms) { x.TrueUp = &billing.TrueUp{LimitMonths: 12} })
	require.Equal(t, plain.Hash, spelled.Hash, "the default is not written down")
	wide := contract(t, func(x *billing.Terms) { x.TrueUp = &billing.TrueUp{Direction: billing.TrueUpBoth, LimitMonths: 6} })
	require.NotEqual(t, plain.Hash, wide.Hash)
	require.Contains(t, strings.Join(wide.Terms.Words(), "\n"), "trued up up and down, for 6 months")
	for field, bad := range map[string]billing.TrueUp{"true_up.direction": {Direction: "up"}, "true_up.limit_months": {LimitMonths: 37}} {
		x := terms()
		x.TrueUp = &bad
		_, err := x.Normalise()
		var refused *fault.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, field, refused.Field)
	}
	june := month(t, "2026-06")
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		netting *billing.Netting
		reason  billing.AdjustmentReason
		want    bool
	}{
		{nil, billing.AdjustRefund, true},
		{&billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.02"}, billing.AdjustRefund, false},
		{&billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.02"}, billing.AdjustLateEvent, true},
		{&billing.Netting{LookbackDays: 62}, billing.AdjustDispute, false},
		{&billing.Netting{LookbackDays: 63}, billing.AdjustDispute, true},
	} {
		k := contract(t, func(x *billing.Terms) { x.Netting = c.netting })
		got, err := k.Nets(c.reason, june, at)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c)
	}
}
