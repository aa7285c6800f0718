package webui_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// The board counts what is open and leads to it; the tie-out shows both sides of the month.
func TestBreaksOnTheBoardAndTheTieOut(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/cycles")
	require.Equal(t, "3 20.00 EUR 1 blocks", p.row(t, "NW-0004")[9])
	require.Equal(t, "0", p.row(t, "ACME-0001")[9])
	require.Equal(t, "Ada ✓ closed 2026-11-04", p.row(t, "ACME-0001")[11])
	require.Contains(t, p.row(t, "ACME-0001")[10], "due 2026-11-24")
	require.Contains(t, p.links, "/breaks?account=northwind&period=2026-10")
	require.Equal(t, "3 20.00 EUR", p.row(t, "Total EUR LIVE")[9])
	open(t, e, "/cycles?breaks=blocking&currency=EUR&from=10&to=20.5")
	require.Equal(t, "blocking eur 10 20.5", l.cyclesAsked.Breaks+" "+l.cyclesAsked.Currency+" "+l.cyclesAsked.Min.String()+" "+l.cyclesAsked.Max.String())
	require.Equal(t, 400, open(t, e, "/cycles?from=many").status)

	p = open(t, e, "/cycles/acme.2026-10")
	require.Contains(t, p.text, "1 break keeps the month from being closed.")
	require.Contains(t, p.text, "1 open break , 1.00 USD at stake")
	require.Contains(t, p.links, "/breaks?account=acme&period=2026-10&show=blocking")
	require.Equal(t, []string{"revenue USD 1,204 and 1,204 objects", "108,123.00 USD", "108,124.00 USD", "-1.00 USD", "0.00 USD", "-1.00 USD", "-1.00 USD ✕"}, p.row(t, "revenue USD"))
	require.Equal(t, "0.00 USD ✓", p.row(t, "invoice USD")[6])
	require.Contains(t, p.row(t, "a late letter")[2], "user:omar")
	require.Contains(t, p.links, "/connections/acme-stripe/compare?back=%2Fcycles%2Facme.2026-10&object=invoice&object_id=in_1QHk2vG9RKHgCVdKx01")
	l.month = reconcile.Summary{}
	require.Contains(t, open(t, e, "/cycles/acme.2026-10").text, "Not compared with Stripe yet.")
	l.month.Newest = &reconcile.Run{State: reconcile.Failed, Message: "the read allowance is used up", Next: "try again tomorrow"}
	require.Contains(t, open(t, e, "/cycles/acme.2026-10").text, "concluded nothing: The read allowance is used up. Try again tomorrow.")
}

