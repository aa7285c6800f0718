package billing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

func TestNormaliseWritesTheDefaultsDown(t *testing.T) {
	t.Parallel()
	got, err := terms().Normalise()
	require.NoError(t, err)
	require.False(t, got.Capped(), "measured is not capped by default")
	require.True(t, *got.CaseIDsInMetadata)
	again, err := got.Normalise()
	require.NoError(t, err)
	require.Equal(t, got, again)

	in := terms()
	in.Basis, in.Currency, in.Rounding = lift.BasisProven, " EUR ", ""
	got, err = in.Normalise()
	require.NoError(t, err)
	require.True(t, got.Capped(), "proven is")
	require.Equal(t, money.Currency("eur"), got.Currency)
	require.Equal(t, money.Down, got.Rounding)

	in.PortfolioCap, in.CaseIDsInMetadata = ptr(false), ptr(false)
	got, err = in.Normalise()
	require.NoError(t, err)
	require.False(t, got.Capped())
	require.False(t, *got.CaseIDsInMetadata)
	require.False(t, billing.Terms{}.Capped())
}

func TestNormaliseNamesTheField(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		field, code string
		change      func(*billing.Terms)
	}{
		{"share", "share_range", func(x *billing.Terms) { x.Share = "" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "0" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "0.000" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "-0.1" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "1.01" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "20%" }},
		{"share", "share_range", func(x *billing.Terms) { x.Share = "1e-999999999" }}, // would take minutes to compare
		{"share", "share_range", func(x *billing.Terms) { x.Share = "0." + strings.Repeat("1", 5000) }},
		{"basis", "basis_unknown", func(x *billing.Terms) { x.Basis = "" }},
		{"basis", "basis_unknown", func(x *billing.Terms) { x.Basis = "guessed" }},
		{"currency", "currency_unknown", func(x *billing.Terms) { x.Currency = "zzz" }},
		{"currency", "currency_not_enabled", func(x *billing.Terms) { x.Currency = "kwd" }},
		{"time_zone", "time_zone_unknown", func(x *billing.Terms) { x.TimeZone = "Local" }},
		{"close_lag_days", "close_lag_range", func(x *billing.Terms) { x.CloseLagDays = 2 }},
		{"close_lag_days", "close_lag_range", func(x *billing.Terms) { x.CloseLagDays = 61 }},
		{"rounding", "rounding_unknown", func(x *billing.Terms) { x.Rounding = "up" }},
		{"first_period", "period_malformed", func(x *billing.Terms) { x.FirstPeriod = "" }},
		{"po_number", "text_length", func(x *billing.Terms) { x.PONumber = strings.Repeat("9", 141) }},
		{"collection_method", "collection_unknown", func(x *billing.Terms) { x.CollectionMethod = "invoice" }},
		{"days_until_due", "days_range", func(x *billing.Terms) { x.DaysUntilDue = 0 }},
		{"days_until_due", "days_range", func(x *billing.Terms) { x.DaysUntilDue = 366 }},
		{"days_until_due", "days_range", func(x *billing.Terms) { x.CollectionMethod = billing.ChargeAutomatically }},
	} {
		in := terms()
		c.change(&in)
		_, err := in.Normalise()
		var e *fault.Error
		require.ErrorAs(t, err, &e, "case %d", i)
		require.Equal(t, c.field+" "+c.code, e.Field+" "+e.Code, "case %d", i)
		require.Less(t, len(err.Error()), 300)
	}
	in := terms()
	in.CollectionMethod, in.DaysUntilDue = billing.ChargeAutomatically, 0
	_, err := in.Normalise()
	require.NoError(t, err)
}

