package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

var projectionTables = []string{"stripe_charges", "stripe_customers", "stripe_disputes", "stripe_invoices", "stripe_products", "stripe_subscriptions"}

// receive stores events as the endpoint would.
func (w *world) receive(events []lived) {
	w.t.Helper()
	inbox := w.db.NewInbox(w.box)
	for _, e := range events {
		_, err := inbox.Append(w.ctx, w.event("acme", e.id, e.at, e.body))
		require.NoError(w.t, err)
	}
}

// rows are all projections of a connection, byte for byte, by table and ID.
func (w *world) rows(connection string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, table := range projectionTables {
		rows, err := w.sql.Query(w.ctx, "SELECT id, row_to_json(t)::text FROM "+table+" t WHERE connection_id = $1", connection)
		require.NoError(w.t, err)
		for rows.Next() {
			var id, row string
			require.NoError(w.t, rows.Scan(&id, &row))
			out[table+" "+id] = strings.ReplaceAll(row, `"connection_id":"`+connection+`",`, "")
		}
		require.NoError(w.t, rows.Err())
	}
	return out
}

func requireSame(t *testing.T, want, got map[string]string, hint string) {
	t.Helper()
	require.NotEmpty(t, want)
	for key, row := range want {
		require.Equal(t, row, got[key], "%s: %s", hint, key)
	}
	require.Len(t, got, len(want), hint)
}

// book joins observations as the classifier does, in one batch.
func (w *world) book(connection string, seen ...projection.Observation) {
	w.t.Helper()
	require.NoError(w.t, w.db.BookSeen(w.ctx, connection, now, seen...))
}

// observations are what events say, in their order.
func observations(t testing.TB, events []lived) []projection.Observation {
	out := make([]projection.Observation, len(events))
	for i, e := range events {
		c, err := reward.Classify(e.body, reward.Config{})
		require.NoError(t, err)
		out[i] = projection.Observe(c)
	}
	return out
}

// TestLivesConverge: months of a business on stripefake end in the same rows, however
// the events are ordered, repeated and cut into batches, and with several classifiers at
// once; and the rows are what Stripe's own objects say.
func TestLivesConverge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newLives(t, 35, 3)
	events := l.events()
	w.receive(events)
	w.drain()
	want := w.rows("acme")
	require.Zero(t, one[int](w, "SELECT count(*) FROM object_reads WHERE reason = 'same_second'"), "previous_attributes tell the order of every second")

	seen := observations(t, events)
	order := rand.New(rand.NewPCG(1, 2))
	for round := range 3 {
		connection := fmt.Sprintf("shuffled-%d", round)
		stream := append(append([]projection.Observation{}, seen...), seen[:len(seen)/3]...)
		order.Shuffle(len(stream), func(i, j int) { stream[i], stream[j] = stream[j], stream[i] })
		var wg sync.WaitGroup
		batches := make(chan []projection.Observation)
		errs := make(chan error, 1000)
		for range 4 {
			wg.Go(func() {
				for b := range batches {
					errs <- w.db.BookSeen(w.ctx, connection, now, b...)
				}
			})
		}
		for len(stream) > 0 {
			n := min(1+order.IntN(60), len(stream))
			batches <- stream[:n]
			stream = stream[n:]
		}
		close(batches)
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err, "no deadlock, no conflict")
		}
		requireSame(t, want, w.rows(connection), connection)
	}
	w.agreesWithStripe(l)
	w.namesNobody()
}

// agreesWithStripe compares every row with the object that Stripe has now, read through
// the same eyes.
func (w *world) agreesWithStripe(l *lives) {
	w.t.Helper()
	stored, read := w.rows("acme"), 0
	for _, kind := range []string{"customers", "subscriptions", "invoices", "charges", "disputes", "products"} {
		for _, raw := range l.objects(kind) {
			c, err := reward.ClassifyObject(raw, now, reward.Config{})
			require.NoError(w.t, err)
			w.book("stripe", projection.Observe(c))
			read++
		}
	}
	deleted := 0
	for key, row := range w.rows("stripe") {
		if strings.Contains(stored[key], `"deleted_at":"`) {
			deleted++ // Stripe lists it no more
			continue
		}
		requireSameState(w.t, row, stored[key], key)
	}
	require.Greater(w.t, read, 150)
	require.Positive(w.t, deleted)
}

// requireSameState compares what a row says, without when it was said.
func requireSameState(t *testing.T, want, got, key string) {
	t.Helper()
	var a, b map[string]any
	require.NoError(t, json.Unmarshal([]byte(want), &a), key)
	require.NoError(t, json.Unmarshal([]byte(got), &b), key)
	for _, column := range []string{"said_at", "said_later", "read_at", "replaced", "same", "simple", "timeline", "points"} {
		delete(a, column)
		delete(b, column)
	}
	require.Equal(t, a, b, key)
}

