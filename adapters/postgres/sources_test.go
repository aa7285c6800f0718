package postgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// observe books an object as a read by its ID does.
func (w *world) observe(object obj, at time.Time) {
	w.t.Helper()
	raw, err := json.Marshal(object)
	require.NoError(w.t, err)
	o, err := reward.Observe(raw, at, reward.Config{})
	require.NoError(w.t, err)
	r := ingest.PendingRead{ConnectionID: "acme", Object: o.Envelope.ObjectType, ObjectID: o.Envelope.ObjectID}
	require.NoError(w.t, w.db.Reads().FinishRead(w.ctx, r, []reward.Observation{o}, at))
}

// TestACustomerReadLateIsNoNews: whose a customer was before the connection is read off
// the customer; whatever its events tell goes before, in every order of arrival.
func TestACustomerReadLateIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := opened.AddDate(0, -6, 0)
	change := func(customer, was, is string, n int) {
		object := w.customer(customer, is, before)
		previous := obj{"metadata": obj{"user_id": was}}
		if was == "" {
			previous = obj{"metadata": obj{"user_id": nil}}
		}
		w.deliver(id("evt_%s_%d", customer, n), "customer.updated", day(n), object, previous)
		w.drain()
	}
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for i, order := range orders {
		customer, fresh := fmt.Sprintf("cus_%d", i), fmt.Sprintf("cus_fresh_%d", i)
		for _, step := range order {
			switch step {
			case 0:
				change(customer, "ann", "bob", 5)
				change(fresh, "", "ann", 5)
			case 1:
				change(customer, "bob", "cid", 9)
				change(fresh, "ann", "bob", 9)
			default:
				w.observe(w.customer(customer, "cid", before), day(20))
				w.observe(w.customer(fresh, "bob", before), day(20))
			}
		}
		for d, want := range map[int]string{2: "ann", 6: "bob", 12: "cid"} {
			w.deliver(id("evt_in_%s_%d", customer, d), "invoice.paid", day(d), w.invoice(id("in_%s_%d", customer, d), customer, 100, day(d)), nil)
			w.drain()
			require.Contains(t, w.revenue()[id("revenue_confirmation:in_%s_%d", customer, d)], "user:"+want, "%v", order)
		}
		for d, want := range map[int]string{2: "ann", 6: "ann", 12: "bob"} {
			w.deliver(id("evt_in_%s_%d", fresh, d), "invoice.paid", day(d), w.invoice(id("in_%s_%d", fresh, d), fresh, 100, day(d)), nil)
			w.drain()
			require.Contains(t, w.revenue()[id("revenue_confirmation:in_%s_%d", fresh, d)], "user:"+want, "%v", order)
		}
	}
	w.observe(w.customer("cus_only", "eve", before), day(20))
	w.deliver("evt_only", "invoice.paid", day(3), w.invoice("in_only", "cus_only", 100, day(3)), nil)
	w.drain()
	require.Contains(t, w.revenue()["revenue_confirmation:in_only"], "user:eve", "without events the customer itself tells")
	w.observe(w.customer("cus_new", "eve", day(4)), day(20))
	require.Zero(t, one[int](w, `SELECT count(*) FROM reward_events WHERE object_id = 'cus_new'`), "of one that was made behind the horizon events tell")
}

// TestHistoryIsNotRewarded: facts from before the start of the rewards are there and
// count nowhere.
func TestHistoryIsNotRewarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sources := w.db.NewSources()
	_, err := sources.Connection(w.ctx, "acme")
	require.NoError(t, err)
	require.NoError(t, w.exec(`UPDATE source_syncs SET sync_start = $1`, day(10)))
	for _, d := range []int{9, 10, 11} {
		w.deliver(id("evt_%d", d), "invoice.paid", day(d), w.invoice(id("in_%d", d), "cus_1", 100, day(d)), nil)
	}
	w.drain()
	require.Equal(t, 3, one[int](w, `SELECT count(*) FROM reward_events`))
	require.Equal(t, "in_9", one[string](w, `SELECT string_agg(invoice_id, ',') FROM reward_events WHERE historic`))
	require.Len(t, w.revenue(), 2)
}

