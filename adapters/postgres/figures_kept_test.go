package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/figures"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
)

// randomFacts writes facts of a few customers over three months: payments, some of them twice for
// an invoice, but not by the same customer, since a page takes either of those for a refund's, refunds that name their customer or only their charge, own invoices, and facts
// without money; with links that begin and end, contradict or say nobody, links of subscriptions
// and of frozen months, and decisions.
func (w *world) randomFacts(t *rapid.T) {
	w.t.Helper()
	of := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
	instant := func(name string) time.Time { return day(1).Add(time.Duration(of(name, 24*80)) * time.Hour) }
	customer := func() string { return fmt.Sprintf("cus_%d", of("customer", 6)) }
	sql := func(text string, args ...any) { require.NoError(w.t, w.exec(text, args...)) }
	for _, table := range []string{"reward_events", "charge_owners", "mapping_spans", "fact_links", "decisions"} {
		sql(`DELETE FROM ` + table)
	}
	sql(`UPDATE connections SET map_by_subscription = $1, leave_out_suggested = $2 WHERE id = 'acme'`, of("by_subscription", 2) == 0, of("leave_out", 2) == 0)
	paid := map[string]bool{}
	for n := range rapid.IntRange(0, 40).Draw(t, "facts") {
		who, invoice, charge := customer(), fmt.Sprintf("in_%d", of("invoice", 25)), fmt.Sprintf("ch_%d", of("charge", 25))
		kind := rapid.SampledFrom([]string{"revenue_confirmation", "revenue_confirmation", "refund", "dispute", "churn"}).Draw(t, "kind")
		currency := rapid.SampledFrom([]string{"usd", "usd", "eur"}).Draw(t, "currency")
		amount := any(int64(100 + of("amount", 900)))
		if kind == "churn" {
			amount, currency = nil, ""
		} else if kind != "revenue_confirmation" && of("names", 2) == 0 {
			who = ""
		}
		if kind == "revenue_confirmation" {
			if paid[who+invoice] {
				continue
			}
			paid[who+invoice] = true
		}
		sql(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id, amount_minor, currency, effective_at, event_id, recorded_at)
			VALUES ('acme', 'live', $1, $2, true, $1, $3, $4, $5, $6, $7, $8, $9, $1, $10)`, fmt.Sprintf("fact_%d", n), kind, who, fmt.Sprintf("sub_%d", of("subscription", 6)), invoice, charge, amount, currency, instant("at"), day(90))
		if of("frozen", 5) == 0 {
			sql(`INSERT INTO fact_links (connection_id, fact_key, cycle_id, user_id, link_id, source) VALUES ('acme', $1, 'acme.2026-01', 'u-kept', 'link', 'metadata') ON CONFLICT DO NOTHING`, fmt.Sprintf("fact_%d", n))
		}
	}
	for n := range 25 {
		if of("owner", 2) == 0 {
			sql(`INSERT INTO charge_owners VALUES ('acme', $1, $2, $3, $4)`, fmt.Sprintf("ch_%d", n), customer(), fmt.Sprintf("in_%d", of("invoice", 25)), of("own", 6) == 0)
		}
	}
	for n := range 6 {
		for _, subject := range []string{fmt.Sprintf("cus_%d", n), fmt.Sprintf("sub_%d", n)} {
			if of("spans", 3) == 0 {
				continue
			}
			at := instant("until")
			for _, s := range [][2]any{{"0001-01-01", at}, {at, "infinity"}} {
				state, user := rapid.SampledFrom([]string{"linked", "linked", "conflict", "unlinked"}).Draw(t, "state"), ""
				if state == "linked" {
					user = fmt.Sprintf("u-%d", of("user", 4))
				}
				sql(`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source) VALUES ('acme', $1, $2, $3, $4, $5, 'link', $6)`,
					subject, s[0], s[1], state, user, rapid.SampledFrom([]string{"metadata", "manual", "email"}).Draw(t, "source"))
			}
		}
	}
	for n := range of("decisions", 8) {
		sql(`INSERT INTO decisions (account_id, environment, decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action, baseline_action, eligible_actions, propensity, features, recorded_at)
			VALUES ('acme', 'live', $1, $2, $2, 'snap', $3, 'policy', 0.5, 'a', 'b', '{a,b}', ARRAY[$4::float8, 0.5], '{}', $3)`, fmt.Sprint(n), fmt.Sprintf("u-%d", of("user", 5)), instant("ts"), []float64{0.5, 1, 0, 1.5}[of("p", 4)])
	}
}

// joined is everything that is shown of the facts of acme, whole and by page.
type joined struct {
	Coverage   map[string]mapping.Coverage
	Quarantine map[string]mapping.Quarantine
	Gaps       map[string][]reconcile.Gap
	Payments   []reconcile.Payments
}

// joined reads all of it, and when it is of.
func (w *world) joined(pageOf int) (joined, []time.Time) {
	w.t.Helper()
	out := joined{map[string]mapping.Coverage{}, map[string]mapping.Quarantine{}, map[string][]reconcile.Gap{}, nil}
	var moments []time.Time
	dated := func(at **time.Time) {
		if *at != nil {
			moments = append(moments, **at)
			*at = nil
		}
	}
	for _, m := range []string{"", "2025-12", "2026-01", "2026-02", "2026-03"} {
		f := mapping.PeriodFilter{ConnectionID: "acme", Period: m, Limit: pageOf}
		var whole mapping.Quarantine
		for first := true; first || f.Cursor != ""; first = false {
			q, err := w.mapping().Quarantine(w.ctx, f)
			require.NoError(w.t, err)
			dated(&q.AsOf)
			f.Cursor = q.NextCursor
			q.Customers = append(whole.Customers, q.Customers...)
			whole, whole.NextCursor = q, ""
		}
		out.Quarantine[m] = whole
		if m == "" {
			continue
		}
		c, err := w.mapping().Coverage(w.ctx, f)
		require.NoError(w.t, err)
		dated(&c.AsOf)
		out.Coverage[m] = c
		out.Gaps[m], err = w.db.NewReader().Gaps(w.ctx, "acme", m)
		require.NoError(w.t, err)
	}
	var err error
	out.Payments, err = w.db.NewReader().Payments(w.ctx, access.Everything(), day(60))
	require.NoError(w.t, err)
	for i := range out.Payments {
		dated(&out.Payments[i].AsOf)
	}
	return out, moments
}

// What is kept of a connection is what is summed of it, for all worlds, periods and pages; it
// stays as it is while facts come, and is what is summed again after the next run.
func TestKeptFiguresAreTheSums(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, m := range []string{"2026-01", "2026-02"} {
		require.NoError(t, w.exec(`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
			SELECT 'acme.' || $1::text, 'acme', 'live', $1, ($1 || '-01')::timestamptz, ($1 || '-01')::timestamptz + interval '1 month', k.id, p.id, 'collecting', $2, $2
			FROM contracts k JOIN measurement_plans p ON p.account_id = k.account_id WHERE k.account_id = 'acme' LIMIT 1`, m, now))
	}
	require.NoError(t, w.exec(`SET session_replication_role = replica`)) // a random world keeps to no order
	at := day(67)
	rapid.Check(t, func(r *rapid.T) {
		for _, table := range []string{"payment_figures", "coverage_customers", "coverage_figures", "coverage_runs"} {
			require.NoError(t, w.exec(`DELETE FROM `+table))
		}
		w.randomFacts(r)
		size := rapid.IntRange(1, 5).Draw(r, "page")
		summed, moments := w.joined(size)
		require.Empty(t, moments, "nothing is kept yet")
		kept := w.db.NewKeptFigures()
		at = at.Add(time.Hour)
		require.NoError(t, kept.Refresh(w.ctx, "acme", -1, at))
		require.NoError(t, kept.RefreshPayments(w.ctx, day(60), -1, at))
		got, moments := w.joined(size)
		require.Equal(t, summed, got)
		require.NotEmpty(t, moments)
		for _, m := range moments {
			require.Equal(t, at, m)
		}
		w.randomFacts(r)
		got, _ = w.joined(size)
		if len(summed.Payments) == 0 {
			got.Payments = nil // of no payments nothing is kept
		}
		require.Equal(t, summed, got, "what is kept is as of its run")
		at = at.Add(time.Hour)
		require.NoError(t, kept.Refresh(w.ctx, "acme", -1, at))
		require.NoError(t, kept.RefreshPayments(w.ctx, day(60), -1, at))
		again, _ := w.joined(size)
		require.NoError(t, kept.Refresh(w.ctx, "acme", 1<<40, at), "few facts keep nothing")
		require.NoError(t, w.exec(`DELETE FROM payment_figures`))
		summed, moments = w.joined(size)
		require.Empty(t, moments)
		require.Equal(t, summed, again)
	})
}

// A person's word about a customer has the figures computed soon.
func TestAPersonsWordIsSummedSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(5, "cus_b")
	w.drain()
	svc := &figures.Service{Ledger: w.db.NewKeptFigures(), Clock: clock.Fixed(now), Few: -1}
	done, err := svc.Refresh(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 2, done)
	again, err := svc.Refresh(w.ctx)
	require.NoError(t, err)
	require.Zero(t, again, "nothing is due twice")
	w.link("cus_b", "u-b", time.Time{})
	c, err := w.mapping().Coverage(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.Equal(t, now, *c.AsOf)
	require.Equal(t, mapping.Share{Total: 1}, c.Facts)
	svc.Clock = clock.Fixed(now.Add(2 * time.Minute))
	done, err = svc.Refresh(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, done, "only the connection that was changed")
	c, err = w.mapping().Coverage(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.Equal(t, mapping.Share{Mapped: 1, Total: 1}, c.Facts)
}
