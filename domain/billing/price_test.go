package billing_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

func TestPriceKnownAnswers(t *testing.T) {
	t.Parallel()
	plan := sealed(t, 4)
	readouts := []lift.Readout{
		readout(t, plan, estimate("a", 123_457.9, 10_000)), // proven: 3.29 × 10,000 below
		readout(t, plan, estimate("b", 50_000, 40_000)),    // bound below zero
		readout(t, plan, estimate("c", -5_000, 1_000)),     // harmful
		readout(t, plan, estimate("d", 33.3, 1)),
	}
	p := priceAll(t, contract(t, nil), 4, readouts, map[string]int64{"a": 23_456}, 200_000, 1_000)
	got := map[string][2]int64{}
	for _, l := range p.Rows {
		got[l.SnapshotID] = [2]int64{l.DeltaMinor, l.Fee}
	}
	// a: floor(123,457.9) − 23,456 = 100,001; × 0.20 = 20,000.2, rounded down. d: 33 × 0.20 = 6.6.
	require.Equal(t, map[string][2]int64{"a": {100_001, 20_000}, "b": {0, 0}, "c": {0, 0}, "d": {33, 6}}, got)
	require.Equal(t, "200.06 USD", p.Total.String())

	p = priceAll(t, contract(t, func(x *billing.Terms) { x.Rounding = money.HalfUp }), 4, readouts, map[string]int64{"a": 23_456}, 200_000, 1_000)
	require.Equal(t, int64(20_007), p.Total.Minor(), "6.6 is 7")

	// Proven: floor(123,457.9 − 3.290527 × 10,000) = 90,552, capped at floor(100,000 − 2.878162 × 20,000) = 42,436 with d's 30.
	proven := contract(t, func(x *billing.Terms) { x.Basis = lift.BasisProven })
	p = priceAll(t, proven, 4, readouts, nil, 100_000, 20_000)
	require.Equal(t, int64(42_436), p.Rows[0].DeltaMinor+p.Rows[3].DeltaMinor)
	require.Equal(t, "at most its part of the pooled bound", p.Steps[3].Formula[len(p.Steps[3].Formula)-len("at most its part of the pooled bound"):])
	at := slices.IndexFunc(p.Steps, func(s billing.Step) bool { return s.Name == "portfolio_cap" })
	require.Positive(t, at)
	capped := p.Steps[at]
	require.Equal(t, "min(90582, max(0, 42436 − 0))", capped.Inputs)
	require.Equal(t, "42436", capped.Result)
}

// The steps say it in words and numbers that a pocket calculator reproduces.
func TestPriceStepsCanBeFollowed(t *testing.T) {
	t.Parallel()
	plan := sealed(t, 4)
	readouts := []lift.Readout{readout(t, plan, estimate("a", 1_000, 10)), readout(t, plan, estimate("b", -1, 10))}
	p := priceAll(t, contract(t, nil), 4, readouts, nil, 1_000, 1)
	var text []string
	for i, s := range p.Steps {
		require.Equal(t, i+1, s.Number)
		text = append(text, fmt.Sprintf("%s|%s|%s|%s|%s", s.SnapshotID, s.Name, s.Formula, s.Inputs, s.Result))
	}
	require.Equal(t, []string{
		"a|measure|measured = observed − counterfactual, rounded down|9000000 − 8999000.000000|1000",
		"a|bound|bound = measured − z × standard error, rounded down|1000.000000 − 3.290527 × 10.000000|967",
		"a|guardrail|every check passes|" + fmt.Sprintf("%d checks", len(readouts[0].Verdict.Checks)) + "|passed",
		"a|base|max(0, measured − billed before)|1000 − 0|1000",
		"b|measure|measured = observed − counterfactual, rounded down|9000000 − 9000001.000000|-1",
		"b|bound|bound = measured − z × standard error, rounded down|-1.000000 − 3.290527 × 10.000000|-34",
		"b|guardrail|every check passes|NEGATIVE_LIFT|withheld",
		"a|fee|round down(base × share)|1000 × 0.20|200",
		"|total|sum of the lines|200|200",
	}, text)

	refused := estimate("a", 0, 0)
	refused.Refusal, refused.Result = "no unit of the holdout", estimate("a", 0, 0).Result
	p = priceAll(t, contract(t, nil), 4, []lift.Readout{readout(t, plan, refused)}, nil, 1_000, 1)
	require.Equal(t, "no estimate", p.Steps[0].Formula)
	require.Equal(t, "nothing billable", p.Steps[len(p.Steps)-1].Inputs)
	require.Zero(t, p.Total.Minor())
}