// namesNobody looks for what the business gave its customers.
func (w *world) namesNobody() {
	w.t.Helper()
	for key, row := range w.rows("acme") {
		for _, secret := range []string{"example.test", "Person", "Berlin", "Street", `"10115"`, "+49", "visa"} {
			require.NotContains(w.t, row, secret, key)
		}
	}
	require.Positive(w.t, one[int](w, "SELECT count(*) FROM stripe_customers WHERE country = 'DE'"))
}

// TestRebuildGivesTheSameRows: from the stored events and reads alone, with the worker
// going on, and what nothing explains stays.
func TestRebuildGivesTheSameRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newLives(t, 20, 2)
	events := l.events()
	w.receive(events[:len(events)-100])
	w.drain()
	rebuilder := &ingest.Rebuilder{Store: w.db.NewRebuildStore(), Box: w.box}
	rebuild := func() ingest.Rebuilt {
		t.Helper()
		out, err := rebuilder.Rebuild(w.ctx, []string{"acme"})
		require.NoError(t, err)
		return out[0]
	}
	// What was only read is no event.
	c, err := reward.ClassifyObject([]byte(`{"id":"sub_listed","object":"subscription","customer":"cus_listed","status":"active","currency":"usd","created":1700000000,"items":{"data":[]}}`), now, reward.Config{})
	require.NoError(t, err)
	w.book("acme", projection.Observe(c), projection.Gone("customer", "cus_listed", now))
	want := w.rows("acme")
	done := rebuild()
	require.Equal(t, ingest.Rebuilt{ConnectionID: "acme", Events: len(events) - 100, Reads: 2, Objects: len(want)}, done)
	requireSame(t, want, w.rows("acme"), "nothing was wrong")

	// Whatever a bug or a hand left behind is mended, and everything that is missing comes back.
	require.NoError(t, w.exec("UPDATE stripe_subscriptions SET status = 'broken', said_at = said_at + 1000000 WHERE connection_id = 'acme'"))
	require.NoError(t, w.exec("DELETE FROM stripe_invoices"))
	require.NoError(t, w.exec("DELETE FROM stripe_customers"))
	done = rebuild()
	require.Positive(t, done.Changed)
	requireSame(t, want, w.rows("acme"), "mended")

	// While it runs, the worker classifies.
	w.receive(events[len(events)-100:])
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := w.classifier(nil).Drain(w.ctx)
		require.NoError(t, err)
	})
	wg.Go(func() { rebuild() })
	wg.Wait()
	after := w.rows("acme")
	require.Zero(t, rebuild().Changed, "together they gave what a rebuild gives")
	requireSame(t, after, w.rows("acme"), "meanwhile")

	// A row whose events were erased is kept, and said to be.
	require.NoError(t, w.exec("UPDATE stripe_events SET sealed_body = 'erased'"))
	done = rebuild()
	require.Equal(t, len(events), done.Unreadable)
	require.Positive(t, done.Kept)
	requireSame(t, after, w.rows("acme"), "kept")
	_, err = rebuilder.Rebuild(w.ctx, []string{"nobody"})
	require.ErrorContains(t, err, "nobody")
	all, err := rebuilder.Rebuild(w.ctx, nil)
	require.NoError(t, err)
	require.Len(t, all, 2, "all connections")
}

// TestAnUndecidedSecondIsReadAgain: two changes of one second that nothing puts in order
// queue a read, whose answer settles them.
func TestAnUndecidedSecondIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sub := func(status string) obj {
		return obj{"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status, "currency": "usd", "created": now.Unix() - 900, "items": obj{"data": []obj{}}}
	}
	w.deliver("evt_1", "customer.subscription.updated", now, sub("active"), obj{"latest_invoice": "in_1"})
	w.drain()
	require.Zero(t, one[int](w, "SELECT count(*) FROM object_reads WHERE object = 'subscription' AND reason = 'same_second'"))
	w.deliver("evt_2", "customer.subscription.updated", now, sub("past_due"), obj{"latest_invoice": "in_2"})
	w.drain()
	reads := func() string {
		return one[string](w, "SELECT coalesce(string_agg(object_id || ' ' || reason || ' ' || status || ' ' || asked, ','), '') FROM object_reads WHERE object = 'subscription'")
	}
	require.Equal(t, "sub_1 same_second pending 1", reads())
	require.True(t, one[bool](w, "SELECT undecided FROM stripe_subscriptions"))

	answer := func(at time.Time, status string, asked int) {
		raw, err := json.Marshal(sub(status))
		require.NoError(t, err)
		o, err := reward.Observe(raw, at, reward.Config{})
		require.NoError(t, err)
		require.NoError(t, w.db.Reads().FinishRead(w.ctx, ingest.PendingRead{ConnectionID: "acme", Object: "subscription", ObjectID: "sub_1", Asked: asked}, []reward.Observation{o}, at))
	}
	answer(now.Truncate(time.Second).Add(999*time.Millisecond), "active", 1)
	require.Equal(t, "sub_1 same_second pending 2", reads(), "an answer of the very second settles nothing")
	answer(now.Add(2*time.Second), "past_due", 2)
	require.Equal(t, "sub_1 same_second done 2", reads())
	require.Equal(t, "past_due", one[string](w, "SELECT status FROM stripe_subscriptions WHERE NOT undecided"))
	// An event of the settled second that comes late changes nothing more.
	w.deliver("evt_3", "customer.subscription.updated", now, sub("unpaid"), obj{"latest_invoice": "in_3"})
	w.drain()
	require.Equal(t, "sub_1 same_second done 2", reads())
	require.Equal(t, "past_due", one[string](w, "SELECT status FROM stripe_subscriptions"))
}

