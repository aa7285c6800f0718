package webui_test

import (
	"context"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// again starts replays.
type again struct{ l *ledger }

func (a again) Start(_ context.Context, by access.Principal, accountID, month string) (replay.Started, error) {
	a.l.started = by.ID + "|" + accountID + "|" + month
	return replay.Started{}, a.l.refusal
}

func (a again) RunOf(_ context.Context, env account.Environment, accountID, month string) replay.Run {
	return replay.Run{WorkflowID: "billing-replay/" + string(env) + "/" + accountID + "/" + month, State: a.l.run}
}

// TestRecomputeNow: the readout's page says how the last replay of its month ended, and whoever
// may run cycles has it derived again from there; what is refused says why on the page, and a
// readout that no replay derives offers none.
func TestRecomputeNow(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	l.replays = someReplays()[1:2]
	page, form := "/readouts/"+caseGood, "/readouts/"+caseGood+"/recompute"
	for role, may := range map[access.Role]bool{access.Viewer: false, access.Approver: false, access.Admin: false, access.Finance: true} {
		d.caller.Roles = access.Roles{role}
		p := open(t, e, page)
		if may {
			require.Contains(t, p.links, form, role)
		} else {
			require.NotContains(t, p.links, form, role)
		}
		require.Contains(t, p.text, "✕ different at the last replay of the month, 2026-11-04 08:30")
		require.Contains(t, p.text, "First difference: input digest")
		require.Contains(t, p.links, "/replays?account=acme&period=2026-10")
	}
	require.Equal(t, []string{"acme", "2026-10"}, []string{l.replaysAsked.AccountID, l.replaysAsked.Period})
	d.caller.Roles = access.Roles{access.Finance}
	require.Contains(t, open(t, e, page).html, `name="csrf" value="`+d.caller.CSRF()+`"`)
	l.replays = nil
	require.Contains(t, open(t, e, page).text, "The month was not derived again yet.")
	w := send(t, e, "POST", form, url.Values{})
	require.Equal(t, 303, w.Code)
	require.Equal(t, "/replays?account=acme&period=2026-10", w.Header().Get("Location"))
	require.Equal(t, d.caller.ID+"|acme|2026-10", l.started)
	for _, refused := range []error{
		fault.New(fault.Conflict, "not_collected", "cycle acme.2026-10 has no frozen inputs yet").Fix("Run the cycle first"),
		fault.New(fault.Unavailable, "temporal_unreachable", "Temporal does not answer").Fix("Start it"),
	} {
		l.refusal = refused
		w = send(t, e, "POST", form, url.Values{})
		require.Equal(t, 422, w.Code)
		require.Contains(t, w.Body.String(), `role="alert"`)
	}
	l.refusal = fault.New(fault.Internal, "broken", "broken")
	require.Equal(t, 500, send(t, e, "POST", form, url.Values{}).Code)
	require.Equal(t, 404, send(t, e, "POST", "/readouts/nothing/recompute", url.Values{}).Code)

	r := l.readouts[caseGood]
	r.Superseded = true
	l.readouts[caseGood] = r
	require.NotContains(t, open(t, e, page).text, "Derived again", "a replay derives the present revision")
	require.NotContains(t, open(t, e, "/readouts/"+caseAgain).text, "Derived again")
	rule, ok := access.RuleOf("POST /readouts/{case}/recompute")
	require.True(t, ok)
	require.Equal(t, access.Rule{Permission: access.RunCycle, Target: access.Readout, Param: "case", Page: true}, rule)
}

// TestTheListStartsAReplay: with an account and a month chosen, whoever may run cycles starts the
// replay from the list itself; a refusal says why there.
func TestTheListStartsAReplay(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	const list, form = "/replays?account=acme&period=2026-10", "/accounts/acme/months/2026-10/replay"
	for role, may := range map[access.Role]bool{access.Viewer: false, access.Approver: false, access.Finance: true} {
		d.caller.Roles = access.Roles{role}
		require.Equal(t, may, slices.Contains(open(t, e, list).links, form), role)
	}
	d.caller.Roles = access.Roles{access.Finance}
	require.Contains(t, open(t, e, list).text, "Replay Acme Inc., October 2026")
	require.NotContains(t, open(t, e, "/replays?account=acme").links, form)
	w := send(t, e, "POST", form, url.Values{})
	require.Equal(t, 303, w.Code)
	require.Equal(t, list, w.Header().Get("Location"))
	require.Equal(t, d.caller.ID+"|acme|2026-10", l.started)
	l.refusal = fault.New(fault.Conflict, "not_collected", "cycle acme.2026-10 has no frozen inputs yet").Fix("Run the cycle first")
	w = send(t, e, "POST", form, url.Values{})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "has no frozen inputs yet")
	l.refusal = fault.New(fault.Internal, "broken", "broken")
	require.Equal(t, 500, send(t, e, "POST", form, url.Values{}).Code)
}

// TestAReplayThatRunsIsShown: the list of one month says that a replay runs, or why the newest
// one left no report; where Temporal says nothing, nothing is claimed.
func TestAReplayThatRunsIsShown(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{TemporalUI: "http://127.0.0.1:8233/"})
	const month = "/replays?account=acme&period=2026-10"
	for state, want := range map[billing.RunState]string{
		billing.RunRunning: "● running A replay of this month runs now", billing.RunFailed: "✕ failed", billing.RunTimedOut: "✕ failed", billing.RunTerminated: "– stopped", billing.RunCanceled: "– stopped",
	} {
		l.run = state
		p := open(t, e, month)
		require.Contains(t, p.text, want)
		require.Contains(t, p.text, "In Temporal")
		require.Equal(t, state == billing.RunRunning, slices.Contains(p.links, month), "only what runs is worth another look")
		require.NotContains(t, open(t, e, "/replays?account=acme").text, "this month")
	}
	for _, state := range []billing.RunState{billing.RunUnknown, billing.RunNone, billing.RunCompleted} {
		l.run = state
		require.NotContains(t, open(t, e, month).text, "of this month")
	}
}