// Whatever was measured: the lines sum to the total, a failed readout never gets a
// fee, and with rounding down the fee never exceeds the share.
func TestPriceProperties(t *testing.T) {
	t.Parallel()
	plan := sealed(t, 12)
	rapid.Check(t, func(t *rapid.T) {
		terms := func(x *billing.Terms) {
			x.Basis = rapid.SampledFrom([]lift.Basis{lift.BasisMeasured, lift.BasisProven}).Draw(t, "basis")
			x.PortfolioCap = ptr(rapid.Bool().Draw(t, "cap"))
			x.Share = rapid.SampledFrom([]string{"0.2", "0.333333333333", "1", "0.000001", "0.99"}).Draw(t, "share")
			x.Rounding = rapid.SampledFrom([]money.Rounding{money.Down, money.HalfEven, money.HalfUp}).Draw(t, "rounding")
		}
		c := contract(t, terms)
		marks, readouts := map[string]int64{}, []lift.Readout{}
		for i := range rapid.IntRange(1, 12).Draw(t, "snapshots") {
			id := fmt.Sprintf("s%02d", i)
			point, se := rapid.Float64Range(-1e6, 1e9).Draw(t, "point"), rapid.Float64Range(0, 1e8).Draw(t, "se")
			readouts = append(readouts, readout(t, plan, estimate(id, point, se)))
			marks[id] = rapid.Int64Range(0, 1e6).Draw(t, "mark")
		}
		p := priceAll(t, c, 12, readouts, marks, rapid.Float64Range(-1e6, 1e10).Draw(t, "pooled"), 1)
		share := decimal.RequireFromString(c.Terms.Share)
		var sum, fees int64
		for i, l := range p.Rows {
			sum += l.Fee
			require.GreaterOrEqual(t, l.Fee, int64(0))
			if !readouts[i].Verdict.Passed {
				require.Zero(t, l.Fee, "withheld: %s", readouts[i].Verdict.Headline)
				require.Zero(t, l.DeltaMinor)
			}
			off := decimal.NewFromInt(l.Fee).Sub(decimal.NewFromInt(l.DeltaMinor).Mul(share))
			require.True(t, off.Abs().LessThan(decimal.NewFromInt(1)))
			if c.Terms.Rounding == money.Down {
				require.False(t, off.IsPositive())
			}
		}
		for _, s := range p.Steps {
			if s.Name == "fee" {
				var n int64
				_, err := fmt.Sscan(s.Result, &n)
				require.NoError(t, err)
				fees += n
			}
		}
		require.Equal(t, p.Total.Minor(), sum)
		require.Equal(t, p.Total.Minor(), fees, "the stored steps come to the same")
	})
}

