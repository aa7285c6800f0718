package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
)

// stripeSide is Stripe as a list of objects, in pages of two.
type stripeSide struct {
	objects []recon.Object
	fails   error
	reads   int
}

func (s *stripeSide) ReconPage(_ context.Context, _ string, kind recon.Kind, _, _ time.Time, after string) (reconcile.ObjectPage, error) {
	s.reads++
	var page reconcile.ObjectPage
	seen := after == ""
	for _, o := range s.objects {
		if o.Kind != kind {
			continue
		}
		if seen {
			if len(page.Objects) == 2 {
				page.Next = page.Objects[1].ID
				break
			}
			page.Objects = append(page.Objects, o)
		}
		seen = seen || o.ID == after
	}
	if after != "" && s.fails != nil {
		return page, s.fails
	}
	return page, nil
}

func (s *stripeSide) Issued(context.Context, string, string, string, string) ([]recon.Issued, []recon.PendingItem, error) {
	return nil, nil, nil
}

func (s *stripeSide) NewestEvent(context.Context, string) (string, time.Time, bool, error) {
	return "", time.Time{}, false, nil
}

func (s *stripeSide) ReconFields(context.Context, string, string, string) (map[string]string, error) {
	return nil, fault.New(fault.NotFound, "stripe_not_found", "no such object")
}

func (s *stripeSide) TakeReads(string) int {
	n := s.reads
	s.reads = 0
	return n
}

// january is the month of the tests; both sides are compared a day after it.
var (
	january     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	february    = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	compareTime = february.Add(24 * time.Hour)
	machine     = access.Machine("reconcile")
)

func (w *world) reconciler(s reconcile.Stripe, at time.Time) *reconcile.Reconciler {
	return &reconcile.Reconciler{Stripe: s, Ledger: w.db.NewRecon(), Closes: w.db.NewRecon(), Clock: clock.Fixed(at), Log: slog.New(slog.DiscardHandler)}
}

