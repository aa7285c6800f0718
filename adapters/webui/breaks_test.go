package webui_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

const (
	breakAmount = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	breakGhost  = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
	breakDone   = "cccccccccccccccccccccccccc"
)

// someBreaks are an amount that differs, a critical one that waits for a second person, and
// one that was resolved.
func someBreaks() []reconcile.BreakView {
	at := func(id string, f recon.Finding, state recon.State, ago time.Duration) reconcile.BreakView {
		seen := now.Add(-ago)
		b := recon.Break{ID: id, AccountID: "acme", Period: "2026-10", Finding: f, State: state, FirstSeen: seen, LastSeen: now.Add(-time.Hour), UpdatedAt: now}
		return reconcile.BreakView{
			BreakRow: reconcile.BreakRow{Break: b, Environment: account.Live, AccountName: "Acme Inc."}, Age: recon.AgeOf(seen, now),
			History: []recon.Change{{BreakID: id, Action: recon.Detected, To: recon.Open, Actor: recon.Machine(), At: seen, Text: f.Detail, LeftMinor: f.Left.AmountMinor, RightMinor: f.Right.AmountMinor}},
		}
	}
	side := func(source, id string, minor int64) recon.Side {
		return recon.Side{Source: source, ID: id, AmountMinor: &minor, Currency: "usd", CountedMinor: minor}
	}
	differs := at(breakAmount, recon.Finding{Type: recon.AmountDiffers, Subject: "in_1QHaaaG9RKHgCVdKaaa", Line: recon.Revenue, Left: side("ledger", "in_1QHaaaG9RKHgCVdKaaa", 9_800), Right: side("stripe", "in_1QHaaaG9RKHgCVdKaaa", 9_900), AmountMinor: 100, Currency: "usd", CustomerID: "cus_RkA1b2C3d4E5f6", Detail: "booked 98.00 USD, paid 99.00 USD"}, recon.Assigned, 50*time.Hour)
	differs.Owner, differs.Notes = "Nina", 1
	differs.History = append(differs.History, recon.Change{Action: recon.Linked, From: recon.Open, To: recon.Open, Actor: recon.Actor{ID: "user:nina"}, At: now.Add(-time.Hour), Text: "the bank's letter", Link: "https://files.example.com/1"})
	ghost := at(breakGhost, recon.Finding{Type: recon.MissingInStripe, Subject: "in_1QHghostG9RKHgCVd", Line: recon.Revenue, Left: side("ledger", "in_1QHghostG9RKHgCVd", 1_234), AmountMinor: 1_234, Currency: "usd", Detail: "booked and not at Stripe"}, recon.ForceRequested, 9*24*time.Hour)
	ghost.Break.Reason, ghost.RequestedBy = recon.WrittenOff, recon.Actor{ID: "user:nina", Person: "nina"}
	done := at(breakDone, recon.Finding{Type: recon.UnmappedCustomer, Subject: "cus_9.usd", Left: side("ledger", "cus_9", 2_900), AmountMinor: 2_900, Currency: "usd", Detail: "nobody said whose it is"}, recon.Resolved, time.Hour)
	done.Break.Reason = recon.Explained
	return []reconcile.BreakView{differs, ghost, done}
}

// differences are the breaks of the ledger.
type differences struct{ l *ledger }

func (d differences) Breaks(_ context.Context, f reconcile.BreaksFilter) (reconcile.Page[reconcile.BreakView], error) {
	d.l.breaksAsked = f
	if f.State == string(recon.ForceRequested) || f.Owner != "" {
		own := slices.DeleteFunc(slices.Clone(d.l.breaks), func(b reconcile.BreakView) bool {
			return f.State != "" && string(b.State) != f.State || f.Owner != "" && b.Owner != f.Owner
		})
		return reconcile.Page[reconcile.BreakView]{Items: own}, d.l.err
	}
	return reconcile.Page[reconcile.BreakView]{Items: d.l.breaks, NextCursor: d.l.more(f.Cursor)}, d.l.err
}

func (d differences) Break(_ context.Context, id string) (reconcile.BreakView, error) {
	for _, b := range d.l.breaks {
		if b.ID == id {
			return b, nil
		}
	}
	return reconcile.BreakView{}, fault.New(fault.NotFound, "break_not_found", "there is no break %q", id)
}