// TestProductNamesAreAskedForOnce: webhooks name a product by its ID; whoever reads
// products is told which, until a name is there.
func TestProductNamesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sub := func(id string, product any) obj {
		return obj{"id": id, "object": "subscription", "customer": "cus_1", "status": "active", "created": now.Unix(),
			"items": obj{"data": []obj{{"id": "si_1", "price": obj{"id": "p", "product": product}}}}}
	}
	w.deliver("evt_1", "product.created", now, obj{"id": "prod_known", "object": "product", "name": "Known", "active": true, "created": 1}, nil)
	w.deliver("evt_2", "customer.subscription.created", now, sub("sub_1", "prod_known"), nil)
	w.deliver("evt_3", "customer.subscription.created", now, sub("sub_2", "prod_new"), nil)
	w.deliver("evt_4", "customer.subscription.created", now, sub("sub_3", obj{"id": "prod_expanded", "name": "Expanded"}), nil)
	w.drain()
	asked := "SELECT string_agg(object_id || ' ' || status || ' ' || asked, ',' ORDER BY object_id) FROM object_reads WHERE object = 'product'"
	require.Equal(t, "prod_new pending 1", one[string](w, asked))
	w.deliver("evt_5", "customer.subscription.updated", now.Add(time.Second), sub("sub_2", "prod_new"), obj{"latest_invoice": nil})
	w.drain()
	require.Equal(t, "prod_new pending 1", one[string](w, asked))
	product := func(name string) obj {
		return obj{"id": "prod_known", "object": "product", "name": name, "active": true, "created": 1}
	}
	w.deliver("evt_6", "product.updated", now.Add(time.Second), product("One"), obj{"description": "x"})
	w.deliver("evt_7", "product.updated", now.Add(time.Second), product("Two"), obj{"description": "y"})
	w.drain()
	require.Equal(t, "prod_known pending 1,prod_new pending 1", one[string](w, asked), "nobody can tell which name is the last")
}

// TestWhatIsGoneIsBookedAsDeleted: Stripe has a product no longer whose name was asked
// for. That is an answer, and nobody has to look; a charge that is missing is a fault.
func TestWhatIsGoneIsBookedAsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, object := range []string{"product", "charge"} {
		sub := obj{"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "created": now.Unix(),
			"items": obj{"data": []obj{{"id": "si_1", "price": obj{"id": "p", "product": "prod_1"}}}}}
		refund := obj{"id": "re_1", "object": "refund", "charge": "ch_1", "amount": 500, "currency": "usd", "status": "succeeded", "created": now.Unix()}
		if object == "product" {
			w.deliver("evt_1", "customer.subscription.created", now, sub, nil)
		} else {
			w.deliver("evt_2", "refund.created", now, refund, nil)
		}
		w.drain()
		_, err := w.classifier(&charges{err: fault.New(fault.NotFound, "stripe_not_found", "no such object")}).ReadDue(w.ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"done", "failed"}[i], one[string](w, "SELECT status FROM object_reads WHERE object = '"+object+"'"))
	}
	require.True(t, one[bool](w, "SELECT deleted_at IS NOT NULL FROM stripe_products WHERE id = 'prod_1'"))
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM stripe_object_reads WHERE object = 'product'"), "a rebuild knows it too")
}

// TestChargesThatAreReadAreSeen: the read that a refund asks for also tells the charge.
func TestChargesThatAreReadAreSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "refund.created", now, obj{"id": "re_1", "object": "refund", "charge": "ch_1", "amount": 500, "currency": "usd", "status": "succeeded", "created": now.Unix()}, nil)
	w.drain()
	require.Zero(t, one[int](w, "SELECT count(*) FROM stripe_charges"))
	c := w.classifier(&charges{owner: reward.Owner{Charge: "ch_1", Customer: "cus_9", Invoice: "in_1"}, amount: 2000, refunded: 500})
	_, err := c.ReadPending(w.ctx, "")
	require.NoError(t, err)
	require.Equal(t, "cus_9 in_1 500", one[string](w, "SELECT customer_id || ' ' || invoice_id || ' ' || amount_refunded_minor FROM stripe_charges"))
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM stripe_customers WHERE id = 'cus_9'"), "whom a charge names can be listed")
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM stripe_object_reads WHERE object = 'charge'"))
}
