package accountbill_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

func person(name string, roles ...access.Role) access.Principal {
	return access.Principal{Kind: access.User, ID: name, Name: name, Person: name, Roles: roles, Scope: access.Everything()}
}

// approvals is one cycle that waits for a person, on real parts.
type approvals struct {
	*testing.T
	d *pipelinetest.Deployment
	c *pipelinetest.Company
	// answered counts the updates that were answered.
	answered int
}

func (a *approvals) tie() (out httpapi.TieOut) {
	a.Helper()
	a.d.Get(a, "/v1/cycles/"+a.c.CycleID(), &out)
	return out
}

func (a *approvals) decide(by access.Principal, action billing.DecisionAction, hash string) (invoicing.Standing, error) {
	return a.d.Deciding().Decide(a.Context(), by, invoicing.Wish{CycleID: a.c.CycleID(), Action: action, PlanHash: hash, Reason: "so decided"})
}

func (a *approvals) refused(code string, by access.Principal, action billing.DecisionAction, hash string) {
	a.Helper()
	_, err := a.decide(by, action, hash)
	require.Equal(a, code, fault.CodeOf(err), "%v", err)
}

// run starts the bill in a Temporal of its own, as after its histories were deleted, and
// lets each of the given things happen a minute after the one before.
func (a *approvals) run(happens ...func(env *testsuite.TestWorkflowEnvironment)) (out wire.BillStep, err error) {
	a.Helper()
	env := registered(a.d)
	for i, do := range happens {
		env.RegisterDelayedCallback(func() { do(env) }, time.Duration(i+1)*time.Minute)
	}
	env.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: account.Live, AccountID: a.c.ID, Period: pipelinetest.Month})
	require.True(a, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, env.GetWorkflowResult(&out)
}

// update sends a decision to the run; wants is what it is refused with, or empty.
func (a *approvals) update(env *testsuite.TestWorkflowEnvironment, in wire.DecideInput, wants string) {
	check := func(err error) {
		a.answered++
		if wants == "" {
			require.NoError(a, err)
			return
		}
		require.ErrorContains(a, err, wants)
	}
	env.UpdateWorkflow(wire.UpdateDecide, in.DecisionID, &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: check, OnComplete: func(_ any, err error) { check(err) },
	}, in)
}

// TestAnInvoiceWaitsForAPerson walks one live cycle through every decision: nothing is
// posted before a person with no hand in it approved the very invoice, the run can be
// lost at any time, and exactly one invoice comes of it.
func TestAnInvoiceWaitsForAPerson(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ApprovalMonth(t)
	a := &approvals{T: t, d: d, c: c}
	kim, finance := person("kim", access.Approver), person("fin", access.Finance)
	d.Fake.ResetRequests()
	_, err := a.run(
		func(env *testsuite.TestWorkflowEnvironment) { a.requireGuarded(env, kim) },
		func(env *testsuite.TestWorkflowEnvironment) { a.holdAndRelease(env, finance) },
		func(env *testsuite.TestWorkflowEnvironment) { env.CancelWorkflow() },
	)
	require.ErrorContains(t, err, "canceled")
	a.refused("cycle_state", finance, billing.ActRelease, "")

	// Its histories are gone: a new run waits again, and an approver sends the invoice back.
	out, err := a.run(func(env *testsuite.TestWorkflowEnvironment) {
		s, err := a.decide(kim, billing.ActReturn, "")
		require.NoError(t, err)
		a.update(env, wire.DecideInput{DecisionID: s.DecisionID, PlanHash: s.PlanHash}, "")
	})
	require.NoError(t, err)
	require.Equal(t, billing.Returned, out.State)
	require.Contains(t, out.Next+billing.NextAction(out.State, out.Reason), "ask for approval again")
	again, err := a.run()
	require.NoError(t, err)
	require.Equal(t, billing.Returned, again.State, "a run does not undo what a person decided")

	// Asked again, nobody decides in time.
	_, err = a.decide(finance, billing.ActRelease, "")
	require.NoError(t, err)
	out, err = a.run(func(*testsuite.TestWorkflowEnvironment) { require.NoError(t, d.Fake.Advance(6*24*time.Hour)) })
	require.NoError(t, err)
	require.Equal(t, billing.Expired, out.State)
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}), "nothing was released, so nothing was posted")

	a.approveWithoutTelling(kim, finance)
	require.Equal(t, 5, a.answered)
}