func (d differences) did(parts ...string) (reconcile.BreakView, error) {
	d.l.worked = append(d.l.worked, strings.Join(parts, "|"))
	return reconcile.BreakView{}, d.l.refusal
}
func (d differences) Assign(_ context.Context, _ access.Principal, id, owner string) (reconcile.BreakView, error) {
	return d.did("assign", id, owner)
}
func (d differences) Note(_ context.Context, _ access.Principal, id, text, link string) (reconcile.BreakView, error) {
	return d.did("note", id, text, link)
}
func (d differences) Resolve(_ context.Context, _ access.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error) {
	if id == breakGhost {
		return reconcile.BreakView{}, fault.New(fault.Conflict, "second_person_needed", "a break of the type missing_in_stripe is not resolved by one person")
	}
	return d.did("resolve", id, string(why), text)
}
func (d differences) RequestForce(_ context.Context, _ access.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error) {
	return d.did("ask", id, string(why), text)
}
func (d differences) Force(_ context.Context, _ access.Principal, id string, agree bool, text string) (reconcile.BreakView, error) {
	if agree {
		return d.did("agree", id, text)
	}
	return d.did("decline", id, text)
}
func (d differences) Reopen(_ context.Context, _ access.Principal, id, text string) (reconcile.BreakView, error) {
	return d.did("reopen", id, text)
}
func (d differences) Compare(_ context.Context, _ access.Principal, connection, object, id string) (reconcile.Comparison, error) {
	_, err := d.did("compare", connection, object, id)
	return reconcile.Comparison{ConnectionID: connection, Object: object, ID: id, At: now, InLedger: true, AtStripe: true, Fields: d.l.fields}, err
}
func (d differences) Summary(_ context.Context, accountID, month string) (reconcile.Summary, error) {
	s := d.l.month
	s.AccountID, s.Period = accountID, month
	return s, d.l.err
}
func (d differences) Reconcile(_ context.Context, _ access.Principal, accountID, month string, _ func(string)) (reconcile.Outcome, error) {
	_, err := d.did("reconcile", accountID, month)
	return reconcile.Outcome{}, err
}
func (d differences) Close(_ context.Context, _ access.Principal, accountID, month string) error {
	_, err := d.did("close", accountID, month)
	return err
}
func (d differences) ReopenMonth(_ context.Context, _ access.Principal, accountID, month, reason string) error {
	_, err := d.did("reopen", accountID, month, reason)
	return err
}
func (d differences) Closings(context.Context, string, string) ([]recon.Closing, error) {
	return d.l.closings, nil
}

// aMonth has one break of one dollar left on its revenue.
func aMonth() reconcile.Summary {
	run := &reconcile.Run{ID: 7, State: reconcile.Complete, StartedAt: now.Add(-8 * time.Hour), FinishedAt: ptr(now.Add(-8 * time.Hour))}
	return reconcile.Summary{
		Complete: run, Newest: run, Blocking: 1,
		TieOut: recon.TieOut{Lines: []recon.TieOutLine{
			{Sum: recon.Sum{Line: recon.Revenue, Currency: "usd", LeftMinor: 10_812_300, RightMinor: 10_812_400, LeftObjects: 1_204, RightObjects: 1_204}, DifferenceMinor: -100, OpenMinor: -100, RemainingMinor: -100},
			{Sum: recon.Sum{Line: recon.Invoice, Currency: "usd", LeftMinor: 412_050, RightMinor: 412_050, LeftObjects: 1, RightObjects: 1}},
		}},
		Counts: []reconcile.BreakCount{{Type: recon.AmountDiffers, State: recon.Open, Currency: "usd", Count: 1, AmountMinor: 100}, {Type: recon.UnmappedCustomer, State: recon.Resolved, Currency: "usd", Count: 1, AmountMinor: 2_900}},
	}
}

