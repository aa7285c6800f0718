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

// What is put back into the queue is what the filters select of the connection, batch by batch,
// whether its objects are looked up or its events are read; and it was counted before.
func TestWhatIsClassifiedAgainIsTheSelection(t *testing.T) {
	t.Parallel()
	w := manyEvents(t)
	require.NoError(t, w.exec("CREATE TABLE as_it_was AS SELECT seq, status FROM event_processing"))
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
		s := operate.Selection{
			Scope: access.Everything(), ConnectionID: pick("connection", "acme", "acme", "trial"), Type: pick("type", "", "", "invoice.paid"), Status: pick("status", "", "", "", "processed", "dead"),
			Object: pick("object", "", "", "in_7", `in_"x{,} `), Customer: pick("customer", "", "cus_1", "cus_5", "cus_x"),
		}
		from, to := "-infinity", "infinity"
		if rapid.Bool().Draw(rt, "of a time") {
			s.From, s.To = time.Date(2025, 8, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 11, 9, 0, 0, 0, 0, time.UTC)
			from, to = s.From.Format(time.RFC3339), s.To.Format(time.RFC3339)
		}
		all := strings.Fields(one[string](w, wholeLog, s.ConnectionID, s.Type, s.Status, s.Object, "", s.Customer, from, to, true, false))
		pending := strings.Fields(one[string](w, wholeLog, s.ConnectionID, s.Type, "pending", s.Object, "", s.Customer, from, to, true, false))
		want := slices.DeleteFunc(all, func(id string) bool { return slices.Contains(pending, id) })
		log := w.db.NewEventLog().Looking(90, rapid.IntRange(0, 60).Draw(rt, "lookups"))
		again, not, err := log.Count(w.ctx, s)
		require.NoError(rt, err)
		require.Equal(rt, []int64{int64(len(want)), 0}, []int64{again, not})
		limit := rapid.IntRange(1, 40).Draw(rt, "limit")
		for after := int64(0); ; {
			n, last, err := log.Again(w.ctx, s, after, limit)
			require.NoError(rt, err)
			if after = last; n < int64(limit) {
				break
			}
		}
		got := one[string](w, `SELECT coalesce(string_agg(p.connection_id || '/' || p.event_id, ' ' ORDER BY p.created, p.connection_id, p.event_id), '')
			FROM event_processing p JOIN as_it_was a USING (seq) WHERE p.status = 'pending' AND a.status <> 'pending'`)
		require.Equal(rt, strings.Join(want, " "), got)
		require.NoError(rt, w.exec("UPDATE event_processing p SET status = a.status FROM as_it_was a WHERE p.seq = a.seq AND p.status <> a.status"))
	})
}

// The events of an object, and of a customer with few of them, are found by the Bloom filters:
// where those say that there is none, nothing is read.
func TestFewObjectsAreLookedUp(t *testing.T) {
	t.Parallel()
	w := manyEvents(t)
	require.NoError(t, w.exec(`CREATE OR REPLACE FUNCTION stripe_events_about(object text, since timestamptz, until timestamptz)
		RETURNS TABLE (connection_id text, created timestamptz, event_id text) LANGUAGE sql STABLE STRICT AS $$ SELECT NULL::text, NULL::timestamptz, NULL::text WHERE false $$`))
	for _, c := range []struct {
		s       operate.Selection
		lookups int
		found   bool
	}{
		{operate.Selection{Object: "in_7"}, 60, false}, {operate.Selection{Customer: "cus_1"}, 60, false},
		{operate.Selection{Customer: "cus_1"}, 2, true}, {operate.Selection{Type: "invoice.paid"}, 60, true},
	} {
		c.s.Scope, c.s.ConnectionID = access.Everything(), "acme"
		log := w.db.NewEventLog().Looking(90, c.lookups)
		again, _, err := log.Count(w.ctx, c.s)
		require.NoError(t, err)
		n, _, err := log.Again(w.ctx, c.s, 0, 1000)
		require.NoError(t, err)
		require.Equal(t, c.found, again > 0, "%+v", c.s)
		require.Equal(t, again, n)
	}
}
