package pipelinetest

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// stripeSource sums what Stripe's own lists say of a period, as cmd/liftbill does.
type stripeSource struct{ r *stripeapi.SourceReader }

var eventTypes = []string{
	"customer.created", "customer.updated", "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
	"invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "charge.refunded", "charge.dispute.created", "charge.dispute.closed",
}

// NewestEvent implements measure.Source.
func (s stripeSource) NewestEvent(ctx context.Context, connectionID string) (string, time.Time, bool, error) {
	return s.r.LatestEvent(ctx, connectionID, eventTypes)
}

// NetPaid implements measure.Source: cash collected minus refunds and lost disputes,
// without what concerns our own invoices.
func (s stripeSource) NetPaid(ctx context.Context, connectionID, currency string, in period.Interval) (int64, error) {
	var net int64
	err := s.r.PaidInvoices(ctx, connectionID, in.Start, in.End, func(p stripeapi.PaidInvoice) error {
		if p.Currency == currency && !p.OwnInvoice {
			net += p.CashNetMinor
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	refunds, err := s.r.Refunds(ctx, connectionID, in.Start, in.End)
	if err != nil {
		return 0, err
	}
	disputes, err := s.r.Disputes(ctx, connectionID, in.Start, in.End)
	if err != nil {
		return 0, err
	}
	back := map[string]int64{}
	for _, r := range refunds {
		if r.Currency == currency && r.Status == "succeeded" {
			back[r.Charge] += r.AmountMinor
		}
	}
	for _, d := range disputes {
		if d.Currency == currency && d.Status != "won" {
			back[d.Charge] += d.AmountMinor
		}
	}
	for charge, amount := range back {
		c, err := s.r.Charge(ctx, connectionID, charge)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
		if !c.OwnInvoice {
			net -= amount
		}
	}
	return net, nil
}
