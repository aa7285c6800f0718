package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// The overview sums what the close board lists, environment by environment, and a scope
// sees its own part only.
func TestOverviewNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	w.propose("acme", "2026-01", 50_000)
	w.propose("trial", "2026-01", 50_000)
	require.NoError(t, w.exec(`UPDATE cycles SET paid_minor = 1000 WHERE id = 'acme.2026-01'`))
	require.NoError(t, w.exec(`DELETE FROM cycle_buckets`))
	require.NoError(t, w.exec(`INSERT INTO cycle_buckets (cycle_id, bucket, snapshot_id, currency, amount_minor, events) VALUES
		('acme.2026-01', 'snapshot', 's1', 'usd', 700, 7), ('acme.2026-01', 'unmapped', '', 'usd', 200, 2), ('acme.2026-01', 'no_decision', '', 'usd', 100, 1), ('acme.2026-01', 'other_currency', '', 'eur', 9, 1)`))
	w.deliver("evt_p1", "invoice.paid", day(5), w.invoice("in_p1", "cus_1", 300, day(5)), nil)
	w.deliver("evt_p2", "invoice.paid", day(6), w.invoice("in_p2", "cus_1", 500, day(6)), nil)
	w.deliver("evt_old", "invoice.paid", day(1), w.invoice("in_old", "cus_1", 900, day(1)), nil)
	w.drain()

	b, err := svc.Overview(w.ctx, access.Everything(), day(6).Add(time.Hour).Add(0))
	require.NoError(t, err)
	require.Equal(t, "2026-01", b.Period)
	byEnv := map[account.Environment]reconcile.Standing{}
	for _, s := range b.Standings {
		byEnv[s.Environment] = s
	}
	live := byEnv[account.Live]
	require.Equal(t, []int64{1000, 700, 200, 100}, []int64{live.PaidMinor, live.AttributedMinor, live.UnmappedMinor, live.UndecidedMinor}, "another currency is in no sum")
	require.Equal(t, 1, live.Cycles)
	require.Contains(t, byEnv, account.Test)
	page, err := svc.Cycles(w.ctx, reconcile.CyclesFilter{Scope: access.Everything(), Period: "2026-01"})
	require.NoError(t, err)
	for _, c := range page.Items {
		require.Equal(t, c.EngineMinor, byEnv[c.Environment].EngineMinor)
	}
	scope, err := access.NewScope(nil, []string{"test"})
	require.NoError(t, err)
	b, err = svc.Overview(w.ctx, scope, day(6))
	require.NoError(t, err)
	require.Len(t, b.Standings, 1)
	require.Equal(t, account.Test, b.Standings[0].Environment)
	require.Empty(t, b.Payments, "payments of a live source are not shown to somebody of test")
	b, err = svc.Overview(w.ctx, access.Scope{}, day(6))
	require.NoError(t, err)
	require.Empty(t, b.Period)
}

// Payments are counted by currency, and only those of the window.
func TestPaymentsOfAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, at := range []time.Time{day(1), day(5), day(6)} {
		w.deliver(id("evt_%d", i), "invoice.paid", at, w.invoice(id("in_%d", i), "cus_1", int64(100*(i+1)), at), nil)
	}
	w.drain()
	got, err := w.db.NewReader().Payments(w.ctx, access.Everything(), day(5))
	require.NoError(t, err)
	require.Equal(t, []reconcile.Payments{{Environment: account.Live, Currency: "usd", Paid: 2, PaidMinor: 500}}, got)
}

func TestInvoiceList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	for i, m := range []string{"2026-01", "2026-02", "2026-03"} {
		w.propose("acme", m, float64(50_000*(i+1)))
		w.finish("acme." + m)
	}
	require.NoError(t, w.exec(`UPDATE writeback_intents SET stripe_status = 'paid' WHERE period = '2026-02'`))
	list := func(f reconcile.InvoicesFilter) []string {
		f.Scope = access.Everything()
		var out []string
		for limit := 1; limit <= 4; limit++ {
			got := walk(t, limit, func(i reconcile.InvoiceRow) string { return i.CycleID }, func(c string) (reconcile.Page[reconcile.InvoiceRow], error) {
				f.Cursor, f.Limit = c, limit
				return svc.Invoices(w.ctx, f)
			})
			require.True(t, limit == 1 || len(got) == len(out), "every page size gives the same list")
			out = got
		}
		return out
	}
	all := list(reconcile.InvoicesFilter{})
	require.NotEmpty(t, all)
	require.IsDecreasing(t, all)
	require.ElementsMatch(t, all, list(reconcile.InvoicesFilter{Sort: "amount"}))
	require.Equal(t, []string{"acme.2026-01"}, list(reconcile.InvoicesFilter{Search: "acme.2026-01"}))
	require.Equal(t, []string{"acme.2026-02"}, list(reconcile.InvoicesFilter{Status: "paid"}))
	most := int64(0)
	require.Empty(t, list(reconcile.InvoicesFilter{MaxMinor: &most}))
	require.Equal(t, all, list(reconcile.InvoicesFilter{MinMinor: &most}))
	for _, sort := range reconcile.InvoiceSorts() {
		sorted := list(reconcile.InvoicesFilter{Sort: sort})
		require.ElementsMatch(t, all, sorted, sort)
		if up, ok := strings.CutSuffix(sort, "_asc"); ok && up != "period" {
			down := list(reconcile.InvoicesFilter{Sort: up})
			slices.Reverse(down)
			require.Equal(t, down, sorted, sort)
		}
	}
	require.Equal(t, all, list(reconcile.InvoicesFilter{AtStripe: true}))
	require.Equal(t, all, list(reconcile.InvoicesFilter{Currency: "USD"}))
	require.Empty(t, list(reconcile.InvoicesFilter{Currency: "jpy"}))
	for _, f := range []reconcile.InvoicesFilter{{Status: "x"}, {Currency: "x"}, {Sort: "x"}, {Limit: -1}, {Period: "x"}, {Cursor: "x"}, {Sort: "amount", Cursor: "x~y"}} {
		_, err := svc.Invoices(w.ctx, f)
		require.True(t, fault.Is(err, fault.Invalid), "%+v", f)
	}
	none, err := svc.Invoices(w.ctx, reconcile.InvoicesFilter{})
	require.NoError(t, err)
	require.Empty(t, none.Items, "an empty scope selects nothing")
}