// TestAppendBatch: events and high-water mark are one commit; what is there already
// changes nothing; the mark never moves back.
func TestAppendBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.db.NewSources()
	c, err := s.Connection(w.ctx, "acme")
	require.NoError(t, err)
	stored := func(id string, quarantine string) sourcesync.StoredEvent {
		e := w.event("acme", id, day(3), []byte(`{"id":"`+id+`"}`))
		return sourcesync.StoredEvent{EventID: e.EventID, Type: "invoice.paid", ObjectID: "in_1", APIVersion: e.APIVersion, Created: e.Created, Livemode: true,
			SealedBody: e.SealedBody, BodySHA256: e.BodySHA256, Quarantine: quarantine, Missed: id == "evt_2"}
	}
	isNew, err := w.db.NewInbox(w.box).Append(w.ctx, w.event("acme", "evt_1", day(3), []byte(`{"id":"evt_1"}`)))
	require.NoError(t, err)
	require.True(t, isNew)
	n, err := s.AppendBatch(w.ctx, c, sourcesync.FromPull, []sourcesync.StoredEvent{stored("evt_1", ""), stored("evt_2", ""), stored("evt_3", "livemode_mismatch")}, day(4), now)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "evt_1 webhook pending, evt_2 pull pending, evt_3 pull quarantined", one[string](w, `
		SELECT string_agg(event_id || ' ' || source || ' ' || status, ', ' ORDER BY event_id) FROM stripe_events JOIN event_processing USING (connection_id, event_id, created)`))
	require.Equal(t, "evt_2", one[string](w, `SELECT string_agg(event_id, ',') FROM missed_events`))
	body := one[[]byte](w, `SELECT sealed_body FROM stripe_events WHERE event_id = 'evt_2'`)
	plain, err := w.box.Open(ingest.BodyContext("acme"), body)
	require.NoError(t, err)
	require.Equal(t, `{"id":"evt_2"}`, string(plain))
	_, err = s.AppendBatch(w.ctx, c, sourcesync.FromPull, nil, day(2), now)
	require.NoError(t, err)
	c, err = s.Connection(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, day(4), c.HighWater)
	known, err := s.Known(w.ctx, "acme", []sourcesync.EventRef{{EventID: "evt_2", Created: day(3)}, {EventID: "evt_9", Created: day(3)}, {EventID: "evt_1", Created: day(4)}})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"evt_2": true}, known)

	require.NoError(t, w.exec(`ALTER TABLE source_syncs ADD CONSTRAINT stop CHECK (high_water < '2026-01-05')`))
	_, err = s.AppendBatch(w.ctx, c, sourcesync.FromPull, []sourcesync.StoredEvent{stored("evt_4", "")}, day(20), now)
	require.Error(t, err)
	require.Equal(t, 3, one[int](w, `SELECT count(*) FROM stripe_events`), "no mark, no events")
}

// TestSourcesOfTheirEnvironment: a tick sees the sources of one environment, by page,
// and issuers are none.
func TestSourcesOfTheirEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("beta", account.Live)
	w.connect("issuer", account.Live)
	require.NoError(t, w.exec(`UPDATE connections SET role_source = false WHERE id = 'issuer'`))
	s := w.db.NewSources()
	due, err := s.Due(w.ctx, account.Live, "", now, 1)
	require.NoError(t, err)
	require.Equal(t, []sourcesync.Due{{ConnectionID: "acme", Sync: true}}, due)
	due, err = s.Due(w.ctx, account.Live, "acme", now, 5)
	require.NoError(t, err)
	require.Equal(t, []sourcesync.Due{{ConnectionID: "beta", Sync: true}}, due)
	due, err = s.Due(w.ctx, account.Test, "", now, 5)
	require.NoError(t, err)
	require.Equal(t, []sourcesync.Due{{ConnectionID: "trial", Sync: true}}, due)
	_, err = s.Connection(w.ctx, "issuer")
	require.Equal(t, "role_missing", fault.CodeOf(err))
	_, err = s.Connection(w.ctx, "nobody")
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = s.Backfill(w.ctx, "nothing")
	require.True(t, fault.Is(err, fault.NotFound))
	require.Error(t, w.exec(`UPDATE source_syncs SET environment = 'live' WHERE connection_id = 'trial'`), "a source stays in its environment")
}

