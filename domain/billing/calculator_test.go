package billing_test

import (
	"math/big"
	"strings"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
)

// calculator reads what a step says: numbers, + − × ÷, parentheses, min and max. It
// shares no arithmetic with the package.
type calculator struct {
	t    require.TestingT
	text []rune
	at   int
}

func calculate(t require.TestingT, text string) *big.Rat {
	c := &calculator{t: t, text: []rune(strings.ReplaceAll(text, " ", ""))}
	v := c.sum()
	require.Equal(t, len(c.text), c.at, "%q is read to its end", text)
	return v
}

func (c *calculator) peek() rune {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

func (c *calculator) take(r rune) bool {
	if c.peek() != r {
		return false
	}
	c.at++
	return true
}

func (c *calculator) sum() *big.Rat {
	v := c.product()
	for {
		switch {
		case c.take('+'):
			v.Add(v, c.product())
		case c.take('−'):
			v.Sub(v, c.product())
		default:
			return v
		}
	}
}

func (c *calculator) product() *big.Rat {
	v := c.factor()
	for {
		switch {
		case c.take('×'):
			v.Mul(v, c.factor())
		case c.take('÷'):
			v.Quo(v, c.factor())
		default:
			return v
		}
	}
}

func (c *calculator) factor() *big.Rat {
	if c.take('-') {
		v := c.factor()
		return v.Neg(v)
	}
	if c.take('(') {
		v := c.sum()
		require.True(c.t, c.take(')'), string(c.text))
		return v
	}
	if word := c.run(unicode.IsLetter); word != "" {
		require.True(c.t, c.take('('), string(c.text))
		v := c.sum()
		for c.take(',') {
			w := c.sum()
			if (word == "min") == (w.Cmp(v) < 0) {
				v = w
			}
		}
		require.True(c.t, c.take(')'), string(c.text))
		return v
	}
	v, ok := new(big.Rat).SetString(c.run(func(r rune) bool { return unicode.IsDigit(r) || r == '.' }))
	require.True(c.t, ok, "%q at %d", string(c.text), c.at)
	return v
}

func (c *calculator) run(of func(rune) bool) string {
	from := c.at
	for c.at < len(c.text) && of(c.text[c.at]) {
		c.at++
	}
	return string(c.text[from:c.at])
}

// roundHere rounds to the step of the currency; down is toward minus infinity, so that
// the payer keeps the fraction of a fee and gets the fraction of a credit.
func roundHere(v *big.Rat, terms billing.Terms) *big.Rat {
	step := new(big.Rat).SetInt64(terms.Currency.Step())
	q := new(big.Rat).Quo(v, step)
	floor := new(big.Int).Div(q.Num(), q.Denom()) // Euclidean: floor for a positive divisor
	rest := new(big.Rat).Sub(q, new(big.Rat).SetInt(floor))
	half := big.NewRat(1, 2)
	up := false
	switch c := rest.Cmp(half); terms.Rounding {
	case money.HalfUp:
		up = c > 0 || (c == 0 && v.Sign() > 0) // away from zero
	case money.HalfEven:
		up = c > 0 || (c == 0 && floor.Bit(0) == 1)
	case money.Down:
	}
	if up {
		floor.Add(floor, big.NewInt(1))
	}
	return step.Mul(step, new(big.Rat).SetInt(floor))
}
