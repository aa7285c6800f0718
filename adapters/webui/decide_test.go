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
		access.Viewer: {}, access.Finance: {"hold", "return", "skip"}, access.Approver: {"approve", "hold", "return", "skip"},
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
