package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
)

// manyEvents has events of two connections over half a year, three of which share each
// instant, some from before every partition, and customers whose facts name their objects.
func manyEvents(t *testing.T) *world {
	w := newWorld(t)
	for _, sql := range []string{
		`SELECT ensure_month_partition('stripe_events', d::date) FROM generate_series('2025-08-01'::date, '2026-01-01', '1 month') d`,
		`INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at)
			SELECT CASE WHEN n % 4 = 0 THEN 'trial' ELSE 'acme' END, CASE WHEN n % 4 = 0 THEN 'test' ELSE 'live' END, 'evt_' || n,
				CASE WHEN n < 9 THEN '2009-12-31 23:00Z' ELSE '2025-08-05Z'::timestamptz END + n / 3 * interval '37 hours',
				CASE WHEN n = 30 THEN 'rare' WHEN n % 7 = 0 THEN 'invoice.paid' ELSE 'customer.updated' END, 'in_' || n % 50, 'v', n % 4 > 0, '\x00', decode(repeat('00', 32), 'hex'), now()
			FROM generate_series(0, 330) n`,
		`INSERT INTO event_processing (connection_id, event_id, created, status)
			SELECT connection_id, event_id, created, (ARRAY['processed', 'ignored', 'processed', 'dead', 'pending', 'processed'])[substr(event_id, 5)::int % 6 + 1] FROM stripe_events ORDER BY event_id`,
		`INSERT INTO stripe_customers (connection_id, id, currency, country, delinquent, has_payment_method, payment_method, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
			SELECT 'acme', 'cus_' || c, 'usd', 'DE', false, false, '', false, 0, 0, false, 0, 0, 0, 0, true FROM generate_series(0, 5) c`,
		`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, effective_at, event_id, recorded_at)
			SELECT 'acme', 'live', 'churn:' || n, 'churn', true, 'in_' || n, 'cus_' || n % 6, 'in_' || n + 1, '2025-09-01Z', 'evt_' || n, now() FROM generate_series(0, 48) n`,
	} {
		require.NoError(t, w.exec(sql))
	}
	return w
}

// wholeLog is what a filter selects, said in one statement.
const wholeLog = `SELECT coalesce(array_to_string(array_agg(e.connection_id || '/' || e.event_id ORDER BY e.created, e.connection_id, e.event_id), ' '), '')
	FROM stripe_events e JOIN event_processing p ON p.connection_id = e.connection_id AND p.event_id = e.event_id AND p.created = e.created
	WHERE $1 IN ('', e.connection_id) AND $2 IN ('', e.type) AND $3 IN ('', p.status) AND $4 IN ('', e.object_id) AND $5 IN ('', e.event_id)
		AND ($6 = '' OR e.object_id = $6 OR EXISTS (SELECT 1 FROM reward_events r WHERE r.customer_id = $6 AND $1 IN ('', r.connection_id) AND e.object_id IN (r.object_id, r.invoice_id)))
		AND e.created >= $7 AND e.created < $8 AND ($9 OR e.environment = 'live') AND (NOT $10 OR p.status IN ('dead', 'quarantined'))`

// However little a page may look at, the pages together are exactly what the filter selects,
// in order, no event twice and none missing; a page that is not full goes on as long as
// there may be more.
func TestPagesOfTheWalkAreTheWholeLog(t *testing.T) {
	t.Parallel()
	w := manyEvents(t)
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
		at := func(name string) time.Time {
			if rapid.Bool().Draw(rt, name+" open") {
				return time.Time{}
			}
			return time.Date(2025, 8, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 190*24).Draw(rt, name)) * time.Hour)
		}
		s := operate.Selection{
			Scope: access.Everything(), ConnectionID: pick("connection", "", "", "acme", "trial", "nobody"), Type: pick("type", "", "", "invoice.paid", "rare", "never.sent"),
			Status: pick("status", "", "", "", "processed", "ignored", "dead", "pending"), Object: pick("object", "", "", "", "", "in_7", "in_x"), EventID: pick("event", "", "", "", "", "evt_7"),
			Customer: pick("customer", "", "", "", "cus_1", "cus_5", "cus_x"), From: at("from"), To: at("to"),
		}
		everywhere := rapid.Bool().Draw(rt, "everywhere")
		if !everywhere {
			s.Scope = access.Scope{AllAccounts: true, Environments: access.Everything().Environments[:1]}
		}
		attention := rapid.IntRange(0, 5).Draw(rt, "attention") == 0
		f := operate.EventsFilter{Selection: s, Attention: attention, Sort: pick("sort", "", operate.SortOldest), Limit: rapid.IntRange(1, 40).Draw(rt, "limit")}
		from, to := "-infinity", "infinity"
		if !s.From.IsZero() {
			from = s.From.Format(time.RFC3339)
		}
		if !s.To.IsZero() {
			to = s.To.Format(time.RFC3339)
		}
		want := strings.Fields(one[string](w, wholeLog, s.ConnectionID, s.Type, s.Status, s.Object, s.EventID, s.Customer, from, to, everywhere, attention))
		if f.Sort == "" {
			slices.Reverse(want)
		}
		log := w.db.NewEventLog().Looking(rapid.IntRange(1, 90).Draw(rt, "looked"), rapid.IntRange(1, 60).Draw(rt, "lookups"))
		var got []string
		for pages := 0; ; pages++ {
			p, err := log.Events(w.ctx, f)
			require.NoError(rt, err)
			require.LessOrEqual(rt, len(p.Items), f.Limit)
			for _, e := range p.Items {
				got = append(got, e.ConnectionID+"/"+e.EventID)
			}
			if f.Cursor = p.NextCursor; f.Cursor == "" {
				break
			}
			require.Less(rt, pages, 400, "the pages come to an end")
		}
		require.Equal(rt, strings.Join(want, " "), strings.Join(got, " "))
	})
}
