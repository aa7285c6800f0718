package measure_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// paysAbroad makes a mapped customer that pays one invoice and gets a part of it back.
func paysAbroad(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company, currency, amount, back string) {
	t.Helper()
	at := func(path string, form url.Values) map[string]any {
		return pipelinetest.AtStripe(t, d.Fake, c.Operator, http.MethodPost, path, form)
	}
	customer := at("/v1/customers", url.Values{"email": {currency + "@example.com"}, "payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"}, "metadata[user_id]": {"abroad-" + currency}})["id"].(string)
	id := at("/v1/invoices", url.Values{"customer": {customer}, "currency": {currency}, "auto_advance": {"false"}, "pending_invoice_items_behavior": {"exclude"}})["id"].(string)
	at("/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {id}, "amount": {amount}, "currency": {currency}})
	at("/v1/invoices/"+id+"/finalize", nil)
	paid := at("/v1/invoices/"+id+"/pay", nil)
	if back != "" {
		at("/v1/refunds", url.Values{"charge": {paid["charge"].(string)}, "amount": {back}})
	}
}

// TestCurrenciesNeverMeet: revenue in another currency than the contract's has a place of its
// own, by currency; every cent of the ledger is in the sum of its currency, which is the one of
// Stripe's lists, and the contract's buckets, readouts and fees hold none of another.
func TestCurrenciesNeverMeet(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t, func(d *pipelinetest.Deployment, all []*pipelinetest.Company) {
		paysAbroad(t, d, all[0], "eur", "1000", "250")
		paysAbroad(t, d, all[0], "jpy", "500", "")
	})
	ctx, acme := t.Context(), companies[0]
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	s := d.Measure()
	opened, err := s.Open(ctx, acme.ID, m, "by-hand")
	require.NoError(t, err)
	_, err = s.Collect(ctx, opened.CycleID, quiet)
	require.NoError(t, err)

	ledger := map[string]int64{}
	rows, err := d.SQL.Query(ctx, `SELECT currency, sum(amount_minor)::bigint FROM reward_events WHERE connection_id = $1 AND amount_minor <> 0
		AND kind IN ('revenue_confirmation', 'refund', 'dispute', 'dispute_won', 'dispute_lost') AND effective_at < '2026-11-01' GROUP BY 1`, acme.ID+"-stripe")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var currency string
		var minor int64
		require.NoError(t, rows.Scan(&currency, &minor))
		ledger[currency] = minor
	}
	require.NoError(t, rows.Err())

	got, err := d.DB.NewReader().TieOut(ctx, opened.CycleID)
	require.NoError(t, err)
	shown := map[string]int64{"usd": 0}
	for _, b := range got.Buckets {
		require.Equal(t, "usd", b.Currency)
		require.NotEqual(t, "other_currency", b.Bucket)
		if b.Paid("usd") {
			shown["usd"] += b.AmountMinor
		}
	}
	require.Equal(t, got.PaidRevenueMinor, shown["usd"])
	require.Len(t, got.Others, 2)
	for i, want := range []struct {
		currency string
		minor    int64
		events   int
	}{{"eur", 750, 2}, {"jpy", 500, 1}} {
		o := got.Others[i]
		require.Equal(t, []reconcile.BucketSum{{Bucket: "other_currency", Currency: want.currency, AmountMinor: want.minor, Events: want.events}}, o.Buckets)
		require.Equal(t, []int64{want.minor, want.minor, want.minor}, []int64{o.SumMinor(), *o.PaidMinor, *o.StripeMinor})
		shown[o.Currency] = o.SumMinor()
	}
	require.Equal(t, ledger, shown, "every cent of the ledger, by currency")
	require.Len(t, got.EveryBucket(), len(got.Buckets)+2)

	var api httpapi.TieOut
	d.Get(t, "/v1/cycles/"+opened.CycleID, &api)
	require.Equal(t, []string{"7.50 EUR", "500 JPY"}, []string{api.OtherCurrencies[0].Sum.Formatted, api.OtherCurrencies[1].Sum.Formatted})
	var events httpapi.RewardEventList
	d.Get(t, "/v1/accounts/"+acme.ID+"/reward-events?currency=eur&joined=other_currency", &events)
	require.Len(t, events.Items, 2, "what the page leads to")
	page := d.Page(t, d.Person(t, "finn@example.com", "Finn", "finance"), "/cycles/"+opened.CycleID)
	before, after, found := strings.Cut(page, "Revenue in other currencies")
	require.True(t, found)
	require.NotContains(t, before, "EUR")
	require.Contains(t, after, "Out of scope")
}
