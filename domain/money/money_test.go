package money_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func TestAllocateSumsAndStaysProportional(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 40).Draw(t, "weights")
		total := rapid.Int64Range(0, 1<<53).Draw(t, "total")
		sum := decimal.Zero
		for _, w := range weights {
			sum = sum.Add(decimal.NewFromInt(w))
		}
		parts, err := money.Allocate(total, weights)
		if sum.IsZero() && total > 0 {
			require.Equal(t, "weights_zero", fault.CodeOf(err))
			return
		}
		require.NoError(t, err)
		var got int64
		for i, p := range parts {
			got += p
			require.GreaterOrEqual(t, p, int64(0))
			if weights[i] == 0 {
				require.Zero(t, p, "nothing goes to a weight of zero")
				continue
			}
			// |part − total·w/Σw| < 1, in exact integers.
			off := decimal.NewFromInt(p).Mul(sum).Sub(decimal.NewFromInt(total).Mul(decimal.NewFromInt(weights[i]))).Abs()
			require.True(t, off.LessThan(sum), "part %d is %d", i, p)
		}
		require.Equal(t, total, got)
	})
}

func TestAllocateKnownAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		total   int64
		weights []int64
		want    []int64
	}{
		"ties go to the first":     {1, []int64{1, 1, 1}, []int64{1, 0, 0}},
		"two left over":            {5, []int64{1, 1, 1}, []int64{2, 2, 1}},
		"largest remainder wins":   {10, []int64{1, 2, 4}, []int64{1, 3, 6}},
		"a zero weight gets none":  {3, []int64{0, 1, 1}, []int64{0, 2, 1}},
		"nothing to split":         {0, []int64{3, 4}, []int64{0, 0}},
		"no weights and no total":  {0, []int64{}, []int64{}},
		"zero weights, zero total": {0, []int64{0, 0}, []int64{0, 0}},
		"beyond 64 bits inside":    {math.MaxInt64, []int64{math.MaxInt64, math.MaxInt64}, []int64{1 << 62, 1<<62 - 1}},
	} {
		got, err := money.Allocate(c.total, c.weights)
		require.NoError(t, err, name)
		require.Empty(t, cmp.Diff(c.want, got), name)
	}
	for code, c := range map[string]struct {
		total   int64
		weights []int64
	}{"weight_negative": {1, []int64{1, -1}}, "total_negative": {-1, []int64{1}}, "weights_zero": {1, nil}} {
		_, err := money.Allocate(c.total, c.weights)
		require.Equal(t, code, fault.CodeOf(err))
		require.True(t, fault.Is(err, fault.Invalid))
	}
}

func TestFromDecimalModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in                     string
		down, halfEven, halfUp int64
	}{
		{"0", 0, 0, 0}, {"0.49", 0, 0, 0}, {"0.5", 0, 0, 1}, {"1.5", 1, 2, 2}, {"2.5", 2, 2, 3}, {"2.50000001", 2, 3, 3},
		{"2.999999999999", 2, 3, 3}, {"-0.5", 0, 0, -1}, {"-1.5", -1, -2, -2}, {"-2.5", -2, -2, -3}, {"7", 7, 7, 7},
		{"9223372036854775807", math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		for mode, want := range map[money.Rounding]int64{money.Down: c.down, money.HalfEven: c.halfEven, money.HalfUp: c.halfUp} {
			got, err := money.FromDecimal(dec(c.in), "usd", mode)
			require.NoError(t, err)
			require.Equal(t, want, got.Minor(), "%s %s", mode, c.in)
		}
	}
	_, err := money.FromDecimal(dec("9223372036854775808"), "usd", money.Down)
	require.Equal(t, "amount_overflow", fault.CodeOf(err))
	_, err = money.FromDecimal(dec("1"), "usd", "ceiling")
	require.Equal(t, "rounding_unknown", fault.CodeOf(err))
	_, err = money.FromDecimal(dec("1"), "zzz", money.Down)
	require.Equal(t, "currency_unknown", fault.CodeOf(err))
}

