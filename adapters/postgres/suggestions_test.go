package postgres_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// mapBy switches aids on or off.
func (w *world) mapBy(email, domain bool) int64 {
	w.t.Helper()
	s, err := w.mapping().Settings(w.ctx, "acme")
	require.NoError(w.t, err)
	s.ByEmail, s.ByDomain = email, domain
	events, _, err := w.mapping().Change(w.ctx, s, anna)
	require.NoError(w.t, err)
	return events
}

func (w *world) addressed(n int, customer, email string) {
	w.t.Helper()
	w.deliver("evt_"+customer, "customer.created", day(n), obj{"id": customer, "object": "customer", "created": day(n).Unix(), "email": email, "metadata": obj{}}, nil)
}

func (w *world) suggestions(state string) []mapping.Suggestion {
	w.t.Helper()
	var out []mapping.Suggestion
	for cursor := ""; ; {
		p, err := w.mapping().Suggestions(w.ctx, mapping.SuggestionsFilter{ConnectionID: "acme", State: state, Cursor: cursor, Limit: 2})
		require.NoError(w.t, err)
		out = append(out, p.Items...)
		if cursor = p.NextCursor; cursor == "" {
			return out
		}
	}
}

func (w *world) upload(users ...mapping.UserInput) mapping.Upload {
	w.t.Helper()
	up, err := w.mapping().UploadUsers(w.ctx, "acme", users, anna.By)
	require.NoError(w.t, err)
	return up
}

// An address that was read off a customer is hashed as an event's is, as far as the connection
// maps by it.
func TestAddressesThatWereRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := func(customer string) {
		raw, err := json.Marshal(obj{"id": customer, "object": "customer", "created": day(1).Unix(), "email": "jo@acme.example", "metadata": obj{}})
		require.NoError(t, err)
		o, err := reward.Observe(raw, now, reward.Config{ReadEmail: true})
		require.NoError(t, err)
		require.NoError(t, w.db.Reads().FinishRead(w.ctx, ingest.PendingRead{ConnectionID: "acme", Object: "customer", ObjectID: customer}, []reward.Observation{o}, now))
	}
	read("cus_before")
	require.Zero(t, one[int](w, "SELECT count(*) FROM customer_aids"), "nobody chose it")
	require.NoError(t, w.exec(`INSERT INTO object_reads (connection_id, object, object_id, reason, status, requested_at) VALUES ('acme', 'customer', 'cus_after', 'mapping', 'pending', $1)`, now))
	w.mapBy(true, false)
	pending, err := w.db.Reads().PendingReads(w.ctx, ingest.ReadFilter{ConnectionID: "acme"}, 10)
	require.NoError(t, err)
	require.True(t, pending[0].ReadEmail)
	read("cus_after")
	w.upload(mapping.UserInput{User: "u-1", EmailSHA256: sha("jo@acme.example")})
	open := w.suggestions("")
	require.Len(t, open, 1)
	require.Equal(t, []string{"cus_after", "u-1"}, []string{open[0].Customer, open[0].User})
	require.Zero(t, one[int](w, "SELECT count(*) FROM customer_aids WHERE domain_hash IS NOT NULL"))
}

