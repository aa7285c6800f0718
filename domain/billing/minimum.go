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

// maximumDigits is how many digits of minor units Stripe takes where it is not 8
// (docs.stripe.com/currencies). Where it depends on the card, the largest stands here:
// Stripe itself refuses the rest.
var maximumDigits = map[money.Currency]int{"idr": 12, "inr": 9, "jpy": 12, "huf": 12, "cop": 12, "lbp": 12}

// BelowMinimumCharge reports whether Stripe would not charge the amount.
func BelowMinimumCharge(a money.Amount) bool { return a.Minor() < minimumCharge[a.Currency()] }

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
