package billing

import (
	"github.com/liftbill/liftbill/domain/money"
)

// minimumCharge is Stripe's smallest charge in minor units by settlement currency
// (docs.stripe.com/currencies). Below it Stripe would mark the invoice as paid and
// move the amount to the customer's balance, which is not a bill.
var minimumCharge = map[money.Currency]int64{
	"usd": 50, "eur": 50, "cad": 50, "aud": 50, "nzd": 50, "chf": 50, "sgd": 50, "inr": 50, "brl": 50,
	"gbp": 30, "jpy": 50, "mxn": 1000, "huf": 17500, "dkk": 250, "nok": 300, "sek": 300, "hkd": 400,
	"pln": 200, "aed": 200, "myr": 200, "ron": 200, "czk": 1500, "bgn": 100, "thb": 1000,
}

// otherMinimum stands in for the currencies in which nobody settles: there Stripe wants
// what converts to the minimum of the settlement currency (half a US dollar). The
// amounts, in units of the currency, are worth about a dollar or more at the rates of
// 2025, so that a rate may halve before an invoice slips below; what is held back for
// being too small is billed with a later month.
var otherMinimum = map[money.Currency]int64{
	"amd": 500, "aoa": 1_500, "ars": 2_000, "bif": 5_000, "cdf": 5_000, "clp": 1_500, "cop": 6_000, "crc": 800, "djf": 250,
	"etb": 200, "gnf": 15_000, "gyd": 300, "htg": 200, "idr": 25_000, "isk": 200, "jmd": 250, "kes": 200, "khr": 6_000,
	"kmf": 700, "krw": 2_000, "kzt": 800, "lak": 40_000, "lbp": 150_000, "lkr": 500, "lrd": 300, "mga": 8_000, "mmk": 5_000,
	"mnt": 6_000, "mwk": 3_000, "ngn": 3_000, "npr": 200, "pkr": 500, "pyg": 12_000, "rsd": 200, "rwf": 2_500, "sos": 1_000,
	"std": 40_000, "tzs": 5_000, "ugx": 6_000, "uzs": 20_000, "vnd": 40_000, "vuv": 200, "xaf": 1_000, "xof": 1_000,
	"xpf": 200, "yer": 800,
}

// otherUnits is the minimum of every currency that no table names; the weakest of them
// is worth about a cent.
const otherUnits = 100

// minimumOf is the smallest amount that is sent, in minor units.
func minimumOf(c money.Currency) int64 {
	if m, ok := minimumCharge[c]; ok {
		return m
	}
	units, ok := otherMinimum[c]
	if !ok {
		units = otherUnits
	}
	places, _ := c.Exponent()
	for range places {
		units *= 10
	}
	return units
}

// maximumDigits is how many digits of minor units Stripe takes where it is not 8
// (docs.stripe.com/currencies). Where it depends on the card, the largest stands here:
// Stripe itself refuses the rest.
var maximumDigits = map[money.Currency]int{"idr": 12, "inr": 9, "jpy": 12, "huf": 12, "cop": 12, "lbp": 12}

// BelowMinimumCharge reports whether Stripe would not charge the amount.
func BelowMinimumCharge(a money.Amount) bool { return a.Minor() < minimumOf(a.Currency()) }

// AboveMaximumCharge reports whether the amount has more digits than Stripe takes.
func AboveMaximumCharge(a money.Amount) bool {
	digits, ok := maximumDigits[a.Currency()]
	if !ok {
		digits = 8
	}
	limit := int64(1)
	for range digits {
		limit *= 10
	}
	return a.Minor() >= limit
}