// Stripe takes whole krónur and shillings only, written with two zeros, and
// three-decimal currencies in steps of ten.
func TestFromDecimalKeepsToTheStepOfTheCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency money.Currency
		in       string
		mode     money.Rounding
		want     int64
	}{
		{"isk", "12399.99", money.Down, 12300}, {"isk", "12350", money.HalfUp, 12400}, {"isk", "12250", money.HalfEven, 12200},
		{"isk", "-12399", money.Down, -12300}, {"ugx", "99", money.Down, 0}, {"ugx", "150", money.HalfEven, 200},
		{"kwd", "1239", money.Down, 1230}, {"kwd", "1235", money.HalfUp, 1240}, {"tnd", "5", money.HalfEven, 0},
		{"jpy", "12.9", money.Down, 12}, {"huf", "12.9", money.Down, 12}, {"usd", "12.9", money.Down, 12},
	} {
		got, err := money.FromDecimal(dec(c.in), c.currency, c.mode)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Minor(), "%s %s %s", c.currency, c.mode, c.in)
	}
}

func TestRoundingNeverMovesAWholeUnit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := decimal.New(rapid.Int64().Draw(t, "coefficient"), -rapid.Int32Range(1, 12).Draw(t, "places"))
		mode := rapid.SampledFrom([]money.Rounding{money.Down, money.HalfEven, money.HalfUp}).Draw(t, "mode")
		a, err := money.FromDecimal(d, "eur", mode)
		require.NoError(t, err)
		require.True(t, decimal.NewFromInt(a.Minor()).Sub(d).Abs().LessThan(dec("1")))
		if mode == money.Down {
			require.False(t, decimal.NewFromInt(a.Minor()).Abs().GreaterThan(d.Abs()), "down never bills more")
		}
	})
}

func TestParseRounding(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]money.Rounding{"": money.Down, "down": money.Down, "half_even": money.HalfEven, "half_up": money.HalfUp} {
		got, err := money.ParseRounding(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := money.ParseRounding("up")
	require.Equal(t, "rounding_unknown", fault.CodeOf(err))
	require.ErrorContains(t, err, "rounding: ")
}

// The decimal places are Stripe's, not ISO 4217's: ISK and UGX are sent with two.
func TestCurrencyTable(t *testing.T) {
	t.Parallel()
	for code, want := range map[money.Currency]int32{
		"usd": 2, "eur": 2, "jpy": 0, "krw": 0, "clp": 0, "vnd": 0, "xpf": 0, "kwd": 3, "bhd": 3, "jod": 3, "omr": 3, "tnd": 3,
		"isk": 2, "ugx": 2, "huf": 2, "twd": 2, "hrk": 2, "rub": 2, "xcg": 2,
	} {
		got, ok := code.Exponent()
		require.True(t, ok, code)
		require.Equal(t, want, got, code)
	}
	zero, three := 0, 0
	for i, c := range money.Currencies() {
		require.Len(t, string(c), 3)
		parsed, err := money.ParseCurrency(c.Code())
		require.NoError(t, err)
		require.Equal(t, c, parsed)
		if i > 0 {
			require.Less(t, money.Currencies()[i-1], c)
		}
		switch e, _ := c.Exponent(); e {
		case 0:
			zero++
		case 3:
			three++
		}
	}
	require.Equal(t, 15, zero)
	require.Equal(t, 5, three)
	for _, bad := range []string{"", "us", "usdd", "zzz", "u$d", "US D"} {
		_, err := money.ParseCurrency(bad)
		require.Equal(t, "currency_unknown", fault.CodeOf(err), bad)
	}
	_, ok := money.Currency("USD").Exponent()
	require.False(t, ok, "the stored form is lower-case")
}

func TestAmountArithmetic(t *testing.T) {
	t.Parallel()
	mk := func(minor int64, c money.Currency) money.Amount {
		a, err := money.New(minor, c)
		require.NoError(t, err)
		return a
	}
	sum, err := mk(150, "usd").Add(mk(-50, "usd"))
	require.NoError(t, err)
	require.Equal(t, mk(100, "usd"), sum)
	require.True(t, sum.IsPositive())
	require.False(t, money.Zero("usd").IsPositive())
	_, err = mk(1, "usd").Add(mk(1, "eur"))
	require.Equal(t, "currency_mixed", fault.CodeOf(err))
	for _, pair := range [][2]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}} {
		_, err = mk(pair[0], "usd").Add(mk(pair[1], "usd"))
		require.Equal(t, "amount_overflow", fault.CodeOf(err), pair)
	}
	_, err = mk(math.MaxInt64, "usd").Add(mk(math.MinInt64, "usd"))
	require.NoError(t, err)
	_, err = money.New(1, "zzz")
	require.Equal(t, "currency_unknown", fault.CodeOf(err))
}