// TestTypesThatTheWebhookBrought: what an endpoint is sent, where it cannot be asked, is what it
// brought lately, however much was fetched past it meanwhile; little is read for that.
func TestTypesThatTheWebhookBrought(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec(`INSERT INTO webhook_endpoints (id, connection_id, environment, url, stripe_id, sealed_secret, created_at, set_up)
		VALUES ('we', 'acme', 'live', 'https://x.example', 'we_1', '\x00', now(), 'manual')`))
	types := func() []string {
		c, err := w.db.NewSources().Connection(w.ctx, "acme")
		require.NoError(t, err)
		slices.Sort(c.WebhookTypes)
		return c.WebhookTypes
	}
	require.Nil(t, types(), "nothing came yet")
	of := "acme"
	events := func(kind, from string, at time.Time, n int) {
		require.NoError(t, w.exec(`INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at, source)
			SELECT $5, 'live', $1 || n, $3::timestamptz + n * interval '1 second', $1, 'o', 'v', true, decode(repeat('00', 400), 'hex'), sha256(''), now(), $2 FROM generate_series(1, $4) n`, kind, from, at, n, of))
	}
	newest := day(200)
	events("lost", "pull", newest.AddDate(0, 0, -4), 3000)
	events("paid", "webhook", newest.AddDate(0, 0, -20), 3)
	events("sent", "resend", newest.AddDate(0, 0, -21), 3)
	events("before", "webhook", newest.AddDate(0, 0, -40), 3)
	require.Equal(t, []string{"paid", "sent"}, types())
	events("now", "webhook", newest, 1)
	events("much", "webhook", newest.AddDate(0, 0, -10), 2000)
	require.Equal(t, []string{"much", "now"}, types(), "the newest that it brought")

	w.connect("beta", account.Live)
	of = "beta"
	events("other", "webhook", newest.AddDate(0, 0, -20), 20_000)
	require.NoError(t, w.exec(`ANALYZE stripe_events`))
	rows, err := w.sql.Query(w.ctx, "EXPLAIN "+strings.NewReplacer("@connection", "'acme'", "@since", "'"+newest.AddDate(0, 0, -35).Format(time.RFC3339)+"'", "@limit", "2000").Replace(postgres.SentTypes))
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotContains(t, strings.Join(plan, "\n"), "Seq Scan")
}

// TestSaveRunKeepsWhatAPersonDecides: settings that change while a run is under way stand.
func TestSaveRunKeepsWhatAPersonDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.db.NewSources()
	c, err := s.Connection(w.ctx, "acme")
	require.NoError(t, err)
	set := c.Settings
	set.Enabled, set.Interval = false, time.Hour
	require.NoError(t, s.Configure(w.ctx, "acme", set, now, audit.New(access.Operator("tester"), now, audit.SyncConfigured, "connection", "acme").In("", account.Live)))
	require.NoError(t, s.SaveRun(w.ctx, "acme", c.Done(source.TaskPull, now, 1, time.Time{}, source.Budget{}), &sourcesync.Run{Task: source.TaskPull, Seen: 2, New: 1}, now))
	h, err := s.Health(w.ctx, "acme", now)
	require.NoError(t, err)
	require.Equal(t, set, h.Settings)
	require.Equal(t, &sourcesync.RunView{Task: source.TaskPull, At: now, Seen: 2, New: 1}, h.LastPull)
	require.Nil(t, h.LastCheck)
	due, err := s.Due(w.ctx, account.Live, "", now.AddDate(1, 0, 0), 5)
	require.NoError(t, err)
	require.Empty(t, due)
}
