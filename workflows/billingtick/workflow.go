// Package billingtick is what a Schedule starts: a run of seconds that asks the
// ledger which months are due and starts their cycles. It decides by the nominal
// time of its Schedule and never by the clock, so that a backfill, a late start and
// a run after a pause all see the months that they should.
package billingtick

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// scheduledStart is set by the server on every run that a Schedule starts.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// Workflow starts the cycle of every due month of a calendar.
func Workflow(ctx workflow.Context, in wire.TickInput) (wire.TickResult, error) {
	asOf, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
	if !ok {
		asOf = workflow.Now(ctx) // started by hand: the moment of the start counts
	}
	res := wire.TickResult{AsOf: asOf.UTC()}
	var due []wire.DuePeriod
	err := workflow.ExecuteActivity(options(ctx, "Which months are due as of "+res.AsOf.Format(time.RFC3339)), wire.ActivityPlanDue,
		wire.PlanDueInput{Environment: in.Environment, Calendar: in.Calendar, AsOf: res.AsOf}).Get(ctx, &due)
	if err != nil {
		return res, err
	}
	for _, d := range due {
		var started wire.StartCycleResult
		err := workflow.ExecuteActivity(options(ctx, "Start the cycle of "+d.Period), wire.ActivityStartCycle,
			wire.CycleInput{Environment: in.Environment, Calendar: in.Calendar, Period: d.Period, AsOf: res.AsOf}).Get(ctx, &started)
		if err != nil {
			return res, err
		}
		if started.Already {
			res.Already = append(res.Already, started.WorkflowID)
		} else {
			res.Started = append(res.Started, started.WorkflowID)
		}
		res.Periods++
		res.Accounts += d.Accounts
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("As of %s: %d month(s) due, %d account bill(s)", res.AsOf.Format(time.RFC3339), res.Periods, res.Accounts))
	return res, nil
}

func options(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: 15 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}