// Suggestions need an aid that was switched on, one user that it points at, and a customer
// of whom nothing was said. They become links when a person accepts them.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addressed(1, "cus_mail", "Jo@Acme.example")
	w.addressed(1, "cus_firm", "accounts@acme.example")
	w.addressed(1, "cus_two", "x@beta.example")
	w.addressed(1, "cus_free", "someone@gmail.com")
	w.addressed(1, "cus_same", "kim@gmail.com")
	w.deliver("evt_mapped", "customer.created", day(1), obj{"id": "cus_mapped", "object": "customer", "created": day(1).Unix(), "email": "jo@acme.example", "metadata": obj{"user_id": "u-7"}}, nil)
	w.paid(5, "cus_mail")
	w.paid(6, "cus_mail")
	w.drain()
	_, err := w.mapping().UploadUsers(w.ctx, "acme", []mapping.UserInput{{User: "u-1", EmailSHA256: sha("jo@acme.example")}}, anna.By)
	require.Equal(t, "aids_off", fault.CodeOf(err))
	require.Zero(t, one[int](w, "SELECT count(*) FROM customer_aids"), "an address leaves nothing behind unless it was chosen")

	require.EqualValues(t, 6, w.mapBy(true, true), "stored customers are read again")
	w.drain()
	up := w.upload(
		mapping.UserInput{User: "u-1", EmailSHA256: sha("jo@acme.example"), Domain: "acme.example"},
		mapping.UserInput{User: "u-2", Domain: "beta.example"}, mapping.UserInput{User: "u-3", Domain: "BETA.example"},
		mapping.UserInput{User: "u-4", Domain: "gmail.com"}, mapping.UserInput{User: "u-5", EmailSHA256: sha("kim@gmail.com")},
		mapping.UserInput{User: "u-6", EmailSHA256: "kim@gmail.com"}, mapping.UserInput{EmailSHA256: sha("x")},
	)
	require.Equal(t, 4, up.Stored)
	require.Len(t, up.Rejected, 3)
	require.Equal(t, []any{4, "domain", "domain_public"}, []any{up.Rejected[0].Row, up.Rejected[0].Field, up.Rejected[0].Code})
	require.Equal(t, "hash_is_address", up.Rejected[1].Code)
	require.NotContains(t, up.Rejected[1].Message, "kim")

	open := w.suggestions("")
	require.Len(t, open, 3, "two users at one company are no suggestion, and a public domain is none")
	got := map[string]string{}
	for _, s := range open {
		got[s.Customer] = s.User + " by " + string(s.By)
	}
	require.Equal(t, map[string]string{"cus_firm": "u-1 by domain", "cus_mail": "u-1 by email", "cus_same": "u-5 by email"}, got)
	require.EqualValues(t, 2, open[1].Facts)
	require.Equal(t, []mapping.Amount{{Currency: "usd", Minor: 1100}}, open[1].Amounts, "what it is worth")
	require.Empty(t, w.user("cus_mail", 5), "nothing is joined before a person accepts")

	accepted, err := w.mapping().Accept(w.ctx, "acme", open[1].ID, anna)
	require.NoError(t, err)
	require.Equal(t, []any{mapping.Accepted, "cli:anna"}, []any{accepted.State, accepted.DecidedBy})
	_, err = w.mapping().Accept(w.ctx, "acme", open[1].ID, anna)
	require.NoError(t, err, "accepted again it stays")
	require.Equal(t, "u-1", w.user("cus_mail", 5), "one user may have many customers, and a link reaches back")
	_, err = w.mapping().Reject(w.ctx, "acme", open[1].ID, anna)
	require.Equal(t, "suggestion_accepted", fault.CodeOf(err))
	_, err = w.mapping().Reject(w.ctx, "acme", open[0].ID, anna)
	require.NoError(t, err)
	require.Len(t, w.suggestions(""), 1)
	require.Len(t, w.suggestions("rejected"), 1)
	require.Len(t, w.suggestions("accepted"), 1)
	_, err = w.mapping().Accept(w.ctx, "acme", "nothing", anna)
	require.Equal(t, "suggestion_not_found", fault.CodeOf(err))
}

// Revenue that is joined by a suggestion can be left out of readouts; a taken back link is
// not suggested again; aids that are switched off leave nothing behind.
func TestSuggestedLinksCanBeLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mapBy(true, true)
	w.addressed(1, "cus_1", "jo@acme.example")
	w.paid(5, "cus_1")
	w.drain()
	w.upload(mapping.UserInput{User: "u-1", EmailSHA256: sha("jo@acme.example"), Domain: "acme.example"})
	s := w.suggestions("")[0]
	_, err := w.mapping().Accept(w.ctx, "acme", s.ID, anna)
	require.NoError(t, err)
	settings, err := w.mapping().Settings(w.ctx, "acme")
	require.NoError(t, err)
	settings.LeaveOutSuggested = true
	_, _, err = w.mapping().Change(w.ctx, settings, anna)
	require.NoError(t, err)
	require.Empty(t, w.user("cus_1", 5))
	q, err := w.mapping().Quarantine(w.ctx, mapping.PeriodFilter{ConnectionID: "acme"})
	require.NoError(t, err)
	require.Equal(t, "left_out", q.Reasons[0].Reason)

	links, err := w.mapping().Links(w.ctx, mapping.LinksFilter{ConnectionID: "acme", Source: "email"})
	require.NoError(t, err)
	require.NoError(t, w.mapping().Retract(w.ctx, "acme", links.Items[0].LinkID, anna))
	require.Empty(t, w.suggestions(""))
	require.Len(t, w.suggestions("rejected"), 1)

	require.Zero(t, w.upload(mapping.UserInput{User: "u-1"}).Stored)
	require.Zero(t, one[int](w, "SELECT count(*) FROM user_aids"), "a user without aids is forgotten")
	w.upload(mapping.UserInput{User: "u-1", EmailSHA256: sha("jo@acme.example"), Domain: "acme.example"})
	w.mapBy(false, true)
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM user_aids"))
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM customer_aids WHERE email_hash IS NULL AND domain_hash IS NOT NULL"))
	w.mapBy(false, false)
	require.Zero(t, one[int](w, "SELECT (SELECT count(*) FROM user_aids) + (SELECT count(*) FROM customer_aids)"))
}

