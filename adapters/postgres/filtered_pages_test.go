package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/reconcile"
)

// filteredWorld has customers of several countries and states, some of whom are somebody's,
// and their facts, many at one instant.
func filteredWorld(t *testing.T) *world {
	w := newWorld(t)
	for _, sql := range []string{
		`SELECT ensure_month_partition('reward_events', d::date) FROM generate_series('2025-08-01'::date, '2026-01-01', '1 month') d`,
		`INSERT INTO stripe_customers (connection_id, id, currency, country, created_at, delinquent, has_payment_method, payment_method, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
			SELECT 'acme', 'cus_' || c, CASE WHEN c % 2 = 0 THEN 'usd' ELSE 'eur' END, CASE WHEN c % 9 = 0 THEN 'JP' ELSE 'DE' END, CASE WHEN c % 10 > 0 THEN '2025-08-01Z'::timestamptz + c / 3 * interval '1 day' END,
				false, false, '', false, 0, 0, false, 0, 0, 0, 0, true FROM generate_series(0, 89) c`,
		`INSERT INTO stripe_subscriptions (connection_id, id, customer_id, status, currency, created_at, started_at, trial_end_action, cancel_at_term_end, cancel_reason, collection_method, collection_paused, latest_invoice_id,
				has_payment_method, payment_method, price_ids, product_ids, items, discounts, timeline, points, stands, since, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
			SELECT 'acme', 'sub_' || c, 'cus_' || c, status, 'usd', now(), now(), '', false, '', '', '', '', false, '', ARRAY['price_' || c % 4], ARRAY['prod_1'], '[]', '[]', '[]', 1, status, 0, false, 1, 0, false, 0, 0, 0, 0, true
			FROM (SELECT c, CASE WHEN c % 11 = 0 THEN 'past_due' WHEN c % 5 = 0 THEN 'canceled' ELSE 'active' END AS status FROM generate_series(0, 80) c) s`,
		`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source)
			SELECT 'acme', 'cus_' || c, '0001-01-01', 'infinity', 'linked', 'user-' || c, 'l' || c, 'metadata' FROM generate_series(0, 89) c WHERE c % 6 = 0`,
		`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, effective_at, event_id, recorded_at)
			SELECT 'acme', 'live', kind || ':in_' || n, kind, true, 'in_' || n, 'cus_' || n % 90, 'in_' || n, '2025-08-02Z'::timestamptz + n / 4 * interval '31 hours', 'evt_' || n, now()
			FROM (SELECT n, CASE WHEN n % 13 = 0 THEN 'churn' WHEN n % 60 = 1 THEN 'upgrade' ELSE 'conversion' END AS kind FROM generate_series(0, 299) n) s`,
	} {
		require.NoError(t, w.exec(sql))
	}
	return w
}

// walk collects the keys of all pages, of which none has more than the limit.
func walkPages(rt *rapid.T, limit int, page pageFunc) string {
	var got []string
	cursor := ""
	for pages := 0; ; pages++ {
		keys, next, err := page(cursor, limit)
		require.NoError(rt, err)
		require.LessOrEqual(rt, len(keys), limit)
		if got = append(got, keys...); next == "" {
			return strings.Join(got, " ")
		}
		require.Less(rt, pages, 400, "the pages come to an end")
		cursor = next
	}
}

// However few customers a page may look at, the pages together are exactly those that the
// filter selects, in order.
func TestFilteredPagesOfCustomersAreAllOfThem(t *testing.T) {
	t.Parallel()
	w := filteredWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
		f := customers.Filter{
			AsOf: now, Status: pick("status", "", "active", "past_due", "paused"), Currency: pick("currency", "", "usd", "chf"), Country: pick("country", "", "", "JP", "XX"),
			Plan: pick("plan", "", "", "price_2"), Mapped: pick("mapped", "", "yes", "no"), Sort: pick("sort", "", customers.SortOldest), Segment: customers.Segment(pick("segment", "", "", string(customers.FailedPayment))),
		}
		want := strings.Fields(one[string](w, `SELECT coalesce(array_to_string(array_agg(c.id ORDER BY coalesce(c.created_at, 'epoch'), c.id), ' '), '') FROM stripe_customers c LEFT JOIN stripe_subscriptions s ON s.customer_id = c.id
			WHERE $1 IN ('', s.status) AND $2 IN ('', c.currency) AND $3 IN ('', c.country) AND ($4 = '' OR $4 = ANY (s.price_ids) AND s.status IN ('active', 'past_due')) AND ($5 = '' OR s.status = 'past_due')
				AND ($6 = '' OR ($6 = 'yes') = EXISTS (SELECT 1 FROM mapping_spans m WHERE m.subject_id = c.id))`, f.Status, f.Currency, f.Country, f.Plan, string(f.Segment), f.Mapped))
		if f.Sort == "" {
			slices.Reverse(want)
		}
		r := w.db.NewCustomerReader().Looking(rapid.IntRange(1, 120).Draw(rt, "looked"))
		got := walkPages(rt, rapid.IntRange(1, 30).Draw(rt, "limit"), func(cursor string, limit int) ([]string, string, error) {
			f.Cursor, f.Limit = cursor, limit
			p, err := r.Customers(w.ctx, "acme", f)
			return keysOf(p.Items, p.NextCursor, func(c customers.Summary) string { return c.ID }, err)
		})
		require.Equal(rt, strings.Join(want, " "), got)
	})
}

// However few facts a page may look at, the pages together are exactly those that the
// filter selects, in order.
func TestFilteredPagesOfFactsAreAllOfThem(t *testing.T) {
	t.Parallel()
	w := filteredWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
		f := reconcile.RewardEventsFilter{
			AccountID: "acme", Kind: pick("kind", "", "churn", "upgrade", "dispute"), Period: pick("period", "", "", "2025-09"), Mapped: pick("mapped", "", "yes", "no"),
			Search: pick("search", "", "", "", "cus_6", "in_26", "evt_27", "churn:in_39", "user-6", "sub_3"), Sort: pick("sort", "", "effective_asc"),
		}
		want := strings.Fields(one[string](w, `SELECT coalesce(array_to_string(array_agg(e.fact_key ORDER BY e.effective_at, e.fact_key), ' '), '') FROM reward_events e
			LEFT JOIN mapping_spans m ON m.subject_id = e.customer_id
			WHERE $1 IN ('', e.kind) AND ($2 = '' OR to_char(e.effective_at AT TIME ZONE 'UTC', 'YYYY-MM') = $2) AND ($3 = '' OR ($3 = 'yes') = (m.user_id IS NOT NULL))
				AND ($4 IN ('', e.customer_id, e.object_id, e.event_id, e.fact_key, e.invoice_id, e.subscription_id) OR $4 = m.user_id)`, f.Kind, f.Period, f.Mapped, f.Search))
		if f.Sort == "" {
			slices.Reverse(want)
		}
		r := w.db.NewReader().Looking(rapid.IntRange(1, 200).Draw(rt, "looked"), rapid.IntRange(1, 200).Draw(rt, "owners"), 1)
		got := walkPages(rt, rapid.IntRange(1, 30).Draw(rt, "limit"), func(cursor string, limit int) ([]string, string, error) {
			f.Cursor, f.Limit = cursor, limit
			p, err := r.RewardEvents(w.ctx, f)
			return keysOf(p.Items, p.NextCursor, func(e reconcile.RewardEvent) string { return e.FactKey }, err)
		})
		require.Equal(rt, strings.Join(want, " "), got)
	})
}
