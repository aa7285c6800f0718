package billing

import (
	"strconv"

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

// BelowMinimumCharge reports whether Stripe would not charge the amount.
func BelowMinimumCharge(a money.Amount) bool { return a.Minor() < minimumCharge[a.Currency()] }

// DeferAll takes every fee back into the marks: nothing is billed now, and the
// same lift is billable in a later period of the contract year.
func DeferAll(p Priced, why string) Priced {
	out := Priced{Total: money.Zero(p.Total.Currency()), Steps: append([]Step{}, p.Steps...)}
	for _, l := range p.Lines {
		l.DeferredMinor += l.DeltaMinor
		l.DeltaMinor, l.HighWaterAfter, l.Fee = 0, l.HighWaterBefore, 0
		out.Lines = append(out.Lines, l)
	}
	out.Steps = append(out.Steps, Step{
		Number: len(out.Steps) + 1, Name: "defer", Formula: why,
		Inputs: strconv.FormatInt(p.Total.Minor(), 10), Result: "0",
	})
	return out
}
