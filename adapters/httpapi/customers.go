package httpapi

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// Customers answers who the customers are; *customers.Service is it.
type Customers interface {
	Customers(ctx context.Context, accountID string, f customers.Filter) (customers.Page[customers.Summary], error)
	Customer(ctx context.Context, accountID, customerID string, asOf time.Time) (customers.Detail, error)
	Invoices(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Invoice], error)
	Charges(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Charge], error)
	Disputes(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Dispute], error)
	Counts(ctx context.Context, accountID string, asOf time.Time) (customers.Counts, error)
}

// ListCustomers lists the customers of an account.
func (s *Server) ListCustomers(ctx context.Context, r ListCustomersRequestObject) (ListCustomersResponseObject, error) {
	p := r.Params
	page, err := s.Customers.Customers(ctx, r.Account, customers.Filter{
		Segment: customers.Segment(p.Segment), Plan: p.Plan, Status: p.Status, Currency: p.Currency, Country: p.Country,
		Mapped: p.Mapped, Search: p.Q, AsOf: p.AsOf, Sort: string(p.Sort), Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListCustomers200JSONResponse{Items: convertAll(page.Items, toCustomer), NextCursor: page.NextCursor}, nil
}

// GetCustomer reads one customer.
func (s *Server) GetCustomer(ctx context.Context, r GetCustomerRequestObject) (GetCustomerResponseObject, error) {
	d, err := s.Customers.Customer(ctx, r.Account, r.Customer, r.Params.AsOf)
	if err != nil {
		return nil, err
	}
	return GetCustomer200JSONResponse(toCustomerDetail(d)), nil
}

// ListCustomerInvoices lists the invoices of a customer.
func (s *Server) ListCustomerInvoices(ctx context.Context, r ListCustomerInvoicesRequestObject) (ListCustomerInvoicesResponseObject, error) {
	page, err := s.Customers.Invoices(ctx, r.Account, r.Customer, customers.ListFilter{Cursor: r.Params.Cursor, Limit: r.Params.Limit})
	if err != nil {
		return nil, err
	}
	return ListCustomerInvoices200JSONResponse{Items: convertAll(page.Items, toCustomerInvoice), NextCursor: page.NextCursor}, nil
}

// ListCustomerCharges lists the charges of a customer.
func (s *Server) ListCustomerCharges(ctx context.Context, r ListCustomerChargesRequestObject) (ListCustomerChargesResponseObject, error) {
	page, err := s.Customers.Charges(ctx, r.Account, r.Customer, customers.ListFilter{Cursor: r.Params.Cursor, Limit: r.Params.Limit})
	if err != nil {
		return nil, err
	}
	return ListCustomerCharges200JSONResponse{Items: convertAll(page.Items, toCustomerCharge), NextCursor: page.NextCursor}, nil
}

// ListCustomerDisputes lists the disputes of a customer's charges.
func (s *Server) ListCustomerDisputes(ctx context.Context, r ListCustomerDisputesRequestObject) (ListCustomerDisputesResponseObject, error) {
	page, err := s.Customers.Disputes(ctx, r.Account, r.Customer, customers.ListFilter{Cursor: r.Params.Cursor, Limit: r.Params.Limit})
	if err != nil {
		return nil, err
	}
	return ListCustomerDisputes200JSONResponse{Items: convertAll(page.Items, toCustomerDispute), NextCursor: page.NextCursor}, nil
}

// GetSegments counts.
func (s *Server) GetSegments(ctx context.Context, r GetSegmentsRequestObject) (GetSegmentsResponseObject, error) {
	c, err := s.Customers.Counts(ctx, r.Account, r.Params.AsOf)
	if err != nil {
		return nil, err
	}
	return GetSegments200JSONResponse{
		AsOf: c.AsOf, Customers: c.Customers,
		Segments: convertAll(c.Segments, func(s customers.SegmentCount) SegmentCount {
			return SegmentCount{Segment: string(s.Segment), Rule: s.Rule.Rule, Customers: s.Customers}
		}),
		Plans: convertAll(c.Plans, func(p customers.PlanCount) PlanCount {
			return PlanCount{PriceID: p.PriceID, ProductID: p.ProductID, ProductName: p.ProductName, Customers: p.Customers}
		}),
	}, nil
}

func toCustomer(c customers.Summary) Customer {
	return Customer{
		ID: c.ID, UserID: c.UserID, Seen: c.Seen, CreatedAt: orZero(c.CreatedAt), DeletedAt: orZero(c.DeletedAt), Currency: c.Currency, Country: c.Country,
		Balance: toOptional(c.BalanceMinor, c.Currency), Delinquent: c.Delinquent, HasPaymentMethod: c.HasPaymentMethod, PaymentMethod: c.PaymentMethod,
		Status: c.Status, PriceIds: append([]string{}, c.PriceIDs...), TrialEnd: orZero(c.TrialEnd), Subscriptions: c.Subscriptions,
		Worth: convertAll(c.Worth, func(w customers.Worth) Worth {
			return Worth{
				Currency: w.Currency, Mrr: w.MRR.String(), NetMrr: w.NetMRR.String(), Arr: w.ARR().String(), NetArr: w.NetARR().String(),
				Unknown: w.Unknown, Undiscounted: w.Undiscounted,
			}
		}),
	}
}

func toCustomerDetail(d customers.Detail) CustomerDetail {
	out := CustomerDetail{
		AsOf: d.AsOf, Customer: toCustomer(d.Summary), CashBalance: []Money{},
		Revenue: convertAll(d.Revenue, func(r customers.Revenue) Revenue {
			return Revenue{
				Confirmed: toMoney(r.ConfirmedMinor, r.Currency), Returned: toMoney(r.ReturnedMinor, r.Currency),
				Net: toMoney(r.ConfirmedMinor+r.ReturnedMinor, r.Currency), Facts: r.Facts,
			}
		}),
		Subscriptions: convertAll(d.Subscriptions, toSubscription), Invoices: convertAll(d.Invoices, toCustomerInvoice),
		Charges: convertAll(d.Charges, toCustomerCharge), Disputes: convertAll(d.Disputes, toCustomerDispute),
	}
	for _, currency := range slices.Sorted(maps.Keys(d.CashBalance)) {
		out.CashBalance = append(out.CashBalance, toMoney(d.CashBalance[currency], currency))
	}
	return out
}

// at is a stored second; 0 is left out.
func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// annual is twelve times a monthly amount; empty stays unknown.
func annual(monthly string) string {
	d, err := decimal.NewFromString(monthly)
	if err != nil {
		return ""
	}
	return customers.Annual(d).String()
}

func toSubscription(s customers.Subscription) Subscription {
	return Subscription{
		ID: s.ID, Status: s.Status, StatusAt: s.StatusAt, IsTrial: s.StatusAt == "trialing", Currency: s.Currency,
		CreatedAt: at(s.CreatedAt), StartedAt: at(s.StartedAt), ActivatedAt: at(projection.ActivatedAt(s.Intervals)),
		TrialStart: at(s.TrialStart), TrialEnd: at(s.TrialEnd), TrialEndAction: s.TrialEndAction,
		CurrentTermStart: at(s.TermStart), CurrentTermEnd: at(s.TermEnd),
		CancelAt: at(s.CancelAt), CancelAtPeriodEnd: s.CancelAtTermEnd, CanceledAt: at(s.CanceledAt), CancelReason: s.CancelReason, EndedAt: at(s.EndedAt),
		CollectionMethod: s.CollectionMethod, CollectionPaused: s.CollectionPaused, DaysUntilDue: s.DaysUntilDue,
		NextPendingInvoiceItemInvoice: at(s.NextPendingInvoiceAt), LatestInvoiceID: s.LatestInvoice,
		HasPaymentMethod: s.HasPaymentMethod, PaymentMethod: s.PaymentMethod,
		Mrr: s.MRR, NetMrr: s.NetMRR, Arr: annual(s.MRR), ListMrr: s.ListMRR, Undecided: s.Undecided, ProductNames: append([]string{}, s.ProductNames...),
		Items: convertAll(s.Items, func(i projection.Item) SubscriptionItem {
			return SubscriptionItem{
				ID: i.ID, PriceID: i.Price, ProductID: i.Product, ProductName: i.ProductName, Name: i.Name, UnitAmount: i.UnitAmount, Currency: i.Currency,
				Interval: i.Interval, IntervalCount: i.IntervalCount, Quantity: i.Quantity, Metered: i.Metered,
			}
		}),
		Discounts: convertAll(s.Discounts, func(d projection.Discount) SubscriptionDiscount {
			return SubscriptionDiscount{
				ID: d.ID, Coupon: d.Coupon, Duration: d.Duration, PercentOff: d.PercentOff, AmountOff: toOptional(d.AmountOff, d.Currency), EndsAt: at(d.EndsAt),
			}
		}),
		Conversion: toConversion(s.Conversion),
		Timeline: convertAll(s.Intervals, func(i projection.Interval) StatusInterval {
			return StatusInterval{Status: i.Status, From: at(i.From), Until: at(i.Until), Inferred: i.Inferred, Gap: i.Gap}
		}),
	}
}

// toConversion is empty, and so absent, when there was no conversion.
func toConversion(c *reward.ConversionOutcome) ConversionOutcome {
	if c == nil {
		return ConversionOutcome{}
	}
	out := ConversionOutcome{At: c.At, State: ConversionOutcomeState(c.State), SettledAt: c.SettledAt, Resubscribed: c.Resubscribed}
	if c.Resubscribed {
		days := int64(c.GapDays)
		out.GapDays = &days
	}
	return out
}

func toCustomerInvoice(i customers.Invoice) CustomerInvoice {
	return CustomerInvoice{
		ID: i.ID, Number: i.Number, Status: i.Status, Paid: i.Paid, Own: i.Own, SubscriptionID: i.Subscription, ChargeID: i.ChargeID,
		BillingReason: i.BillingReason, CollectionMethod: i.CollectionMethod, Attempts: i.Attempts,
		Total: toOptional(i.Total, i.Currency), Subtotal: toOptional(i.Subtotal, i.Currency), TotalExcludingTax: toOptional(i.TotalExcludingTax, i.Currency),
		AmountDue: toOptional(i.AmountDue, i.Currency), AmountPaid: toOptional(i.AmountPaid, i.Currency), AmountRemaining: toOptional(i.AmountRemains, i.Currency),
		OutOfBand: toMoney(i.OutOfBand, i.Currency),
		CreatedAt: at(i.CreatedAt), PeriodStart: at(i.PeriodStart), PeriodEnd: at(i.PeriodEnd), DueAt: at(i.DueAt), NextAttemptAt: at(i.NextAttemptAt),
		FinalizedAt: at(i.FinalizedAt), PaidAt: at(i.PaidAt), VoidedAt: at(i.VoidedAt), UncollectibleAt: at(i.UncollectibleAt), DeletedAt: orZero(i.DeletedAt),
	}
}

func toCustomerCharge(c customers.Charge) CustomerCharge {
	return CustomerCharge{
		ID: c.ID, Status: c.Status, InvoiceID: c.InvoiceID, Amount: toOptional(c.Amount, c.Currency), AmountRefunded: toOptional(c.AmountRefunded, c.Currency),
		Refunded: c.Refunded, Disputed: c.Disputed, Description: c.Description, FailureCode: c.FailureCode, PaymentMethod: c.PaymentMethod, CreatedAt: at(c.CreatedAt),
	}
}

func toCustomerDispute(d customers.Dispute) CustomerDispute {
	return CustomerDispute{
		ID: d.ID, ChargeID: d.Charge, Status: d.Status, Reason: d.Reason, Amount: toOptional(d.Amount, d.Currency),
		CreatedAt: at(d.CreatedAt), EvidenceDueAt: at(d.EvidenceDueAt),
	}
}
