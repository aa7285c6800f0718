package postgres_test

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

var anna = mapping.Decision{By: access.Operator("anna"), Reason: "agreed with the customer"}

func (w *world) mapping() *mapping.Service {
	return &mapping.Service{Work: w.db.Mapping(), Reader: w.db.NewMappingReader(), Clock: clock.Fixed(now)}
}

// paid delivers a paid invoice of 100 times the day.
func (w *world) paid(n int, customer string) {
	w.deliver(id("evt_%s_%d", customer, n), "invoice.paid", day(n), w.invoice(id("in_%s_%d", customer, n), customer, int64(100*n), day(n)), nil)
}

// user is whose a paid invoice is, by its measure.
func (w *world) user(customer string, n int) string {
	w.t.Helper()
	key := one[string](w, "SELECT fact_key FROM reward_events WHERE invoice_id = $1", id("in_%s_%d", customer, n))
	unit, _, _ := strings.Cut(w.revenue()[key], " ")
	return strings.TrimPrefix(unit, "user:")
}

func (w *world) link(customer, user string, from time.Time) (mapping.Link, bool) {
	w.t.Helper()
	l, created, err := w.mapping().Link(w.ctx, mapping.LinkInput{ConnectionID: "acme", Customer: customer, User: user, From: from}, anna)
	require.NoError(w.t, err)
	return l, created
}

// What a person decides joins the facts; said twice it is one link; taken back it is gone
// and both stay on record.
func TestAPersonLinksACustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(5, "cus_1")
	w.drain()
	require.Empty(t, w.user("cus_1", 5))
	first, created := w.link("cus_1", "u-1", time.Time{})
	require.True(t, created)
	require.Equal(t, "u-1", w.user("cus_1", 5))
	again, created := w.link("cus_1", "u-1", time.Time{})
	require.False(t, created)
	require.Equal(t, first, again)
	require.Equal(t, []any{"cli:anna", "agreed with the customer", now.Truncate(time.Microsecond)}, []any{first.DecidedBy, first.Reason, first.RecordedAt})

	require.NoError(t, w.mapping().Retract(w.ctx, "acme", first.LinkID, anna))
	require.NoError(t, w.mapping().Retract(w.ctx, "acme", first.LinkID, anna), "again it stays retracted")
	require.Empty(t, w.user("cus_1", 5))
	second, created := w.link("cus_1", "u-1", time.Time{})
	require.True(t, created)
	require.NotEqual(t, first.LinkID, second.LinkID)
	require.Equal(t, 2, one[int](w, "SELECT count(*) FROM mapping_statements"))
	require.Error(t, w.exec("UPDATE mapping_statements SET user_id = 'x'"))
	require.Error(t, w.exec("DELETE FROM mapping_retractions"))

	err := w.mapping().Retract(w.ctx, "acme", "nothing", anna)
	require.True(t, fault.Is(err, fault.NotFound))
	w.deliver("evt_c", "customer.created", day(1), w.customer("cus_2", "u-2", day(1)), nil)
	w.drain()
	err = w.mapping().Retract(w.ctx, "acme", one[string](w, "SELECT link_id FROM mapping_statements WHERE subject_id = 'cus_2'"), anna)
	require.Equal(t, "link_of_metadata", fault.CodeOf(err))
}

// Accounts are merged by what was known when they were first exposed: a link that reaches
// back is known only since it was said, and a former user since somebody told of the change.
func TestLinksAreKnownSinceTheyWereSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(3), w.customer("cus_1", "u-1", day(3)), nil)
	w.deliver("evt_2", "customer.updated", day(7), w.customer("cus_2", "u-2", day(1)), obj{"metadata": obj{"user_id": "u-before"}})
	w.deliver("evt_3", "customer.created", day(4), w.customer("cus_4", "u-4", day(4)), nil)
	w.deliver("evt_4", "customer.updated", day(9), w.customer("cus_4", "", day(4)), obj{"metadata": obj{"user_id": "u-4"}})
	w.drain()
	w.link("cus_3", "u-3", time.Time{})
	links, err := w.db.NewCycles().Links(w.ctx, w.open("acme", "2026-01"))
	require.NoError(t, err)
	require.ElementsMatch(t, []lift.Link{
		{CustomerID: "cus_1", UserID: "u-1", From: day(3)}, {CustomerID: "cus_2", UserID: "u-before", From: day(7)}, {CustomerID: "cus_2", UserID: "u-2", From: day(7)},
		{CustomerID: "cus_3", UserID: "u-3", From: now}, {CustomerID: "cus_4", UserID: "u-4", From: day(4)},
	}, links)
}

func TestLinkInputIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ok := mapping.LinkInput{ConnectionID: "acme", Customer: "cus_1", User: "u"}
	for code, change := range map[string]func(*mapping.LinkInput, *mapping.Decision){
		access.CodePermission:  func(_ *mapping.LinkInput, d *mapping.Decision) { d.By = access.Principal{} },
		"reason_missing":       func(_ *mapping.LinkInput, d *mapping.Decision) { d.Reason = "" },
		"customer_malformed":   func(in *mapping.LinkInput, _ *mapping.Decision) { in.Customer = "cus_1; DROP" },
		"from_missing":         func(in *mapping.LinkInput, _ *mapping.Decision) { in.User = "" },
		"user_missing":         func(in *mapping.LinkInput, _ *mapping.Decision) { in.User = "  " },
		"from_in_future":       func(in *mapping.LinkInput, _ *mapping.Decision) { in.From = now.Add(time.Hour) },
		"connection_not_found": func(in *mapping.LinkInput, _ *mapping.Decision) { in.ConnectionID = "nobody" },
	} {
		in, by := ok, anna
		change(&in, &by)
		_, _, err := w.mapping().Link(w.ctx, in, by)
		require.Equal(t, code, fault.CodeOf(err))
	}
	require.Zero(t, one[int](w, "SELECT count(*) FROM mapping_statements"))
}

// Metadata that contradict a person's link quarantine what comes after, until somebody
// decides again.
func TestContradictoryLinksAreQuarantined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(5, "cus_1")
	w.paid(15, "cus_1")
	w.drain()
	w.link("cus_1", "u-1", time.Time{})
	w.deliver("evt_c", "customer.updated", day(10), w.customer("cus_1", "u-2", day(1)), obj{"metadata": obj{"user_id": nil}})
	w.drain()
	require.Equal(t, "u-1", w.user("cus_1", 5))
	require.Empty(t, w.user("cus_1", 15))
	q, err := w.mapping().Quarantine(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.Equal(t, []mapping.Unmapped{{Reason: "conflict", Facts: 1, Amounts: []mapping.Amount{{Currency: "usd", Minor: 1500}}}}, q.Reasons)
	w.link("cus_1", "u-2", day(10))
	require.Equal(t, "u-2", w.user("cus_1", 15))
	require.Equal(t, "u-1", w.user("cus_1", 5))
}

// A deleted customer's link is closed; what trails the deletion is still its last user's,
// and money goes back to whoever it came from.
func TestADeletedCustomersFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_1", "u-1", day(1)), nil)
	w.paid(5, "cus_1")
	w.deliver("evt_2", "customer.updated", day(7), w.customer("cus_1", "u-2", day(1)), obj{"metadata": obj{"user_id": "u-1"}})
	w.deliver("evt_3", "customer.deleted", day(9), obj{"id": "cus_1", "object": "customer", "deleted": true}, nil)
	w.deliver("evt_4", "charge.dispute.funds_withdrawn", day(12), obj{"id": "dp_1", "object": "dispute", "amount": 500, "currency": "usd", "charge": "ch_in_cus_1_5",
		"status": "needs_response", "created": day(12).Unix()}, nil)
	w.drain()
	require.NoError(t, w.exec("INSERT INTO charge_owners VALUES ('acme', 'ch_in_cus_1_5', 'cus_1', 'in_cus_1_5', false)"))
	links, err := w.mapping().Links(w.ctx, mapping.LinksFilter{ConnectionID: "acme", Subject: "cus_1"})
	require.NoError(t, err)
	require.Len(t, links.Items, 3)
	require.Equal(t, day(9), links.Items[1].To, "half open, up to the deletion")
	require.Equal(t, "closed", string(links.Items[2].State))
	got := w.revenue()
	require.Len(t, got, 2)
	for key, v := range got {
		require.True(t, strings.HasPrefix(v, "user:u-1 "), "%s: %s", key, v)
	}
}

