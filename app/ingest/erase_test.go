package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

func (w *world) eraser() *ingest.Eraser {
	return &ingest.Eraser{Bodies: w.db.NewBodies(), Classifier: w.classifier(), Box: w.box, Clock: clock.Fixed(now)}
}

// told delivers an event about an object.
func (w *world) told(id, kind, object string) {
	w.t.Helper()
	_, err := w.receive(fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":%s}}`, id, kind, now.Unix(), object), current, now)
	require.NoError(w.t, err, id)
}

// left are the events whose bodies are still there.
func (w *world) left() []string {
	w.t.Helper()
	return w.ids("SELECT event_id FROM stripe_events WHERE length(sealed_body) > 0 ORDER BY event_id")
}

func (w *world) ids(query string, args ...any) []string {
	w.t.Helper()
	rows, err := w.sql.Query(w.ctx, query, args...)
	require.NoError(w.t, err)
	var out []string
	for rows.Next() {
		var id string
		require.NoError(w.t, rows.Scan(&id))
		out = append(out, id)
	}
	require.NoError(w.t, rows.Err())
	return out
}

// A person's bodies go, also those that name only an object of theirs; everybody else's
// stay, and so do digests, facts and a record.
func TestErasure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const zoe, max = "cus_ZoeZoeZoe1", "cus_MaxMaxMax1"
	w.told("evt_1", "customer.created", `{"id":"`+zoe+`","object":"customer","created":1,"email":"zoe@customer.test","metadata":{"user_id":"u1"}}`)
	w.told("evt_2", "invoice.paid", `{"id":"in_Zoe00001","object":"invoice","customer":{"id":"`+zoe+`"},"charge":"ch_Zoe00001","currency":"usd","status":"paid","amount_paid":500,"total":500,"lines":[{"price":"price_Team0001"}]}`)
	w.told("evt_3", "charge.dispute.created", `{"id":"dp_Zoe00001","object":"dispute","charge":"ch_Zoe00001","amount":500,"currency":"usd","status":"needs_response","evidence":{"customer_name":"Zoe"}}`)
	w.told("evt_4", "radar.warned", `{"id":"x","object":"x","note":"see\ncus_ZoeZoeZoe1, https:\/\/dashboard.stripe.com\/customers\/cus_ZoeZoeZoe1?a"}`)
	w.told("evt_5", "customer.created", `{"id":"`+max+`","object":"customer","created":1,"metadata":{"user_id":"u2"}}`)
	w.told("evt_6", "invoice.paid", `{"id":"in_Max00001","object":"invoice","customer":"`+max+`","charge":"ch_Max00001","currency":"usd","status":"paid","amount_paid":700,"total":700,"lines":[{"price":"price_Team0001"}]}`)
	w.told("evt_7", "radar.warned", `{"id":"y","object":"y","note":"cus_ZoeZoeZoe12 xcus_ZoeZoeZoe1 cus_ZoeZoeZoe1_"}`)
	_, err := w.receive([]byte(`no JSON, about cus_ZoeZoeZoe1`), current, now)
	require.NoError(t, err)
	digests := w.ids("SELECT encode(body_sha256, 'hex') FROM stripe_events ORDER BY event_id")

	done, err := w.eraser().Erase(w.ctx, access.Operator("anna"), "acme", zoe, "request 17")
	require.NoError(t, err)
	require.Equal(t, ingest.Erasure{ID: 1, Searched: 8, Erased: 5}, done)
	require.True(t, done.Complete())
	require.Equal(t, []string{"evt_5", "evt_6", "evt_7"}, w.left())
	require.Equal(t, digests, w.ids("SELECT encode(body_sha256, 'hex') FROM stripe_events ORDER BY event_id"), "digests stay")
	require.Equal(t, []string{"acme " + zoe + " request 17"}, w.ids("SELECT connection_id || ' ' || customer_id || ' ' || reason FROM body_erasures"))
	require.Len(t, w.ids("SELECT event_id FROM erased_bodies WHERE erasure_id = 1"), 5)
	require.Contains(t, w.ids("SELECT kind FROM reward_events WHERE customer_id = $1", zoe), "revenue_confirmation", "facts stay, of what was pending too")

	again, err := w.eraser().Erase(w.ctx, access.Operator("anna"), "acme", zoe, "request 17")
	require.NoError(t, err)
	require.Equal(t, ingest.Erasure{Searched: 3}, again, "nothing is left to erase, and nothing is recorded")
	receipt, err := w.receive(event("evt_1", ""), current, now)
	require.NoError(t, err)
	require.False(t, receipt.New, "a repeated delivery brings no body back")
	require.NotContains(t, w.left(), "evt_1")
	for _, change := range []string{"UPDATE body_erasures SET reason = ''", "DELETE FROM erased_bodies", "TRUNCATE erased_bodies"} {
		_, err := w.sql.Exec(w.ctx, change)
		require.ErrorContains(t, err, "append-only", change)
	}
}

