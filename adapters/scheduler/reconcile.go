package scheduler

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
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
	return s.ensure(ctx, client.ScheduleOptions{
		ID: id, Spec: want, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: reconCatchup,
		Action: &client.ScheduleWorkflowAction{
			ID: wire.ReconNightWorkflowID(env), Workflow: wire.WorkflowReconNight, TaskQueue: wire.QueueWorkflows,
			Args:                  []any{wire.ReconNightInput{Environment: env}},
			TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(wire.AttrMode).ValueSet(env.String())),
			StaticSummary:         fmt.Sprintf("Compare the months that are due with Stripe (%s)", env),
		},
		Note: "liftbill: nightly reconciliation",
	}, func(have *client.ScheduleSpec) bool {
		return have != nil && len(have.Calendars) == 1 && len(have.Calendars[0].Hour) == 1 && have.Calendars[0].Hour[0].Start == reconHour && have.Jitter == reconSpread && len(have.Intervals) == 0
	})
}

// TriggerReconcile runs the night of an environment now.
func (s *Scheduler) TriggerReconcile(ctx context.Context, env account.Environment) error {
	return s.trigger(ctx, wire.ReconScheduleID(env))
}

// StartReconcile starts the comparison of one month; one that is open is reported.
func (s *Scheduler) StartReconcile(ctx context.Context, in wire.ReconMonthInput) (wire.StartCycleResult, error) {
	return s.start(ctx, run{
		id:       wire.ReconMonthWorkflowID(in.Environment, in.AccountID, in.Period),
		summary:  fmt.Sprintf("Compare %s of %s with Stripe (%s), asked for by %s", in.Period, in.AccountID, in.Environment, in.By),
		workflow: wire.WorkflowReconMonth, in: in,
		attributes: []temporal.SearchAttributeUpdate{keyword(wire.AttrAccount, in.AccountID), keyword(wire.AttrPeriod, in.Period), keyword(wire.AttrMode, in.Environment.String())},
	})
}
