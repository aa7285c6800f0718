package customers

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/reward"
)

// Reader reads the projections. An unknown account or customer is NotFound.
type Reader interface {
	Customers(ctx context.Context, accountID string, f Filter) (Page[Summary], error)
	Customer(ctx context.Context, accountID, customerID string, asOf time.Time, newest int) (Detail, error)
	Invoices(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Invoice], error)
	Charges(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Charge], error)
	Disputes(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Dispute], error)
	Counts(ctx context.Context, accountID string, asOf time.Time) (Counts, error)
}

// Limits of a page, and how many of each list come with a customer.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	newest       = 10
)

// Service answers questions about customers; every method checks its input and reads.
type Service struct {
	Reader Reader
	Clock  clock.Clock
}

// Customers lists the customers that the filter selects, newest first.
func (s *Service) Customers(ctx context.Context, accountID string, f Filter) (Page[Summary], error) {
	for _, check := range []func(*Filter) error{s.moment, choices, currency, country, pages} {
		if err := check(&f); err != nil {
			return Page[Summary]{}, err
		}
	}
	return s.Reader.Customers(ctx, accountID, f)
}

// Customer returns one customer as of a moment; a zero one is now.
func (s *Service) Customer(ctx context.Context, accountID, customerID string, asOf time.Time) (Detail, error) {
	f := Filter{AsOf: asOf}
	if err := s.moment(&f); err != nil {
		return Detail{}, err
	}
	d, err := s.Reader.Customer(ctx, accountID, customerID, f.AsOf, newest)
	d.AsOf = f.AsOf
	return d, err
}

// Invoices lists the invoices of a customer, newest first.
func (s *Service) Invoices(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Invoice], error) {
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Invoice]{}, err
	}
	return s.Reader.Invoices(ctx, accountID, customerID, f)
}

// Charges lists the charges of a customer, newest first.
func (s *Service) Charges(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Charge], error) {
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Charge]{}, err
	}
	return s.Reader.Charges(ctx, accountID, customerID, f)
}

// Disputes lists the disputes of a customer's charges, newest first.
func (s *Service) Disputes(ctx context.Context, accountID, customerID string, f ListFilter) (Page[Dispute], error) {
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Dispute]{}, err
	}
	return s.Reader.Disputes(ctx, accountID, customerID, f)
}

// Counts says how many customers are in each segment and on each plan.
func (s *Service) Counts(ctx context.Context, accountID string, asOf time.Time) (Counts, error) {
	f := Filter{AsOf: asOf}
	if err := s.moment(&f); err != nil {
		return Counts{}, err
	}
	c, err := s.Reader.Counts(ctx, accountID, f.AsOf)
	c.AsOf = f.AsOf
	return c, err
}

// moment takes now when none is given. What has not happened yet nobody can tell.
func (s *Service) moment(f *Filter) error {
	now := s.Clock.Now().UTC()
	switch {
	case f.AsOf.IsZero():
		f.AsOf = now
	case f.AsOf.After(now):
		return fault.InvalidField("as_of", "as_of_in_future", "%s has not come yet", f.AsOf.UTC().Format(time.RFC3339)).
			Fix("Use a time up to %s, or leave it out", now.Format(time.RFC3339))
	}
	f.AsOf = f.AsOf.UTC()
	return nil
}

// choices refuses what can select nobody, because a typo must not look like an empty list.
func choices(f *Filter) error {
	if f.Sort != "" && f.Sort != SortOldest {
		return fault.InvalidField("sort", "sort_unknown", "%q is no order of this list", f.Sort).Fix("Use %s, or leave it out", SortOldest)
	}
	if f.Segment != "" && !f.Segment.Known() {
		return fault.InvalidField("segment", "filter_unknown", "%q is not a segment", f.Segment).Fix("Use trial_expiring, failed_payment, churned or downgraded")
	}
	if f.Status != "" && !reward.Status(f.Status).Known() {
		return fault.InvalidField("status", "filter_unknown", "%q is not a status of a subscription", f.Status).Fix("Use one of Stripe's statuses, for example past_due")
	}
	if f.Mapped != "" && f.Mapped != "yes" && f.Mapped != "no" {
		return fault.InvalidField("mapped", "filter_unknown", "%q is not a choice", f.Mapped).Fix("Use yes or no, or leave it out")
	}
	return nil
}

func currency(f *Filter) error {
	if f.Currency == "" {
		return nil
	}
	c, err := money.ParseCurrency(f.Currency)
	f.Currency = string(c)
	return err
}

func country(f *Filter) error {
	if f.Country == "" {
		return nil
	}
	code := reward.CountryCode(f.Country)
	if code == "" {
		return fault.InvalidField("country", "country_malformed", "%q is not a country code", f.Country).Fix("Use two letters, for example DE")
	}
	f.Country = code
	return nil
}

func pages(f *Filter) (err error) {
	f.Limit, err = limit(f.Limit)
	return err
}

func limit(n int) (int, error) {
	switch {
	case n == 0:
		return DefaultLimit, nil
	case n < 1 || n > MaxLimit:
		return 0, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return n, nil
}
