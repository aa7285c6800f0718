package webui_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// The cycle's page offers what its reader may decide now, and nothing else; a decision
// carries the digest of the invoice that was shown; what is refused says why and stays.
func TestDecisionsOnThePage(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	const id = "acme.2026-10"
	waiting := l.tieOuts[id]
	waiting.State, waiting.InvoiceHash, waiting.RequiresPerson = billing.AwaitingApproval, "9f2c4e", true
	waiting.WaitingUntil = ptr(now.AddDate(0, 0, 5))
	waiting.Decisions = []reconcile.Decision{{Action: "hold", Actor: "Finn", Reason: "the log of week 3", AmountMinor: 412_050, At: now.Add(-time.Hour)}}
	l.tieOuts[id] = waiting
	e := newDoor(l, d, webui.Options{})
	for role, buttons := range map[access.Role][]string{
		access.Viewer: {}, access.Finance: {"hold", "return", "skip", "recompute"}, access.Approver: {"approve", "hold", "return", "skip"},
	} {
		d.caller.Roles = access.Roles{role}
		p := open(t, e, "/cycles/"+id)
		for _, a := range billing.PeoplesActions() {
			shown := strings.Contains(p.html, `name="action" value="`+string(a)+`"`)
			require.Equal(t, slices.Contains(buttons, string(a)), shown, "%s: %s", role, a)
		}
		require.Contains(t, p.text, "the log of week 3")
	}
	d.caller.Roles = access.Roles{access.Approver}
	p := open(t, e, "/cycles/"+id)
	require.Contains(t, p.html, `name="invoice_hash" value="9f2c4e"`)
	require.Contains(t, p.html, `name="csrf" value="`+d.caller.CSRF()+`"`)
	require.Contains(t, p.text, "The first invoice of this account")

	w := send(t, e, "POST", "/cycles/"+id+"/decide", url.Values{"action": {"approve"}, "invoice_hash": {"9f2c4e"}, "reason": {""}})
	require.Equal(t, 303, w.Code)
	require.Equal(t, "/cycles/acme.2026-10#decisions", w.Header().Get("Location"))
	require.Equal(t, invoicing.Wish{CycleID: id, Action: billing.ActApprove, PlanHash: "9f2c4e"}, l.wish)
	for _, refusal := range []error{
		fault.New(fault.Conflict, "proposal_changed", "the invoice is another one by now").Fix("Look at it again"),
		fault.New(fault.Forbidden, "four_eyes", "whoever started the cycle does not approve it"),
		fault.InvalidField("reason", "reason_missing", "say why"),
	} {
		l.refusal = refusal
		w = send(t, e, "POST", "/cycles/"+id+"/decide", url.Values{"action": {"hold"}})
		require.Equal(t, 422, w.Code)
		require.Contains(t, w.Body.String(), `role="alert"`)
	}
	l.refusal = fault.New(fault.Unavailable, "database_unreachable", "later")
	require.Equal(t, 503, send(t, e, "POST", "/cycles/"+id+"/decide", url.Values{"action": {"hold"}}).Code)

	waiting.State, waiting.Decisions = billing.Invoiced, nil
	l.tieOuts[id] = waiting
	require.NotContains(t, open(t, e, "/cycles/"+id).text, "Decisions", "nothing is left to decide")
}

// TestACyclesPageSaysWhatCanBeDone: a run that ended early is named with its remedy, the month's
// revisions stand with who, why and what changed, and a look at the present data says what it
// would come to.
func TestACyclesPageSaysWhatCanBeDone(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	const id = "acme.2026-10"
	cycle := l.tieOuts[id]
	cycle.State, cycle.InvoiceHash, cycle.Reason, cycle.Revision = billing.Writing, "9f2c4e", "", 2
	cycle.AtStripe = reconcile.AtStripe{Begun: true}
	cycle.Watermark = now
	l.tieOuts[id], l.run = cycle, billing.RunTerminated
	l.changed = &preview.Comparison{Changes: []preview.Change{{What: "bucket", Name: "unmapped", Currency: "usd", CountBefore: 3, CountAfter: 1, MinorBefore: 8700, MinorAfter: 2900}}}
	l.history = []preview.Revision{
		{Number: 1, Superseded: true, State: billing.Returned, Stored: preview.Preview{InvoiceHash: "1", Currency: "usd", TotalMinor: 412_050, Lines: []preview.Line{{CaseID: "case-of-the-first"}}}},
		{Number: 2, Actor: "Finn", Reason: "a customer was mapped to the wrong user", State: billing.Writing, Stored: preview.Preview{InvoiceHash: "2", Currency: "usd", TotalMinor: 400_000}, Compared: l.changed},
	}
	e := newDoor(l, d, webui.Options{})
	d.caller.Roles = access.Roles{access.Finance}
	p := open(t, e, "/cycles/"+id)
	for _, text := range []string{"Its run ended (terminated)", "Computed 2 times", "A customer was mapped to the wrong user", "Finn", "unmapped", "superseded"} {
		require.Contains(t, p.text, text)
	}
	for _, action := range []string{"retry", "void_draft", "recompute"} {
		require.Contains(t, p.html, `name="action" value="`+action+`"`)
	}
	require.Contains(t, p.html, `href="/readouts/case-of-the-first"`)
	w := send(t, e, "POST", "/cycles/"+id+"/decide", url.Values{"action": {"retry"}})
	require.Equal(t, 303, w.Code, w.Body.String())
	require.Equal(t, id, l.started)
	w = send(t, e, "POST", "/cycles/"+id+"/preview", url.Values{})
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "87.00")
	l.changed = &preview.Comparison{Equal: true}
	require.Contains(t, send(t, e, "POST", "/cycles/"+id+"/preview", url.Values{}).Body.String(), "Nothing changed: computed now it comes to the same.")
	d.caller.Roles = access.Roles{access.Viewer}
	require.NotContains(t, open(t, e, "/cycles/"+id).html, "What changed since?")
}