// A base that the guardrail did not permit is a bug, and stops the cycle.
func TestPriceRefusesWhatWasNotPermitted(t *testing.T) {
	t.Parallel()
	plan := sealed(t, 4)
	price := func(change func(*billing.Terms), rows []lift.SettleRow, readouts ...lift.Readout) error {
		_, err := billing.Price(billing.PriceInput{Contract: contract(t, change), Period: month(t, "2026-01"), Settled: lift.SettleResult{Rows: rows}, Readouts: readouts})
		return err
	}
	failed, passed := readout(t, plan, estimate("a", -1, 10)), readout(t, plan, estimate("a", 100, 1))
	other := passed
	other.SnapshotID = "c" // under another name the permission of "a" permits nothing
	for i, c := range []struct {
		code    string
		row     lift.SettleRow
		readout lift.Readout
		change  func(*billing.Terms)
	}{
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", DeltaMinor: 1}, failed, nil},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", DeltaMinor: -1}, passed, nil},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", DeltaMinor: 101}, passed, nil},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", HighWaterBefore: 100, DeltaMinor: 1}, passed, nil},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", DeltaMinor: 100}, passed, func(x *billing.Terms) { x.Basis = lift.BasisProven }},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "a", DeltaMinor: 100}, passed, func(x *billing.Terms) { x.Currency = "eur" }},
		{"base_not_permitted", lift.SettleRow{SnapshotID: "c", DeltaMinor: 100}, other, nil},
		{"readout_missing", lift.SettleRow{SnapshotID: "b"}, passed, nil},
	} {
		err := price(c.change, []lift.SettleRow{c.row}, c.readout)
		require.Equal(t, c.code, fault.CodeOf(err), "case %d", i)
		require.True(t, fault.Is(err, fault.Internal))
	}
	require.NoError(t, price(nil, []lift.SettleRow{{SnapshotID: "a", DeltaMinor: 100}}, passed))
	require.Equal(t, "amount_overflow", fault.CodeOf(price(nil, []lift.SettleRow{{SnapshotID: "a", DeltaMinor: math.MaxInt64}}, passed)))
	var rows []lift.SettleRow
	var readouts []lift.Readout
	for i := range billing.MaxBillableSnapshots + 1 {
		id := fmt.Sprintf("s%03d", i)
		readouts = append(readouts, readout(t, plan, estimate(id, 100, 1)))
		rows = append(rows, lift.SettleRow{SnapshotID: id, DeltaMinor: 100})
	}
	require.Equal(t, "lines_count", fault.CodeOf(price(nil, rows, readouts...)))
	require.NoError(t, price(nil, rows[1:], readouts...))
	_, err := billing.Price(billing.PriceInput{Contract: billing.Contract{Terms: billing.Terms{Share: "1e9999999", FirstPeriod: "2026-01"}}, Period: month(t, "2026-01")})
	require.Equal(t, "share_range", fault.CodeOf(err))
}

// What a cycle is told of the past and of true-ups is checked before it is priced.
func TestPriceRefusesABrokenContext(t *testing.T) {
	t.Parallel()
	past := func(months ...string) (out []billing.Past) {
		for _, m := range months {
			out = append(out, billing.Past{Period: month(t, m), Phase: billing.PhaseFull})
		}
		return out
	}
	price := func(m string, c billing.Context) error {
		_, err := billing.Price(billing.PriceInput{Contract: contract(t, func(x *billing.Terms) { x.Currency = "isk" }), Period: month(t, m), Context: c})
		return err
	}
	up := func(id, origin string, minor int64) billing.Context {
		return billing.Context{Adjustments: []billing.Adjustment{trueUp(id, origin, billing.AdjustRefund, "2026-01-01", minor)}}
	}
	twice := up("a", "2026-01", 100)
	twice.Adjustments = append(twice.Adjustments, twice.Adjustments[0])
	huge := past("2026-01")
	huge[0].Lines = map[billing.LineKind]int64{billing.LineLift: math.MaxInt64}
	base := past("2026-01")
	base[0].BaseMinor = -1
	for i, c := range []struct {
		code string
		err  error
	}{
		{"past_order", price("2026-03", billing.Context{Past: past("2026-02", "2026-01")})},
		{"past_order", price("2026-03", billing.Context{Past: past("2026-03")})},
		{"past_order", price("2026-03", billing.Context{Past: past("2026-04")})},
		{"amount_overflow", price("2026-03", billing.Context{Past: huge})},
		{"amount_overflow", price("2026-03", billing.Context{Past: base})},
		{"adjustment_malformed", price("2026-03", up("", "2026-01", 100))},
		{"adjustment_malformed", price("2026-03", up("a b", "2026-01", 100))},
		{"adjustment_malformed", price("2026-03", up("a", "2026-04", 100))},
		{"amount_overflow", price("2026-03", up("a", "2026-01", math.MinInt64))},
		{"amount_step", price("2026-03", up("a", "2026-01", 150))},
		{"adjustment_repeated", price("2026-03", twice)},
		{"period_before_contract", price("2025-12", billing.Context{})},
	} {
		require.Equal(t, c.code, fault.CodeOf(c.err), "case %d", i)
	}
	require.NoError(t, price("2026-12", billing.Context{Settlement: true, Past: past("2026-11", "2026-12", "2027-01")}), "the next year began meanwhile")
	settled := past("2026-12")
	settled[0].Settlement = true
	require.Equal(t, "past_order", fault.CodeOf(price("2026-12", billing.Context{Settlement: true, Past: settled})), "a year is settled once")
}

