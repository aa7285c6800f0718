package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/workflows/wire"
)

// The nightly reconciliation begins in the hour after reconHour UTC. One night is not
// made up for by two: what a night has missed, the next one finds.
const (
	reconHour    = 2
	reconSpread  = time.Hour
	reconCatchup = 6 * time.Hour
)

// EnsureReconcile makes the Schedule of the nightly reconciliation of an environment, or
// brings its time up to date; it never touches an operator's pause. The result says
// whether it wrote anything.
func (s *Scheduler) EnsureReconcile(ctx context.Context, env account.Environment) (bool, error) {
	id := wire.ReconScheduleID(env)
	want := client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: []client.ScheduleRange{{Start: reconHour}}, Comment: "every night, UTC"}}, Jitter: reconSpread}
	_, err := s.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: want, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: reconCatchup,
		Action: &client.ScheduleWorkflowAction{
			ID: wire.ReconNightWorkflowID(env), Workflow: wire.WorkflowReconNight, TaskQueue: wire.QueueWorkflows,
			Args:                  []any{wire.ReconNightInput{Environment: env}},
			TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(wire.AttrMode).ValueSet(env.String())),
			StaticSummary:         fmt.Sprintf("Compare the months that are due with Stripe (%s)", env),
		},
		Note: "liftbill: nightly reconciliation",
	})
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, temporal.ErrScheduleAlreadyRunning):
		return false, unavailable(err)
	}
	wrote := false
	err = s.client.ScheduleClient().GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			have := in.Description.Schedule.Spec
			if have != nil && len(have.Calendars) == 1 && len(have.Calendars[0].Hour) == 1 && have.Calendars[0].Hour[0].Start == reconHour && have.Jitter == reconSpread && len(have.Intervals) == 0 {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			wrote = true
			sched := in.Description.Schedule
			sched.Spec = &want
			return &client.ScheduleUpdate{Schedule: &sched}, nil
		},
	})
	return wrote, unavailable(err)
}

// TriggerReconcile runs the night of an environment now.
func (s *Scheduler) TriggerReconcile(ctx context.Context, env account.Environment) error {
	err := s.client.ScheduleClient().GetHandle(ctx, wire.ReconScheduleID(env)).Trigger(ctx, client.ScheduleTriggerOptions{
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	})
	return unavailable(err)
}

// StartReconcile starts the comparison of one month; one that is open is reported.
func (s *Scheduler) StartReconcile(ctx context.Context, in wire.ReconMonthInput) (wire.StartCycleResult, error) {
	id := wire.ReconMonthWorkflowID(in.Environment, in.AccountID, in.Period)
	_, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: wire.QueueWorkflows, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: fmt.Sprintf("Compare %s of %s with Stripe (%s), asked for by %s", in.Period, in.AccountID, in.Environment, in.By),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(wire.AttrAccount).ValueSet(in.AccountID),
			temporal.NewSearchAttributeKeyKeyword(wire.AttrPeriod).ValueSet(in.Period),
			temporal.NewSearchAttributeKeyKeyword(wire.AttrMode).ValueSet(in.Environment.String())),
	}, wire.WorkflowReconMonth, in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return wire.StartCycleResult{WorkflowID: id, Already: true}, nil
	}
	return wire.StartCycleResult{WorkflowID: id}, unavailable(err)
}
