package sourcesync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	app "github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
	"github.com/liftbill/liftbill/workflows/sourcesync"
	"github.com/liftbill/liftbill/workflows/wire"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// books are the ledger, the use case and the client of Temporal in one.
type books struct {
	mu      sync.Mutex
	due     []app.Due
	asked   []time.Time
	synced  []string
	flying  int
	most    int
	started []wire.BackfillInput
	running map[string]bool
	errs    map[string]error
	// steps are what a backfill does, one after the other.
	steps     []step
	did       int
	abandoned []source.Reason
}

type step struct {
	p   app.Progress
	err error
}

func (b *books) Due(_ context.Context, env account.Environment, after string, at time.Time, limit int) ([]app.Due, error) {
	b.asked = append(b.asked, at)
	if env != account.Live {
		return nil, errors.New("another environment")
	}
	var out []app.Due
	for _, d := range b.due {
		if d.ConnectionID > after && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (b *books) Sync(_ context.Context, id string) (app.Outcome, error) {
	b.mu.Lock()
	b.flying++
	b.most = max(b.most, b.flying)
	b.mu.Unlock()
	time.Sleep(time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	b.synced = append(b.synced, id)
	out := app.Outcome{ConnectionID: id, Task: source.TaskPull, Seen: 3, New: 2, Missed: 1}
	if id == "refused" {
		out = app.Outcome{ConnectionID: id, Failed: source.Reason{Code: "stripe_auth"}}
	}
	return out, b.errs[id]
}

func (b *books) StartBackfill(_ context.Context, in wire.BackfillInput) (wire.StartCycleResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = append(b.started, in)
	return wire.StartCycleResult{Already: b.running[in.ConnectionID]}, nil
}

func (b *books) Step(_ context.Context, id string, beat func(string)) (app.Progress, error) {
	s := b.steps[min(b.did, len(b.steps)-1)]
	b.did++
	beat(id)
	return s.p, s.err
}

func (b *books) Abandon(_ context.Context, _ string, why source.Reason) error {
	b.abandoned = append(b.abandoned, why)
	return nil
}

func environment(t *testing.T, b *books) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetTestTimeout(time.Minute)
	sourcesync.RegisterLedger(env, &sourcesync.LedgerActivities{Sources: b, Starter: b, Now: func() time.Time { return now }})
	sourcesync.RegisterSource(env, &sourcesync.SourceActivities{Sync: b})
	return env
}

func tick(t *testing.T, b *books, in wire.SourceTickInput) wire.SourceTickResult {
	t.Helper()
	env := environment(t, b)
	env.ExecuteWorkflow(wire.WorkflowSourceTick, in)
	require.NoError(t, env.GetWorkflowError())
	var out wire.SourceTickResult
	require.NoError(t, env.GetWorkflowResult(&out))
	return out
}

// TestTickLooksAfterEverySource: page by page, a window at a time; a source that is
// refused, and one whose ledger does not answer, keep no other one waiting.
func TestTickLooksAfterEverySource(t *testing.T) {
	t.Parallel()
	b := &books{running: map[string]bool{"c-05": true}, errs: map[string]error{"c-03": fault.New(fault.Unavailable, "database_unavailable", "away")}}
	for i := range 23 {
		d := app.Due{ConnectionID: fmt.Sprintf("c-%02d", i), Sync: true}
		if i%5 == 0 {
			d.BackfillID, d.Sync = "b-"+d.ConnectionID, i%10 == 0
		}
		b.due = append(b.due, d)
	}
	b.due = append(b.due, app.Due{ConnectionID: "refused", Sync: true})
	out := tick(t, b, wire.SourceTickInput{Environment: account.Live, PageSize: 7, Window: 4})
	require.Equal(t, wire.SourceTickResult{Sources: 24, Fetched: 2 * 20, Missed: 20, Failed: 2, Backfills: 4}, out)
	require.Len(t, b.asked, 4)
	require.Equal(t, now, b.asked[0], "due by the ledger's time")
	require.Len(t, b.synced, 23, "22 of them once, and the one that failed twice")
	require.LessOrEqual(t, b.most, 4)
	require.Greater(t, b.most, 1)
	require.Contains(t, b.started, wire.BackfillInput{Environment: account.Live, ConnectionID: "c-10", BackfillID: "b-c-10"})
	require.Equal(t, wire.SourceTickResult{}, tick(t, &books{}, wire.SourceTickInput{Environment: account.Live}))
}

// TestTickContinuesAsNew: a run that has become long goes on behind its last source.
func TestTickContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := &books{}
	for i := range 9 {
		b.due = append(b.due, app.Due{ConnectionID: fmt.Sprintf("c-%d", i), Sync: true})
	}
	env := environment(t, b)
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(wire.WorkflowSourceTick, wire.SourceTickInput{Environment: account.Live, PageSize: 4, Cursor: "c-1", Totals: wire.SourceTickResult{Sources: 2}})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, wire.WorkflowSourceTick, next.WorkflowType.Name)
	var in wire.SourceTickInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, wire.SourceTickInput{Environment: account.Live, PageSize: 4, Window: 16, Cursor: "c-5", Totals: wire.SourceTickResult{Sources: 6, Fetched: 8, Missed: 4}}, in)
	require.Len(t, b.synced, 4)
}