// requireGuarded tries every way around the rules while the cycle waits.
func (a *approvals) requireGuarded(env *testsuite.TestWorkflowEnvironment, kim access.Principal) {
	tie := a.tie()
	require.Equal(a, "awaiting_approval", tie.Cycle.State)
	require.NotEmpty(a, tie.Cycle.NextAction)
	require.Equal(a, []string{"approve", "hold", "return", "skip", "recompute"}, tie.Actions)
	require.True(a, tie.WaitingUntil.Equal(a.d.Clock.Now().AddDate(0, 0, 5)))
	hash := tie.InvoiceHash
	a.refused("plan_hash_missing", kim, billing.ActApprove, "")
	a.refused("plan_changed", kim, billing.ActApprove, "other")
	a.refused(access.CodePermission, person("fin", access.Finance), billing.ActApprove, hash)
	a.refused(access.CodePermission, access.Operator("root"), billing.ActApprove, hash)
	a.refused(access.CodePermission, access.Machine("worker"), billing.ActApprove, hash)
	a.refused(access.CodePermission, person("v", access.Viewer), billing.ActHold, hash)
	a.refused("approver_not_a_person", access.Principal{Kind: access.Token, ID: "t", Roles: access.Roles{access.Approver}, Scope: access.Everything()}, billing.ActApprove, hash)
	// Whoever changed the contract or started the cycle does not approve.
	for who, entry := range map[string][2]string{"ann": {string(audit.ContractAmended), a.c.ID + "-contract"}, "bob": {string(audit.CycleStarted), a.c.CycleID()}} {
		p, object := person(who, access.Approver), "contract"
		if entry[0] == string(audit.CycleStarted) {
			object = "cycle"
		}
		require.NoError(a, a.d.DB.Deciding().Do(a.Context(), func(ctx context.Context, st invoicing.DeskStores) error {
			return st.Audit.Append(ctx, audit.New(p, a.d.Clock.Now(), audit.Action(entry[0]), object, entry[1]).In(a.c.ID, account.Live))
		}))
		a.refused("four_eyes", p, billing.ActApprove, hash)
	}
	// From the console alone nobody approves.
	a.update(env, wire.DecideInput{DecisionID: a.c.CycleID() + "/9", PlanHash: hash}, "decision_not_found")
	a.update(env, wire.DecideInput{DecisionID: "x", PlanHash: "other"}, "plan_changed")
	a.update(env, wire.DecideInput{PlanHash: hash}, "decision_missing")
	require.Equal(a, "awaiting_approval", a.tie().Cycle.State)
}

func (a *approvals) holdAndRelease(env *testsuite.TestWorkflowEnvironment, finance access.Principal) {
	held, err := a.decide(finance, billing.ActHold, "")
	require.NoError(a, err)
	require.Equal(a, billing.Held, held.State)
	a.refused("cycle_state", person("kim", access.Approver), billing.ActApprove, held.PlanHash)
	a.update(env, wire.DecideInput{DecisionID: held.DecisionID, PlanHash: held.PlanHash}, "")
	released, err := a.decide(finance, billing.ActRelease, "")
	require.NoError(a, err)
	require.Equal(a, billing.AwaitingApproval, released.State)
}

// approveWithoutTelling: Temporal was not reached when the invoice was approved; the run
// finds the decision when it looks again, and writes one invoice.
func (a *approvals) approveWithoutTelling(kim, finance access.Principal) {
	_, err := a.decide(finance, billing.ActRelease, "")
	require.NoError(a, err)
	out, err := a.run(func(*testsuite.TestWorkflowEnvironment) {
		require.NoError(a, a.d.Fake.Advance(25*time.Hour))
		seen, err := a.d.Deciding().Review(a.Context(), a.c.CycleID())
		require.NoError(a, err)
		require.Equal(a, 1, seen.Reminders)
		s, err := a.decide(kim, billing.ActApprove, a.tie().InvoiceHash)
		require.NoError(a, err)
		require.False(a, s.Delivered)
	})
	require.NoError(a, err)
	require.Equal(a, billing.Invoiced, out.State)
	require.Len(a, outcomeInvoices(a.T, a.d, a.c), 1)
	again, err := a.run()
	require.NoError(a, err)
	require.Equal(a, billing.Invoiced, again.State)
	require.Len(a, outcomeInvoices(a.T, a.d, a.c), 1)

	tie := a.tie()
	var actions, actors []string
	for _, x := range tie.Decisions {
		actions, actors = append(actions, x.Action), append(actors, x.Actor)
		require.Equal(a, tie.InvoiceHash, x.InvoiceHash)
	}
	require.Equal(a, []string{"hold", "release", "return", "release", "expire", "release", "approve"}, actions)
	require.Equal(a, billing.PolicyTimeout, actors[4])
	require.Empty(a, tie.Actions)
	_, err = a.d.SQL.Exec(a.Context(), `UPDATE cycle_decisions SET action = 'approve'`)
	require.ErrorContains(a, err, "append-only")
	var audited int
	require.NoError(a, a.d.SQL.QueryRow(a.Context(), `SELECT count(*) FROM audit_log WHERE action = 'cycle.decided' AND object_id = $1`, a.c.CycleID()).Scan(&audited))
	require.Equal(a, 7, audited, "every decision has its row in the audit log")
}
