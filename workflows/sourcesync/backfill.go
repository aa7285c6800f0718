package sourcesync

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// The states of a backfill that the run looks at.
const (
	stateRunning = "running"
	stateFailed  = "failed"
)

// history is the state of one run.
type history struct {
	in   wire.BackfillInput
	step wire.BackfillProgress
}

// Backfill reads the history of a connection step by step until the ledger says that it
// is done. How far it got is in the ledger, so that a chain of runs, a reset and a second
// start all go on where the last page ended. What no retry mends is handed to a person.
func Backfill(ctx workflow.Context, in wire.BackfillInput) (wire.BackfillProgress, error) {
	h := &history{in: in, step: in.Totals}
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.QueryProgress, func() (wire.BackfillProgress, error) { return h.step, nil },
		workflow.QueryHandlerOptions{Description: "Where the backfill stands: resource, window, counts"})
	if err != nil {
		return h.step, err
	}
	for {
		var step wire.BackfillProgress
		err := workflow.ExecuteActivity(stepOptions(ctx, "Read on: "+h.doing()), wire.ActivityBackfillStep,
			wire.BackfillInput{Environment: in.Environment, ConnectionID: in.ConnectionID, BackfillID: in.BackfillID}).Get(ctx, &step)
		if err != nil {
			return h.step, h.abandon(ctx, err)
		}
		h.add(step)
		h.details(ctx)
		if step.State != stateRunning {
			return h.step, nil
		}
		if step.Wait > 0 {
			pause := workflow.NewTimerWithOptions(ctx, step.Wait, workflow.TimerOptions{Summary: "Wait: " + step.Code})
			if err := pause.Get(ctx, nil); err != nil {
				return h.step, err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			h.in.Totals = h.step
			return h.step, workflow.NewContinueAsNewError(ctx, wire.WorkflowSourceBackfill, h.in)
		}
	}
}

// add keeps where the backfill stands and sums what it has done.
func (h *history) add(step wire.BackfillProgress) {
	pages, objects, facts := h.step.Pages+step.Pages, h.step.Objects+step.Objects, h.step.Facts+step.Facts
	if step.Until.IsZero() {
		step.From, step.Until = h.step.From, h.step.Until
	}
	h.step = step
	h.step.Pages, h.step.Objects, h.step.Facts = pages, objects, facts
}

// abandon stops the backfill for a person; a cancelled run just ends, and the next tick
// starts another.
func (h *history) abandon(ctx workflow.Context, err error) error {
	if temporal.IsCanceledError(err) {
		return err
	}
	in := wire.AbandonInput{BackfillID: h.in.BackfillID, Code: "backfill_failed", Message: "a step of the backfill failed"}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		in.Code, in.Message = app.Type(), app.Message()
	}
	if stopErr := workflow.ExecuteActivity(stepOptions(ctx, "Hand the backfill to a person"), wire.ActivityAbandonBackfill, in).Get(ctx, nil); stopErr != nil {
		return stopErr
	}
	h.step.State, h.step.Code = stateFailed, in.Code
	h.details(ctx)
	return err
}

func (h *history) doing() string {
	if h.step.Resource == "" {
		return "from the beginning"
	}
	return h.step.Resource + " until " + h.step.Until.Format(time.DateOnly)
}

func (h *history) details(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("| | |\n|---|---|\n| connection | %s (%s) |\n| state | %s %s |\n| reading | %s |\n| pages | %d |\n| objects | %d |\n| facts that were new | %d |\n",
		h.in.ConnectionID, h.in.Environment, h.step.State, h.step.Code, h.doing(), h.step.Pages, h.step.Objects, h.step.Facts))
}

func stepOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueSource, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: time.Minute, ScheduleToCloseTimeout: 7 * 24 * time.Hour, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute},
	})
}
