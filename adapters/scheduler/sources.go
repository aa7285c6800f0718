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

// The Schedule of the sources: a tick that is late or left out costs nothing, because the
// ledger says what is due, so that nothing is caught up and none waits behind another.
const (
	sourceEvery   = time.Minute
	sourceCatchup = time.Minute
)

// EnsureSources makes the Schedule that looks after the sources of an environment, or
// brings its interval up to date; it never touches an operator's pause. How often a
// single source is read is in the ledger. The result says whether it wrote anything.
func (s *Scheduler) EnsureSources(ctx context.Context, env account.Environment) (bool, error) {
	id := wire.SourceScheduleID(env)
	want := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: sourceEvery}}}
	return s.ensure(ctx, client.ScheduleOptions{
		ID: id, Spec: want, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: sourceCatchup,
		Action: &client.ScheduleWorkflowAction{
			ID: wire.SourceTickWorkflowID(env), Workflow: wire.WorkflowSourceTick, TaskQueue: wire.QueueWorkflows,
			Args:                  []any{wire.SourceTickInput{Environment: env}},
			TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(wire.AttrMode).ValueSet(env.String())),
			StaticSummary:         fmt.Sprintf("Fetch and check the sources that are due (%s)", env),
		},
		Note: "liftbill: events and histories of source accounts",
	}, func(have *client.ScheduleSpec) bool {
		return have != nil && len(have.Intervals) == 1 && have.Intervals[0] == want.Intervals[0] && len(have.Calendars) == 0
	})
}

// PauseSources keeps the Schedule that looks after the sources from starting anything.
func (s *Scheduler) PauseSources(ctx context.Context, env account.Environment, note string) error {
	return unavailable(s.client.ScheduleClient().GetHandle(ctx, wire.SourceScheduleID(env)).Pause(ctx, client.SchedulePauseOptions{Note: note}))
}

// TriggerSources runs the tick of an environment now.
func (s *Scheduler) TriggerSources(ctx context.Context, env account.Environment) error {
	return s.trigger(ctx, wire.SourceScheduleID(env))
}

// StartBackfill starts the run that reads a connection's history. One that is open is
// reported as already there; the ledger knows how far it got.
func (s *Scheduler) StartBackfill(ctx context.Context, in wire.BackfillInput) (wire.StartCycleResult, error) {
	return s.start(ctx, run{
		id: wire.BackfillWorkflowID(in.Environment, in.ConnectionID), summary: fmt.Sprintf("Read the history of %s (%s)", in.ConnectionID, in.Environment),
		workflow: wire.WorkflowSourceBackfill, in: in,
		attributes: []temporal.SearchAttributeUpdate{keyword(wire.AttrMode, in.Environment.String()), keyword(wire.AttrSource, in.ConnectionID)},
	})
}
