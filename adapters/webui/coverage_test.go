package webui_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

func (l *ledger) Gaps(context.Context, string, string) ([]reconcile.Gap, error) {
	return []reconcile.Gap{
		{Reason: reconcile.RewardWithoutDecision, Count: 102, AmountMinor: 515_000, Currency: "usd"}, {Reason: reconcile.DuplicateReward, Count: 1, AmountMinor: 9_900, Currency: "usd"},
		{Reason: reconcile.DecisionWithoutCustomer, Count: 41}, {Reason: reconcile.PropensityOutOfRange},
	}, l.err
}

// joins are who is joined to whom.
type joins struct{ l *ledger }

func (j joins) Quarantine(context.Context, mapping.PeriodFilter) (mapping.Quarantine, error) {
	return mapping.Quarantine{Reasons: []mapping.Unmapped{{Reason: mapping.ReasonNeverMapped, Facts: 20, Amounts: []mapping.Amount{{Currency: "usd", Minor: 98_000}}}, {Reason: mapping.ReasonConflict, Facts: 2}}}, j.l.err
}
func (j joins) Coverage(context.Context, mapping.PeriodFilter) (mapping.Coverage, error) {
	return mapping.Coverage{AsOf: j.l.summed, Customers: mapping.Share{Mapped: 1_180, Total: 1_200}, Facts: mapping.Share{Mapped: 1_204, Total: 1_226}, Revenue: []mapping.Revenue{{Currency: "usd", Mapped: 882_000, Total: 980_000}}}, nil
}
func (j joins) Suggestions(context.Context, mapping.SuggestionsFilter) (mapping.Page[mapping.Suggestion], error) {
	return mapping.Page[mapping.Suggestion]{Items: []mapping.Suggestion{{ID: "sug1", Customer: "cus_RkA1b2C3d4E5f6", User: "user-10422", By: "email", State: "open", Facts: 4, Amounts: []mapping.Amount{{Currency: "usd", Minor: 29_700}}}}}, nil
}
func (j joins) decide(what, connection, id string, by mapping.Decision) (mapping.Suggestion, error) {
	j.l.worked = append(j.l.worked, what+"|"+connection+"|"+id+"|"+by.Reason)
	return mapping.Suggestion{}, j.l.refusal
}
func (j joins) Accept(_ context.Context, connection, id string, by mapping.Decision) (mapping.Suggestion, error) {
	return j.decide("accept", connection, id, by)
}
func (j joins) Reject(_ context.Context, connection, id string, by mapping.Decision) (mapping.Suggestion, error) {
	return j.decide("reject", connection, id, by)
}

func TestJoinCoverage(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	p := open(t, e, "/coverage?account=acme")
	require.Equal(t, []string{"never_mapped", "nothing was ever said of the customer", "20", "USD", "980.00 USD", "10.0 %"}, p.row(t, "never_mapped"))
	require.Equal(t, "2", p.row(t, "contradict each other")[2])
	require.Equal(t, "–", p.row(t, "decision_without_customer")[4], "decisions are worth nothing by themselves")
	require.Equal(t, "0", p.row(t, "propensity_out_of_range")[2], "none is not unknown")
	require.Contains(t, p.text, "90.0 % 8,820.00 USD of 9,800.00 USD")
	require.Contains(t, p.links, "/accounts/acme/events?mapped=no&period=2026-10")
	require.Contains(t, p.links, "/cycles/acme.2026-10#buckets")
	require.NotContains(t, p.text, "Summed at")
	require.Equal(t, 404, open(t, e, "/coverage?account=nobody").status)
	l.accounts = nil
	require.Contains(t, open(t, e, "/coverage").text, "No account yet")
}

func TestSuggestionsAreDecided(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	const at = "/accounts/acme/suggestions/sug1?account=acme&period=2026-10"
	require.Contains(t, open(t, e, "/coverage").html, `value="accept"`)
	w := send(t, e, "POST", at, url.Values{"action": {"accept"}, "reason": {"the invoice names her"}})
	require.Equal(t, 303, w.Code)
	require.Equal(t, "/coverage?account=acme&period=2026-10#suggestions", w.Header().Get("Location"))
	require.Equal(t, []string{"accept|acme-stripe|sug1|the invoice names her"}, l.worked)
	require.Equal(t, 400, send(t, e, "POST", at, url.Values{"action": {"burn"}}).Code)
	require.Equal(t, 404, send(t, e, "POST", "/accounts/nobody/suggestions/sug1", url.Values{"action": {"accept"}}).Code)
	l.refusal = fault.InvalidField("reason", "reason_missing", "say why").Fix("It is kept with the decision")
	w = send(t, e, "POST", at, url.Values{"action": {"reject"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "Reason: say why. It is kept with the decision.")
	d.caller.Roles = access.Roles{access.Viewer}
	require.NotContains(t, open(t, e, "/coverage").html, `value="accept"`)
}

// Sums that were kept say of when they are.
func TestKeptSumsSayOfWhenTheyAre(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.summed = ptr(now.Add(-17 * time.Minute))
	l.board.Payments[0].AsOf = l.summed
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	said := "ummed at " + l.summed.Format("2006-01-02 15:04:05") + " UTC"
	require.Contains(t, open(t, e, "/coverage?account=acme").text, "S"+said)
	require.Contains(t, open(t, e, "/").text, "within 7 days, s"+said)
}