func TestBreaksAreListedAndFiltered(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/breaks")
	require.True(t, l.breaksAsked.Pending, "what needs somebody is listed first")
	first := p.row(t, "amount_differs")
	require.Contains(t, strings.Join(first, " | "), "the measured revenue, and through it the fee | 2-3 | Nina")
	require.Contains(t, first, "1.00 USD")
	require.Contains(t, first, "-1.00 USD")
	require.Contains(t, p.links, "/breaks/"+breakAmount)
	require.Contains(t, p.links, "/accounts/acme/months/2026-10")
	require.Equal(t, "42.34 USD", p.row(t, "Total USD")[7])
	require.NotContains(t, p.html, `name="pick"`, "an administrator does not work on breaks")

	open(t, e, "/breaks?show=all&account=acme&period=2026-10&type=amount_differs&age=2-3&owner=Nina&from=1&to=2.50&currency=USD&environment=live&severity=error&state=open&q=in_1&sort=amount")
	require.Equal(t, reconcile.BreaksFilter{
		Scope: access.Everything(), AccountID: "acme", Environment: "live", Period: "2026-10", Type: "amount_differs", State: "open", Severity: "error", Owner: "Nina", Age: "2-3", Currency: "usd",
		Min: ptr(decimal.RequireFromString("1")), Max: ptr(decimal.RequireFromString("2.50")), Search: "in_1", Sort: "amount", Limit: 100,
	}, l.breaksAsked)
	open(t, e, "/breaks?show=blocking")
	require.True(t, l.breaksAsked.Blocking)
	require.Contains(t, open(t, e, "/breaks?to=1e9").text, "Write it as 1234.56")
	l.breaks = nil
	require.Contains(t, open(t, e, "/breaks").text, "No break is open")
	require.Contains(t, open(t, e, "/breaks?type=timing").text, "Nothing matches")
}

// What a page offers is what its reader may do about the break as it stands.
func TestWhatCanBeDoneAboutABreak(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	work := func(id string) []string {
		p := open(t, e, "/breaks/"+id)
		var out []string
		for _, a := range []string{"assign", "notes", "resolve", "request-force", "force", "reopen"} {
			if strings.Contains(p.html, `action="/breaks/`+id+`/`+a+`"`) {
				out = append(out, a)
			}
		}
		return out
	}
	d.caller.Roles = access.Roles{access.Viewer}
	require.Empty(t, work(breakAmount))
	d.caller.Roles = access.Roles{access.Finance}
	require.Equal(t, []string{"assign", "notes", "resolve", "request-force"}, work(breakAmount))
	require.Equal(t, []string{"assign", "notes"}, work(breakGhost), "it waits for the second person")
	require.Equal(t, []string{"notes", "reopen"}, work(breakDone))
	require.Contains(t, open(t, e, "/breaks/"+breakAmount).links, "/connections/acme-stripe/compare?back=%2Fbreaks%2F"+breakAmount+"&object=invoice&object_id=in_1QHaaaG9RKHgCVdKaaa")
	d.caller.Roles = access.Roles{access.Approver}
	require.Equal(t, []string{"force"}, work(breakGhost))
	d.caller.Person = "nina"
	require.Empty(t, work(breakGhost), "whoever asked does not agree")
	require.Contains(t, open(t, e, "/breaks/"+breakGhost).text, "You asked for it")

	p := open(t, e, "/breaks/"+breakAmount)
	require.Contains(t, p.text, "It keeps the month from being closed")
	require.Contains(t, p.links, "https://files.example.com/1")
	require.Equal(t, []string{"Amount", "98.00 USD", "99.00 USD", ""}, p.row(t, "Amount |"))
}

