package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func (w *world) operate() *operate.Service {
	log := w.db.NewEventLog()
	return &operate.Service{Log: log, Queue: log, Figures: log, Box: w.box, Clock: clock.Fixed(now), BodyContext: ingest.BodyContext}
}

func (w *world) events(s operate.Selection) []string {
	w.t.Helper()
	var out []string
	for cursor := ""; ; {
		p, err := w.operate().Events(w.ctx, operate.EventsFilter{Selection: s, Cursor: cursor, Limit: 2})
		require.NoError(w.t, err)
		for _, e := range p.Items {
			out = append(out, e.EventID)
		}
		if cursor = p.NextCursor; cursor == "" {
			return out
		}
	}
}

// aLife delivers a mapping, a trial's start, two payments, twins included, an event of no
// interest and one that cannot be understood.
func (w *world) aLife() {
	w.t.Helper()
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_1", "u-1", day(1)), nil)
	w.deliver("evt_2", "invoice.paid", day(5), w.invoice("in_1", "cus_1", 500, day(5)), nil)
	w.deliver("evt_3", "invoice.payment_succeeded", day(5), w.invoice("in_1", "cus_1", 500, day(5)), nil)
	w.deliver("evt_4", "invoice.paid", day(6), w.invoice("in_2", "cus_2", 600, day(6)), nil)
	w.deliver("evt_5", "radar.warned", day(7), obj{"id": "x", "object": "x"}, nil)
	w.deliver("evt_6", "customer.subscription.updated", day(8), obj{"id": "sub_cus_1", "object": "subscription", "status": "levitating", "customer": "cus_1"}, nil)
	w.drain()
}

func TestTheLogOfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aLife()
	type sel = operate.Selection
	for name, c := range map[string]struct {
		sel  sel
		want []string
	}{
		"all":         {sel{}, []string{"evt_6", "evt_5", "evt_4", "evt_3", "evt_2", "evt_1"}},
		"a type":      {sel{Type: "invoice.paid"}, []string{"evt_4", "evt_2"}},
		"a status":    {sel{Status: "ignored"}, []string{"evt_5"}},
		"an object":   {sel{Object: "in_1"}, []string{"evt_3", "evt_2"}},
		"a customer":  {sel{ConnectionID: "acme", Customer: "cus_1"}, []string{"evt_6", "evt_3", "evt_2", "evt_1"}},
		"a time":      {sel{From: day(5), To: day(6)}, []string{"evt_3", "evt_2"}},
		"nobody's":    {sel{ConnectionID: "trial"}, nil},
		"an event":    {sel{EventID: "evt_4"}, []string{"evt_4"}},
		"two at once": {sel{Type: "invoice.paid", Customer: "cus_2", ConnectionID: "acme"}, []string{"evt_4"}},
	} {
		c.sel.Scope = access.Everything()
		require.Equal(t, c.want, w.events(c.sel), name)
	}
	p, err := w.operate().Events(w.ctx, operate.EventsFilter{Selection: operate.Selection{Scope: access.Everything()}, Attention: true})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	dead := p.Items[0]
	require.Equal(t, []any{"quarantined", "status_unknown", 1, "webhook", "acme"}, []any{dead.Status, dead.Reason, dead.Attempts, dead.Source, dead.ConnectionID})
	require.Equal(t, operate.Upgrade, operate.ActionOf(dead.Reason).Code)
	for code, f := range map[string]operate.EventsFilter{
		"filter_unknown": {Selection: sel{Status: "lost"}}, "limit_range": {Limit: 501}, "cursor_malformed": {Cursor: "x"},
		"interval_empty": {Selection: sel{From: day(2), To: day(2)}},
	} {
		_, err := w.operate().Events(w.ctx, f)
		require.Equal(t, code, fault.CodeOf(err))
	}

	twin, err := w.operate().Event(w.ctx, "acme", "evt_3")
	require.NoError(t, err)
	require.Len(t, twin.Facts, 1)
	require.Equal(t, "evt_2", twin.Facts[0].BookedBy, "what a twin tells was booked before")
	require.EqualValues(t, 500, *twin.Facts[0].AmountMinor)
	require.Len(t, twin.BodySHA256, 64)
	require.False(t, twin.BodyErased)
	require.NoError(t, w.exec("UPDATE stripe_events SET sealed_body = '' WHERE event_id IN ('evt_2', 'evt_3')"))
	erased, err := w.operate().Event(w.ctx, "acme", "evt_2")
	require.NoError(t, err)
	require.True(t, erased.BodyErased)
	require.Len(t, erased.Facts, 1, "facts and digest outlive the body")
	require.NotEmpty(t, erased.BodySHA256)
	_, err = w.operate().Event(w.ctx, "acme", "evt_none")
	require.True(t, fault.Is(err, fault.NotFound))
}

