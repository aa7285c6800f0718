package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// walk reads a list page by page and checks that pages are full and the end is told.
func walk[T any](t *testing.T, limit int, key func(T) string, page func(cursor string) (reconcile.Page[T], error)) []string {
	t.Helper()
	var out []string
	for cursor, n := "", 0; ; n++ {
		p, err := page(cursor)
		require.NoError(t, err)
		for _, it := range p.Items {
			require.NotContains(t, out, key(it), "a row came twice")
			out = append(out, key(it))
		}
		if cursor = p.NextCursor; cursor == "" {
			return out
		}
		require.Len(t, p.Items, limit)
		require.Less(t, n, 100)
	}
}

// Every page size gives the whole list, in the same order, nothing twice.
func TestListsPageByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.db.NewReader()
	for _, m := range []string{"2026-01", "2026-02", "2026-03"} {
		w.open("acme", m)
		w.propose("trial", m, 50_000)
	}
	for i := range 9 { // three facts a second: the cursor has to break ties
		w.deliver(id("evt_%d", i), "invoice.paid", day(5), w.invoice(id("in_%d", i), "cus_1", 100, day(5+i/3)), nil)
	}
	w.drain()
	for limit := 1; limit <= 10; limit++ {
		cycles := walk(t, limit, func(c reconcile.CycleSummary) string { return c.ID }, func(c string) (reconcile.Page[reconcile.CycleSummary], error) {
			return r.Cycles(w.ctx, reconcile.CyclesFilter{Scope: access.Everything(), Cursor: c, Limit: limit})
		})
		require.Equal(t, []string{"trial.2026-03", "acme.2026-03", "trial.2026-02", "acme.2026-02", "trial.2026-01", "acme.2026-01"}, cycles)
		readouts := walk(t, limit, func(c reconcile.Readout) string { return c.Period + c.SnapshotID }, func(c string) (reconcile.Page[reconcile.Readout], error) {
			return r.Readouts(w.ctx, "trial", reconcile.CyclesFilter{Cursor: c, Limit: limit})
		})
		require.Len(t, readouts, 12)
		require.IsDecreasing(t, readouts)
		events := walk(t, limit, func(e reconcile.RewardEvent) string { return e.FactKey }, func(c string) (reconcile.Page[reconcile.RewardEvent], error) {
			return r.RewardEvents(w.ctx, reconcile.RewardEventsFilter{AccountID: "acme", Cursor: c, Limit: limit})
		})
		require.Len(t, events, 9)
	}
	for _, f := range []reconcile.CyclesFilter{
		{Period: "2026-02", AccountID: "acme"}, {State: "collecting", Period: "2026-02"}, {Environment: "live", Period: "2026-02"},
	} {
		f.Limit, f.Scope = 10, access.Everything()
		p, err := r.Cycles(w.ctx, f)
		require.NoError(t, err)
		require.Len(t, p.Items, 1)
		require.Equal(t, "acme.2026-02", p.Items[0].ID)
	}
	none, err := r.Readouts(w.ctx, "", reconcile.CyclesFilter{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, none.Items, "readouts are of one account")
	periods, err := r.Periods(w.ctx, access.Everything())
	require.NoError(t, err)
	require.Equal(t, []string{"2026-03", "2026-02", "2026-01"}, periods)
	for _, cursor := range []string{"x", "yesterday~x", "a\x00~b", "2026-01-01T00:00:00Z", "\xff~\xff"} {
		_, err := r.RewardEvents(w.ctx, reconcile.RewardEventsFilter{AccountID: "acme", Cursor: cursor, Limit: 2})
		require.Equal(t, "cursor_malformed", fault.CodeOf(err), cursor)
	}
}

func TestRewardEventFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_c", "customer.created", day(1), w.customer("cus_1", "user-a", day(1)), nil)
	w.deliver("evt_1", "invoice.paid", day(5), w.invoice("in_1", "cus_1", 100, day(5)), nil)
	w.deliver("evt_2", "invoice.paid", day(5).AddDate(0, 1, 0), w.invoice("in_2", "cus_2", 200, day(5).AddDate(0, 1, 0)), nil)
	w.drain()
	require.NoError(t, w.exec(`INSERT INTO charge_owners VALUES ('acme', 'ch_9', 'cus_1', 'in_1', false)`))
	require.NoError(t, w.exec(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, charge_id, amount_minor, currency, effective_at, event_id, recorded_at)
		VALUES ('acme', 'live', 'refund:re_1', 'refund', true, 're_1', 'ch_9', -50, 'usd', $1, 'evt_3', now())`, day(9)))
	count := func(f reconcile.RewardEventsFilter) int {
		f.AccountID, f.Limit = "acme", 50
		p, err := w.db.NewReader().RewardEvents(w.ctx, f)
		require.NoError(t, err)
		return len(p.Items)
	}
	require.Equal(t, 4, count(reconcile.RewardEventsFilter{}))
	require.Equal(t, 2, count(reconcile.RewardEventsFilter{Kind: "revenue_confirmation"}))
	require.Equal(t, 1, count(reconcile.RewardEventsFilter{Period: "2026-02"}))
	require.Equal(t, 3, count(reconcile.RewardEventsFilter{Mapped: "yes"}), "the refund belongs to its charge's customer")
	require.Equal(t, 1, count(reconcile.RewardEventsFilter{Mapped: "no"}))
	require.Equal(t, 3, count(reconcile.RewardEventsFilter{Search: "cus_1"}), "a customer's refunds are found by its ID")
	require.Equal(t, 3, count(reconcile.RewardEventsFilter{Search: "user-a"}))
	require.Equal(t, 1, count(reconcile.RewardEventsFilter{Search: "evt_2"}))
	require.Zero(t, count(reconcile.RewardEventsFilter{Search: "' OR 1=1 --"}))

	require.NoError(t, w.exec(`UPDATE reward_events SET historic = true WHERE event_id = 'evt_2'`))
	for state, n := range map[string]int{"money": 2, "signal": 1, "historic": 1, "own_invoice": 0, "state_only": 0} {
		require.Equal(t, n, count(reconcile.RewardEventsFilter{State: state}), state)
	}
	require.Equal(t, 2, count(reconcile.RewardEventsFilter{MoneyOnly: true, Currency: "USD", To: "2026-01-31"}))
	require.Equal(t, 3, count(reconcile.RewardEventsFilter{From: "2026-01-05"}))
	require.Equal(t, 2, count(reconcile.RewardEventsFilter{From: "2026-01-01", To: "2026-01-05"}))
	require.Equal(t, 2, count(reconcile.RewardEventsFilter{Max: ptr(decimal.RequireFromString("1"))}), "the size counts, whichever way the money goes")
	require.Equal(t, 1, count(reconcile.RewardEventsFilter{Min: ptr(decimal.RequireFromString("0.6")), Max: ptr(decimal.RequireFromString("1.00"))}))
	require.Zero(t, count(reconcile.RewardEventsFilter{Currency: "eur"}))

	svc := &reconcile.Service{Reader: w.db.NewReader()}
	for f, n := range map[reconcile.RewardEventsFilter]int{
		{Type: "invoice.paid"}: 2, {Type: "invoice.paid", Kind: "refund"}: 0, {Source: "webhook"}: 3, {Source: "read"}: 1, {Source: "pull"}: 0,
	} {
		f.AccountID = "acme"
		p, err := svc.RewardEvents(w.ctx, f)
		require.NoError(t, err)
		require.Len(t, p.Items, n, "%+v", f)
	}
	page, err := svc.RewardEvents(w.ctx, reconcile.RewardEventsFilter{AccountID: "acme"})
	require.NoError(t, err)
	for _, e := range page.Items {
		one, err := svc.RewardEvent(w.ctx, "acme", e.ID())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(e, one.RewardEvent), "the list and the page say the same")
		require.NotEmpty(t, one.ObjectID)
		require.Equal(t, "UTC", one.Zone.String())
	}
	_, err = svc.RewardEvent(w.ctx, "acme", "2026-01-05T10:00:00Z~revenue_confirmation:in_x")
	require.Equal(t, "reward_event_not_found", fault.CodeOf(err))
	_, err = svc.RewardEvent(w.ctx, "trial", page.Items[0].ID())
	require.Equal(t, "reward_event_not_found", fault.CodeOf(err), "another account's")
	_, err = svc.RewardEvent(w.ctx, "acme", "in_1")
	require.Equal(t, "reward_event_id", fault.CodeOf(err))
}

// The tie-out's numbers are those of the stored rows, each against the other.
func TestTieOutNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000.7)
	in := w.finish(cy.ID)
	got, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, got.State)
	require.Equal(t, int64(20_000), got.EngineMinor, "0.20 of 100,000")
	require.Equal(t, int64(20_000), *got.StripeMinor, "without tax")
	require.Zero(t, *got.DifferenceMinor)
	require.Equal(t, int64(100_000), got.LiftMinor)
	require.Equal(t, []int{1, 2}, []int{got.CycleSummary.Lines, got.WithheldLines})
	require.Equal(t, in.InvoiceID, got.StripeInvoiceID)
	require.Equal(t, "LB-acme.2026-01", got.InvoiceNumber)
	require.Equal(t, []string{"acme-c1", "0.20", "acme-p1", "inputs"}, []string{got.ContractID, got.Share, got.PlanID, got.InputDigest})
	require.Equal(t, cy.Contract.Hash, got.ContractHash)
	require.Equal(t, cy.Plan.Hash(), got.PlanHash)
	var paid int64
	for _, b := range got.Buckets {
		paid += b.AmountMinor
	}
	require.Equal(t, got.PaidRevenueMinor, paid, "the buckets sum to what was paid")
	require.Equal(t, paid, *got.StripeNetMinor)
	require.Len(t, got.CaseIDs, 1)
	require.Len(t, got.Lines, 3)
	require.Empty(t, cmp.Diff(reconcile.Line{
		SnapshotID: "s-a", SnapshotName: "Offer s-a", CaseID: got.CaseIDs[0], Billed: true, Verdict: "passed", Explanation: got.Lines[0].Explanation,
		Units: 3, HoldoutUnits: 4000, ObservedMinor: 9_000_000, MeasuredMinor: 100_000, BoundMinor: 96_710,
		IntervalLow: 98_040.736, IntervalHigh: 101_960.66399999999, ESS: 4000, HighWaterTo: 100_000, BaseMinor: 100_000,
		FeeMinor: 20_000, BilledMinor: 20_000, StripeLineID: "ii_s-a", StripeMinor: ptr(int64(20_000)),
	}, got.Lines[0]))
	for _, l := range got.Lines[1:] {
		require.False(t, l.Billed)
		require.NotEmpty(t, l.HeadlineCode)
		require.Zero(t, l.FeeMinor+l.BaseMinor)
		require.Nil(t, l.StripeMinor)
	}
	require.Equal(t, "total", got.Steps[len(got.Steps)-1].Name)
	require.Equal(t, "20000", got.Steps[len(got.Steps)-1].Result)
	require.Len(t, got.Attempts, 1)
	require.Equal(t, now.Truncate(time.Microsecond), got.FinalizedAt.UTC())
	readout, err := w.db.NewReader().Readout(w.ctx, got.CaseIDs[0])
	require.NoError(t, err)
	require.True(t, readout.Billed)
	require.Equal(t, []float64{100_000.7, 1000, 1.5, 2.5}, []float64{readout.Lift, readout.SE, readout.VarianceB, readout.Variance0})
	require.Len(t, readout.Checks, len(w.readouts(cy, 100_000.7)[0].Verdict.Checks))
	_, err = w.db.NewReader().TieOut(w.ctx, "acme.2031-01")
	require.Equal(t, "cycle_not_found", fault.CodeOf(err))
	_, err = w.db.NewReader().Readout(w.ctx, "x")
	require.Equal(t, "readout_not_found", fault.CodeOf(err))
	overview, err := w.db.NewReader().AccountList(w.ctx, reconcile.AccountsFilter{Scope: access.Everything(), Limit: 5})
	require.NoError(t, err)
	require.Len(t, overview.Items, 2)
	require.Equal(t, 3, overview.Items[0].Snapshots)
	require.Equal(t, lift.Rule{Basis: lift.BasisMeasured}, overview.Items[0].Rule())
	names, err := w.db.NewReader().Accounts(w.ctx, access.Everything())
	require.NoError(t, err)
	require.Equal(t, []string{"acme", "trial"}, []string{names[0].ID, names[1].ID})
}
