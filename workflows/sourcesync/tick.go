// Package sourcesync looks after source accounts: a tick that lets everything that is
// due be fetched and checked, and a run per connection that reads its history.
//
// The ledger says what is due and how far it got. A run that is lost, repeated or
// terminated costs time and nothing else: the next tick finds what is left to do.
package sourcesync

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// Defaults of a tick.
const (
	defaultPage   = 200
	defaultWindow = 16
)

// tick is the state of one run.
type tick struct {
	in  wire.SourceTickInput
	sum wire.SourceTickResult
}

// Tick looks after every source of an environment that needs something. A source that
// fails keeps no other one waiting: it is due again when the ledger says so.
func Tick(ctx workflow.Context, in wire.SourceTickInput) (wire.SourceTickResult, error) {
	if in.PageSize <= 0 {
		in.PageSize = defaultPage
	}
	if in.Window <= 0 {
		in.Window = defaultWindow
	}
	t := &tick{in: in, sum: in.Totals}
	for {
		var due []wire.DueSource
		err := workflow.ExecuteActivity(ledgerOptions(ctx, "Which sources behind "+quoted(t.in.Cursor)+" need something"), wire.ActivityListSources,
			wire.ListSourcesInput{Environment: in.Environment, After: t.in.Cursor, Limit: in.PageSize}).Get(ctx, &due)
		if err != nil {
			return t.sum, err
		}
		if err := t.page(ctx, due); err != nil {
			return t.sum, err
		}
		t.details(ctx)
		if len(due) < in.PageSize {
			return t.sum, nil
		}
		t.in.Cursor = due[len(due)-1].ConnectionID
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			t.in.Totals = t.sum
			return t.sum, workflow.NewContinueAsNewError(ctx, wire.WorkflowSourceTick, t.in)
		}
	}
}

// page looks after the sources of one page, a window of them at a time.
func (t *tick) page(ctx workflow.Context, due []wire.DueSource) error {
	slots := workflow.NewSemaphore(ctx, int64(t.in.Window))
	wg := workflow.NewWaitGroup(ctx)
	for _, d := range due {
		if err := slots.Acquire(ctx, 1); err != nil {
			return err
		}
		wg.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wg.Done()
			defer slots.Release(1)
			t.source(ctx, d)
		})
	}
	wg.Wait(ctx)
	return ctx.Err()
}

// source looks after one source.
func (t *tick) source(ctx workflow.Context, d wire.DueSource) {
	t.sum.Sources++
	if d.BackfillID != "" {
		var res wire.StartCycleResult
		err := workflow.ExecuteActivity(ledgerOptions(ctx, "Make sure that the backfill of "+d.ConnectionID+" runs"), wire.ActivityStartBackfill,
			wire.BackfillInput{Environment: t.in.Environment, ConnectionID: d.ConnectionID, BackfillID: d.BackfillID}).Get(ctx, &res)
		switch {
		case err != nil:
			t.failed(ctx, d, err)
		case !res.Already:
			t.sum.Backfills++
		}
	}
	if !d.Sync {
		return
	}
	var res wire.SyncSourceResult
	err := workflow.ExecuteActivity(syncOptions(ctx, "Fetch or check the events of "+d.ConnectionID), wire.ActivitySyncSource,
		wire.SyncSourceInput{ConnectionID: d.ConnectionID}).Get(ctx, &res)
	if err != nil {
		t.failed(ctx, d, err)
		return
	}
	if res.Code != "" {
		t.sum.Failed++
	}
	t.sum.Fetched += res.New
	t.sum.Missed += res.Missed
}

func (t *tick) failed(ctx workflow.Context, d wire.DueSource, err error) {
	t.sum.Failed++
	workflow.GetLogger(ctx).Warn("a source was not looked after", "connection", d.ConnectionID, "error", err)
}

func (t *tick) details(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("| | |\n|---|---|\n| environment | %s |\n| sources looked after | %d |\n| events fetched | %d |\n| of them missed before | %d |\n| sources refused or skipped | %d |\n| backfills started | %d |\n",
		t.in.Environment, t.sum.Sources, t.sum.Fetched, t.sum.Missed, t.sum.Failed, t.sum.Backfills))
}

func quoted(s string) string {
	if s == "" {
		return "the beginning"
	}
	return s
}

func ledgerOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: 15 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// syncOptions give one source two attempts: the ledger remembers what Stripe refuses,
// so that an error means that the ledger itself did not answer.
func syncOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueSource, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: time.Minute, ScheduleToCloseTimeout: 15 * time.Minute, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 2},
	})
}
