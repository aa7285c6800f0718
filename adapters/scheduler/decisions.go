package scheduler

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Decided tells the open run of a bill about a decision that the ledger holds. The update
// has the decision's ID, so that telling it twice is telling it once. told is false when no
// run of the bill is open, or it does not wait for a decision.
func (s *Scheduler) Decided(ctx context.Context, env account.Environment, accountID, period string, in wire.DecideInput) (told bool, err error) {
	h, err := s.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: in.DecisionID, WorkflowID: wire.BillWorkflowID(env, accountID, period), UpdateName: wire.UpdateDecide,
		Args: []any{in}, WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	if err == nil {
		err = h.Get(ctx, nil)
	}
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &gone), ctx.Err() == nil && refused(err):
		return false, nil
	}
	return false, unavailable(err)
}

// refused reports that the run does not take the update now: the ledger decides, and a run
// that does not wait reads it by itself.
func refused(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app)
}

// StartReplay starts the replay of a month, or finds the one that runs, and waits for what
// it found.
func (s *Scheduler) StartReplay(ctx context.Context, env account.Environment, in wire.ReplayInput) (out wire.ReplayResult, err error) {
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: wire.ReplayWorkflowID(env, in.AccountID, in.Period), TaskQueue: wire.QueueWorkflows,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "Replay " + in.AccountID + " " + in.Period,
	}, wire.WorkflowBillingReplay, in)
	if err != nil {
		return out, unavailable(err)
	}
	if err := run.Get(ctx, &out); err != nil {
		return out, fault.Wrap(err, fault.Unavailable, "replay_failed", "the replay %s failed", run.GetID()).Fix("Look at the run in the Temporal console")
	}
	return out, nil
}

// BeginReplay starts the replay of a month, or finds the one that runs, and does not wait.
func (s *Scheduler) BeginReplay(ctx context.Context, env account.Environment, in wire.ReplayInput) (wire.StartCycleResult, error) {
	return s.start(ctx, run{
		id: wire.ReplayWorkflowID(env, in.AccountID, in.Period), summary: "Replay " + in.AccountID + " " + in.Period, workflow: wire.WorkflowBillingReplay, in: in,
		attributes: []temporal.SearchAttributeUpdate{keyword(wire.AttrMode, env.String()), keyword(wire.AttrAccount, in.AccountID), keyword(wire.AttrPeriod, in.Period)},
	})
}
