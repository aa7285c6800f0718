package ingest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

func (w *world) classifier() *ingest.Classifier {
	return &ingest.Classifier{Work: w.db.Classification(), Reads: w.db.Reads(), Box: w.box, Clock: clock.Fixed(now)}
}

// status is where an event stands, with the reason.
func (w *world) status(id string) string {
	w.t.Helper()
	var s string
	require.NoError(w.t, w.sql.QueryRow(w.ctx, "SELECT trim(status || ' ' || reason) FROM event_processing WHERE event_id = $1", id).Scan(&s))
	return s
}

// Every event ends in a state of its own; one that cannot be understood stops nobody.
func TestClassifierOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, body := range map[string][]byte{
		"evt_fact":    event("evt_fact", ""),
		"evt_unknown": []byte(`{"id":"evt_unknown","object":"event","type":"radar.warned","created":1790000000,"livemode":true,"data":{"object":{"id":"x","object":"x"}}}`),
		"evt_anomaly": []byte(`{"id":"evt_anomaly","object":"event","type":"customer.created","created":1790000000,"livemode":true,"data":{"object":{"object":"customer"}}}`),
		"evt_nul":     []byte(`{"id":"evt_nul","object":"event","type":"customer.created","created":1790000000,"livemode":true,"data":{"object":{"id":"cus_2","object":"customer","created":1,"metadata":{"user_id":"a\u0000b"}}}}`),
		"evt_damaged": event("evt_damaged", ""),
	} {
		_, err := w.receive(body, current, now)
		require.NoError(t, err, id)
	}
	_, err := w.sql.Exec(w.ctx, "UPDATE stripe_events SET sealed_body = 'damaged' WHERE event_id = 'evt_damaged'")
	require.NoError(t, err)
	b, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: 5, Facts: 2, Links: 2}, b)
	require.Equal(t, "processed", w.status("evt_fact"))
	require.Equal(t, "processed", w.status("evt_nul"))
	require.Equal(t, "dead body_unreadable", w.status("evt_damaged"))
	require.Regexp(t, "^ignored .+", w.status("evt_unknown"))
	require.Regexp(t, "^quarantined .+", w.status("evt_anomaly"))
	b, err = w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{}, b, "a second run books nothing")
}

// Drain goes on until nothing is pending, batch after batch.
func TestDrainEmptiesTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 1203
	_, err := w.receive(event("evt_0", ""), current, now)
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, `INSERT INTO stripe_events SELECT connection_id, environment, 'evt_' || i, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at
		FROM stripe_events, generate_series(1, $1) i`, n-1)
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, `INSERT INTO event_processing (connection_id, event_id, created, status)
		SELECT connection_id, event_id, created, 'pending' FROM stripe_events WHERE event_id <> 'evt_0'`)
	require.NoError(t, err)
	b, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: n, Facts: 1, Duplicates: n - 1, Links: 1}, b, "one statement, told %d times", n)
	require.Zero(t, w.count("p.status = 'pending'"))

	// A fact that is known already is not booked again when its event is replayed.
	_, err = w.sql.Exec(w.ctx, "UPDATE event_processing SET status = 'pending'")
	require.NoError(t, err)
	b, err = w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: n, Duplicates: n}, b)
	require.Equal(t, 1, w.count("e.event_id = 'evt_0'"))
}

// What the database will not store is found in its batch and set aside; everything before and
// behind it is booked, and a database that fails otherwise sets nothing aside.
func TestAValueThatIsRefusedStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refuse := func(code string) {
		_, err := w.sql.Exec(w.ctx, `CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN IF NEW.customer_id IN ('cus_3', 'cus_5') THEN RAISE EXCEPTION 'no' USING ERRCODE = '`+code+`'; END IF; RETURN NEW; END $$`)
		require.NoError(t, err)
	}
	refuse("42P01")
	_, err := w.sql.Exec(w.ctx, `CREATE TRIGGER refuse BEFORE INSERT ON reward_events FOR EACH ROW EXECUTE FUNCTION refuse()`)
	require.NoError(t, err)
	for n := range 8 {
		id := fmt.Sprintf("evt_%d", n)
		body := fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.created","created":1790000000,"livemode":true,"data":{"object":{"id":"cus_%d","object":"customer","created":1,"metadata":{"user_id":"u"}}}}`, id, n)
		_, err := w.receive(body, current, now)
		require.NoError(t, err)
	}
	_, err = w.classifier().Drain(w.ctx)
	require.Equal(t, "database_error", fault.CodeOf(err))
	require.Equal(t, 8, w.count("p.status = 'pending'"), "a fault of ours is no fault of an event's")
	for _, code := range []string{"22003", "54000"} {
		refuse(code)
		_, err = w.sql.Exec(w.ctx, "UPDATE event_processing SET status = 'pending', reason = ''")
		require.NoError(t, err)
		b, err := w.classifier().Drain(w.ctx)
		require.NoError(t, err)
		require.Equal(t, 8, b.Events, code)
		for n := range 8 {
			want := "processed"
			if n == 3 || n == 5 {
				want = "dead value_refused"
			}
			require.Equal(t, want, w.status(fmt.Sprintf("evt_%d", n)), code)
		}
	}
	_, err = w.sql.Exec(w.ctx, "DROP TRIGGER refuse ON reward_events")
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, "UPDATE event_processing SET status = 'pending' WHERE status = 'dead'")
	require.NoError(t, err)
	b, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 2, b.Facts, "nothing is lost")
}
