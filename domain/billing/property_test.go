package billing_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// drawTerms draws terms that go together; every term is there in some of them.
func drawTerms(t *rapid.T, x *billing.Terms) {
	currency := rapid.SampledFrom([]money.Currency{"usd", "jpy", "isk", "huf"}).Draw(t, "currency")
	window := func(name string) billing.Window {
		return rapid.SampledFrom([]billing.Window{billing.PerMonth, billing.PerQuarter, billing.PerYear}).Draw(t, name)
	}
	amount := func(name string, most int64) int64 {
		return rapid.Int64Range(0, most/currency.Step()).Draw(t, name) * currency.Step()
	}
	some := func(name string) bool { return rapid.IntRange(0, 2).Draw(t, name) == 0 }
	x.Currency = currency
	x.Basis = rapid.SampledFrom([]lift.Basis{lift.BasisMeasured, lift.BasisProven}).Draw(t, "basis")
	x.Share = rapid.SampledFrom([]string{"0.2", "0.333333333333", "1", "0.000001"}).Draw(t, "share")
	x.Rounding = rapid.SampledFrom([]money.Rounding{money.Down, money.HalfEven, money.HalfUp}).Draw(t, "rounding")
	if some("tiers") {
		x.Tiers = &billing.Tiers{Mode: rapid.SampledFrom([]billing.TierMode{billing.Marginal, billing.Whole}).Draw(t, "mode"), Reset: window("reset"),
			Above: []billing.Tier{{FromMinor: amount("tier", 1e6) + 100, Share: "0.15"}, {FromMinor: amount("tier", 1e6) + 1_100_000, Share: "0.4"}}}
	}
	if some("caps") {
		x.Caps = &billing.Caps{MonthMinor: amount("month cap", 1e6) + 1_000, YearMinor: amount("year cap", 5e6), TotalMinor: amount("total cap", 9e6),
			Excess: rapid.SampledFrom([]billing.CapExcess{billing.ExcessWaived, billing.ExcessCarried}).Draw(t, "excess")}
	}
	if some("floor") {
		x.FloorMinor = amount("floor", 1_000)
	}
	if some("platform") {
		x.PlatformFeeMinor = amount("platform fee", 1e5)
	}
	if some("minimum") {
		x.Minimum = &billing.Minimum{AmountMinor: amount("minimum", 1e6) + 100, Every: window("every")}
	}
	if some("outcomes") {
		x.Outcomes = []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "99.5", Included: 3}, {Kind: "upgrade", PriceMinor: "0.01"}}
	}
	if some("holdback") {
		x.Holdback = &billing.Holdback{Share: "0.15", ReleaseAfterMonths: rapid.IntRange(0, 3).Draw(t, "release")}
	}
	if some("netting") {
		x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.03"}
	}
	if some("phases") {
		x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1}, {Kind: billing.PhaseFree, Months: 1}}
		if x.Tiers == nil || x.Tiers.Mode != billing.Whole {
			x.Phases = append(x.Phases, billing.Phase{Kind: billing.PhaseRamp, Months: 2, Factor: "0.35", WaiveFixed: rapid.Bool().Draw(t, "waive")})
		}
	}
}

// drawMonth draws a month's lift, outcomes and true-ups.
func drawMonth(t *rapid.T, tl *teller, counted map[string]int64, n int) chapter {
	c := chapter{outcomes: map[string]int64{}, pooled: rapid.Int64Range(-1e6, 1e7).Draw(t, "pooled")}
	for _, id := range []string{"a", "b", "c"} {
		mark := ""
		if rapid.IntRange(0, 3).Draw(t, "withheld") == 0 {
			mark = "?"
		}
		c.ytd += fmt.Sprintf("%s=%d%s ", id, rapid.Int64Range(-1e5, 3e6).Draw(t, "ytd"), mark)
	}
	for _, kind := range []string{"conversion", "upgrade"} {
		counted[kind] += rapid.Int64Range(0, 200).Draw(t, kind)
		c.outcomes[kind] = counted[kind]
	}
	if n > 1 && rapid.Bool().Draw(t, "true-up") {
		step := tl.contract.Terms.Currency.Step()
		c.adjust = []billing.Adjustment{trueUp(fmt.Sprintf("x%d", n), "2026-01", billing.AdjustCorrection, "2026-02-01", rapid.Int64Range(-2e6, 1e5).Draw(t, "amount")/step*step)}
	}
	return c
}