// A month that was frozen keeps its links, whatever is said afterwards; what had no user
// then may still find one.
func TestFrozenFactsKeepTheirLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(5, "cus_1")
	w.paid(6, "cus_2")
	w.drain()
	w.link("cus_1", "u-1", time.Time{})
	cy := w.open("acme", "2026-01")
	rows, err := w.db.NewCycles().Revenue(w.ctx, cy, now)
	require.NoError(t, err)
	col := measure.Collection{Watermark: now, SourceWatermark: now, InputDigest: "x"}
	for _, r := range rows {
		if r.Link.UserID != "" {
			require.False(t, r.Link.Kept)
			col.Links = append(col.Links, measure.FactLink{FactKey: r.Key, Link: r.Link})
		}
	}
	require.Len(t, col.Links, 1)
	require.NoError(t, w.db.NewCycles().SaveCollection(w.ctx, cy, col, now))

	w.link("cus_1", "u-9", day(2))
	w.link("cus_2", "u-2", time.Time{})
	w.paid(7, "cus_1")
	w.drain()
	require.Equal(t, "u-1", w.user("cus_1", 5), "the version that it was frozen with")
	require.Equal(t, "u-9", w.user("cus_1", 7))
	require.Equal(t, "u-2", w.user("cus_2", 6))
	rows, err = w.db.NewCycles().Revenue(w.ctx, cy, now)
	require.NoError(t, err)
	kept := 0
	for _, r := range rows {
		if r.Link.Kept {
			kept++
			require.Equal(t, col.Links[0].ID, r.Link.ID)
		}
	}
	require.Equal(t, 1, kept)
	require.Error(t, w.exec("UPDATE fact_links SET user_id = 'x'"))
}

// The last order of the statements of a life is as good as the first, also when several
// classifiers share them.
func TestLinksDoNotDependOnTheOrderOfDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type change struct{ from, to string }
	life := []change{{"", "a"}, {"a", "b"}, {"b", ""}, {"", "c"}, {"c", "a"}}
	rng := rand.New(rand.NewPCG(7, 7))
	for c := range 12 {
		customer := id("cus_%d", c)
		for _, i := range rng.Perm(len(life)) {
			prev := any(life[i].from)
			if prev == "" {
				prev = nil
			}
			w.deliver(id("evt_%d_%d", c, i), "customer.updated", day(2+2*i), w.customer(customer, life[i].to, day(1)), obj{"metadata": obj{"user_id": prev}})
			if rng.IntN(3) == 0 {
				w.drain()
			}
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = w.classifier(nil).Drain(context.WithoutCancel(w.ctx)) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	spans := one[string](w, `SELECT string_agg(DISTINCT spans, '|') FROM (SELECT string_agg(concat_ws(',', valid_from, valid_to, state, user_id), ' ' ORDER BY valid_from) AS spans
		FROM mapping_spans GROUP BY subject_id) s`)
	require.NotContains(t, spans, "|", "all customers lived the same life")
	require.Equal(t, 12*5, one[int](w, "SELECT count(*) FROM mapping_spans"), "a, b, nobody's, c, a: the first one reaches back")
}

// The metadata entry can be renamed: what is stored is read again under the new name, and
// a customer without the new entry keeps its link.
func TestTheMetadataEntryCanBeRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := w.customer("cus_1", "old-1", day(1))
	both["metadata"] = obj{"user_id": "old-1", "uid": "new-1"}
	w.deliver("evt_1", "customer.created", day(1), both, nil)
	w.deliver("evt_2", "customer.created", day(1), w.customer("cus_2", "old-2", day(1)), nil)
	late := w.customer("cus_3", "old-3", day(1))
	late["metadata"] = obj{"uid": "new-3"}
	w.deliver("evt_3", "customer.updated", day(3), late, obj{"name": "x"}) // the creation was never told
	for _, c := range []string{"cus_1", "cus_2", "cus_3"} {
		w.paid(5, c)
	}
	w.drain()
	require.Equal(t, []string{"old-1", "old-2", ""}, []string{w.user("cus_1", 5), w.user("cus_2", 5), w.user("cus_3", 5)})
	settings, err := w.mapping().Settings(w.ctx, "acme")
	require.NoError(t, err)
	settings.UserIDKey = "uid"
	events, changed, err := w.mapping().Change(w.ctx, settings, anna)
	require.NoError(t, err)
	require.True(t, changed)
	require.EqualValues(t, 6, events, "customers, and the invoices that copy a subscription's metadata")
	require.Equal(t, "old-1", w.user("cus_1", 5), "until they are read again nothing changes")
	b := w.drain()
	require.Equal(t, 6, b.Events)
	require.Equal(t, 3, b.Duplicates, "the money was booked before")
	require.Equal(t, []string{"new-1", "old-2", "new-3"}, []string{w.user("cus_1", 5), w.user("cus_2", 5), w.user("cus_3", 5)})
	_, changed, err = w.mapping().Change(w.ctx, settings, anna)
	require.NoError(t, err)
	require.False(t, changed)
	settings.UserIDKey = "user_id"
	_, _, err = w.mapping().Change(w.ctx, settings, anna)
	require.NoError(t, err)
	require.Equal(t, "old-1", w.user("cus_1", 5), "and back")
	require.Equal(t, 2, one[int](w, "SELECT count(*) FROM mapping_changes"))
}