// The hash is what both sides agreed to: it must never change by itself.
func TestContractHashIsStable(t *testing.T) {
	t.Parallel()
	c := contract(t, nil)
	require.Len(t, c.Hash, 64)
	require.Equal(t, c.Hash, contract(t, func(x *billing.Terms) { x.PortfolioCap, x.CaseIDsInMetadata = ptr(false), ptr(true) }).Hash, "defaults are written down")
	require.Equal(t, c.Hash, contract(t, func(x *billing.Terms) { x.Currency = "USD" }).Hash)
	seen := map[string]bool{c.Hash: true}
	for i, change := range []func(*billing.Terms){
		func(x *billing.Terms) { x.Share = "0.2" }, func(x *billing.Terms) { x.Basis = lift.BasisProven },
		func(x *billing.Terms) { x.PortfolioCap = ptr(true) }, func(x *billing.Terms) { x.Currency = "eur" },
		func(x *billing.Terms) { x.TimeZone = "Europe/Berlin" }, func(x *billing.Terms) { x.CloseLagDays = 4 },
		func(x *billing.Terms) { x.DaysUntilDue = 31 }, func(x *billing.Terms) { x.Rounding = money.HalfEven },
		func(x *billing.Terms) { x.FirstPeriod = "2026-02" }, func(x *billing.Terms) { x.PONumber = "4711" },
		func(x *billing.Terms) { x.CaseIDsInMetadata = ptr(false) },
		func(x *billing.Terms) { x.CollectionMethod, x.DaysUntilDue = billing.ChargeAutomatically, 0 },
	} {
		h := contract(t, change).Hash
		require.False(t, seen[h], "change %d does not change the hash", i)
		seen[h] = true
	}
	_, err := billing.NewContract("Acme", "acme", account.Live, 1, terms(), yearOpen)
	require.Equal(t, "id_malformed", fault.CodeOf(err))
	_, err = billing.NewContract("acme-1", "acme", account.Live, 0, terms(), yearOpen)
	require.Equal(t, "version_range", fault.CodeOf(err))
}

// The recorded hash of the default terms: a stored contract must verify for ever.
func TestContractHashIsTheRecordedOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, "fd5c34c9691255c0eb0c35ecd8d02305a0829d65380a3273118d13f4653df383", contract(t, nil).Hash)
}

func TestContractYears(t *testing.T) {
	t.Parallel()
	c := contract(t, func(x *billing.Terms) { x.FirstPeriod = "2026-04" })
	for m, want := range map[string]string{"2026-04": "2026-04", "2027-03": "2026-04", "2027-04": "2027-04", "2028-12": "2028-04"} {
		got, err := c.YearStart(month(t, m))
		require.NoError(t, err)
		require.Equal(t, want, got.String(), m)
	}
	_, err := c.YearStart(month(t, "2026-03"))
	require.Equal(t, "period_before_contract", fault.CodeOf(err))
}

// The close lag counts days from the local midnight that ends the month, in UTC.
func TestSettledAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, month, want string
		lag               int
	}{
		{"UTC", "2026-10", "2026-11-04T00:00:00Z", 3}, {"Europe/Berlin", "2026-10", "2026-11-03T23:00:00Z", 3},
		{"America/New_York", "2026-10", "2026-11-04T04:00:00Z", 3}, {"Asia/Kolkata", "2026-12", "2027-01-10T18:30:00Z", 10},
	} {
		got, err := contract(t, func(x *billing.Terms) { x.TimeZone, x.CloseLagDays = c.zone, c.lag }).SettledAt(month(t, c.month), 90)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Format(time.RFC3339), "%s %s", c.zone, c.month)
	}
	require.Equal(t, billing.Calendar{TimeZone: "UTC", CloseLagDays: 3}, terms().CalendarOf())
}

// The settlement of a year covers its run-off: from the year's end until revenue of its
// last exposures counts no more, plus the close lag.
func TestSettlementOfTheYear(t *testing.T) {
	t.Parallel()
	c := contract(t, func(x *billing.Terms) { x.TimeZone, x.FirstPeriod = "Europe/Berlin", "2026-04" })
	year := month(t, "2027-03").Settlement()
	in, err := c.Interval(year, 90)
	require.NoError(t, err)
	require.Equal(t, "2027-03-31T22:00:00Z 2027-06-29T22:00:00Z", in.Start.Format(time.RFC3339)+" "+in.End.Format(time.RFC3339))
	at, err := c.SettledAt(year, 90)
	require.NoError(t, err)
	require.Equal(t, "2027-07-02T22:00:00Z", at.Format(time.RFC3339))
	start, err := c.YearStart(year)
	require.NoError(t, err)
	require.Equal(t, "2026-04", start.String())
	_, err = c.Interval(month(t, "2026-12").Settlement(), 90)
	require.Equal(t, "period_no_year_end", fault.CodeOf(err))
	plain, err := c.Interval(month(t, "2027-03"), 90)
	require.NoError(t, err)
	require.Equal(t, in.Start, plain.End, "the run-off begins where the year ends")
}
