package customers_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/fault"
)

var now = time.Date(2026, 11, 4, 9, 0, 0, 0, time.UTC)

// reader records what reaches it.
type reader struct {
	filter customers.Filter
	list   customers.ListFilter
	asOf   time.Time
	asked  int
}

func (r *reader) Customers(_ context.Context, _ string, f customers.Filter) (customers.Page[customers.Summary], error) {
	r.filter = f
	r.asked++
	return customers.Page[customers.Summary]{}, nil
}

func (r *reader) Customer(_ context.Context, _, _ string, asOf time.Time, _ int) (customers.Detail, error) {
	r.asOf = asOf
	r.asked++
	return customers.Detail{}, nil
}

func (r *reader) Invoices(_ context.Context, _, _ string, f customers.ListFilter) (customers.Page[customers.Invoice], error) {
	r.list = f
	r.asked++
	return customers.Page[customers.Invoice]{}, nil
}

func (r *reader) Charges(_ context.Context, _, _ string, f customers.ListFilter) (customers.Page[customers.Charge], error) {
	r.list = f
	r.asked++
	return customers.Page[customers.Charge]{}, nil
}

func (r *reader) Disputes(_ context.Context, _, _ string, f customers.ListFilter) (customers.Page[customers.Dispute], error) {
	r.list = f
	r.asked++
	return customers.Page[customers.Dispute]{}, nil
}

func (r *reader) Counts(_ context.Context, _ string, asOf time.Time) (customers.Counts, error) {
	r.asOf = asOf
	r.asked++
	return customers.Counts{}, nil
}

// TestInputIsCheckedBeforeAnythingIsRead: each error names its field.
func TestInputIsCheckedBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	ctx, r := context.Background(), &reader{}
	svc := &customers.Service{Reader: r, Clock: clock.Fixed(now)}
	for field, f := range map[string]customers.Filter{
		"as_of":    {AsOf: now.Add(time.Nanosecond)},
		"segment":  {Segment: "churnd"},
		"status":   {Status: "cancelled"},
		"mapped":   {Mapped: "maybe"},
		"currency": {Currency: "dollars"},
		"country":  {Country: "Germany"},
		"limit":    {Limit: customers.MaxLimit + 1},
	} {
		_, err := svc.Customers(ctx, "acme", f)
		var e *fault.Error
		require.ErrorAs(t, err, &e, field)
		require.Equal(t, field, e.Field)
		require.True(t, fault.Is(err, fault.Invalid))
	}
	_, err := svc.Customer(ctx, "acme", "cus_1", now.Add(time.Hour))
	require.Equal(t, "as_of_in_future", fault.CodeOf(err))
	_, err = svc.Counts(ctx, "acme", now.Add(time.Hour))
	require.Equal(t, "as_of_in_future", fault.CodeOf(err))
	for _, list := range []func(customers.ListFilter) error{
		func(f customers.ListFilter) error { _, err := svc.Invoices(ctx, "acme", "cus_1", f); return err },
		func(f customers.ListFilter) error { _, err := svc.Charges(ctx, "acme", "cus_1", f); return err },
		func(f customers.ListFilter) error { _, err := svc.Disputes(ctx, "acme", "cus_1", f); return err },
	} {
		require.Equal(t, "limit_range", fault.CodeOf(list(customers.ListFilter{Limit: -1})))
	}
	require.Zero(t, r.asked, "nothing was read")
}

// TestDefaults: now by the clock, a page of 50, codes as they are stored.
func TestDefaults(t *testing.T) {
	t.Parallel()
	ctx, r := context.Background(), &reader{}
	svc := &customers.Service{Reader: r, Clock: clock.Fixed(now)}
	_, err := svc.Customers(ctx, "acme", customers.Filter{Currency: "EUR", Country: "de", Segment: customers.Churned, Status: "past_due", Mapped: "no"})
	require.NoError(t, err)
	require.Equal(t, customers.Filter{Currency: "eur", Country: "DE", Segment: customers.Churned, Status: "past_due", Mapped: "no", AsOf: now, Limit: customers.DefaultLimit}, r.filter)
	d, err := svc.Customer(ctx, "acme", "cus_1", time.Time{})
	require.NoError(t, err)
	require.Equal(t, []time.Time{now, now}, []time.Time{d.AsOf, r.asOf})
	berlin := time.FixedZone("", 3600)
	c, err := svc.Counts(ctx, "acme", now.Add(-time.Hour).In(berlin))
	require.NoError(t, err)
	require.Equal(t, now.Add(-time.Hour), c.AsOf)
	_, err = svc.Disputes(ctx, "acme", "cus_1", customers.ListFilter{})
	require.NoError(t, err)
	require.Equal(t, customers.DefaultLimit, r.list.Limit)
}

// TestAnnual: twelve times the month; twelve twelfths of a yearly price are that price.
func TestAnnual(t *testing.T) {
	t.Parallel()
	for monthly, want := range map[string]string{"3340": "40080", "83.333333333333": "1000", "0": "0", "0.000000000001": "0"} {
		require.Equal(t, want, customers.Annual(decimal.RequireFromString(monthly)).String())
	}
	for _, r := range customers.Rules() {
		require.True(t, r.Segment.Known())
		require.NotEmpty(t, r.Rule)
	}
	require.False(t, customers.Segment("x").Known())
}
