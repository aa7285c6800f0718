package webui_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
)

func (l *ledger) AccountList(_ context.Context, f reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error) {
	var page reconcile.Page[reconcile.Overview]
	for _, a := range l.accounts {
		if (f.Environment == "" || f.Environment == string(a.Environment)) && (!f.Incomplete || a.ContractID == "") {
			page.Items = append(page.Items, a)
		}
	}
	return page, l.err
}

// AccountHealth is that of acme; other accounts have none.
func (l *ledger) AccountHealth(context.Context, []string, time.Time) (map[string]reconcile.AccountHealth, error) {
	return map[string]reconcile.AccountHealth{"acme": {
		AccountID: "acme", Period: "2026-10", Currency: "usd", PaidMinor: 1_000_000, UnmappedMinor: 45_000, Withheld: 2, OpenBreaks: 3,
		Trend:  []reconcile.HealthMonth{{Period: "2026-08", Lift: -1_000, ESS: 410}, {Period: "2026-09", Lift: 40_000, ESS: 902}, {Period: "2026-10", Lift: 90_000, ESS: 1_450}},
		Unpaid: []reconcile.Ageing{{Currency: "usd", Minor: [4]int64{412_050, 0, 0, 9_900}}},
	}}, l.err
}

// acmeFigures are what acme comes to: frozen revenue, and what was counted at night.
func acmeFigures() reconcile.AccountFigures {
	return reconcile.AccountFigures{
		AccountID: "acme", Period: "2026-10", Currency: "usd", RevenueMinor: 10_812_400, Invoices: 2, CountedAt: ptr(now.Add(-7 * time.Hour)), Decisions: 17_281,
		Worth: []reconcile.Worth{{Currency: "eur", MRR: decimal.NewFromInt(99_000), NetMRR: decimal.NewFromInt(90_000)}, {Currency: "usd", MRR: decimal.RequireFromString("4985600.5"), NetMRR: decimal.NewFromInt(4_912_300), Unknown: 2}},
	}
}

// TestFiguresOfAccounts: revenue as it was frozen, recurring revenue by currency and decisions as
// they were counted, with the time of both; what was not counted is not zero.
func TestFiguresOfAccounts(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/accounts")
	acme := p.row(t, "Acme Inc.")
	require.Equal(t, []string{"108,124.00 USD year to date, October 2026", "990.00 EUR 49,856.00 USD 2 without a known price as of 2026-11-04", "17,281 as of 2026-11-04", "2"}, acme[2:6])
	require.Equal(t, []string{"–", "–", "arriving not counted yet", "0"}, p.row(t, "Northwind")[2:6])
	require.Equal(t, "none yet", p.row(t, "Acme sandbox")[4])
	require.Equal(t, []string{"108,124.00 USD", "990.00 EUR 49,856.00 USD", "17,281", "2"}, p.row(t, "Total")[2:6])
	require.Contains(t, p.links, "/cycles?account=acme&period=2026-10")
	require.Contains(t, p.links, "/invoices?account=acme")
}

// TestHealthOfAccounts: each account shows how much of its revenue is mapped, its lift month
// by month, months withheld, open breaks and what is unpaid by age, with links to the rows.
func TestHealthOfAccounts(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/accounts")
	for _, want := range []string{"95.5 %", "effective sample 410 → 1450", "to 30 days 4,120.50 USD", "over 90 days 99.00 USD"} {
		require.Contains(t, p.text, want)
	}
	require.NotContains(t, p.text, "31–60 days", "an empty bucket is not shown")
	for _, link := range []string{"/coverage?account=acme", "/cycles?account=acme&period=all&state=withheld", "/breaks?account=acme", "/invoices?account=acme&status=open"} {
		require.Contains(t, p.links, link)
	}
}