func TestWorkOnABreak(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	at := "/breaks/" + breakAmount
	for _, step := range []struct {
		path string
		form url.Values
		want string
	}{
		{"/assign", url.Values{"owner": {"Nina"}}, "assign|" + breakAmount + "|Nina"},
		{"/notes", url.Values{"text": {"see"}, "link": {" https://files.example.com/1 "}}, "note|" + breakAmount + "|see|https://files.example.com/1"},
		{"/resolve", url.Values{"reason": {"explained"}, "text": {"a fee"}}, "resolve|" + breakAmount + "|explained|a fee"},
		{"/request-force", url.Values{"reason": {"accepted"}, "text": {"small"}}, "ask|" + breakAmount + "|accepted|small"},
		{"/force", url.Values{"agree": {"yes"}, "text": {"seen"}}, "agree|" + breakAmount + "|seen"},
		{"/force", url.Values{"agree": {"no"}, "text": {"no"}}, "decline|" + breakAmount + "|no"},
		{"/reopen", url.Values{"text": {"again"}}, "reopen|" + breakAmount + "|again"},
	} {
		w := send(t, e, "POST", at+step.path, step.form)
		require.Equal(t, 303, w.Code, step.path)
		require.Equal(t, at+"#history", w.Header().Get("Location"))
		require.Equal(t, step.want, l.worked[len(l.worked)-1])
	}
	l.refusal = fault.InvalidField("text", "text_missing", "it is empty").Fix("Write a sentence")
	w := send(t, e, "POST", at+"/resolve", url.Values{})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "Text: it is empty. Write a sentence.")
	l.refusal = fault.New(fault.Unavailable, "database_unreachable", "later")
	require.Equal(t, 503, send(t, e, "POST", at+"/assign", url.Values{}).Code)
}

// Marked rows are worked on one by one: what one refuses does not keep the others.
func TestMarkedBreaks(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	d.caller.Roles = access.Roles{access.Finance}
	e := newDoor(l, d, webui.Options{})
	require.Contains(t, open(t, e, "/breaks?account=acme").html, `action="/breaks?account=acme"`, "the filters survive")
	w := send(t, e, "POST", "/breaks?account=acme", url.Values{"action": {"assign"}, "owner": {"Omar"}, "pick": {breakAmount, breakGhost}})
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "2 breaks assigned.")
	require.Equal(t, "acme", l.breaksAsked.AccountID)
	require.Equal(t, []string{"assign|" + breakAmount + "|Omar", "assign|" + breakGhost + "|Omar"}, l.worked)
	w = send(t, e, "POST", "/breaks", url.Values{"action": {"resolve"}, "reason": {"explained"}, "text": {"x"}, "pick": {breakAmount, breakGhost}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "1 break resolved.")
	require.Contains(t, w.Body.String(), "not resolved by one person")
	for _, form := range []url.Values{{"action": {"resolve"}}, {"pick": {breakAmount}}, {"action": {"assign"}, "pick": make([]string, 101)}} {
		require.Equal(t, 422, send(t, e, "POST", "/breaks", form).Code)
	}
}

func TestCompareWithStripe(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	l.fields = []recon.Field{{Name: "amount_paid_minor", Ours: "9800", Theirs: "9900"}, {Name: "currency", Ours: "usd", Theirs: "usd", Equal: true}}
	e := newDoor(l, d, webui.Options{})
	w := send(t, e, "POST", "/connections/acme-stripe/compare", url.Values{"object": {"invoice"}, "object_id": {" in_1 "}, "back": {"/breaks/x"}})
	require.Equal(t, 200, w.Code)
	require.Equal(t, []string{"compare|acme-stripe|invoice|in_1"}, l.worked)
	text := plainText(w.Body.String())
	require.Contains(t, text, "1 of 2 fields differ.")
	require.Contains(t, text, "amount paid minor 9800 9900 ✕ differs")
	for _, back := range []string{"https://evil.example", "//evil.example", `/\evil.example`} {
		w = send(t, e, "POST", "/connections/acme-stripe/compare", url.Values{"back": {back}})
		require.NotContains(t, w.Body.String(), "evil")
	}
	l.refusal = fault.New(fault.NotFound, "object_not_found", "neither")
	require.Equal(t, 422, send(t, e, "POST", "/connections/acme-stripe/compare", url.Values{"object": {"invoice"}, "object_id": {"in_1"}}).Code)
	l.refusal = fault.New(fault.RateLimited, "read_allowance", "the read allowance is used up").Fix("Try again tomorrow")
	require.Contains(t, send(t, e, "POST", "/connections/acme-stripe/compare", url.Values{}).Body.String(), "Try again tomorrow.")
	d.caller.Roles = access.Roles{access.Viewer}
	require.Contains(t, open(t, e, "/connections/acme-stripe/compare").text, "sync.run")
}
