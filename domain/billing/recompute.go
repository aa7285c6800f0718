package billing

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// Recomputed is what a stored step comes to when its inputs are read again.
type Recomputed struct {
	// Arithmetic is false for a step that states a decision in words; it has no figures.
	Arithmetic bool
	// Exact is the value before rounding, as a decimal; with "…" at the end where it does
	// not end within the digits shown.
	Exact string
	// Result is what the formula makes of it, in the notation of Step.Result.
	Result string
	// Holds reports whether that is the stored result.
	Holds bool
}

// exactPlaces are the decimals that Exact shows at most.
const exactPlaces = 6

// Recompute reads the step's own inputs as a calculation, applies what its formula says
// around it (rounding, a limit at zero, a sign) and compares with the stored result. It
// shares no arithmetic with Price: a step that Price got wrong, or that somebody edited,
// does not hold. Inputs that cannot be read are an error.
func (s Step) Recompute() (Recomputed, error) {
	inputs := s.Inputs
	switch {
	case s.Name == "guardrail", strings.Contains(inputs, "≥"), s.Formula == "no estimate", inputs == "nothing billable" && s.Result == "0":
		return Recomputed{}, nil // words, or a comparison
	case s.Name == "waive", s.Name == "defer":
		return Recomputed{}, nil // the amount that is given up, and nothing to work out
	case s.Name == string(LineAdjustment):
		if s.Formula != "due" {
			return Recomputed{}, nil
		}
		inputs = inputs[strings.LastIndex(inputs, ": ")+1:]
	}
	v, err := calculate(inputs)
	if err != nil {
		return Recomputed{}, fault.Wrap(err, fault.Internal, "step_unreadable", "step %d, %s, cannot be recomputed", s.Number, s.Name)
	}
	out := Recomputed{Arithmetic: true, Exact: ratText(v)}
	if v, err = around(s.Formula, v); err != nil {
		return Recomputed{}, fault.Wrap(err, fault.Internal, "step_unreadable", "step %d, %s, cannot be recomputed", s.Number, s.Name)
	}
	out.Result = ratText(v)
	stored, err := calculate(s.Result)
	if err != nil {
		return out, nil //nolint:nilerr // a result in words is not what the figures come to
	}
	out.Holds = stored.Cmp(v) == 0
	if strings.HasSuffix(s.Formula, ", rounded down") && !out.Holds {
		// The estimates stand there with six decimals; at the very edge of a minor unit
		// their last digit may decide, and the stored figure has the digits behind it.
		exact, _ := calculate(inputs)
		near := new(big.Rat).Sub(exact, stored)
		edge := big.NewRat(1, 100_000)
		out.Holds = near.Cmp(new(big.Rat).Neg(edge)) >= 0 && near.Cmp(new(big.Rat).Add(big.NewRat(1, 1), edge)) < 0
	}
	if s.Name == "base" && strings.Contains(s.Formula, "at most its part") {
		out.Holds = stored.Sign() >= 0 && stored.Cmp(v) <= 0
	}
	return out, nil
}

// around applies what a formula says about the value of its inputs.
func around(formula string, v *big.Rat) (*big.Rat, error) {
	rest, negative := strings.CutPrefix(formula, "−")
	if spec, ok := strings.CutPrefix(rest, "round "); ok {
		spec, _, _ = strings.Cut(spec, "(")
		mode, to, _ := strings.Cut(spec, " to ")
		step := int64(1)
		if to != "" {
			var err error
			if step, err = strconv.ParseInt(to, 10, 64); err != nil || step < 1 {
				return nil, fault.New(fault.Internal, "step_unreadable", "%q is not a step of a currency", to)
			}
		}
		// A credit is rounded as what it is, so that rounding down favours the payer; a
		// holdback is a part of the fees, rounded before it is taken off.
		if negative && strings.Contains(formula, "in the payer's favour") {
			return roundRat(new(big.Rat).Neg(v), money.Rounding(mode), step)
		}
		out, err := roundRat(v, money.Rounding(mode), step)
		if err == nil && negative {
			out.Neg(out)
		}
		return out, err
	}
	out := new(big.Rat).Set(v)
	switch {
	case strings.HasPrefix(rest, "max(0, ") && out.Sign() < 0:
		out.SetInt64(0)
	case strings.HasSuffix(rest, ", rounded down"):
		out.SetInt(floorRat(v))
	}
	if negative {
		out.Neg(out)
	}
	return out, nil
}

