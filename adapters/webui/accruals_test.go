package webui_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestAccrualsPage: open and final months with their figures, totals per currency, what is
// to date, and how far off a final month was; who may run cycles computes one.
func TestAccrualsPage(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	p := open(t, e, "/accruals")
	for _, text := range []string{"to date", "month over", "170.00", "250.00", "330.00", "in range", "120.50", "Total USD", "Total EUR"} {
		require.Contains(t, p.text, text)
	}
	open(t, e, "/accruals?account=acme&period=2026-10&months=closed&environment=test&history=all")
	asked := l.accrualsAsked
	asked.Scope = access.Scope{}
	require.Equal(t, accrual.Filter{AccountID: "acme", Period: "2026-10", Environment: "test", Closed: "closed", History: true, Limit: asked.Limit}, asked)
	journals := open(t, e, "/accruals?period=2026-10").links
	require.Contains(t, journals, "/accruals/journal.csv?figure=low&period=2026-10")
	require.Contains(t, journals, "/accruals/journal.csv?figure=expected&period=2026-10")
	before := slices.Clone(l.accruals)
	for i := range l.accruals {
		l.accruals[i].Environment = account.Test
	}
	require.NotContains(t, open(t, e, "/accruals?period=2026-10").html, "/accruals/journal.csv", "nothing of a test account is booked, so no link leads there")
	l.next, l.accrualsNext = "n", before
	require.Contains(t, open(t, e, "/accruals?period=2026-10").links, "/accruals/journal.csv?figure=low&period=2026-10", "the journal is of the month, not of a page")
	require.NotContains(t, open(t, e, "/accruals?period=2026-10&environment=test").html, "/accruals/journal.csv")
	require.Contains(t, open(t, e, "/accruals?period=2026-10&cursor=n").links, "/accruals/journal.csv?figure=low&period=2026-10")
	l.accrualsNext = slices.Clone(before)
	for i := range l.accrualsNext {
		l.accrualsNext[i].Low = billing.Accrued{}
	}
	links := open(t, e, "/accruals?period=2026-10").links
	require.NotContains(t, links, "/accruals/journal.csv?figure=low&period=2026-10")
	require.Contains(t, links, "/accruals/journal.csv?figure=expected&period=2026-10")
	l.next = ""
	copy(l.accruals, before)
	l.accruals[2].RealisedMinor = ptr[int64](600_000)
	require.Contains(t, open(t, e, "/accruals").text, "outside")

	require.NotContains(t, p.html, "Compute now", "no account is chosen")
	d.caller.Roles = access.Roles{access.Finance}
	require.Contains(t, open(t, e, "/accruals?account=acme").html, "Compute now")
	w := send(t, e, "POST", "/accounts/acme/accruals", url.Values{"period": {"2026-11"}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "acme 2026-11", l.accrueAsked)
	l.refusal = fault.New(fault.Conflict, "accrual_closed", "2026-10 is frozen").Fix("Look at its cycle")
	w = send(t, e, "POST", "/accounts/acme/accruals", url.Values{"period": {"2026-10"}})
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "2026-10 is frozen")
	d.caller.Roles = access.Roles{access.Viewer}
	require.NotContains(t, open(t, e, "/accruals?account=acme").html, "Compute now")

	l.accruals = nil
	require.Contains(t, open(t, e, "/accruals").text, "No accrual yet")
	require.Contains(t, open(t, e, "/accruals?account=acme").text, "Nothing matches")
}

// TestAccrualsBeforeClose: the overview sums open months per environment and currency, the
// close board lists them, and a cycle shows what was expected of it and how far off.
func TestAccrualsBeforeClose(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/")
	require.Contains(t, p.text, "What open months will come to")
	require.Contains(t, p.text, "low 170.00")
	require.Contains(t, open(t, e, "/cycles").text, "before they are closed")
	p = open(t, e, "/cycles/acme.2026-10")
	require.Contains(t, p.text, "What was expected before it was closed")
	require.Contains(t, p.text, "in range")
	require.NotContains(t, open(t, e, "/cycles/contoso.2026-10").text, "What was expected")
}

