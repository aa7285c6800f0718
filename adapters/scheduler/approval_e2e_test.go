//go:build e2e

package scheduler_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// teller tells the real server what was decided; told is what it answered last.
type teller struct {
	s    *scheduler.Scheduler
	told bool
}

func (r *teller) Decided(ctx context.Context, st invoicing.Standing, again bool) (err error) {
	r.told, err = r.s.Decided(ctx, st.Environment, st.AccountID, st.Period, wire.DecideInput{DecisionID: st.DecisionID, PlanHash: st.PlanHash, Revises: st.Revised})
	if err == nil && !r.told && again {
		_, err = r.s.StartBill(ctx, wire.BillInput{Environment: st.Environment, AccountID: st.AccountID, Period: st.Period})
	}
	return err
}

func (r *teller) Look(ctx context.Context, env account.Environment, accountID, period string) (billing.RunState, error) {
	return r.s.Look(ctx, env, accountID, period)
}

func (r *teller) Start(ctx context.Context, env account.Environment, accountID, period string) (invoicing.Started, error) {
	res, err := r.s.StartBill(ctx, wire.BillInput{Environment: env, AccountID: accountID, Period: period})
	return invoicing.Started{WorkflowID: res.WorkflowID, Already: res.Already}, err
}

// TestApprovalOnTheRealServer lets an invoice wait on the real server: found by its search
// attribute, held, released, returned, asked for again after its run had ended, and
// approved; then its month is replayed as from the console.
func TestApprovalOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	d, c := pipelinetest.ApprovalMonth(t)
	stop := work(t, s, d, d.Invoicing())
	defer stop()
	tell := &teller{s: s}
	desk := &invoicing.Decisions{Work: d.DB.Deciding(), Clock: d.Clock, Runs: tell}
	kim := access.Principal{Kind: access.User, ID: "kim", Name: "Kim", Person: "kim", Roles: access.Roles{access.Finance, access.Approver}, Scope: access.Everything()}
	decide := func(a billing.DecisionAction, told bool) {
		t.Helper()
		var tie httpapi.TieOut
		d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
		out, err := desk.Decide(t.Context(), kim, invoicing.Wish{CycleID: c.CycleID(), Action: a, PlanHash: tie.InvoiceHash, Reason: "so decided"})
		require.NoError(t, err)
		require.True(t, out.Delivered)
		require.Equal(t, told, tell.told, a)
	}
	id := wire.BillWorkflowID(account.Live, c.ID, pipelinetest.Month)
	waits := func() {
		t.Helper()
		require.Eventually(t, func() bool {
			res, err := s.Client().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
				Query: "BillingOutcome = 'awaiting_approval' AND BillingPeriod = '" + pipelinetest.Month + "' AND ExecutionStatus = 'Running'",
			})
			return err == nil && len(res.GetExecutions()) == 1 && res.GetExecutions()[0].GetExecution().GetWorkflowId() == id
		}, patience, 200*time.Millisecond)
	}
	finish := func(state billing.CycleState) {
		t.Helper()
		var step wire.BillStep
		require.NoError(t, s.Client().GetWorkflow(t.Context(), id, "").Get(t.Context(), &step))
		require.Equal(t, state, step.State)
	}
	save := func(file string) {
		if os.Getenv("RECORD") != "" {
			record(t, s, id, "accountbill/testdata/history/"+file)
		}
	}

	fin := access.Principal{Kind: access.User, ID: "fin", Name: "Fin", Person: "fin", Roles: access.Roles{access.Finance, access.Approver}, Scope: access.Everything()}
	started, err := desk.Start(t.Context(), fin, c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.Equal(t, invoicing.Started{CycleID: c.CycleID(), WorkflowID: id}, started)
	waits()
	requireForgeryRefused(t, s, id)
	decide(billing.ActHold, true)
	decide(billing.ActRelease, true)
	decide(billing.ActReturn, true)
	finish(billing.Returned)
	save("held_and_returned.json")
	for _, r := range d.Fake.Requests(stripefake.RequestFilter{Account: c.StripeID, Method: "write"}) {
		require.False(t, r.KeyID == c.KeyID && strings.HasPrefix(r.Path, "/v1/invoice"), "%s %s", r.Method, r.Path)
	}

	decide(billing.ActRelease, false) // its run has ended: another one is started
	waits()
	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
	_, err = desk.Decide(t.Context(), fin, invoicing.Wish{CycleID: c.CycleID(), Action: billing.ActApprove, PlanHash: tie.InvoiceHash})
	require.ErrorContains(t, err, "whoever had a hand in it does not approve it")
	decide(billing.ActApprove, true)
	finish(billing.Invoiced)
	save("approved.json")
	requireBilled(t, d, []*pipelinetest.Company{c})
	requireReplay(t, s, c)
}

// requireForgeryRefused: somebody with the console alone approves nothing.
func requireForgeryRefused(t *testing.T, s *scheduler.Scheduler, id string) {
	t.Helper()
	value, err := s.Client().QueryWorkflow(t.Context(), id, "", wire.QueryStatus)
	require.NoError(t, err)
	var step wire.BillStep
	require.NoError(t, value.Get(&step))
	require.NotEmpty(t, step.Next)
	for _, in := range []wire.DecideInput{{DecisionID: "acme.2026-10/7", PlanHash: step.PlanHash}, {DecisionID: "forged", PlanHash: "other"}} {
		h, err := s.Client().UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			UpdateID: in.DecisionID, WorkflowID: id, UpdateName: wire.UpdateDecide, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = h.Get(t.Context(), nil)
		}
		require.Error(t, err)
	}
}

// requireReplay starts a replay with the documented input on the documented queue.
func requireReplay(t *testing.T, s *scheduler.Scheduler, c *pipelinetest.Company) {
	t.Helper()
	out, err := s.StartReplay(t.Context(), account.Live, wire.ReplayInput{AccountID: c.ID, Period: pipelinetest.Month})
	require.NoError(t, err)
	require.True(t, out.Equal, out.Difference)
	id := wire.ReplayWorkflowID(account.Live, c.ID, pipelinetest.Month)
	value, err := s.Client().QueryWorkflow(t.Context(), id, "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var meta sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&meta))
	require.Contains(t, meta.GetCurrentDetails(), "| now | equal |")
	begun, err := s.BeginReplay(t.Context(), account.Live, wire.ReplayInput{AccountID: c.ID, Period: pipelinetest.Month, By: "user:ada"})
	require.NoError(t, err)
	require.Equal(t, wire.StartCycleResult{WorkflowID: id}, begun)
	require.NoError(t, s.Client().GetWorkflow(t.Context(), id, "").Get(t.Context(), nil))
	state, runID, err := s.LookReplay(t.Context(), account.Live, c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.NotEmpty(t, runID)
	require.Equal(t, billing.RunCompleted, state)
	if os.Getenv("RECORD") != "" {
		record(t, s, id, "billingreplay/testdata/history/equal.json")
	}
}
