package stripefake

import (
	"math"
	"math/big"
	"strings"
)

// minimums are the smallest charges per currency in minor units; a smaller
// amount due moves to the customer's balance. Currencies without an own
// minimum use 50.
var minimums = map[string]int64{
	"usd": 50, "eur": 50, "cad": 50, "aud": 50, "nzd": 50, "chf": 50, "sgd": 50, "inr": 50, "brl": 50, "gbp": 30,
	"jpy": 50, "mxn": 1000, "huf": 17500, "dkk": 250, "nok": 300, "sek": 300, "hkd": 400, "pln": 200, "aed": 200,
	"myr": 200, "ron": 200, "czk": 1500, "bgn": 100, "thb": 1000,
}

const knownCurrencies = " usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mro mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw "

// currency reads an optional currency code.
func (a args) currency() string {
	const key = "currency"
	v := strings.ToLower(a.text(key))
	if v == "" {
		return ""
	}
	if len(v) != 3 || !strings.Contains(knownCurrencies, " "+v+" ") {
		a.fail(invalid("", a.name(key), "Invalid currency: %s. Stripe currently supports these currencies:%s", v, strings.TrimSuffix(knownCurrencies, " ")))
	}
	return v
}

func minimum(currency string) int64 {
	if m, ok := minimums[currency]; ok {
		return m
	}
	return 50
}

// digits is the largest number of digits of an amount.
func digits(currency string) int {
	switch currency {
	case "idr":
		return 12
	case "inr":
		return 9
	case "jpy", "huf", "cop", "lbp":
		return 12
	}
	return 8
}

// checkAmount refuses amounts that are too large for the currency.
func checkAmount(amount int64, currency, param string) *apiError {
	limit := int64(math.Pow10(digits(currency))) - 1
	if amount > limit || amount < -limit {
		return invalid("amount_too_large", param, "Amount must be no more than %s %d (minor units)", strings.ToUpper(currency), limit)
	}
	return nil
}

// decimal reads a unit_amount_decimal: up to 12 decimal places of a minor unit.
func (a args) decimal(key string) *big.Rat {
	v := a.str(key, anyLength)
	if v == nil || *v == "" {
		return nil
	}
	_, frac, _ := strings.Cut(*v, ".")
	r, ok := new(big.Rat).SetString(*v)
	if !ok || len(frac) > 12 || strings.ContainsAny(*v, "/eE") {
		a.fail(invalid("parameter_invalid_decimal", a.name(key), "Invalid decimal: %s; must contain at maximum 12 decimal places.", *v))
		return nil
	}
	return r
}

// round is half away from zero, Stripe's rounding of line amounts.
func round(r *big.Rat) int64 {
	half := big.NewRat(1, 2)
	abs := new(big.Rat).Abs(r)
	abs.Add(abs, half)
	q := new(big.Int).Quo(abs.Num(), abs.Denom())
	if r.Sign() < 0 {
		q.Neg(q)
	}
	return q.Int64()
}

// decimalText prints a rational without trailing zeros.
func decimalText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(12), "0")
}

// share is part/whole of amount, rounded.
func share(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return round(big.NewRat(1, 1).Mul(big.NewRat(amount, 1), big.NewRat(part, whole)))
}
