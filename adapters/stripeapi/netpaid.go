package stripeapi

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/reward"
)

// watchedEvents are the types whose newest event tells whether all was received.
// Stripe takes at most 20 of them in one filter.
var watchedEvents = []string{
	"customer.created", "customer.updated", "customer.deleted", "customer.subscription.created", "customer.subscription.updated",
	"customer.subscription.deleted", "invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "charge.refunded",
	"charge.dispute.created", "charge.dispute.closed", "credit_note.created",
}

// NewestEvent is the newest event that Stripe still keeps (30 days) of the types that
// we are sent; ok is false when there is none.
func (r *SourceReader) NewestEvent(ctx context.Context, connectionID string) (id string, created time.Time, ok bool, err error) {
	return r.LatestEvent(ctx, connectionID, watchedEvents)
}

// NetPaid is the net paid revenue of a period by currency as Stripe's own lists show it: cash collected without tax, minus refunds that succeeded, minus disputes
// that took money and were not won. Our own invoices, and what was returned of them,
// are left out.
func (r *SourceReader) NetPaid(ctx context.Context, connectionID string, in period.Interval) (map[string]int64, error) {
	net := map[string]int64{}
	err := r.PaidInvoices(ctx, connectionID, in.Start, in.End, func(p PaidInvoice) error {
		if !p.OwnInvoice && p.CashNetMinor != 0 {
			net[p.Currency] += p.CashNetMinor
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	returned, err := r.returned(ctx, connectionID, in)
	if err != nil {
		return nil, err
	}
	for charge, amounts := range returned {
		var c reward.Owner
		if charge != "" { // whose it is tells the charge alone, to the ledger too
			c, err = r.Charge(ctx, connectionID, charge)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		for currency, amount := range amounts {
			if !c.OwnInvoice {
				net[currency] -= amount
			}
		}
	}
	return net, nil
}

// returned sums refunds and disputes by the charge that they belong to and by currency.
func (r *SourceReader) returned(ctx context.Context, connectionID string, in period.Interval) (map[string]map[string]int64, error) {
	refunds, err := r.Refunds(ctx, connectionID, in.Start, in.End)
	if err != nil {
		return nil, err
	}
	disputes, err := r.Disputes(ctx, connectionID, in.Start, in.End)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]int64{}
	add := func(charge, currency string, minor int64) {
		if out[charge] == nil {
			out[charge] = map[string]int64{}
		}
		out[charge][currency] += minor
	}
	for _, x := range refunds {
		if x.Status == "succeeded" && !x.FromCashBalance {
			add(x.Charge, x.Currency, x.AmountMinor)
		}
	}
	for _, d := range disputes {
		if taken, back := reward.DisputeMoney(d.Status); taken && !back {
			add(d.Charge, d.Currency, d.AmountMinor)
		}
	}
	return out, nil
}

var _ measure.Source = (*SourceReader)(nil)
