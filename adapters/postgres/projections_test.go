package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// receive stores events as the endpoint would.
func (w *world) receive(events []lived) {
	w.t.Helper()
	inbox := w.db.NewInbox(w.box)
	for _, e := range events {
		_, err := inbox.Append(w.ctx, w.event("acme", e.id, e.at, e.body))
		require.NoError(w.t, err)
	}
}

func TestLivesTry(t *testing.T) {
	w := newWorld(t)
	l := newLives(t, 30, 4)
	events := l.events()
	kinds := map[string]int{}
	for _, e := range events {
		kinds[e.kind]++
	}
	t.Log(len(events), kinds)
	w.receive(events)
	t.Log(w.drain())
	rows, err := w.sql.Query(w.ctx, `SELECT id, status, timeline::text, simple, undecided, coalesce(extra::text,'') FROM stripe_subscriptions WHERE false UNION ALL SELECT id, deleted_at::text, said_at::text, simple, undecided, coalesce(extra::text,'') FROM stripe_customers WHERE NOT simple UNION ALL SELECT id, status, said_at::text, simple, undecided, coalesce(extra::text,'') FROM stripe_invoices WHERE NOT simple`)
	require.NoError(t, err)
	for rows.Next() {
		v, err := rows.Values()
		require.NoError(t, err)
		t.Log(v)
	}
	for _, k := range []string{"customers", "subscriptions", "invoices", "charges", "disputes", "products"} {
		t.Log(k, one[int](w, "SELECT count(*) FROM stripe_"+k), one[int](w, "SELECT count(*) FROM stripe_"+k+" WHERE NOT simple"), one[int](w, "SELECT count(*) FROM stripe_"+k+" WHERE undecided"), len(l.objects(k)))
	}
}
