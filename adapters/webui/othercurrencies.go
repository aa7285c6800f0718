package webui

import (
	"strings"

	"github.com/liftbill/liftbill/app/reconcile"
)

// otherView is the revenue in one currency that the contract does not measure: a table of its
// own, held against the ledger and Stripe's lists in its own currency.
type otherView struct {
	Currency  string
	Buckets   []bucketRow
	Sum       int64
	Events    int
	Paid      *int64 // in the ledger
	PaidGap   *int64 // what the buckets hold and the ledger does not
	Stripe    *int64 // in Stripe's lists
	StripeGap *int64
}

func othersOf(t reconcile.TieOut) []otherView {
	var out []otherView
	for _, o := range t.Others {
		v := otherView{Currency: o.Currency, Sum: o.SumMinor(), Paid: o.PaidMinor, Stripe: o.StripeMinor}
		v.PaidGap = gap(v.Sum, v.Paid)
		if v.Paid != nil {
			v.StripeGap = gap(*v.Paid, v.Stripe)
		}
		for _, b := range o.Buckets {
			row := bucketRow{Name: bucketName(b.Bucket), AmountMinor: b.AmountMinor, Events: b.Events, Currency: b.Currency, URL: otherURL(t.AccountID, b)}
			if b.Paid(o.Currency) {
				v.Events += b.Events
			}
			v.Buckets = append(v.Buckets, row)
		}
		out = append(out, v)
	}
	return out
}

// otherURL leads to the events behind a bucket of another currency.
func otherURL(accountID string, b reconcile.BucketSum) string {
	return query("/accounts/"+accountID+"/events", "currency", b.Currency, "joined", b.Bucket)
}

// statementOthers is the same on pages; nothing where all revenue is of the contract's currency.
func statementOthers(t reconcile.TieOut) []section {
	if len(t.Others) == 0 {
		return nil
	}
	s := section{
		Heading: "Revenue in other currencies", Note: "Out of scope: the contract measures and bills " + strings.ToUpper(t.Currency) + " only. In no readout, sum or fee above, and not converted.",
		Columns: []column{{Name: "currency"}, {Name: "bucket"}, {Name: "events", Kind: columnCount}, {Name: "amount", Kind: columnMoney}}, Labels: []string{"Currency", "Where", "Events", "Amount"},
	}
	for _, o := range othersOf(t) {
		for _, b := range o.Buckets {
			s.Rows = append(s.Rows, []any{strings.ToUpper(o.Currency), b.Name, int64(b.Events), cashOf(b.AmountMinor, o.Currency)})
		}
		s.Rows = append(s.Rows, []any{strings.ToUpper(o.Currency), "Sum of the buckets", int64(o.Events), cashOf(o.Sum, o.Currency)},
			[]any{strings.ToUpper(o.Currency), "Paid revenue in our ledger", nil, cash{o.Paid, o.Currency}}, []any{strings.ToUpper(o.Currency), "The same, read from Stripe's lists", nil, cash{o.Stripe, o.Currency}})
	}
	return []section{s}
}