func TestClosingAMonth(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	d.caller.Roles = access.Roles{access.Finance}
	e := newDoor(l, d, webui.Options{})
	const id = "acme.2026-10"
	require.Contains(t, open(t, e, "/cycles/"+id).html, `value="close"`)
	l.closings = l.closings[:1]
	require.Contains(t, open(t, e, "/cycles/"+id).html, `value="reopen"`)
	require.Contains(t, open(t, e, "/cycles/"+id).text, "The month is closed.")
	require.Equal(t, 303, send(t, e, "POST", "/cycles/"+id+"/close", url.Values{"action": {"close"}}).Code)
	require.Equal(t, 303, send(t, e, "POST", "/cycles/"+id+"/close", url.Values{"action": {"reopen"}, "reason": {"late"}}).Code)
	require.Equal(t, 303, send(t, e, "POST", "/cycles/"+id+"/reconcile", nil).Code)
	require.Equal(t, []string{"close|acme|2026-10", "reopen|acme|2026-10|late", "reconcile|acme|2026-10"}, l.worked)
	require.Equal(t, 422, send(t, e, "POST", "/cycles/"+id+"/close", url.Values{"action": {"burn"}}).Code)
	l.refusal = fault.New(fault.Conflict, "month_blocked", "1 breaks keep 2026-10 from being closed: amount_differs of in_1").Fix("Resolve them first")
	w := send(t, e, "POST", "/cycles/"+id+"/close", url.Values{"action": {"close"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "amount_differs of in_1. Resolve them first.")
	require.Equal(t, 404, send(t, e, "POST", "/cycles/nothing/close", nil).Code)
}

// Marked cycles are approved one by one, each as the invoice that the list showed; one with
// breaks that block is left out and says so.
func TestMarkedCycles(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	d.caller.Roles = access.Roles{access.Approver}
	e := newDoor(l, d, webui.Options{})
	l.cycles[0].InvoiceHash = "9f2c"
	require.Contains(t, open(t, e, "/cycles").html, `name="pick" value="acme.2026-10|9f2c"`)
	w := send(t, e, "POST", "/cycles", url.Values{"action": {"approve"}, "pick": {"acme.2026-10|9f2c", "northwind.2026-10|77", "nothing|"}})
	require.Equal(t, 422, w.Code)
	require.Equal(t, invoicing.Wish{CycleID: "acme.2026-10", Action: billing.ActApprove, PlanHash: "9f2c"}, l.wish)
	text := plainText(w.Body.String())
	require.Contains(t, text, "1 cycle approved.")
	require.Contains(t, text, "northwind.2026-10: 1 break of this month block")
	require.Contains(t, text, "nothing: There is no such cycle.")
	w = send(t, e, "POST", "/cycles?state=invoiced", url.Values{"action": {"close"}, "pick": {"acme.2026-10|9f2c"}})
	require.Equal(t, 200, w.Code)
	require.Equal(t, []string{"close|acme|2026-10"}, l.worked)
	require.Equal(t, "invoiced", l.cyclesAsked.State, "the filters survive")
	require.Equal(t, 422, send(t, e, "POST", "/cycles", url.Values{"action": {"close"}}).Code)
	d.caller.Scope = access.Scope{Environments: []account.Environment{account.Test}}
	l.worked = nil
	require.Equal(t, 422, send(t, e, "POST", "/cycles", url.Values{"action": {"close"}, "pick": {"acme.2026-10|9f2c"}}).Code)
	require.Empty(t, l.worked, "what lies outside the scope is not touched")
	d.caller.Roles = access.Roles{access.Viewer}
	require.NotContains(t, open(t, e, "/cycles").html, `name="pick"`)
	require.Equal(t, recon.Closed, l.closings[0].Action)
}

// A month without a cycle has a page of its own: its two sides, its file, and the comparison,
// but nothing to close. One with a cycle leads there.
func TestAMonthWithoutACycle(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: worker()}, webui.Options{})
	w := send(t, e, http.MethodGet, "/accounts/acme/months/2026-10", nil)
	require.Equal(t, "/cycles/acme.2026-10#month", w.Header().Get("Location"))
	const path = "/accounts/acme/months/2026-09"
	p := open(t, e, path)
	require.Equal(t, http.StatusOK, p.status)
	require.Contains(t, p.text, "1 break keeps the month from being closed.")
	require.Contains(t, p.text, "The month has no cycle")
	require.Equal(t, "-1.00 USD ✕", p.row(t, "revenue USD")[6])
	require.Contains(t, p.links, "/v1/accounts/acme/reconciliations/2026-09/tie-out.csv")
	require.NotContains(t, p.html, "Close the month")
	require.Contains(t, p.html, `action="`+path+`/reconcile"`)
	w = send(t, e, http.MethodPost, path+"/reconcile", url.Values{})
	require.Equal(t, path, w.Header().Get("Location"))
	require.Equal(t, []string{"reconcile|acme|2026-09"}, l.worked)
	l.refusal = fault.New(fault.Conflict, "period_not_begun", "2026-09 of account acme has not begun")
	require.Contains(t, send(t, e, http.MethodPost, path+"/reconcile", url.Values{}).Body.String(), "has not begun")
	for _, nothing := range []string{"/accounts/nobody/months/2026-09", "/accounts/acme/months/x", "/accounts/acme/months/2026-12-settlement"} {
		require.GreaterOrEqual(t, open(t, e, nothing).status, 400, nothing)
	}
	require.Contains(t, open(t, e, "/breaks").links, "/accounts/acme/months/2026-10")
}