// pays books a payment as a fact; its customer is somebody's.
func (w *world) pays(key, invoice string, minor int64, currency string, at time.Time) {
	w.t.Helper()
	require.NoError(w.t, w.exec(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, amount_minor, currency, effective_at, event_id, recorded_at)
		VALUES ('acme', 'live', $1, 'revenue_confirmation', true, $2, 'cus_1', $2, $3, $4, $5, 'evt', $5)`, key, invoice, minor, currency, at))
}

func paidInvoice(id string, minor int64, at time.Time) recon.Object {
	return recon.Object{Kind: recon.Payment, ID: id, Status: "paid", NetMinor: minor, CashMinor: minor, Currency: "usd", CustomerID: "cus_1", At: at, Balanced: true, Livemode: true}
}

// TestDigestsFindWhatAJoinWouldFind: both sides of a month are made at random, with every
// sort of difference. What the digests lead to is what judging every pair finds, and
// explains the whole difference.
func TestDigestsFindWhatAJoinWouldFind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec(`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id) VALUES ('acme', 'cus_1', '0001-01-01', 'infinity', 'linked', 'u')`))
	rng := rand.New(rand.NewPCG(7, 7))
	s := &stripeSide{}
	window := recon.Window{Period: period.Interval{Start: january, End: february}, Live: true, ConnectionID: "acme"}
	var want []recon.Finding
	moment := func() time.Time {
		return []time.Time{january.Add(time.Duration(rng.IntN(31*24*3600)) * time.Second), january.Add(-time.Second), january, february.Add(-time.Second), february}[min(rng.IntN(12), 4)]
	}
	for n := range 300 {
		id, minor, at := fmt.Sprintf("in_%03d", n), int64(1000+rng.IntN(5)), moment()
		p := recon.Pair{Kind: recon.Payment, ID: id}
		o := paidInvoice(id, minor, at)
		booked, currency, bookedAt, twice := minor, "usd", at, false
		switch rng.IntN(12) {
		case 0:
			booked--
		case 1:
			bookedAt = moment()
		case 2:
			currency = "eur"
		case 3:
			twice = true
		case 4:
			o.Own = true
		case 5:
			o.Balanced = false
		case 6:
			o.NetMinor, o.CashMinor, o.OutOfBandMinor = 0, 0, minor
		case 7:
			o.TaxMinor, o.NetMinor = 90, o.NetMinor-90
		}
		if rng.IntN(15) > 0 {
			p.Theirs = &o
			s.objects = append(s.objects, o)
		}
		if rng.IntN(15) > 0 {
			w.pays("f:"+id, id, booked, currency, bookedAt)
			p.Ours = &recon.Booked{Facts: 1, AmountMinor: booked, Currency: currency, CustomerID: "cus_1", At: bookedAt}
			if window.Period.Contains(bookedAt) {
				p.Ours.CountedMinor = booked
			}
			if twice {
				again := moment()
				w.pays("f:"+id+":again", id, booked, currency, again)
				if p.Ours.Facts, p.Ours.AmountMinor = 2, 2*booked; window.Period.Contains(again) {
					p.Ours.CountedMinor += booked
				}
			}
		}
		want = append(want, window.Judge(p)...)
	}
	r := w.reconciler(s, compareTime)
	out, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	types := map[recon.Type]int{}
	ids := map[string]bool{}
	for _, f := range want {
		ids[f.ID("acme", "2026-01")] = true
		types[f.Type]++
	}
	require.GreaterOrEqual(t, len(types), 8, "%v", types)
	for cursor := ""; ; {
		page, err := r.Breaks(t.Context(), reconcile.BreaksFilter{Scope: access.Everything(), AccountID: "acme", Limit: 100, Cursor: cursor})
		require.NoError(t, err)
		for _, b := range page.Items {
			if b.Type != recon.FXMissing { // it is about sums
				require.True(t, ids[b.ID], "%s %s was not expected", b.Type, b.Subject)
				delete(ids, b.ID)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	require.Empty(t, ids, "differences that were not found")
	sum, err := r.Summary(t.Context(), "acme", "2026-01")
	require.NoError(t, err)
	require.NotEmpty(t, sum.TieOut.Lines)
	for _, l := range sum.TieOut.Lines {
		require.Zero(t, l.UnfoundMinor, "%+v", l)
	}
	again, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	require.Equal(t, out.Found, again.Found)
	require.Zero(t, again.Fresh, "a second run finds the same breaks")
	var changed []string
	require.NoError(t, w.sql.QueryRow(t.Context(), `SELECT array_agg(action || ' ' || type || ' ' || subject) FROM recon_break_changes c JOIN recon_breaks b ON b.id = c.break_id
		WHERE action NOT IN ('detected', 'repair_requested')`).Scan(&changed))
	require.Empty(t, changed, "and changes nothing")
}

// TestHalfAListConcludesNothing: a run that Stripe or the read allowance stops leaves the
// breaks as they are and says why; the next one goes ahead.
func TestHalfAListConcludesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &stripeSide{objects: []recon.Object{paidInvoice("in_1", 900, january), paidInvoice("in_2", 900, january), paidInvoice("in_3", 900, january)}}
	w.pays("f1", "in_1", 900, "usd", january)
	w.pays("f2", "in_2", 800, "usd", january)
	w.pays("f3", "in_3", 900, "usd", january)
	r := w.reconciler(s, compareTime)
	out, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	require.Equal(t, 2, out.Found, "the amount, and the customer whom nobody knows")
	stands := func() recon.State {
		b, err := r.Breaks(t.Context(), reconcile.BreaksFilter{Scope: access.Everything(), Type: "amount_differs"})
		require.NoError(t, err)
		return b.Items[0].State
	}
	s.fails, s.objects = fault.New(fault.Unavailable, "stripe_transient", "away"), append([]recon.Object{paidInvoice("in_0", 1, january)}, s.objects...)
	_, err = r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.Equal(t, "stripe_transient", fault.CodeOf(err))
	require.Equal(t, recon.Open, stands())
	s.fails = nil
	require.NoError(t, w.exec(`INSERT INTO source_reads (connection_id, day, reads) VALUES ('acme', '2026-02-01', 10000)`))
	_, err = r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.Equal(t, "read_allowance", fault.CodeOf(err))
	sum, err := r.Summary(t.Context(), "acme", "2026-01")
	require.NoError(t, err)
	require.Equal(t, reconcile.Failed, sum.Newest.State)
	require.Equal(t, "read_allowance", sum.Newest.Code)
	require.NotEmpty(t, sum.Newest.Next)
	require.Equal(t, out.ID, sum.Complete.ID, "the sums are those of the last complete run")
	require.Equal(t, recon.Open, stands())
}

// TestOneRunAtATime: two runs of a month do not meet; one that is silent is replaced, and
// what it still wants to write is refused.
func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ledger := w.db.NewRecon()
	m, err := period.ParseMonth("2026-01")
	require.NoError(t, err)
	sc, err := ledger.Scope(t.Context(), "acme", m)
	require.NoError(t, err)
	first, err := ledger.Begin(t.Context(), sc, recon.Machine(), compareTime, audit.Entry{})
	require.NoError(t, err)
	_, err = ledger.Begin(t.Context(), sc, recon.Machine(), compareTime.Add(time.Minute), audit.Entry{})
	require.Equal(t, "run_under_way", fault.CodeOf(err))
	require.NoError(t, ledger.Stage(t.Context(), first.ID, []recon.Object{paidInvoice("in_1", 1, january), paidInvoice("in_1", 1, january)}, compareTime.Add(10*time.Minute)))
	_, err = ledger.Begin(t.Context(), sc, recon.Machine(), compareTime.Add(20*time.Minute), audit.Entry{})
	require.Equal(t, "run_under_way", fault.CodeOf(err), "it has worked meanwhile")
	second, err := ledger.Begin(t.Context(), sc, recon.Machine(), compareTime.Add(time.Hour), audit.Entry{})
	require.NoError(t, err)
	require.Equal(t, "run_lost", fault.CodeOf(ledger.Stage(t.Context(), first.ID, nil, compareTime)))
	_, err = ledger.Finish(t.Context(), sc, first, compareTime, func([]recon.Break) reconcile.Merged { return reconcile.Merged{} })
	require.Equal(t, "run_lost", fault.CodeOf(err))
	_, err = ledger.Finish(t.Context(), sc, second, compareTime, func([]recon.Break) reconcile.Merged { return reconcile.Merged{} })
	require.NoError(t, err)
	for what, sql := range map[string]string{
		"history is removed":          `DELETE FROM recon_break_changes`,
		"a critical break of one":     `UPDATE recon_breaks SET state = 'resolved', reason = 'accepted'`,
		"forced by one":               `UPDATE recon_breaks SET state = 'forced', reason = 'accepted', requested_by = 'user:a', requested_person = 'a', forced_by = 'token:1', forced_person = 'a'`,
		"forced by nobody":            `UPDATE recon_breaks SET state = 'forced', reason = 'accepted'`,
		"sums are changed afterwards": `UPDATE recon_sums SET left_minor = 0`,
		"a tolerance is taken back":   `DELETE FROM recon_tolerances`,
	} {
		w.critical(sc, what)
		require.Error(t, w.exec(sql), what)
	}
}

// critical makes a month with a critical break, its history, a sum and a tolerance.
func (w *world) critical(sc reconcile.Scope, why string) {
	w.t.Helper()
	ledger := w.db.NewRecon()
	run, err := ledger.Begin(w.t.Context(), sc, recon.Machine(), compareTime, audit.Entry{})
	require.NoError(w.t, err)
	f := recon.Finding{Type: recon.MissingInStripe, Subject: why, Line: recon.Revenue, Currency: "usd", Left: recon.Side{Source: "ledger", Currency: "usd"}}
	b, c := recon.NewBreak("acme", "2026-01", f, compareTime)
	_, err = ledger.Finish(w.t.Context(), sc, run, compareTime, func([]recon.Break) reconcile.Merged {
		return reconcile.Merged{Breaks: []recon.Break{b}, Changes: []recon.Change{c}, Sums: []recon.Sum{{Line: recon.Revenue, Currency: "usd", LeftMinor: 5}}}
	})
	require.NoError(w.t, err)
	r := w.reconciler(&stripeSide{}, compareTime)
	require.NoError(w.t, r.SetTolerance(w.t.Context(), access.Operator("nina"), "acme", recon.Tolerance{LineMinor: 1, BatchMinor: 5}, "Annex B"))
}

// TestATermTolerates: what a stated term allows is settled by it, and by nothing else;
// who stated it is in the audit log.
func TestATermTolerates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &stripeSide{objects: []recon.Object{paidInvoice("in_1", 900, january), paidInvoice("in_2", 902, january)}}
	w.pays("f1", "in_1", 901, "usd", january)
	w.pays("f2", "in_2", 900, "usd", january)
	r := w.reconciler(s, compareTime)
	require.Equal(t, "tolerance_range", fault.CodeOf(r.SetTolerance(t.Context(), access.Operator("nina"), "acme", recon.Tolerance{LineMinor: -1}, "Annex B")))
	require.Equal(t, access.CodePermission, fault.CodeOf(r.SetTolerance(t.Context(), access.Principal{ID: "user:v", Roles: access.Roles{access.Viewer}, Scope: access.Everything()}, "acme", recon.Tolerance{}, "x")))
	require.NoError(t, r.SetTolerance(t.Context(), access.Operator("nina"), "acme", recon.Tolerance{LineMinor: 1, BatchMinor: 5}, "Annex B"))
	_, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	page, err := r.Breaks(t.Context(), reconcile.BreaksFilter{Scope: access.Everything(), Type: "amount_differs"})
	require.NoError(t, err)
	states := map[string]recon.State{}
	for _, b := range page.Items {
		states[b.Subject] = b.State
	}
	require.Equal(t, map[string]recon.State{"in_1": recon.Resolved, "in_2": recon.Open}, states)
	var who, before, after string
	require.NoError(t, w.sql.QueryRow(t.Context(), `SELECT actor_id, before, after FROM audit_log WHERE action = 'account.tolerance_stated'`).Scan(&who, &before, &after))
	require.Equal(t, "cli:nina", who)
	require.Contains(t, before, `"per_object_minor":"0"`)
	require.Contains(t, after, `"per_object_minor":"1"`)
	due, err := r.Due(t.Context(), "live", reconcile.Due{}, 10)
	require.NoError(t, err)
	require.Equal(t, []reconcile.Due{{AccountID: "acme", Period: "2026-01"}, {AccountID: "acme", Period: "2026-02"}}, due)
}