// Of two persons who decide at once the second one sees what the first one did.
func TestSuggestionsAreDecidedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mapBy(true, false)
	w.addressed(1, "cus_1", "jo@acme.example")
	w.drain()
	w.upload(mapping.UserInput{User: "u-1", EmailSHA256: sha("jo@acme.example")})
	s := w.suggestions("")[0]
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			if i%2 == 0 {
				_, errs[i] = w.mapping().Accept(w.ctx, "acme", s.ID, anna)
			} else {
				_, errs[i] = w.mapping().Reject(w.ctx, "acme", s.ID, anna)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			require.Equal(t, "suggestion_accepted", fault.CodeOf(err))
		}
	}
	require.LessOrEqual(t, one[int](w, "SELECT count(*) FROM suggestion_decisions"), 2)
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM mapping_statements"))
}

// The coverage of a month is the sum of what is joined and what is not, by currency.
func TestCoverageAndQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_c", "customer.created", day(1), w.customer("cus_a", "u-a", day(1)), nil)
	for n, customer := range map[int]string{5: "cus_a", 6: "cus_b", 7: "cus_b", 8: "cus_c"} {
		w.paid(n, customer)
	}
	euro := w.invoice("in_e", "cus_b", 999, day(9))
	euro["currency"] = "eur"
	w.deliver("evt_e", "invoice.paid", day(9), euro, nil)
	own := w.invoice("in_own", "cus_b", 5000, day(9))
	own["metadata"] = obj{"lb_key": "lb:1"}
	w.deliver("evt_o", "invoice.paid", day(9), own, nil)
	w.deliver("evt_s", "customer.subscription.deleted", day(10), obj{"id": "sub_1", "object": "subscription", "customer": "cus_c", "status": "canceled", "ended_at": day(10).Unix(),
		"created": day(1).Unix(), "start_date": day(1).Unix()}, nil)
	w.deliver("evt_next", "invoice.paid", day(40), w.invoice("in_next", "cus_b", 4000, day(40)), nil)
	w.drain()
	c, err := w.mapping().Coverage(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.Equal(t, mapping.Share{Mapped: 1, Total: 3}, c.Customers)
	require.Equal(t, mapping.Share{Mapped: 1, Total: 6}, c.Facts)
	require.Equal(t, []mapping.Revenue{{Currency: "eur", Total: 999}, {Currency: "usd", Mapped: 500, Total: 2600}}, c.Revenue)
	require.Equal(t, map[string]int64{"metadata": 1}, c.BySource)
	q, err := w.mapping().Quarantine(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.EqualValues(t, 5, q.Facts)
	require.Equal(t, []mapping.Amount{{Currency: "eur", Minor: 999}, {Currency: "usd", Minor: 2100}}, q.Amounts)
	require.Len(t, q.Reasons, 1)
	require.Equal(t, q.Amounts, q.Reasons[0].Amounts)
	require.Len(t, q.Customers, 2)
	all, err := w.mapping().Quarantine(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Limit: 1})
	require.NoError(t, err)
	require.EqualValues(t, 6, all.Facts)
	require.Len(t, all.Customers, 1)
	next, err := w.mapping().Quarantine(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Limit: 1, Cursor: all.NextCursor})
	require.NoError(t, err)
	require.Equal(t, "cus_c", next.Customers[0].Customer)
	require.Empty(t, next.NextCursor)
	for _, f := range []mapping.PeriodFilter{{ConnectionID: "acme", Period: "January"}, {ConnectionID: "acme"}, {ConnectionID: "nobody", Period: "2026-01"}, {ConnectionID: "acme", Period: "2026-01", Limit: -1}} {
		_, err := w.mapping().Coverage(w.ctx, f)
		require.Error(t, err)
	}
	w.link("cus_b", "u-b", time.Time{})
	c, err = w.mapping().Coverage(w.ctx, mapping.PeriodFilter{ConnectionID: "acme", Period: "2026-01"})
	require.NoError(t, err)
	require.Equal(t, mapping.Share{Mapped: 4, Total: 6}, c.Facts)
	require.Equal(t, map[string]int64{"metadata": 1, "manual": 3}, c.BySource)
}