// A subscription's own user counts only where the connection reads it.
func TestASubscriptionMayHaveAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_1", "boss", day(1)), nil)
	sub := w.invoice("in_cus_1_5", "cus_1", 500, day(5))
	sub["subscription_details"] = obj{"metadata": obj{"user_id": "worker"}}
	w.deliver("evt_2", "invoice.paid", day(5), sub, nil)
	w.drain()
	require.Equal(t, "boss", w.user("cus_1", 5))
	settings, err := w.mapping().Settings(w.ctx, "acme")
	require.NoError(t, err)
	settings.BySubscription = true
	_, _, err = w.mapping().Change(w.ctx, settings, anna)
	require.NoError(t, err)
	require.Equal(t, "worker", w.user("cus_1", 5))
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return id("%x", sum[:])
}

// What is decided is written down in the same transaction, once; nobody decides for a
// connection outside their scope, and whoever uploads hashes decides nothing.
func TestMappingIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(5, "cus_1")
	w.drain()
	first, _ := w.link("cus_1", "u-1", time.Time{})
	w.link("cus_1", "u-1", time.Time{})
	require.NoError(t, w.mapping().Retract(w.ctx, "acme", first.LinkID, anna))
	require.NoError(t, w.mapping().Retract(w.ctx, "acme", first.LinkID, anna), "taken back again it stays")
	to, err := w.mapping().Settings(w.ctx, "acme")
	require.NoError(t, err)
	to.ByEmail = true
	_, changed, err := w.mapping().Change(w.ctx, to, anna)
	require.NoError(t, err)
	require.True(t, changed)
	w.upload(mapping.UserInput{User: "u-1", Domain: "acme.example"})
	const actions = `SELECT string_agg(action, ' ' ORDER BY seq) FROM audit_log WHERE chain = 'live' AND actor_id = 'cli:anna'`
	want := "link.stated link.retracted connection.mapping_changed connection.user_hashes_uploaded"
	require.Equal(t, want, one[string](w, actions))

	uploader := access.Principal{Kind: access.Token, ID: "t", Roles: access.Roles{access.Ingest}, Scope: access.Everything()}
	testOnly := access.Principal{Kind: access.Token, ID: "t", Roles: access.Roles{access.Admin}, Scope: access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}}
	for code, by := range map[string]mapping.Decision{access.CodePermission: {By: uploader, Reason: "r"}, "connection_not_found": {By: testOnly, Reason: "r"}} {
		_, _, err := w.mapping().Link(w.ctx, mapping.LinkInput{ConnectionID: "acme", Customer: "cus_1", User: "u-2"}, by)
		require.Equal(t, code, fault.CodeOf(err))
		require.Equal(t, code, fault.CodeOf(w.mapping().Retract(w.ctx, "acme", first.LinkID, by)))
		_, _, err = w.mapping().Change(w.ctx, to, by)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err = w.mapping().UploadUsers(w.ctx, "acme", []mapping.UserInput{{User: "u-2"}}, testOnly)
	require.Equal(t, "connection_not_found", fault.CodeOf(err))
	require.Equal(t, want, one[string](w, actions), "a refusal changes nothing")
}