// An erased event that is put back into the queue books nothing and is not taken for damaged.
func TestErasedEventsAreNotDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.told("evt_1", "customer.created", `{"id":"cus_ZoeZoeZoe1","object":"customer","created":1,"metadata":{"user_id":"u1"}}`)
	_, err := w.eraser().Erase(w.ctx, access.Operator("anna"), "acme", "cus_ZoeZoeZoe1", "request 18")
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, "UPDATE event_processing SET status = 'pending', reason = ''")
	require.NoError(t, err)
	b, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	require.Equal(t, ingest.Booked{Events: 1}, b)
	require.Equal(t, "ignored body_erased", w.status("evt_1"))
}

// What cannot be erased yet, or cannot be searched, is counted and left.
func TestErasureSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.told("evt_1", "customer.created", `{"id":"customer","object":"customer","created":1,"metadata":{"user_id":"u1"}}`)
	w.told("evt_2", "customer.created", `{"id":"cus_Other0001","object":"customer","created":1}`)
	w.told("evt_3", "customer.created", `{"id":"cus_Damaged01","object":"customer","created":1}`)
	_, err := w.classifier().Drain(w.ctx)
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, "UPDATE stripe_events SET sealed_body = 'damaged' WHERE event_id = 'evt_3'")
	require.NoError(t, err)
	_, err = w.sql.Exec(w.ctx, "UPDATE connections SET paused = true")
	require.NoError(t, err)
	w.told("evt_4", "customer.updated", `{"id":"customer","object":"customer","created":1}`)
	done, err := w.eraser().Erase(w.ctx, access.Operator("anna"), "acme", " customer ", "request 19")
	require.NoError(t, err)
	require.Equal(t, ingest.Erasure{ID: 1, Searched: 4, Erased: 1, Pending: 1, Unreadable: 1}, done, "an ID that is an ordinary word is a customer only where one stands")
	require.False(t, done.Complete())
	require.Equal(t, []string{"evt_2", "evt_3", "evt_4"}, w.left())

	for code, in := range map[string][3]string{
		"customer_missing": {"acme", " ", "r"}, "reason_missing": {"acme", "cus_Other0001", ""}, "connection_not_found": {"nobody", "cus_Other0001", "r"},
	} {
		_, err := w.eraser().Erase(w.ctx, access.Operator("anna"), in[0], in[1], in[2])
		require.Equal(t, code, fault.CodeOf(err))
	}
	refs := []ingest.EventRef{{ConnectionID: "acme", EventID: "evt_2", Created: now}, {ConnectionID: "acme", EventID: "evt_4", Created: now}}
	err = w.db.NewBodies().EraseBodies(w.ctx, 1, refs, now.Add(time.Second))
	require.True(t, fault.Is(err, fault.Unavailable), "what is pending keeps its body")
	require.Contains(t, w.left(), "evt_4")
	_, err = w.eraser().Erase(canceled(w.ctx), access.Operator("anna"), "acme", "cus_Other0001", "r")
	require.ErrorIs(t, err, context.Canceled)
}

func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
