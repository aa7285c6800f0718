package sourcesync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	by    = access.Operator("tester")
)

// seeded are dice that a seed throws.
type seeded struct{ *rand.Rand }

func (s seeded) Pick(n int, _ string) int { return s.IntN(n) }

func diceOf(seed uint64) seeded { return seeded{rand.New(rand.NewPCG(seed, 1))} }

// world is a deployment with the real stores and a Stripe stand-in.
type world struct {
	*pipelinetest.Deployment
	t   *testing.T
	log *logged
}

func newWorld(t *testing.T) *world {
	return &world{pipelinetest.NewDeployment(t, began), t, &logged{}}
}

// logged keeps what was logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// connect makes a source connection with a restricted key; with a webhook endpoint it
// gets its events delivered.
func (w *world) connect(id, stripeAccount string, webhook bool) (secret string) {
	w.t.Helper()
	permissions := map[string]string{"*": "read"}
	if webhook {
		permissions["webhook"] = "write"
	}
	key, err := w.Fake.AddKey(stripefake.KeySpec{Account: stripeAccount, Mode: stripefake.Live, Restricted: true, Permissions: permissions})
	require.NoError(w.t, err)
	w.Post(w.t, "/v1/connections", httpapi.ConnectionCreate{ID: id, Environment: "live", Roles: []string{"source"}, SecretKey: key.Secret}, nil)
	if webhook {
		w.Post(w.t, "/v1/connections/"+id+"/webhook-endpoint", nil, nil)
	}
	return key.Secret
}

// service is the use case as a freshly started worker has it, with what a test puts
// between it and Stripe.
func (w *world) service(wrap func(sourcesync.Source) sourcesync.Source) *sourcesync.Service {
	s := w.Sources()
	s.Log = slog.New(slog.NewTextHandler(w.log, nil))
	if wrap != nil {
		s.Source = wrap(s.Source)
	}
	return s
}

// settle classifies all that is there and reads what facts wait for.
func (w *world) settle(connections ...string) {
	w.t.Helper()
	c := w.Classifier()
	_, err := c.Drain(w.t.Context())
	require.NoError(w.t, err)
	for _, id := range connections {
		_, err := c.ReadPending(w.t.Context(), id)
		require.NoError(w.t, err)
	}
}

// fetch fetches everything there is.
func (w *world) fetch(id string) sourcesync.Outcome {
	w.t.Helper()
	out, err := w.service(nil).Fetch(w.t.Context(), id)
	require.NoError(w.t, err)
	require.Empty(w.t, out.Failed.Code+out.Skipped.Code, out)
	return out
}

// backfill runs a backfill to its end.
func (w *world) backfill(s *sourcesync.Service, id string, start time.Time) sourcesync.Progress {
	w.t.Helper()
	b, _, err := s.RequestBackfill(w.t.Context(), by, id, start)
	require.NoError(w.t, err)
	return w.carryOn(s, b.ID)
}

func (w *world) carryOn(s *sourcesync.Service, backfillID string) (total sourcesync.Progress) {
	w.t.Helper()
	for range 10_000 {
		p, err := s.Step(w.t.Context(), backfillID, func(string) {})
		require.NoError(w.t, err)
		require.Zero(w.t, p.Wait, p.Reason)
		total.Pages, total.Objects, total.Facts, total.Backfill = total.Pages+p.Pages, total.Objects+p.Objects, total.Facts+p.Facts, p.Backfill
		if p.State != sourcesync.BackfillRunning {
			require.Equal(w.t, sourcesync.BackfillDone, p.State)
			return total
		}
	}
	require.Fail(w.t, "the backfill does not come to an end")
	return total
}

// deliver stores an event as its webhook would.
func (w *world) deliver(connectionID string, raw []byte) {
	w.t.Helper()
	env, err := reward.ParseEnvelope(raw)
	require.NoError(w.t, err)
	sealed, err := w.Box.Seal(ingest.BodyContext(connectionID), raw)
	require.NoError(w.t, err)
	_, err = w.DB.NewInbox(w.Box).Append(w.t.Context(), ingest.StoredEvent{
		ConnectionID: connectionID, Environment: account.Live, EventID: env.ID, Type: env.Type, ObjectID: env.ObjectID, APIVersion: env.APIVersion,
		Created: env.Created, Livemode: true, SealedBody: sealed, ReceivedAt: w.Clock.Now(), Status: ingest.Pending,
	})
	require.NoError(w.t, err)
}