// Classified again, an event books nothing twice; what was set aside on receipt is never
// classified at all, and an erased body cannot be.
func TestReprocess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aLife()
	facts := one[int](w, "SELECT count(*) FROM reward_events")
	for _, reason := range []string{ingest.ReasonModeMismatch, ingest.ReasonAccountMismatch, ingest.ReasonNotJSON, ingest.ReasonThin} {
		e := w.event("acme", "evt_"+reason, day(9), []byte(`{"id":"evt_x","object":"event","type":"customer.created","created":1767261600,"livemode":false,
			"data":{"object":{"id":"cus_9","object":"customer","created":1,"metadata":{"user_id":"stranger"}}}}`))
		e.Status, e.Reason = ingest.Quarantined, reason
		_, err := w.db.NewInbox(w.box).Append(w.ctx, e)
		require.NoError(t, err)
	}
	// Nothing but the mode of the event itself keeps this one out.
	require.NoError(t, w.exec("UPDATE event_processing SET reason = 'x' WHERE reason = $1", ingest.ReasonModeMismatch))
	require.NoError(t, w.exec("UPDATE stripe_events SET livemode = false WHERE event_id = $1", "evt_"+ingest.ReasonModeMismatch))
	require.NoError(t, w.exec("UPDATE stripe_events SET sealed_body = '' WHERE event_id = 'evt_4'"))

	all := operate.Selection{Scope: access.Everything(), ConnectionID: "acme"}
	dry, err := w.operate().Reprocess(w.ctx, access.Operator("anna"), all, "after the upgrade", true)
	require.NoError(t, err)
	require.Equal(t, operate.Reprocessed{Events: 5, Left: 5, DryRun: true}, dry)
	require.Zero(t, w.drain().Events, "asking changes nothing")
	got, err := w.operate().Reprocess(w.ctx, access.Operator("anna"), all, "after the upgrade", false)
	require.NoError(t, err)
	require.Equal(t, operate.Reprocessed{Events: 5, Left: 5}, got)
	b := w.drain()
	require.Equal(t, 5, b.Events)
	require.Zero(t, b.Facts)
	require.Equal(t, facts, one[int](w, "SELECT count(*) FROM reward_events"))
	require.Zero(t, one[int](w, "SELECT count(*) FROM mapping_spans WHERE user_id = 'stranger'"))
	require.Equal(t, "2 t", one[string](w, "SELECT attempts || ' ' || left((first_processed_at IS NOT NULL)::text, 1) FROM event_processing WHERE event_id = 'evt_2'"))
	require.Equal(t, `cli:anna {"connection": "acme"}`, one[string](w, "SELECT requested_by || ' ' || selection FROM reprocess_requests"))

	one1, err := w.operate().Reprocess(w.ctx, access.Operator("anna"), operate.Selection{Scope: access.Everything(), ConnectionID: "acme", EventID: "evt_6"}, "why not", false)
	require.NoError(t, err)
	require.EqualValues(t, 1, one1.Events)
	for code, args := range map[string][2]string{"connection_missing": {"", "b"}, "reason_missing": {"acme", " "}} {
		_, err := w.operate().Reprocess(w.ctx, access.Operator("anna"), operate.Selection{ConnectionID: args[0]}, args[1], false)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err = w.operate().Reprocess(w.ctx, access.Operator("anna"), operate.Selection{ConnectionID: "acme", EventID: "evt_none"}, "b", false)
	require.Equal(t, "event_not_found", fault.CodeOf(err))
	require.Equal(t, "5 1", one[string](w, "SELECT string_agg(after::jsonb->>'events', ' ' ORDER BY seq) FROM audit_log WHERE action = 'connection.events_reprocessed'"))
	for code, who := range map[string]access.Principal{
		access.CodePermission:  {Roles: access.Roles{access.Viewer}, Scope: access.Everything()},
		"connection_not_found": {Roles: access.Roles{access.Admin}, Scope: access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}},
	} {
		_, err := w.operate().Reprocess(w.ctx, who, all, "after the upgrade", false)
		require.Equal(t, code, fault.CodeOf(err))
	}
}