// roundRat rounds to a multiple of step. Down is toward minus infinity: the payer keeps
// the fraction of a fee and gets the fraction of a credit.
func roundRat(v *big.Rat, mode money.Rounding, step int64) (*big.Rat, error) {
	unit := new(big.Rat).SetInt64(step)
	q := new(big.Rat).Quo(v, unit)
	floor := floorRat(q)
	rest := new(big.Rat).Sub(q, new(big.Rat).SetInt(floor))
	half := rest.Cmp(big.NewRat(1, 2))
	up := false
	switch mode {
	case money.Down:
	case money.HalfUp:
		up = half > 0 || (half == 0 && v.Sign() > 0)
	case money.HalfEven:
		up = half > 0 || (half == 0 && floor.Bit(0) == 1)
	default:
		return nil, fault.New(fault.Internal, "step_unreadable", "%q is not a rounding mode", string(mode))
	}
	if up {
		floor.Add(floor, big.NewInt(1))
	}
	return unit.Mul(unit, new(big.Rat).SetInt(floor)), nil
}

func floorRat(v *big.Rat) *big.Int { return new(big.Int).Div(v.Num(), v.Denom()) }

// ratText is the shortest decimal of a value, cut off after exactPlaces with "…".
func ratText(v *big.Rat) string {
	if v.IsInt() {
		return v.Num().String()
	}
	scaled := new(big.Rat).Mul(v, new(big.Rat).SetInt64(1_000_000))
	if scaled.IsInt() {
		return strings.TrimRight(v.FloatString(exactPlaces), "0")
	}
	cut := new(big.Int).Quo(scaled.Num(), scaled.Denom()) // toward zero: the digits that are there
	return new(big.Rat).SetFrac(cut, big.NewInt(1_000_000)).FloatString(exactPlaces) + "…"
}

// formula reads a calculation: numbers, + − × ÷, parentheses, min and max.
type formula struct {
	text []rune
	at   int
	err  error
}

// maxFormula bounds what is read; a step of 200 lines is far below it.
const maxFormula = 64 << 10

func calculate(text string) (*big.Rat, error) {
	if len(text) > maxFormula {
		return nil, fault.New(fault.Internal, "step_unreadable", "a calculation of %d bytes is not read", len(text))
	}
	f := &formula{text: []rune(strings.ReplaceAll(text, " ", ""))}
	v := f.sum(0)
	if f.err == nil && f.at < len(f.text) {
		f.fail("is not understood")
	}
	return v, f.err
}

func (f *formula) fail(why string) *big.Rat {
	if f.err == nil {
		f.err = fmt.Errorf("%q %s at character %d", string(f.text), why, f.at+1)
	}
	f.at = len(f.text)
	return new(big.Rat)
}

func (f *formula) take(r rune) bool {
	if f.at >= len(f.text) || f.text[f.at] != r {
		return false
	}
	f.at++
	return true
}

func (f *formula) sum(depth int) *big.Rat {
	v := f.product(depth)
	for {
		switch {
		case f.take('+'):
			v.Add(v, f.product(depth))
		case f.take('−'):
			v.Sub(v, f.product(depth))
		default:
			return v
		}
	}
}

func (f *formula) product(depth int) *big.Rat {
	v := f.factor(depth)
	for {
		switch {
		case f.take('×'):
			v.Mul(v, f.factor(depth))
		case f.take('÷'):
			d := f.factor(depth)
			if d.Sign() == 0 {
				return f.fail("divides by zero")
			}
			v.Quo(v, d)
		default:
			return v
		}
	}
}

// maxDepth bounds parentheses in parentheses.
const maxDepth = 32

func (f *formula) factor(depth int) *big.Rat {
	switch {
	case depth > maxDepth:
		return f.fail("is nested too deeply")
	case f.take('-'):
		v := f.factor(depth + 1)
		return v.Neg(v)
	case f.take('('):
		v := f.sum(depth + 1)
		if !f.take(')') {
			return f.fail("lacks a parenthesis")
		}
		return v
	}
	if word := f.run(unicode.IsLetter); word != "" {
		return f.choice(word, depth)
	}
	digits := f.run(func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
	v, ok := new(big.Rat).SetString(digits)
	if !ok {
		return f.fail("has no number")
	}
	return v
}

// choice reads the arguments of min or max.
func (f *formula) choice(word string, depth int) *big.Rat {
	if (word != "min" && word != "max") || !f.take('(') {
		return f.fail("has an unknown word")
	}
	v := f.sum(depth + 1)
	for f.take(',') {
		if w := f.sum(depth + 1); (word == "min") == (w.Cmp(v) < 0) {
			v = w
		}
	}
	if !f.take(')') {
		return f.fail("lacks a parenthesis")
	}
	return v
}

func (f *formula) run(of func(rune) bool) string {
	from := f.at
	for f.at < len(f.text) && of(f.text[f.at]) {
		f.at++
	}
	return string(f.text[from:f.at])
}
