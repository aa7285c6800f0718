// Package money holds exact amounts: integer minor units of one currency.
//
// Floats never enter it. Decimals enter through FromDecimal with a rounding mode
// that the caller names, and amounts of different currencies never mix.
package money

import (
	"sort"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// Currency is a lower-case ISO 4217 code as Stripe writes it.
type Currency string

// exponents are Stripe's: how many decimal places of the major unit one API
// minor unit stands for (docs.stripe.com/currencies). ISK and UGX are sent as
// two-decimal although they have no minor unit in practice.
var exponents = map[Currency]int32{
	"bif": 0, "clp": 0, "djf": 0, "gnf": 0, "jpy": 0, "kmf": 0, "krw": 0, "mga": 0,
	"pyg": 0, "rwf": 0, "vnd": 0, "vuv": 0, "xaf": 0, "xof": 0, "xpf": 0,
	"bhd": 3, "jod": 3, "kwd": 3, "omr": 3, "tnd": 3,
	"aed": 2, "afn": 2, "all": 2, "amd": 2, "ang": 2, "aoa": 2, "ars": 2, "aud": 2, "awg": 2, "azn": 2,
	"bam": 2, "bbd": 2, "bdt": 2, "bgn": 2, "bmd": 2, "bnd": 2, "bob": 2, "brl": 2, "bsd": 2, "bwp": 2,
	"byn": 2, "bzd": 2, "cad": 2, "cdf": 2, "chf": 2, "cny": 2, "cop": 2, "crc": 2, "cve": 2, "czk": 2,
	"dkk": 2, "dop": 2, "dzd": 2, "egp": 2, "etb": 2, "eur": 2, "fjd": 2, "fkp": 2, "gbp": 2, "gel": 2,
	"gip": 2, "gmd": 2, "gtq": 2, "gyd": 2, "hkd": 2, "hnl": 2, "htg": 2, "huf": 2, "idr": 2, "ils": 2,
	"inr": 2, "isk": 2, "jmd": 2, "kes": 2, "kgs": 2, "khr": 2, "kyd": 2, "kzt": 2, "lak": 2, "lbp": 2,
	"lkr": 2, "lrd": 2, "lsl": 2, "mad": 2, "mdl": 2, "mkd": 2, "mmk": 2, "mnt": 2, "mop": 2, "mur": 2,
	"mvr": 2, "mwk": 2, "mxn": 2, "myr": 2, "mzn": 2, "nad": 2, "ngn": 2, "nio": 2, "nok": 2, "npr": 2,
	"nzd": 2, "pab": 2, "pen": 2, "pgk": 2, "php": 2, "pkr": 2, "pln": 2, "qar": 2, "ron": 2, "rsd": 2,
	"sar": 2, "sbd": 2, "scr": 2, "sek": 2, "sgd": 2, "shp": 2, "sle": 2, "sos": 2, "srd": 2, "std": 2,
	"szl": 2, "thb": 2, "tjs": 2, "top": 2, "try": 2, "ttd": 2, "twd": 2, "tzs": 2, "uah": 2, "ugx": 2,
	"usd": 2, "uyu": 2, "uzs": 2, "wst": 2, "xcd": 2, "xcg": 2, "yer": 2, "zar": 2, "zmw": 2,
	// Billed in once, so that the histories of accounts hold them.
	"eek": 2, "hrk": 2, "ltl": 2, "lvl": 2, "mro": 2, "rub": 2, "sll": 2, "svc": 2, "vef": 2,
}

// ParseCurrency accepts an ISO 4217 code in any case and refuses unknown ones.
func ParseCurrency(s string) (Currency, error) {
	c := Currency(strings.ToLower(strings.TrimSpace(s)))
	if _, ok := exponents[c]; !ok {
		return "", fault.InvalidField("currency", "currency_unknown", "%q is not a currency that Stripe bills in", s).
			Fix(`Use a three-letter code such as "usd"`)
	}
	return c, nil
}

// Exponent is the number of decimal places of the major unit; ok is false for
// a currency that is not in Stripe's table.
func (c Currency) Exponent() (int32, bool) {
	e, ok := exponents[c]
	return e, ok
}

// stepPlaces is the power of ten of minor units in which Stripe charges: ISK and
// UGX carry two zeros that stand for nothing, three-decimal currencies end in one.
func (c Currency) stepPlaces() int32 {
	switch e := exponents[c]; {
	case c == "isk", c == "ugx":
		return 2
	case e == 3:
		return 1
	default:
		return 0
	}
}

// Step is the smallest number of minor units that Stripe charges and bills in.
func (c Currency) Step() int64 { return decimal.New(1, c.stepPlaces()).IntPart() }

// Code is the upper-case form that people read.
func (c Currency) Code() string { return strings.ToUpper(string(c)) }

// Currencies lists every known currency in alphabetical order.
func Currencies() []Currency {
	out := make([]Currency, 0, len(exponents))
	for c := range exponents {
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}
