package reward

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Bounds of a number that is worth reading. A JSON number such as 1e999999999
// parses cheaply and then exhausts memory in the first sum.
const (
	maxDecimalText = 40
	maxDecimalExp  = 30
)

// parseDecimal reads a decimal of sane length and magnitude, never through a float.
func parseDecimal(text string) (decimal.Decimal, bool) {
	if text == "" || len(text) > maxDecimalText {
		return decimal.Zero, false
	}
	d, err := decimal.NewFromString(text)
	if err != nil || d.Exponent() > maxDecimalExp || d.Exponent() < -maxDecimalExp {
		return decimal.Zero, false
	}
	return d, true
}

// shortDigits is how many digits fit 64 bits whatever they are.
const shortDigits = 18

// shortInteger reads what nearly every number is, a few digits, as parseDecimal and integer
// together do.
func shortInteger(text string) (int64, bool) {
	figures := strings.TrimPrefix(text, "-")
	if figures == "" || len(figures) > shortDigits {
		return 0, false
	}
	var n int64
	for i := range len(figures) {
		c := figures[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(figures) < len(text) {
		n = -n
	}
	return n, true
}

// integer converts a whole decimal that fits 64 bits.
func integer(d decimal.Decimal) (int64, bool) {
	if !d.IsInteger() {
		return 0, false
	}
	b := d.BigInt()
	if !b.IsInt64() {
		return 0, false
	}
	return b.Int64(), true
}

// proportion is amount × part / whole, rounded half to even, exact in between.
func proportion(amount, part, whole int64) (int64, bool) {
	if whole <= 0 {
		return 0, false
	}
	product := new(big.Int).Mul(big.NewInt(amount), big.NewInt(part))
	q := quoHalfEven(product, big.NewInt(whole))
	if !q.IsInt64() {
		return 0, false
	}
	return q.Int64(), true
}

// quoHalfEven divides by a positive number and rounds half to even.
func quoHalfEven(x, by *big.Int) *big.Int {
	q, r := new(big.Int).DivMod(x, by, new(big.Int))
	twice := new(big.Int).Lsh(r, 1).Cmp(by)
	if twice > 0 || (twice == 0 && q.Bit(0) == 1) {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// CashNet is the tax-free share of money that was paid: paid × netTotal / total,
// half to even. ok is false when the invoice total cannot carry the proportion.
func CashNet(paid, netTotal, total int64) (net int64, ok bool) {
	if total <= 0 || netTotal < 0 || netTotal > total {
		return 0, false
	}
	return proportion(paid, netTotal, total)
}

// places is how many digits after the point a stored rational keeps.
const places = 12

// decimalOf rounds a rational half to even at the stored precision.
func decimalOf(r *big.Rat) decimal.Decimal {
	scaled := new(big.Int).Mul(r.Num(), new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil))
	q := quoHalfEven(scaled, r.Denom())
	return decimal.NewFromBigInt(q, -places)
}

// unix writes a time for a key.
func unix(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// firstTime is the first time that is set.
func firstTime(ts ...time.Time) time.Time {
	for _, t := range ts {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// firstText is the first non-empty string.
func firstText(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func ptr(v int64) *int64 { return &v }
