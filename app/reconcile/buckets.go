package reconcile

import (
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/lift"
)

// BucketSum is where revenue ended: on a snapshot or in a named bucket.
type BucketSum struct {
	Bucket      string // "snapshot", "before_exposure", "out_of_window", "next_year", "no_decision", "unmapped", "no_subscription", "other_currency", "own_invoice"
	SnapshotID  string // only for "snapshot"
	Currency    string
	AmountMinor int64
	Events      int
}

// OtherRevenue is the paid revenue of the contract year to date in one currency that is not the
// contract's. Nothing measures, bills or converts it, and it is part of no sum but its own.
type OtherRevenue struct {
	Currency string
	// Buckets hold it: "other_currency", and "own_invoice", which is nobody's revenue.
	Buckets []BucketSum
	// PaidMinor is what the ledger counted as paid in it when the cycle was frozen, StripeMinor
	// what Stripe's lists summed to; nil where nobody compared.
	PaidMinor, StripeMinor *int64
}

// SumMinor is what its buckets hold of the paid revenue.
func (o OtherRevenue) SumMinor() int64 {
	var sum int64
	for _, b := range o.Buckets {
		if b.Paid(o.Currency) {
			sum += b.AmountMinor
		}
	}
	return sum
}

// PartBuckets sets the buckets of the contract's currency apart from those of every other one,
// ascending by currency. books is what the ledger and Stripe's lists came to in each.
func PartBuckets(all []BucketSum, contract string, books []lift.Books) (own []BucketSum, others []OtherRevenue) {
	at := map[string]int{}
	of := func(currency string) *OtherRevenue {
		i, ok := at[currency]
		if !ok {
			i, at[currency] = len(others), len(others)
			others = append(others, OtherRevenue{Currency: currency})
		}
		return &others[i]
	}
	for _, b := range all {
		if b.Currency == contract {
			own = append(own, b)
			continue
		}
		o := of(b.Currency)
		o.Buckets = append(o.Buckets, b)
	}
	for _, b := range books {
		if b.Currency != contract {
			o := of(b.Currency)
			o.PaidMinor, o.StripeMinor = &b.OursMinor, &b.StripeMinor
		}
	}
	slices.SortFunc(others, func(a, b OtherRevenue) int { return strings.Compare(a.Currency, b.Currency) })
	return own, others
}

// Paid reports whether the bucket is part of the paid revenue in a currency: our own
// invoices are nobody's revenue, and other currencies are not summed.
func (b BucketSum) Paid(currency string) bool {
	return b.Currency == currency && b.Bucket != "own_invoice"
}