// Nobody sees events, figures or replays of connections outside their scope.
func TestEventsLieInAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aLife()
	w.drain()
	for _, c := range []struct {
		scope access.Scope
		sees  bool
	}{
		{access.Everything(), true},
		{access.Scope{AllAccounts: true, Environments: []account.Environment{account.Live}}, true},
		{access.Scope{Accounts: []string{"acme"}, Environments: []account.Environment{account.Live}}, true},
		{access.Scope{Accounts: []string{"other"}, Environments: []account.Environment{account.Live}}, false},
		{access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}, false},
		{access.Scope{}, false},
	} {
		require.Equal(t, c.sees, len(w.events(operate.Selection{Scope: c.scope})) > 0, "%s", c.scope)
		health, err := w.operate().Health(w.ctx, c.scope, "")
		require.NoError(t, err)
		require.Equal(t, c.sees, slices.ContainsFunc(health, func(h operate.Health) bool { return h.ConnectionID == "acme" }), "%s", c.scope)
		_, err = w.operate().Flow(w.ctx, c.scope, "acme")
		require.Equal(t, !c.sees, fault.CodeOf(err) == "connection_not_found", "%s", c.scope)
	}
}

func TestFiguresOfTheFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aLife()
	w.deliver("evt_7", "invoice.paid", day(20), w.invoice("in_3", "cus_1", 700, day(20)), nil)
	w.deliver("evt_8", "invoice.paid", day(21), w.invoice("in_4", "cus_1", 800, day(21)), nil)
	require.NoError(t, w.exec("UPDATE stripe_events SET received_at = $1::timestamptz - interval '90 seconds' WHERE event_id = 'evt_7'", now))
	require.NoError(t, w.exec("UPDATE stripe_events SET received_at = $1::timestamptz - make_interval(secs => split_part(event_id, '_', 2)::int) WHERE event_id < 'evt_7'", now))
	require.NoError(t, w.exec("UPDATE event_processing SET processed_at = $1::timestamptz - interval '2 hours' WHERE event_id = 'evt_5'", now))
	require.NoError(t, w.exec("UPDATE event_processing SET first_processed_at = '2020-01-01' WHERE event_id = 'evt_6'"))
	all, err := w.operate().Health(w.ctx, access.Everything(), "")
	require.NoError(t, err)
	require.Len(t, all, 2)
	h := all[0]
	require.Equal(t, map[string]int64{"pending": 2, "quarantined": 1}, h.Waiting)
	require.Equal(t, map[string]int64{"processed": 4, "quarantined": 1}, h.LastHour)
	require.Equal(t, now.Add(-90*time.Second).Truncate(time.Microsecond), *h.OldestPending)
	require.Equal(t, 2500*time.Millisecond, *h.LagP50, "of 1, 2, 3 and 4 seconds; one that is classified again has no lag")
	require.Equal(t, 3850*time.Millisecond, *h.LagP95)
	require.Equal(t, 3970*time.Millisecond, *h.LagP99)
	require.Equal(t, day(21), *h.LastEvent)
	require.EqualValues(t, 1, h.OpenReads)
	require.Empty(t, h.Endpoint)
	require.Nil(t, all[1].LagP95, "nothing is not zero")
	require.Nil(t, all[1].LastEvent)

	pulse, err := w.operate().Pulse(w.ctx, access.Everything(), "acme")
	require.NoError(t, err)
	require.Len(t, pulse.Hours, 24)
	var sampled int64
	for i, hour := range pulse.Hours {
		require.Equal(t, now.Truncate(time.Hour).Add(time.Duration(i-23)*time.Hour).UTC(), hour.From)
		require.Equal(t, hour.Events == 0, hour.P50 == nil, "nothing is not zero")
		sampled += hour.Events
	}
	require.EqualValues(t, 5, sampled, "four of the last hour and one before; one that is classified again has no lag")
	require.Len(t, pulse.Failures, 1)
	require.Equal(t, "quarantined", pulse.Failures[0].Status)
	require.EqualValues(t, 1, pulse.Failures[0].Events)
	_, err = w.operate().Pulse(w.ctx, access.Scope{}, "acme")
	require.True(t, fault.Is(err, fault.NotFound), "outside the scope")

	flow, err := w.operate().Flow(w.ctx, access.Everything(), "acme")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"pending": 2, "processed": 4, "ignored": 1, "quarantined": 1}, flow.Totals)
	types := map[string]operate.TypeCount{}
	for _, c := range flow.Types {
		types[c.Type] = c
	}
	require.Equal(t, operate.TypeCount{Type: "invoice.paid", Events: 3, Facts: map[string]int64{"revenue_confirmation": 1}}, types["invoice.paid"],
		"within 30 days: one is older, two wait")
	_, err = w.operate().Flow(w.ctx, access.Everything(), "nobody")
	require.True(t, fault.Is(err, fault.NotFound))
}

