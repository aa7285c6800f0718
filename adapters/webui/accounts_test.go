package webui_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
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
	require.Equal(t, []string{"108,124.00 USD", "990.00 EUR 49,856.00 USD", "17,281", "2"}, p.row(t, "Total LIVE")[2:6])
	require.Equal(t, []string{"", "", "0", "0"}, p.row(t, "Total TEST")[2:6], "what a test account comes to is in no sum of live ones")
	require.Contains(t, p.links, "/cycles?account=acme&period=2026-10")
	require.Contains(t, p.links, "/invoices?account=acme")
}

// TestHealthOfAccounts: each account shows how much of its revenue is mapped, its lift month
// by month, months withheld, open breaks and what is unpaid by age, with links to the rows.
func TestHealthOfAccounts(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/accounts")
	for _, want := range []string{"95.5 %", "effective sample 410 → 1,450", "to 30 days 4,120.50 USD", "over 90 days 99.00 USD"} {
		require.Contains(t, p.text, want)
	}
	require.NotContains(t, p.text, "31–60 days", "an empty bucket is not shown")
	for _, link := range []string{"/coverage?account=acme", "/cycles?account=acme&period=all&state=withheld", "/breaks?account=acme", "/invoices?account=acme&status=open"} {
		require.Contains(t, p.links, link)
	}
}

// The file has a row for each account and currency, and its counts once per account.
func TestAccountsAsAFile(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/accounts?environment=live&sort=id_desc")
	require.Contains(t, p.links, "/accounts.csv?environment=live&sort=id_desc")
	require.Contains(t, p.html, `<input type="hidden" name="sort" value="id_desc">`, "the form keeps the order")
	f := download(t, e, "/accounts.csv")
	require.Equal(t, []string{"acme", "acme"}, f.column(t, "account_id")[:2])
	require.Equal(t, []string{"EUR", "USD"}, f.column(t, "currency")[:2])
	require.Equal(t, []string{"", "108124.00"}, f.column(t, "revenue")[:2])
	require.Equal(t, []string{"990.00", "49856.00"}, f.column(t, "mrr")[:2])
	require.Equal(t, []string{"17281", ""}, f.column(t, "decisions")[:2])
	require.Equal(t, []string{"", "4120.50"}, f.column(t, "unpaid_to_30")[:2])
	require.Equal(t, []string{"", "450.00"}, f.column(t, "unmapped")[:2])
	require.Equal(t, []string{"", "900.00", "1450"}, append(f.column(t, "newest_lift")[:2], f.column(t, "effective_sample")[1]))
}