func TestBelowMinimumCharge(t *testing.T) {
	t.Parallel()
	for c, least := range map[money.Currency]int64{"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "huf": 17500, "mxn": 1000, "czk": 1500, "hkd": 400} {
		for minor, want := range map[int64]bool{0: true, least - 1: true, least: false, least + 1: false} {
			a, err := money.New(minor, c)
			require.NoError(t, err)
			require.Equal(t, want, billing.BelowMinimumCharge(a), a)
		}
	}
	// Where Stripe names none, a stand-in that is worth about a dollar or more.
	for c, least := range map[money.Currency]int64{"krw": 2_000, "clp": 1_500, "isk": 20_000, "ugx": 600_000, "twd": 10_000, "zar": 10_000, "vnd": 40_000} {
		for minor, want := range map[int64]bool{least - 1: true, least: false} {
			a, err := money.New(minor, c)
			require.NoError(t, err)
			require.Equal(t, want, billing.BelowMinimumCharge(a), a)
		}
	}
	for _, c := range money.Currencies() {
		a, err := money.New(0, c)
		require.NoError(t, err)
		require.True(t, billing.BelowMinimumCharge(a), "nothing is below every minimum")
	}
}

func TestAboveMaximumCharge(t *testing.T) {
	t.Parallel()
	for c, most := range map[money.Currency]int64{"usd": 99_999_999, "inr": 999_999_999, "idr": 999_999_999_999} {
		for minor, want := range map[int64]bool{0: false, most: false, most + 1: true} {
			a, err := money.New(minor, c)
			require.NoError(t, err)
			require.Equal(t, want, billing.AboveMaximumCharge(a), a)
		}
	}
}

// What is too little to charge leaves the marks where they were, so that it can be
// billed later.
func TestTooLittleIsDeferred(t *testing.T) {
	t.Parallel()
	plan := sealed(t, 4)
	readouts := []lift.Readout{readout(t, plan, estimate("a", 160, 1)), readout(t, plan, estimate("b", -1, 1))}
	p := priceAll(t, contract(t, nil), 4, readouts, map[string]int64{"a": 10}, 1_000, 1)
	require.Zero(t, p.Total.Minor())
	require.Empty(t, p.Lines)
	require.Equal(t, billing.HeldBelowMinimum, p.Held)
	require.Equal(t, money.Currency("usd"), p.Total.Currency())
	for i, r := range p.Rows {
		require.Zero(t, r.Fee)
		require.Zero(t, r.DeltaMinor)
		require.Equal(t, r.HighWaterBefore, r.HighWaterAfter)
		require.Equal(t, []int64{150, 0}[i], r.DeferredMinor)
	}
	last := p.Steps[len(p.Steps)-2:]
	require.Equal(t, billing.Step{Number: len(p.Steps) - 1, Name: "defer", Formula: "total below Stripe's minimum charge of 50: the lift is billed later", Inputs: "30", Result: "0"}, last[0])
	require.Equal(t, "nothing billable", last[1].Inputs)

	p = priceAll(t, contract(t, func(x *billing.Terms) { x.PlatformFeeMinor = 30 }), 4, nil, nil, 1_000, 1)
	require.Equal(t, billing.HeldBelowMinimum, p.Held)
	for _, s := range p.Steps {
		require.NotEqual(t, "defer", s.Name, "there is no lift to defer")
	}
}