// TestOneObjectIsReadAgain: who may run a synchronisation has one object read again, with a
// reason; it is queued whether it was read before or not, and written down.
func TestOneObjectIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := access.Operator("test")
	for _, id := range []string{"in_1", "sub_1", "in_1"} {
		require.NoError(t, w.operate().Reread(w.ctx, by, "acme", id, " differs "))
	}
	require.Equal(t, "invoice in_1 requested pending 2,subscription sub_1 requested pending 1",
		one[string](w, "SELECT string_agg(object || ' ' || object_id || ' ' || reason || ' ' || status || ' ' || asked, ',' ORDER BY object_id) FROM object_reads"))
	require.Equal(t, "in_1 differs", one[string](w, "SELECT after::jsonb->>'object_id' || ' ' || reason FROM audit_log WHERE action = 'connection.object_reread' ORDER BY seq LIMIT 1"))
	for code, err := range map[string]error{
		"reason_missing": w.operate().Reread(w.ctx, by, "acme", "in_1", "  "), "object_unknown": w.operate().Reread(w.ctx, by, "acme", "evt_1", "x"),
		"connection_not_found": w.operate().Reread(w.ctx, by, "nowhere", "in_1", "x"),
	} {
		require.Equal(t, code, fault.CodeOf(err))
	}
	viewer := access.Principal{Kind: access.User, ID: "v", Roles: access.Roles{access.Viewer}, Scope: access.Everything()}
	require.True(t, fault.Is(w.operate().Reread(w.ctx, viewer, "acme", "in_1", "x"), fault.Forbidden))
	other := access.Principal{Kind: access.User, ID: "f", Roles: access.Roles{access.Finance}, Scope: access.Scope{Environments: []account.Environment{account.Test}, AllAccounts: true}}
	require.True(t, fault.Is(w.operate().Reread(w.ctx, other, "acme", "in_1", "x"), fault.NotFound), "what is out of reach is hidden")
}
