package reconcile

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// Answer is how a line differs from the amount that somebody expected.
type Answer struct {
	ExpectedMinor int64
	// GapMinor is the line on the invoice without what was expected.
	GapMinor int64
	// NeededBaseMinor is the smallest base whose fee would reach the expected amount, and
	// MissingBaseMinor how far it lies above the base of the line; nil where the fee is not
	// a share of one base.
	NeededBaseMinor, MissingBaseMinor *int64
	// Otherwise is what the line would come to if one thing were otherwise, the nearest to
	// the expectation first.
	Otherwise []Alternative
}

// Alternative is the line under another reading of the contract.
type Alternative struct {
	If    string
	Minor int64
	// OffMinor is how far it is from what was expected; zero explains the difference.
	OffMinor int64
}

// ParseAmount reads an amount as people write it in a currency, in minor units: "415",
// "415.00", "1,415.5".
func ParseAmount(text, currency string) (int64, error) {
	return ParseMinor("expected", text, currency)
}

// ParseMinor is ParseAmount for a field of another name.
func ParseMinor(field, text, currency string) (int64, error) {
	d, err := ParseMajor(field, text, currency)
	if err != nil {
		return 0, err
	}
	exp, _ := money.Currency(currency).Exponent()
	return d.Shift(exp).IntPart(), nil
}

// mostDecimals is how many decimals the currency with the smallest minor unit has.
const mostDecimals = 3

// ParseBound is ParseMajor for a bound of a list; nil where nothing was given.
func ParseBound(field, text, currency string) (*decimal.Decimal, error) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil //nolint:nilnil // no bound is no error
	}
	d, err := ParseMajor(field, text, strings.ToLower(currency))
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// ParseMajor reads an amount of major units as people write it. With a currency it is a
// whole number of its minor units; with none it has the decimals that any currency has.
func ParseMajor(field, text, currency string) (decimal.Decimal, error) {
	refuse := func(why string) (decimal.Decimal, error) {
		e := fault.InvalidField(field, "amount_malformed", "%q %s", text, why)
		if currency == "" {
			return decimal.Decimal{}, e.Fix("Write it as 1234.56")
		}
		example := decimal.New(123456, 0)
		if exp, known := money.Currency(currency).Exponent(); known {
			return decimal.Decimal{}, e.Fix("Write it as %s, in %s", example.Shift(-exp).StringFixed(exp), strings.ToUpper(currency))
		}
		return decimal.Decimal{}, e.Fix("Choose another currency")
	}
	clean := strings.NewReplacer(",", "", " ", "", "\u00a0", "").Replace(text)
	if currency != "" {
		clean = strings.NewReplacer(strings.ToUpper(currency), "", currency, "").Replace(clean)
	}
	d, err := decimal.NewFromString(clean)
	if err != nil || len(clean) > 24 || strings.ContainsAny(clean, "eE") {
		return refuse("is not an amount")
	}
	exp := int32(mostDecimals)
	if currency != "" {
		var known bool
		if exp, known = money.Currency(currency).Exponent(); !known {
			return refuse("is in a currency whose minor unit is not known")
		}
	}
	minor := d.Shift(exp)
	if !minor.IsInteger() || minor.Abs().GreaterThan(decimal.NewFromInt(math.MaxInt64/4)) {
		return refuse("is not a whole number of minor units")
	}
	return d, nil
}

// Expect compares the line with an expected amount, in minor units.
func (e Explanation) Expect(expected int64) Answer {
	a := Answer{ExpectedMinor: expected, GapMinor: e.BilledMinor - expected}
	try := func(name string, v int64) {
		if v != e.BilledMinor && !slices.ContainsFunc(a.Otherwise, func(o Alternative) bool { return o.If == name }) {
			a.Otherwise = append(a.Otherwise, Alternative{name, v, v - expected})
		}
	}
	try("no cap, holdback or credit had reduced the line", e.AmountMinor)
	if e.Line != nil {
		e.otherwise(&a, try)
	}
	slices.SortStableFunc(a.Otherwise, func(x, y Alternative) int { return cmp.Compare(magnitude(x.OffMinor), magnitude(y.OffMinor)) })
	return a
}

// otherwise recomputes the fee with one of its inputs changed, by the stored formula.
func (e Explanation) otherwise(a *Answer, try func(string, int64)) {
	i := slices.IndexFunc(e.Steps, func(s Step) bool { return s.Name == "fee" && s.SnapshotID == e.Key })
	if i < 0 || strings.Contains(e.Steps[i].Formula, "all bases") {
		return // nothing was billed, or the tiers depend on all bases together
	}
	fee := e.Steps[i]
	_, factor, ok := strings.Cut(fee.Inputs, " × ")
	if !ok {
		return
	}
	of := func(formula string, base int64) (int64, bool) {
		r, err := billing.Step{Formula: formula, Inputs: strconv.FormatInt(base, 10) + " × " + factor}.Recompute()
		n, parseErr := strconv.ParseInt(r.Result, 10, 64)
		return n, err == nil && parseErr == nil
	}
	offer := func(name, formula string, base int64) {
		if v, ok := of(formula, max(0, base)); ok {
			try(name, v)
		}
	}
	l := e.Line
	offer("the whole measured lift were billed, and not what is above the mark", fee.Formula, l.MeasuredMinor)
	offer("the measured lift above the mark were billed", fee.Formula, l.MeasuredMinor-l.HighWaterFrom)
	offer("the lower bound above the mark were billed", fee.Formula, l.BoundMinor-l.HighWaterFrom)
	offer("the observed revenue were billed, and not what the policy added", fee.Formula, l.ObservedMinor)
	for _, mode := range []money.Rounding{money.Down, money.HalfUp, money.HalfEven} {
		head, rest, _ := strings.Cut(fee.Formula, "(")
		_, to, stepped := strings.Cut(head, " to ")
		if head = "round " + string(mode); stepped {
			head += " to " + to
		}
		offer("the fee were rounded "+strings.ReplaceAll(string(mode), "_", " "), head+"("+rest, l.BaseMinor)
	}
	e.needed(a, factor, func(base int64) (int64, bool) { return of(fee.Formula, base) })
}

// needed finds the smallest base whose fee reaches the expected amount.
func (e Explanation) needed(a *Answer, factor string, fee func(base int64) (int64, bool)) {
	if a.ExpectedMinor <= 0 {
		return
	}
	r, err := billing.Step{Formula: "expected ÷ share, rounded down", Inputs: strconv.FormatInt(a.ExpectedMinor, 10) + " ÷ (" + factor + ")", Result: "0"}.Recompute()
	base, parseErr := strconv.ParseInt(r.Result, 10, 64)
	if err != nil || parseErr != nil || base > math.MaxInt64/4 {
		return // a free month: no base reaches it
	}
	// The fee rises with the base, and rounding moves the place a little either way.
	high := base + 1
	for reaches := false; !reaches; high *= 2 {
		v, ok := fee(high)
		if !ok || high > math.MaxInt64/4 {
			return
		}
		if reaches = v >= a.ExpectedMinor; reaches {
			break
		}
	}
	base = int64(sort.Search(int(high), func(b int) bool { v, ok := fee(int64(b)); return ok && v >= a.ExpectedMinor }))
	missing := base - e.Line.BaseMinor
	a.NeededBaseMinor, a.MissingBaseMinor = &base, &missing
}

func magnitude(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
