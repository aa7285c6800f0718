package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
)

func everyState() []billing.CycleState {
	return []billing.CycleState{
		billing.Collecting, billing.Computing, billing.Proposed, billing.Writing, billing.Invoiced, billing.Withheld, billing.DryRun, billing.Blocked,
		billing.NeedsHuman, billing.AwaitingApproval, billing.Approved, billing.Held, billing.Returned, billing.Expired, billing.Skipped,
	}
}

// TestEveryWaitingStateHasANextAction: nobody is left in front of a state without a way
// on, and what is finished or moves by itself asks for nothing.
func TestEveryWaitingStateHasANextAction(t *testing.T) {
	t.Parallel()
	for _, s := range everyState() {
		require.True(t, s.Known(), s)
		require.Equal(t, s.Waits() || s == billing.Approved, billing.NextAction(s, "") != "", s)
		require.False(t, s.Terminal() && s.Waits(), s)
		require.NoError(t, s.Move(s), "a step that runs again changes nothing")
	}
}

// TestDecisionsFollowTheStateMachine: every action moves a cycle only along a transition
// that there is, and only out of the states that it names.
func TestDecisionsFollowTheStateMachine(t *testing.T) {
	t.Parallel()
	reach := map[billing.CycleState]int{}
	for _, a := range append(billing.PeoplesActions(), billing.ActExpire) {
		for _, s := range everyState() {
			to, err := a.From(s)
			if err != nil {
				require.ErrorContains(t, err, "It must be")
				continue
			}
			reach[to]++
			require.NoError(t, s.Move(to), "%s from %s", a, s)
			require.False(t, s.Terminal(), "%s from %s", a, s)
			require.True(t, s != billing.NeedsHuman || a == billing.ActSkip, "of what a person must look at, only the end is decided: %s", a)
			require.NotContains(t, []billing.CycleState{billing.Writing, billing.Collecting, billing.Computing, billing.Proposed}, s, "what was begun at Stripe, or is not priced, is not decided upon")
			if a != billing.ActExpire {
				require.Contains(t, s.Actions(), a)
			}
		}
	}
	for _, s := range []billing.CycleState{billing.Approved, billing.Held, billing.Returned, billing.Expired, billing.Skipped, billing.AwaitingApproval} {
		require.Positive(t, reach[s], s)
	}
	require.Empty(t, billing.Skipped.Actions())
	// Nothing that a person said no to, and nothing that is undecided, goes to Stripe.
	for _, s := range []billing.CycleState{billing.AwaitingApproval, billing.Held, billing.Returned, billing.Expired, billing.Skipped} {
		require.Error(t, s.Move(billing.Writing), s)
	}
	_, err := billing.ParseDecisionAction("expire")
	require.Error(t, err, "the terms alone let something expire")
}

func TestApprovalTerms(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)
	plain := contract(t, nil)
	automatic := contract(t, func(x *billing.Terms) { x.Approval = &billing.Approval{Mode: billing.ApprovalAutomatic} })
	require.Equal(t, plain.Hash, automatic.Hash, "automatic is what holds without the term")
	policy, ok := automatic.Terms.Approval.Policy(1)
	require.True(t, ok)
	require.Equal(t, "policy:contract", policy)

	a := contract(t, func(x *billing.Terms) { x.Approval = &billing.Approval{AutoBelowMinor: 5_000} }).Terms.Approval
	require.Equal(t, &billing.Approval{Mode: billing.ApprovalRequired, AutoBelowMinor: 5_000, WaitDays: 5, RemindDays: 1, OnTimeout: billing.TimeoutExpire}, a)
	policy, ok = a.Policy(4_999)
	require.True(t, ok)
	require.Equal(t, "policy:below_limit", policy)
	_, ok = a.Policy(5_000)
	require.False(t, ok)
	require.Equal(t, at.AddDate(0, 0, 5), a.Deadline(billing.AwaitingApproval, at))
	require.Equal(t, at.Add(billing.MaxHold), a.Deadline(billing.Held, at))
	require.Zero(t, a.Deadline(billing.Returned, at))
	require.Equal(t, billing.ActExpire, a.AtDeadline(billing.AwaitingApproval))
	lenient := contract(t, func(x *billing.Terms) { x.Approval = &billing.Approval{OnTimeout: billing.TimeoutApprove} }).Terms
	require.Equal(t, billing.ActApprove, lenient.Approval.AtDeadline(billing.AwaitingApproval))
	require.Equal(t, billing.ActExpire, lenient.Approval.AtDeadline(billing.Held), "what somebody held is not released by waiting")
	require.Contains(t, lenient.Words(), "An invoice is released by a person within 5 days, otherwise: approve")
}