// An amount is compared in the major units of each invoice's own currency: 1,000 yen are
// 1000 minor units, 1,000 dollars 100000, and 1,000 dinars 1000000.
func TestInvoiceAmountsHaveTheDecimalsOfTheirCurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	for i, currency := range []string{"usd", "jpy", "kwd"} {
		m := id("2026-%02d", i+1)
		w.propose("acme", m, float64(50_000*(i+1)))
		w.finish("acme." + m)
		minor := map[string]int64{"usd": 100_000, "jpy": 1000, "kwd": 1_000_000}[currency]
		require.NoError(t, w.exec(`ALTER TABLE writeback_intents DISABLE TRIGGER USER`))
		require.NoError(t, w.exec(`UPDATE writeback_intents SET currency = $1, total_minor = $2 WHERE cycle_id = $3`, currency, minor, "acme."+m))
	}
	count := func(from, to, currency string) int {
		f := reconcile.InvoicesFilter{Scope: access.Everything(), Currency: currency}
		for text, into := range map[string]**decimal.Decimal{from: &f.MinMajor, to: &f.MaxMajor} {
			if text != "" {
				d, err := reconcile.ParseMajor("amount", text, currency)
				require.NoError(t, err)
				*into = &d
			}
		}
		page, err := svc.Invoices(w.ctx, f)
		require.NoError(t, err)
		return len(page.Items)
	}
	require.Equal(t, 3, count("1,000", "", ""))
	require.Equal(t, 3, count("999.999", "1000.001", ""))
	require.Zero(t, count("1000.001", "", ""))
	require.Zero(t, count("", "999.999", ""))
	require.Equal(t, 1, count("1000", "", "jpy"))
	require.Zero(t, count("1001", "", "jpy"))
	require.Equal(t, 1, count("999.999", "1000", "kwd"))
	for text, currency := range map[string]string{"0.5": "jpy", "0.005": "usd", "0.0005": "", "1e3": "", "x": "usd"} {
		_, err := reconcile.ParseMajor("from", text, currency)
		require.Equal(t, "amount_malformed", fault.CodeOf(err), text)
	}
}

// An account is incomplete while it lacks anything of what the list shows of it, whichever
// that is, and complete with all of it.
func TestIncompleteAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := &reconcile.Service{Reader: w.db.NewReader()}
	ids := func(incomplete bool) (out []string) {
		page, err := svc.AccountList(w.ctx, reconcile.AccountsFilter{Scope: access.Everything(), Incomplete: incomplete})
		require.NoError(t, err)
		for _, o := range page.Items {
			whole := o.IssuerConnection != "" && o.PayerCustomer != "" && o.ContractID != "" && o.PlanID != "" && o.Snapshots > 0 && o.HasDecisions && o.HasEvents
			require.False(t, incomplete && whole, o.ID)
			if incomplete || !whole {
				out = append(out, o.ID)
			}
		}
		return out
	}
	require.Equal(t, ids(false), ids(true), "the same accounts lack something, by the list and by its filter")
	require.Contains(t, ids(true), "acme", "nothing has arrived yet")
	w.deliver("evt_1", "invoice.paid", day(5), w.invoice("in_1", "cus_1", 300, day(5)), nil)
	require.NoError(t, w.exec(`INSERT INTO decision_keys (account_id, decision_id) VALUES ('acme', 'd1') ON CONFLICT DO NOTHING`))
	require.NoError(t, w.exec(`UPDATE accounts SET issuer_connection = source_connection, payer_customer = 'cus_p' WHERE id = 'acme'`))
	require.NotContains(t, ids(true), "acme", "it has everything")
	require.Equal(t, ids(false), ids(true))
	for _, lacks := range []string{`UPDATE accounts SET payer_customer = NULL WHERE id = 'acme'`, `DELETE FROM decision_keys WHERE account_id = 'acme'`} {
		require.NoError(t, w.exec(lacks))
		require.Contains(t, ids(true), "acme", lacks)
		require.NoError(t, w.exec(`UPDATE accounts SET payer_customer = 'cus_p' WHERE id = 'acme'`))
	}
}
