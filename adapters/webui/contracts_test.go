package webui_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// ContractVersions are two: from August, and from October with a platform fee.
func (l *ledger) ContractVersions(_ context.Context, accountID string) (billing.Versions, error) {
	if accountID == "sandbox" {
		return nil, fault.New(fault.NotFound, "contract_not_found", "account %s has no contract", accountID)
	}
	var out billing.Versions
	for i, from := range []string{"2026-08", "2026-10"} {
		m, err := period.ParseMonth(from)
		if err != nil {
			return nil, err
		}
		terms := billing.DefaultTerms()
		terms.FirstPeriod, terms.PlatformFeeMinor = "2026-08", int64(i)*80_000
		if i > 0 {
			terms.Tiers = &billing.Tiers{Mode: billing.Marginal, Reset: billing.PerYear, Above: []billing.Tier{{FromMinor: 10_000_000, Share: "0.25"}}}
			terms.Caps, terms.Minimum = &billing.Caps{MonthMinor: 5_000_000, TotalMinor: 40_000_000}, &billing.Minimum{AmountMinor: 1_200_000, Every: billing.PerYear}
		}
		out = append(out, billing.Contract{ID: accountID + "-c" + strconv.Itoa(i+1), AccountID: accountID, Environment: account.Live, Version: i + 1, EffectiveFrom: m, Terms: terms, Hash: "5f0c", CreatedAt: now})
	}
	return out, l.err
}

// ContractsOf leaves out who has none.
func (l *ledger) ContractsOf(ctx context.Context, accountIDs []string) (map[string]billing.Versions, error) {
	out := map[string]billing.Versions{}
	for _, id := range accountIDs {
		versions, err := l.ContractVersions(ctx, id)
		switch {
		case err == nil:
			out[id] = versions
		case !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	return out, nil
}

// PlansOf has acme's plan of the contract year from August.
func (l *ledger) PlansOf(_ context.Context, accountIDs []string) (map[string][]onboard.StoredPlan, error) {
	first, err := period.ParseMonth("2026-08")
	if err != nil {
		return nil, err
	}
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: "usd", Unit: lift.UnitUser, Baseline: "none", HoldoutProbability: "0.2", SaltCommitment: strings.Repeat("0", 64)})
	if err != nil {
		return nil, err
	}
	sealed, err := p.Seal(now.AddDate(0, -6, 0))
	if err != nil || !slices.Contains(accountIDs, "acme") {
		return nil, err
	}
	return map[string][]onboard.StoredPlan{"acme": {{ID: "acme-plan", AccountID: "acme", Plan: sealed, SealedSalt: []byte("nobody sees it")}}}, nil
}

func (l *ledger) Price(_ context.Context, accountID string, n int, changes []byte) (whatif.Answer, error) {
	l.changes = strconv.Itoa(n) + " " + string(changes)
	return whatif.Answer{AccountID: accountID, Currency: "usd", Asked: n, Months: []whatif.Compared{
		{Period: "2026-10", State: billing.Invoiced, Version: 2, OldMinor: 412_050, NewMinor: 309_037, DifferenceMinor: -103_013},
	}, OldMinor: 412_050, NewMinor: 309_037, DifferenceMinor: -103_013, Terms: []string{"Share 0.15"}, Hash: "77aa"}, l.refusal
}

func TestContractsAndTheirVersions(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/contracts?account=acme")
	first := p.row(t, "2026-08")
	require.Equal(t, []string{"1", "2026-08", "2026-09", "2026-10", "0.20", "–", "measured", "0.05", "0.0005", "1000", "0.2", "1,000 users and 100 payers, probability 0.02", "USD", "–"}, first[1:15], "what was not agreed on is not zero")
	newest := p.row(t, "12,000.00 USD")
	require.Equal(t, []string{"0.25 from 100,000.00 USD, marginal, by year", "800.00 USD", "–", "50,000.00 USD a month, 400,000.00 USD in all", "12,000.00 USD", "year"}, append([]string{newest[6]}, newest[14:19]...))
	require.Equal(t, "acme-plan", newest[25])
	require.Equal(t, "–", open(t, e, "/contracts?account=northwind").row(t, "2026-08")[8], "nothing is sealed")
	require.NotContains(t, p.html, "nobody sees it")
	require.Equal(t, 400, open(t, e, "/contracts?active=soon").status)
	require.Contains(t, p.links, "/accounts/acme/whatif")
	require.NotContains(t, open(t, e, "/contracts?cursor=acme").links, "/accounts/acme/whatif", "a page begins behind the account that its address names")
	rows := download(t, e, "/contracts.csv?active=2026-09")
	require.NotContains(t, rows.column(t, "version"), "2")
	require.Contains(t, download(t, e, "/contracts.csv?active=2026-12").column(t, "platform_fee"), "800.00")
}

func TestWhatIfOnThePage(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	require.Contains(t, open(t, e, "/accounts/acme/whatif").text, "Platform fee")
	require.Empty(t, l.changes, "nothing is priced before something is asked")
	p := open(t, e, "/accounts/acme/whatif?share=0.15&months=3&cap=500&floor=10&fee=1.50&basis=proven&terms=%7B%22days_until_due%22%3A14%2C%22share%22%3A%220.9%22%7D")
	require.Equal(t, `3 {"basis":"proven","caps":{"month_minor":50000},"days_until_due":14,"floor_minor":1000,"platform_fee_minor":150,"share":"0.15"}`, l.changes)
	require.Equal(t, []string{"4,120.50 USD", "3,090.37 USD", "-1,030.13 USD"}, p.row(t, "October 2026")[3:])
	require.Contains(t, p.row(t, "Total USD")[0], "1 of 3 months")
	for _, bad := range []string{"fee=x", "months=x", "terms=%5B1%5D"} {
		require.Equal(t, 422, open(t, e, "/accounts/acme/whatif?"+bad).status, bad)
	}
	l.refusal = fault.InvalidField("share", "share_range", "1.5 is no share").Fix("Write it as 0.20")
	require.Contains(t, open(t, e, "/accounts/acme/whatif?share=1.5").text, "Share: 1.5 is no share. Write it as 0.20.")
	require.Equal(t, 400, open(t, e, "/accounts/acme/whatif.csv").status)
	require.Equal(t, 404, open(t, e, "/accounts/nobody/whatif").status)
}
