package webui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// What somebody typed into a form that is refused stands in it again, and in no other form of
// the page; it is text there, whatever it is.
func TestRefusedFormsKeepWhatWasTyped(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	d.caller.Roles = access.Roles{access.Admin, access.Finance, access.Approver}
	waiting := l.tieOuts["acme.2026-10"]
	waiting.State, waiting.InvoiceHash = billing.AwaitingApproval, "9f2c4e"
	l.tieOuts["acme.2026-10"] = waiting
	l.due = &trueups.Outstanding{AccountID: "acme", AccountName: "Acme Inc.", SettlementCycle: "acme.2026-12-settlement", Currency: "usd", Open: true, State: trueups.Booked, DueMinor: -1_234}
	e := newDoor(l, d, webui.Options{})
	l.refusal = fault.New(fault.Conflict, "changed", "somebody else was faster").Fix("Look again")
	const typed, shown = `six "eyes" <b>`, `six &#34;eyes&#34; &lt;b&gt;`
	for path, f := range map[string]url.Values{
		"/breaks/" + breakAmount + "/resolve":           {"text": {typed}, "reason": {"fixed_in_stripe"}},
		"/breaks/" + breakAmount + "/request-force":     {"text": {typed}},
		"/breaks/" + breakAmount + "/notes":             {"text": {typed}, "link": {"https://example.com/1"}},
		"/breaks/" + breakAmount + "/assign":            {"owner": {typed}},
		"/cycles/acme.2026-10/decide":                   {"action": {"hold"}, "reason": {typed}},
		"/cycles/acme.2026-10/corrections":              {"reason": {typed}, "amount": {"12.5"}},
		"/accounts/acme/snapshots":                      {"snapshot": {typed}, "name": {"n"}},
		"/accounts/acme/snapshots/trial-nudge-7/retire": {"reason": {typed}},
		"/accounts/acme/true-ups":                       {"reason": {typed}},
		"/breaks":                                       {"pick": {breakAmount}, "action": {"resolve"}, "text": {typed}},
	} {
		w := send(t, e, http.MethodPost, path, f)
		require.GreaterOrEqual(t, w.Code, 400, path)
		require.Contains(t, w.Body.String(), "omebody else was faster", path)
		require.Equal(t, 1, strings.Count(w.Body.String(), shown), "%s: in its own field alone", path)
	}
	w := send(t, e, http.MethodPost, "/breaks/"+breakAmount+"/notes", url.Values{"text": {"x"}, "link": {"https://example.com/1"}})
	require.Contains(t, w.Body.String(), `value="https://example.com/1"`)
	require.NotContains(t, open(t, e, "/breaks/"+breakAmount).html, shown)
}
