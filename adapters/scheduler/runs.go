package scheduler

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Look is what Temporal says of the newest run of a bill.
func (s *Scheduler) Look(ctx context.Context, env account.Environment, accountID, period string) (billing.RunState, error) {
	state, _, err := s.look(ctx, wire.BillWorkflowID(env, accountID, period))
	return state, err
}

// LookReplay is what Temporal says of the newest replay of a month that was started by hand,
// and the ID of that run; empty where there is none.
func (s *Scheduler) LookReplay(ctx context.Context, env account.Environment, accountID, period string) (billing.RunState, string, error) {
	return s.look(ctx, wire.ReplayWorkflowID(env, accountID, period))
}

func (s *Scheduler) look(ctx context.Context, id string) (state billing.RunState, runID string, err error) {
	res, err := s.client.DescribeWorkflowExecution(ctx, id, "")
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		return billing.RunNone, "", nil
	case err != nil:
		return billing.RunUnknown, "", unavailable(err)
	}
	info := res.GetWorkflowExecutionInfo()
	return runState(info.GetStatus()), info.GetExecution().GetRunId(), nil
}

func runState(status enumspb.WorkflowExecutionStatus) billing.RunState {
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:
		return billing.RunRunning
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return billing.RunCompleted
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return billing.RunFailed
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return billing.RunCanceled
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return billing.RunTerminated
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return billing.RunTimedOut
	default:
		return billing.RunUnknown
	}
}