// table is the reward table of a connection without what says how a fact came in.
func (w *world) table(connectionID string, kinds ...reward.Kind) map[string]string {
	w.t.Helper()
	rows, err := w.SQL.Query(w.t.Context(), `
		SELECT fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id, coalesce(amount_minor::text, '-'), currency,
			effective_at, historic, (detail #- '{flags,inferred}'::text[] #- '{flags,at_trial_end}'::text[]) - 'mrr_before'::text - 'mrr_after'::text
		FROM reward_events WHERE connection_id = $1`, connectionID)
	require.NoError(w.t, err)
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		v, err := rows.Values()
		require.NoError(w.t, err)
		if len(kinds) > 0 && !slices.Contains(kinds, reward.Kind(v[1].(string))) {
			continue
		}
		if detail := v[12].(map[string]any); detail["flags"] != nil && len(detail["flags"].(map[string]any)) == 0 {
			delete(detail, "flags")
		}
		raw, err := json.Marshal(v[1:])
		require.NoError(w.t, err)
		require.NotContains(w.t, out, v[0])
		out[v[0].(string)] = string(raw)
	}
	require.NoError(w.t, rows.Err())
	return out
}

func one[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	var v T
	require.NoError(w.t, w.SQL.QueryRow(w.t.Context(), sql, args...).Scan(&v))
	return v
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.SQL.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

func (w *world) health(id string) sourcesync.Health {
	w.t.Helper()
	h, err := w.DB.NewSources().Health(w.t.Context(), id, w.Clock.Now())
	require.NoError(w.t, err)
	return h
}

// small makes pages of n, so that a short life has many.
type small struct {
	sourcesync.Source
	n int
	// before is called before every request; its error is Stripe's.
	before func(what, after string) error
	pages  int
}

func (s *small) ask(what, after string) error {
	s.pages++
	if s.before == nil {
		return nil
	}
	return s.before(what, after)
}

func (s *small) Events(ctx context.Context, id string, from, to time.Time, after string) (sourcesync.EventPage, error) {
	if err := s.ask("events", after); err != nil {
		return sourcesync.EventPage{}, err
	}
	p, err := s.Source.Events(ctx, id, from, to, after)
	if err == nil && len(p.Events) > s.n {
		p.Events = p.Events[:s.n]
		env, err := reward.ParseEnvelope(p.Events[s.n-1])
		if err != nil {
			return p, err
		}
		p.Next, p.Oldest = env.ID, env.Created
	}
	return p, err
}

func (s *small) Objects(ctx context.Context, id string, r sourcesync.Resource, from, to time.Time, after string) (sourcesync.ObjectPage, error) {
	if err := s.ask(string(r), after); err != nil {
		return sourcesync.ObjectPage{}, err
	}
	p, err := s.Source.Objects(ctx, id, r, from, to, after)
	if err == nil && len(p.Objects) > s.n {
		p.Objects = p.Objects[:s.n]
		p.Next = idOf(p.Objects[s.n-1])
		// The oldest is where the real page ends: windows are not cut for pages this small.
	}
	return p, err
}

// errDied is a process that ends in the middle.
var errDied = errors.New("the worker died")

// user makes a paying customer whose events are easy to count.
func (c *company) user(id string) (customer string) {
	cus, ok := c.call("POST", "/v1/customers", map[string][]string{"payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"}, "metadata[user_id]": {id}})
	require.True(c.t, ok, fmt.Sprint(cus))
	return cus["id"].(string)
}

// subscribe starts a subscription that is paid at once.
func (c *company) subscribe(customer string, price int) (sub string) {
	s, ok := c.call("POST", "/v1/subscriptions", map[string][]string{"customer": {customer}, "items[0][price]": {c.prices[price]}})
	require.True(c.t, ok, fmt.Sprint(s))
	return s["id"].(string)
}