func TestAmountText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor    int64
		currency money.Currency
		want     string
	}{
		{123450, "usd", "1,234.50 USD"}, {-123450, "usd", "-1,234.50 USD"}, {5, "usd", "0.05 USD"}, {0, "usd", "0.00 USD"},
		{-5, "usd", "-0.05 USD"}, {1234567, "jpy", "1,234,567 JPY"}, {999, "jpy", "999 JPY"}, {1234567, "kwd", "1,234.567 KWD"},
		{100000, "isk", "1,000.00 ISK"}, {math.MaxInt64, "usd", "92,233,720,368,547,758.07 USD"},
		{math.MinInt64, "jpy", "-9,223,372,036,854,775,808 JPY"},
	} {
		a, err := money.New(c.minor, c.currency)
		require.NoError(t, err)
		require.Equal(t, c.want, a.String())
		require.Empty(t, cmp.Diff(decimal.NewFromInt(c.minor), a.Major().Shift(mustExponent(t, c.currency))))
	}
	for in, want := range map[string]string{"": "", "1": "1", "12": "12", "123": "123", "1234": "1,234", "123456": "123,456", "-1234567.891": "-1,234,567.891", "1000.00": "1,000.00"} {
		require.Equal(t, want, money.Group(in))
	}
}

func mustExponent(t *testing.T, c money.Currency) int32 {
	t.Helper()
	e, ok := c.Exponent()
	require.True(t, ok)
	return e
}

// Where the quotient ends as a decimal, it is rounded like that decimal; where it does
// not, nothing is lost before the rounding.
func TestFromQuotient(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, d := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "numerator"), rapid.SampledFrom([]int64{1, 2, 4, 5, 8, 20, 125}).Draw(t, "denominator")
		currency := rapid.SampledFrom([]money.Currency{"usd", "isk", "jpy", "kwd"}).Draw(t, "currency")
		mode := rapid.SampledFrom([]money.Rounding{money.Down, money.HalfEven, money.HalfUp}).Draw(t, "mode")
		got, err := money.FromQuotient(decimal.NewFromInt(n), decimal.NewFromInt(d), currency, mode)
		require.NoError(t, err)
		want, err := money.FromDecimal(decimal.NewFromInt(n).Div(decimal.NewFromInt(d)), currency, mode)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	for _, c := range []struct {
		n, d string
		mode money.Rounding
		want int64
	}{
		{"2", "3", money.Down, 0}, {"2", "3", money.HalfUp, 1}, {"2", "3", money.HalfEven, 1}, {"1", "3", money.HalfUp, 0}, {"-2", "3", money.HalfUp, -1},
		{"1.00000000000000000001", "2", money.HalfEven, 1}, {"0.99999999999999999999", "2", money.HalfUp, 0}, {"5", "2", money.HalfEven, 2}, {"7", "2", money.HalfEven, 4},
	} {
		got, err := money.FromQuotient(dec(c.n), dec(c.d), "usd", c.mode)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Minor(), "%s / %s %s", c.n, c.d, c.mode)
	}
	_, err := money.FromQuotient(dec("1"), dec("0"), "usd", money.Down)
	require.Equal(t, "denominator_range", fault.CodeOf(err))
	_, err = money.FromQuotient(dec("9223372036854775808"), dec("1"), "usd", money.Down)
	require.Equal(t, "amount_overflow", fault.CodeOf(err))
}