// TestAccrualJournal: debits are credits, the reversal stands on the first day of the next
// month, and the accounts are those of the vendor's chart.
func TestAccrualJournal(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{JournalAccounts: map[string]string{accrual.AccountAccrued: "1290 Accrued income"}})
	f := download(t, e, "/accruals/journal.csv?period=2026-11")
	require.Equal(t, []string{"2026-11-30", "2026-11-30", "2026-11-30", "2026-12-01", "2026-12-01", "2026-12-01"}, f.column(t, "date")[:6])
	require.Equal(t, []string{"1290 Accrued income", "revenue_performance_fees", "revenue_fixed_fees"}, f.column(t, "account")[:3])
	require.Equal(t, []string{"17000", "0", "0", "0", "12000", "5000"}, f.column(t, "debit_minor")[:6], "the constrained estimate, and its reversal")
	totals := map[string][]string{}
	for _, x := range f.head["#control total"] {
		totals[x[2]] = append(totals[x[2]], x[3])
	}
	for currency, sums := range totals {
		require.Equal(t, sums[0], sums[1], "debit and credit of %s", currency)
	}
	require.Len(t, totals, 2)
	for path, status := range map[string]int{"/accruals/journal.csv": 400, "/accruals/journal.csv?period=2026-11&figure=high": 400, "/accruals/journal.csv?period=2026-09": 409, "/accruals/journal.txt?period=2026-11": 404} {
		require.Equal(t, status, open(t, e, path).status, path)
	}
}

// TestSnapshotPage: lift over months, reasons, weights, propensities and refused edits; an
// administrator ships and retires, and late decisions are called out.
func TestSnapshotPage(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	const path = "/accounts/acme/snapshots/trial-nudge-7"
	d.caller.Roles = access.Roles{access.Viewer}
	p := open(t, e, path)
	for _, text := range []string{"October 2026", "September 2026", "LCB_NOT_POSITIVE", "Words of 2026-09.", "10,800", "20,602.50", "0.7 to 0.8", "Refused edits", "Something else", "Ada Byron"} {
		require.Contains(t, p.text, text)
	}
	require.NotContains(t, p.html, "/retire")
	require.NotContains(t, open(t, e, "/snapshots?account=acme").html, `name="snapshot"`)
	d.caller.Roles = access.Roles{access.Admin}
	require.Contains(t, open(t, e, path).html, "/retire")
	require.Contains(t, open(t, e, "/snapshots?account=acme").html, `name="snapshot"`)
	require.Equal(t, 303, send(t, e, "POST", "/accounts/acme/snapshots", url.Values{"snapshot": {"new-1"}, "name": {"New"}}).Code)
	require.Equal(t, 303, send(t, e, "POST", path+"/retire", url.Values{"reason": {"replaced"}, "retired_at": {"2026-11-01T00:00"}}).Code)
	require.Equal(t, []string{"acme new-1 New", "acme trial-nudge-7 retired replaced 2026-11-01T00:00:00Z"}, l.shipped)
	w := send(t, e, "POST", path+"/retire", url.Values{"reason": {"x"}, "retired_at": {"yesterday"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "is not a time")
	l.refusal = fault.New(fault.Conflict, "snapshot_exists", "it exists with other values")
	require.Equal(t, 422, send(t, e, "POST", "/accounts/acme/snapshots", url.Values{"snapshot": {"new-1"}, "name": {"Other"}}).Code)
	l.retired = true
	p = open(t, e, path)
	require.Contains(t, p.text, "12 decisions came from the retirement on.")
	require.NotContains(t, p.html, `action="`+path+`/retire"`)
	require.Equal(t, 404, open(t, e, "/accounts/acme/snapshots/nobody").status)
}
