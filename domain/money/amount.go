package money

import (
	"math"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// Amount is an exact number of minor units of one currency. The zero value has
// no currency and is refused by every operation.
type Amount struct {
	minor    int64
	currency Currency
}

// New makes an amount of minor units of a known currency.
func New(minor int64, currency Currency) (Amount, error) {
	if _, ok := currency.Exponent(); !ok {
		return Amount{}, fault.InvalidField("currency", "currency_unknown", "%q is not a known currency", string(currency))
	}
	return Amount{minor: minor, currency: currency}, nil
}

// Zero is no money of a currency.
func Zero(currency Currency) Amount { return Amount{currency: currency} }

// Minor is the number of minor units.
func (a Amount) Minor() int64 { return a.minor }

// Currency is the currency of the amount.
func (a Amount) Currency() Currency { return a.currency }

// IsPositive reports whether the amount is more than nothing.
func (a Amount) IsPositive() bool { return a.minor > 0 }

// Add adds an amount of the same currency; overflow and mixed currencies are errors.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.currency != b.currency {
		return Amount{}, fault.New(fault.Invalid, "currency_mixed", "cannot add %s to %s", b.currency.Code(), a.currency.Code())
	}
	sum := a.minor + b.minor
	if (b.minor > 0 && sum < a.minor) || (b.minor < 0 && sum > a.minor) {
		return Amount{}, fault.New(fault.Invalid, "amount_overflow", "sum of amounts exceeds 64 bits")
	}
	return Amount{minor: sum, currency: a.currency}, nil
}

// Major is the amount in major units, exact.
func (a Amount) Major() decimal.Decimal {
	exp, _ := a.currency.Exponent()
	return decimal.New(a.minor, -exp)
}

// String is the amount in major units with its currency code: "1,234.50 USD".
func (a Amount) String() string {
	exp, _ := a.currency.Exponent()
	return Group(a.Major().StringFixed(exp)) + " " + a.currency.Code()
}

// Group inserts thousands separators into a plain decimal string.
func Group(s string) string {
	sign, whole, frac := "", s, ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if i := strings.IndexByte(whole, '.'); i >= 0 {
		whole, frac = whole[:i], whole[i:]
	}
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return sign + b.String() + frac
}

// Rounding says how a decimal number of minor units becomes an integer.
type Rounding string

// The rounding modes that a contract may name.
const (
	// Down rounds toward zero: the payer keeps the fraction. Default.
	Down Rounding = "down"
	// HalfEven rounds to nearest, ties to even.
	HalfEven Rounding = "half_even"
	// HalfUp rounds to nearest, ties away from zero.
	HalfUp Rounding = "half_up"
)

// ParseRounding accepts the names of the modes; empty is Down.
func ParseRounding(s string) (Rounding, error) {
	switch r := Rounding(s); r {
	case "":
		return Down, nil
	case Down, HalfEven, HalfUp:
		return r, nil
	default:
		return "", fault.InvalidField("rounding", "rounding_unknown", "%q is not a rounding mode", s).Fix("Use down, half_even or half_up")
	}
}

// FromDecimal rounds a decimal number of minor units to an amount that the
// currency can be charged in: a multiple of its Step.
func FromDecimal(minor decimal.Decimal, currency Currency, mode Rounding) (Amount, error) {
	places := currency.stepPlaces()
	steps := minor.Shift(-places)
	switch mode {
	case Down:
		steps = steps.Truncate(0)
	case HalfEven:
		steps = steps.RoundBank(0)
	case HalfUp:
		steps = steps.Round(0)
	default:
		return Amount{}, fault.InvalidField("rounding", "rounding_unknown", "%q is not a rounding mode", string(mode))
	}
	r := steps.Shift(places)
	if r.Abs().GreaterThan(decimal.NewFromInt(math.MaxInt64)) {
		return Amount{}, fault.New(fault.Invalid, "amount_overflow", "%s minor units exceed 64 bits", r.String())
	}
	return New(r.IntPart(), currency)
}

// FromQuotient rounds numerator ÷ denominator, an exact number of minor units that
// need not end as a decimal, to an amount that the currency can be charged in. The
// denominator is positive.
func FromQuotient(numerator, denominator decimal.Decimal, currency Currency, mode Rounding) (Amount, error) {
	if !denominator.IsPositive() {
		return Amount{}, fault.New(fault.Invalid, "denominator_range", "cannot divide by %s", denominator.String())
	}
	places := currency.stepPlaces()
	steps, rest := numerator.QuoRem(denominator.Shift(places), 0) // toward zero, exact
	if mode == HalfEven || mode == HalfUp {
		switch twice := rest.Abs().Mul(decimal.NewFromInt(2)).Cmp(denominator.Shift(places)); {
		case twice > 0, twice == 0 && (mode == HalfUp || steps.IntPart()%2 != 0):
			steps = steps.Add(decimal.NewFromInt(int64(numerator.Sign())))
		}
	}
	return FromDecimal(steps.Shift(places), currency, mode)
}

// Allocate splits total over non-negative weights in proportion, by largest
// remainder; ties go to the lower index, so callers sort by a stable key first.
// The parts always sum to total. With no positive weight every part is zero and
// total must be zero. Method: Hamilton apportionment in exact decimals.
func Allocate(total int64, weights []int64) ([]int64, error) {
	sum := decimal.Zero
	for i, w := range weights {
		if w < 0 {
			return nil, fault.New(fault.Invalid, "weight_negative", "weight %d is negative", i)
		}
		sum = sum.Add(decimal.NewFromInt(w))
	}
	parts := make([]int64, len(weights))
	if total < 0 {
		return nil, fault.New(fault.Invalid, "total_negative", "cannot allocate a negative total")
	}
	if sum.IsZero() {
		if total != 0 {
			return nil, fault.New(fault.Invalid, "weights_zero", "cannot allocate %d over weights that sum to zero", total)
		}
		return parts, nil
	}
	remainders := make([]decimal.Decimal, len(weights))
	left := total
	for i, w := range weights {
		// Integer division in arbitrary precision keeps the remainder exact.
		q, r := decimal.NewFromInt(total).Mul(decimal.NewFromInt(w)).QuoRem(sum, 0)
		parts[i], remainders[i] = q.IntPart(), r
		left -= parts[i]
	}
	for ; left > 0; left-- {
		best := -1
		for i, r := range remainders {
			if weights[i] > 0 && (best < 0 || r.GreaterThan(remainders[best])) {
				best = i
			}
		}
		parts[best]++
		remainders[best] = decimal.NewFromInt(-1)
	}
	return parts, nil
}
