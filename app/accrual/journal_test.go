package accrual_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

func booked(id string, low, expected billing.Accrued) accrual.Accrual {
	start := time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC) // October in Berlin
	return accrual.Accrual{
		AccountID: id, AccountName: "The " + id, Environment: account.Live, Period: "2026-10", TimeZone: "Europe/Berlin",
		Interval: period.Interval{Start: start, End: time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC)},
		Accrual:  billing.Accrual{Currency: "eur", Low: low, Expected: expected, HighMinor: expected.TotalMinor()},
	}
}

// TestAccrualJournalBalances: every accrual and every reversal balances on its own day,
// and all of it comes to zero.
func TestAccrualJournalBalances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) billing.Accrued {
			return billing.Accrued{PerformanceMinor: rapid.Int64Range(0, 1e9).Draw(t, name), FixedMinor: rapid.Int64Range(0, 1e6).Draw(t, name), BalanceMinor: rapid.Int64Range(0, 1e6).Draw(t, name)}
		}
		var all []accrual.Accrual
		for i := range rapid.IntRange(1, 5).Draw(t, "accounts") {
			all = append(all, booked(fmt.Sprintf("a%d", i), draw("low"), draw("expected")))
		}
		figure := rapid.SampledFrom([]accrual.Figure{accrual.FigureLow, accrual.FigureExpected}).Draw(t, "figure")
		entries, err := accrual.Journal(all, figure)
		if fault.CodeOf(err) == "nothing_to_book" {
			return
		}
		require.NoError(t, err)
		days, accounts, total := map[string]int64{}, map[string]int64{}, int64(0)
		for _, e := range entries {
			require.True(t, (e.DebitMinor > 0) != (e.CreditMinor > 0) && e.DebitMinor >= 0 && e.CreditMinor >= 0, "one side each: %+v", e)
			days[e.Reference+e.Date.Format(time.DateOnly)] += e.DebitMinor - e.CreditMinor
			accounts[e.Account] += e.DebitMinor - e.CreditMinor
			require.Equal(t, map[bool]string{false: "2026-10-31", true: "2026-11-01"}[e.Reverses], e.Date.Format(time.DateOnly))
			if !e.Reverses {
				total += e.DebitMinor
			}
		}
		for key, off := range days {
			require.Zero(t, off, key)
		}
		for name, left := range accounts {
			require.Zero(t, left, "%s is taken back", name)
		}
		var want int64
		for _, a := range all {
			want += map[accrual.Figure]int64{accrual.FigureLow: a.Low.TotalMinor(), accrual.FigureExpected: a.Expected.TotalMinor()}[figure]
		}
		require.Equal(t, want, total)
	})
}

func TestAccrualJournalRefuses(t *testing.T) {
	t.Parallel()
	some := billing.Accrued{PerformanceMinor: 10}
	test := booked("a", some, some)
	test.Environment = account.Test
	for code, all := range map[string][]accrual.Accrual{
		"nothing_to_book":  {test, booked("b", billing.Accrued{}, some)},
		"accrual_repeated": {booked("a", some, some), booked("a", some, some)},
	} {
		_, err := accrual.Journal(all, accrual.FigureLow)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err := accrual.ParseFigure("high")
	require.Equal(t, "figure_unknown", fault.CodeOf(err), "nobody books the upper end")
	f, err := accrual.ParseFigure("")
	require.NoError(t, err)
	require.Equal(t, accrual.FigureLow, f)
}