func at(state app.BackfillState, r app.Resource, pages int) app.Progress {
	return app.Progress{Backfill: app.Backfill{State: state, Resource: r}, Pages: pages, Objects: 100 * pages, Facts: pages, Window: source.Window{From: now.Add(-time.Hour), To: now}}
}

func backfill(t *testing.T, b *books, prepare func(*testsuite.TestWorkflowEnvironment)) (wire.BackfillProgress, *testsuite.TestWorkflowEnvironment, error) {
	t.Helper()
	env := environment(t, b)
	env.SetStartTime(now)
	if prepare != nil {
		prepare(env)
	}
	env.ExecuteWorkflow(wire.WorkflowSourceBackfill, wire.BackfillInput{Environment: account.Live, ConnectionID: "acme", BackfillID: "acme-backfill-1"})
	if err := env.GetWorkflowError(); err != nil {
		return wire.BackfillProgress{}, env, err
	}
	var out wire.BackfillProgress
	require.NoError(t, env.GetWorkflowResult(&out))
	return out, env, nil
}

// TestBackfillGoesOnUntilItIsDone: through failures that pass, a wait that Stripe asks
// for and a wait for the read allowance.
func TestBackfillGoesOnUntilItIsDone(t *testing.T) {
	t.Parallel()
	waiting := at(app.BackfillRunning, app.Invoices, 0)
	waiting.Wait, waiting.Reason = 6*time.Hour, source.Reason{Code: "read_budget_exhausted"}
	b := &books{steps: []step{
		{p: at(app.BackfillRunning, app.Events, 5)},
		{err: fault.New(fault.Unavailable, "stripe_transient", "away")},
		{err: fault.Wrap(wait{time.Hour}, fault.RateLimited, "stripe_throttled", "slow down")},
		{p: at(app.BackfillRunning, app.Customers, 7)},
		{p: waiting},
		{p: at(app.BackfillDone, app.PlanChanges, 1)},
	}}
	out, env, err := backfill(t, b, nil)
	require.NoError(t, err)
	require.Equal(t, wire.BackfillProgress{State: "done", Resource: "plan_changes", From: now.Add(-time.Hour), Until: now, Pages: 13, Objects: 1300, Facts: 13}, out)
	require.Equal(t, 6, b.did)
	require.Empty(t, b.abandoned)
	took := env.Now().Sub(now)
	require.Greater(t, took, 7*time.Hour, "both waits were kept")
	require.Less(t, took, 8*time.Hour)
	var asked wire.BackfillProgress
	v, err := env.QueryWorkflow(wire.QueryProgress)
	require.NoError(t, err)
	require.NoError(t, v.Get(&asked))
	require.Equal(t, out, asked)
}

type wait struct{ d time.Duration }

func (w wait) Error() string             { return "wait" }
func (w wait) RetryAfter() time.Duration { return w.d }

// TestBackfillIsHandedToAPerson: what no retry mends stops it, with the reason.
func TestBackfillIsHandedToAPerson(t *testing.T) {
	t.Parallel()
	b := &books{steps: []step{{p: at(app.BackfillRunning, app.Events, 5)}, {err: fault.New(fault.Forbidden, "stripe_permission", "a permission is missing").Fix("Grant it")}}}
	_, _, err := backfill(t, b, nil)
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, "StripePermission", app.Type())
	require.Equal(t, 2, b.did)
	require.Len(t, b.abandoned, 1)
	require.Equal(t, "stripe_permission: a permission is missing. Grant it", b.abandoned[0].Message)
	require.NotEmpty(t, b.abandoned[0].Action)

	b = &books{steps: []step{{err: fault.New(fault.Unavailable, "stripe_transient", "away")}}}
	_, _, err = backfill(t, b, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	})
	require.True(t, temporal.IsCanceledError(err))
	require.Empty(t, b.abandoned, "the next tick starts another run")
}

// TestBackfillContinuesAsNew: what the chain has done is carried on; how far it got is in
// the ledger.
func TestBackfillContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := &books{steps: []step{{p: at(app.BackfillRunning, app.Events, 5)}}}
	_, _, err := backfill(t, b, func(env *testsuite.TestWorkflowEnvironment) { env.SetContinueAsNewSuggested(true) })
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &next)
	var in wire.BackfillInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, "acme-backfill-1", in.BackfillID)
	require.Equal(t, 5, in.Totals.Pages)
}