// Random contracts over a year and its settlement. Every price is sound (its lines and
// the billed parts of them sum to the total, which is never negative nor too small to
// charge; steps recompute; only a permission makes a lift), and over the year no cent
// appears or vanishes: what was charged is invoiced, held back or handed on.
func TestPriceHoldsOverAYear(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tl := newTeller(t, func(x *billing.Terms) { drawTerms(t, x) })
		terms := tl.contract.Terms
		counted := map[string]int64{}
		var invoiced, charged, pending, held, fees int64
		months := rapid.IntRange(1, 13).Draw(t, "months")
		for n := 1; n <= months; n++ {
			c := drawMonth(t, tl, counted, n)
			c.settlement = n == 13
			p := tl.price(t, c)
			invoiced += p.Total.Minor()
			var own, floor int64
			for _, l := range p.Lines {
				if p.Phase == billing.PhaseShadow {
					continue
				}
				switch l.Kind {
				case billing.LineCarryIn, billing.LineCarryOut:
					pending -= l.AmountMinor
				case billing.LineHoldback, billing.LineHoldbackRelease:
					held -= l.AmountMinor
				case billing.LineFloor:
					floor = l.AmountMinor
					charged += l.AmountMinor
				case billing.LineLift, billing.LineTiers, billing.LineOutcome, billing.LineCap, billing.LineCapExcess:
					own += l.AmountMinor
					fees += l.AmountMinor
					charged += l.AmountMinor
				case billing.LineAdjustment, billing.LineSettlementCredit:
					fees += l.AmountMinor
					charged += l.AmountMinor
				default:
					charged += l.AmountMinor
				}
			}
			require.Equal(t, charged, invoiced+held+pending, "month %d", n)
			require.GreaterOrEqual(t, held, int64(0), "nothing is released that was not held back")
			if !c.settlement && p.Phase == billing.PhaseFull && terms.Caps == nil {
				require.GreaterOrEqual(t, max(0, own)+floor, terms.FloorMinor, "month %d", n)
			}
			if terms.Caps != nil && terms.Caps.YearMinor > 0 {
				require.LessOrEqual(t, fees, terms.Caps.YearMinor, "the year's cap holds")
			}
			if terms.Caps != nil && terms.Caps.MonthMinor > 0 {
				require.LessOrEqual(t, own, terms.Caps.MonthMinor+max(0, -sumOf(p, billing.LineAdjustment, billing.LineSettlementCredit)), "so does the month's")
			}
			if c.settlement && terms.Holdback != nil && terms.Holdback.ReleaseAfterMonths == 0 {
				require.Zero(t, held, "the close releases everything")
			}
		}
	})
}

func sumOf(p billing.Priced, kinds ...billing.LineKind) int64 {
	var sum int64
	for _, l := range p.Lines {
		for _, k := range kinds {
			if l.Kind == k {
				sum += l.AmountMinor
			}
		}
	}
	return sum
}

// The price is a function of its input: in any order of the readouts, again and again.
func TestPriceIsAFunction(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := contract(t, func(x *billing.Terms) {
			drawTerms(t, x)
			x.Currency, x.Caps, x.FloorMinor, x.PlatformFeeMinor, x.Minimum, x.Tiers = "usd", nil, 0, 0, nil, nil
		})
		plan := sealed(t, 8)
		readouts := []lift.Readout{readout(t, plan, estimate("a", 1e6, 1)), readout(t, plan, estimate("b", 2e5, 1)), readout(t, plan, estimate("c", -5, 1)),
			readout(t, plan, estimate(lift.SnapshotPooled, 1e7, 1))}
		bill := func(order []lift.Readout) billing.Priced {
			p, err := billing.Bill(billing.BillInput{Contract: c, Period: month(t, "2026-04"), Snapshots: 8, Readouts: order,
				Context: billing.Context{Outcomes: map[string]int64{"conversion": 50, "upgrade": 1e6}}})
			require.NoError(t, err)
			return p
		}
		require.Empty(t, cmp.Diff(bill(readouts), bill(rapid.Permutation(readouts).Draw(t, "order")), cmpopts.EquateComparable(money.Amount{}), cmpopts.IgnoreUnexported(billing.Line{})))
	})
}
