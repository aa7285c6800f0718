package projection

import (
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/reward"
)

func subscriptionOf(s reward.SubscriptionState) Subscription {
	v := Subscription{
		Customer: ref(s.Customer), Status: string(s.Status), Currency: s.Currency,
		CreatedAt: seconds(s.Created), StartedAt: seconds(s.StartDate), TrialStart: seconds(s.TrialStart), TrialEnd: seconds(s.TrialEnd),
		TermStart: seconds(s.PeriodStart), TermEnd: seconds(s.PeriodEnd),
		CancelAt: seconds(s.CancelAt), CanceledAt: seconds(s.CanceledAt), EndedAt: seconds(s.EndedAt), CancelAtTermEnd: s.CancelAtPeriodEnd,
		CancelReason: s.CancellationReason, CollectionMethod: s.CollectionMethod, CollectionPaused: s.CollectionPaused,
		DaysUntilDue: s.DaysUntilDue, NextPendingInvoiceAt: seconds(s.NextPendingInvoiceAt), LatestInvoice: s.LatestInvoice,
		HasPaymentMethod: s.HasPaymentMethod, PaymentMethod: s.PaymentMethod,
	}
	for _, i := range s.Items {
		item := Item{
			ID: i.ID, Price: i.PriceID, Product: i.ProductID, ProductName: i.ProductName, Name: i.Name, Currency: i.Currency,
			Interval: i.Interval, IntervalCount: i.IntervalCount, Quantity: i.ExactQuantity().String(), Metered: i.Metered,
		}
		if i.UnitAmount != nil {
			item.UnitAmount = i.UnitAmount.String()
		}
		v.Items = append(v.Items, item)
		v.PriceIDs, v.ProductIDs = addOnce(v.PriceIDs, i.PriceID), addOnce(v.ProductIDs, i.ProductID)
	}
	for _, d := range s.Discounts {
		v.Discounts = append(v.Discounts, Discount{
			ID: d.ID, Coupon: d.Coupon, Duration: d.Duration, PercentOff: d.PercentOff, AmountOff: d.AmountOff, Currency: d.Currency, EndsAt: seconds(d.EndsAt),
		})
	}
	if s.MRR.Known {
		v.MRR = s.MRR.Contract.String()
	}
	if s.MRR.NetKnown {
		v.NetMRR = s.MRR.Net.String()
	}
	if s.ListMRR.Known {
		v.ListMRR = s.ListMRR.Contract.String()
	}
	return v
}

func invoiceOf(i reward.InvoiceState) Invoice {
	return Invoice{
		Customer: ref(i.Customer), Subscription: ref(i.Subscription), Number: i.Number, Status: i.Status, Currency: i.Currency,
		BillingReason: i.BillingReason, CollectionMethod: i.CollectionMethod,
		CreatedAt: seconds(i.Created), PeriodStart: seconds(i.PeriodStart), PeriodEnd: seconds(i.PeriodEnd),
		DueAt: seconds(i.DueDate), NextAttemptAt: seconds(i.NextAttemptAt), FinalizedAt: seconds(i.FinalizedAt), PaidAt: seconds(i.PaidAt),
		VoidedAt: seconds(i.VoidedAt), UncollectibleAt: seconds(i.UncollectibleAt),
		Total: i.Total, Subtotal: i.Subtotal, TotalExcludingTax: i.TotalExcludingTax,
		AmountDue: i.AmountDue, AmountPaid: i.AmountPaid, AmountRemains: i.AmountRemains,
		OutOfBand: i.OutOfBand, Attempts: i.Attempts, Paid: i.Paid, Own: i.Own,
	}
}

func chargeOf(c reward.ChargeState) Charge {
	return Charge{
		Customer: ref(c.Customer), Status: c.Status, Currency: c.Currency, Description: Clean(c.Description), FailureCode: c.FailureCode, PaymentMethod: c.PaymentMethod,
		CreatedAt: seconds(c.Created), Amount: c.Amount, AmountRefunded: c.AmountRefunded, Refunded: c.Refunded, Disputed: c.Disputed,
	}
}

func disputeOf(d reward.DisputeState) Dispute {
	return Dispute{
		Charge: ref(d.Charge), Status: d.Status, Reason: d.Reason, Currency: d.Currency,
		CreatedAt: seconds(d.Created), EvidenceDueAt: seconds(d.EvidenceDueAt), Amount: d.Amount,
	}
}

func customerOf(c reward.CustomerState) Customer {
	return Customer{
		Currency: c.Currency, Country: c.Country, CreatedAt: seconds(c.Created), Balance: c.Balance,
		Delinquent: c.Delinquent, HasPaymentMethod: c.HasPaymentMethod, PaymentMethod: c.PaymentMethod,
	}
}

func productOf(p reward.ProductState) Product { return Product{Name: p.Name, Active: p.Active} }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func addOnce(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
