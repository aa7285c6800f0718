package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/app/accrual"
	app "github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/reconcile"
	"github.com/liftbill/liftbill/workflows/wire"
)

// books are months that are due, and what comes of comparing them.
type books struct {
	mu       sync.Mutex
	due      []app.Due
	errs     map[string][]error
	compared []string
	by       []access.Principal
	open     []accrual.Month
	accrued  []string
	flying   int
	most     int
}

func (b *books) Due(_ context.Context, env account.Environment, after app.Due, limit int) ([]app.Due, error) {
	var out []app.Due
	for _, d := range b.due {
		if env == account.Live && (d.AccountID > after.AccountID || (d.AccountID == after.AccountID && d.Period > after.Period)) && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (b *books) Reconcile(_ context.Context, by access.Principal, accountID, month string, beat func(string)) (app.Outcome, error) {
	beat("reading")
	b.mu.Lock()
	b.flying++
	b.most = max(b.most, b.flying)
	b.mu.Unlock()
	time.Sleep(time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	b.compared, b.by = append(b.compared, accountID+" "+month), append(b.by, by)
	if errs := b.errs[accountID]; len(errs) > 0 {
		b.errs[accountID] = errs[1:]
		return app.Outcome{}, errs[0]
	}
	return app.Outcome{Run: app.Run{ID: 7, Found: 3, Fresh: 1, Reads: 20, Objects: 100}, Repairs: 2}, nil
}

func (*books) NightRun() string { return "night/2026-11-02" }

func (b *books) Open(_ context.Context, _ account.Environment, after accrual.Month, limit int) ([]accrual.Month, error) {
	var out []accrual.Month
	for _, m := range b.open {
		if m.AccountID > after.AccountID && len(out) < limit {
			out = append(out, m)
		}
	}
	return out, nil
}

func (b *books) Night(_ context.Context, m accrual.Month, run string) (accrual.Accrual, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accrued = append(b.accrued, m.AccountID+" "+m.Period+" "+run)
	if errs := b.errs["accrue "+m.AccountID]; len(errs) > 0 {
		b.errs["accrue "+m.AccountID] = errs[1:]
		return accrual.Accrual{}, false, errs[0]
	}
	return accrual.Accrual{}, true, nil
}

func environment(b *books) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetTestTimeout(time.Minute)
	a := &reconcile.Activities{Reconciler: b, Accruals: b}
	reconcile.RegisterLedger(env, a)
	reconcile.RegisterSource(env, a)
	return env
}

func months(n int) []app.Due {
	var out []app.Due
	for i := range n {
		out = append(out, app.Due{AccountID: fmt.Sprintf("a-%02d", i/2), Period: fmt.Sprintf("2026-%02d", 9+i%2)})
	}
	return out
}

// TestANightComparesEveryMonth: page by page, a window at a time; a month that cannot be
// compared keeps no other one waiting, and one that another worker has is waited for.
func TestANightComparesEveryMonth(t *testing.T) {
	t.Parallel()
	away := fault.New(fault.Unavailable, "database_unavailable", "away")
	b := &books{due: months(22), errs: map[string][]error{
		"a-03": {away, away},
		"a-04": {fault.New(fault.RateLimited, "read_allowance", "used up")},
		"a-05": {fault.New(fault.Conflict, "run_under_way", "busy")},
		"a-06": {fault.New(fault.Conflict, "contract_missing", "none")},
	}}
	env := environment(b)
	env.ExecuteWorkflow(wire.WorkflowReconNight, wire.ReconNightInput{Environment: account.Live, PageSize: 6, Window: 4})
	require.NoError(t, env.GetWorkflowError())
	var out wire.ReconNightResult
	require.NoError(t, env.GetWorkflowResult(&out))
	require.Equal(t, wire.ReconNightResult{Months: 22, Found: 60, Fresh: 20, Refused: 2}, out)
	require.Len(t, b.compared, 22+3, "what passes is tried again")
	require.LessOrEqual(t, b.most, 4)
	require.Equal(t, access.Machine("reconcile"), b.by[0])
}

// TestANightStoresTheFiguresOfOpenMonths: page by page under one run; a month that cannot
// be computed is counted and keeps no other one waiting.
func TestANightStoresTheFiguresOfOpenMonths(t *testing.T) {
	t.Parallel()
	b := &books{due: months(1), errs: map[string][]error{
		"accrue b": {fault.New(fault.Unavailable, "database_unavailable", "away")},
		"accrue d": {fault.New(fault.Conflict, "accrual_closed", "frozen meanwhile")},
	}}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.open = append(b.open, accrual.Month{AccountID: id, Period: "2026-11"})
	}
	env := environment(b)
	env.ExecuteWorkflow(wire.WorkflowReconNight, wire.ReconNightInput{Environment: account.Live, PageSize: 2, Window: 1})
	require.NoError(t, env.GetWorkflowError())
	var out wire.ReconNightResult
	require.NoError(t, env.GetWorkflowResult(&out))
	require.Equal(t, []int{4, 1}, []int{out.Accrued, out.NotAccrued})
	require.Len(t, b.accrued, 6, "what passes is tried again")
	require.Equal(t, "e 2026-11 night/2026-11-02", b.accrued[5])
}

// TestANightContinuesAsNew: a run that has become long goes on behind its last month.
func TestANightContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := &books{due: months(9)}
	env := environment(b)
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(wire.WorkflowReconNight, wire.ReconNightInput{Environment: account.Live, PageSize: 4, Totals: wire.ReconNightResult{Months: 2}})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, wire.WorkflowReconNight, next.WorkflowType.Name)
	var in wire.ReconNightInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, wire.ReconNightInput{Environment: account.Live, PageSize: 4, Window: 4, Cursor: wire.ReconMonth{AccountID: "a-01", Period: "2026-10"},
		Totals: wire.ReconNightResult{Months: 6, Found: 12, Fresh: 4}}, in)
}

// TestAMonthOnDemand names who asked for it, and says what kept it from more.
func TestAMonthOnDemand(t *testing.T) {
	t.Parallel()
	b := &books{errs: map[string][]error{"b": {fault.New(fault.NotFound, "account_not_found", "none")}}}
	run := func(accountID string) wire.ReconMonthResult {
		env := environment(b)
		env.ExecuteWorkflow(wire.WorkflowReconMonth, wire.ReconMonthInput{Environment: account.Live, ReconMonth: wire.ReconMonth{AccountID: accountID, Period: "2026-10"}, By: "user:nina"})
		require.NoError(t, env.GetWorkflowError())
		var out wire.ReconMonthResult
		require.NoError(t, env.GetWorkflowResult(&out))
		return out
	}
	require.Equal(t, wire.ReconMonthResult{ReconMonth: wire.ReconMonth{AccountID: "a", Period: "2026-10"}, RunID: 7, Reads: 20, Objects: 100, Found: 3, Fresh: 1, Repairs: 2}, run("a"))
	require.Equal(t, "user:nina", b.by[0].ID)
	require.Equal(t, "account_not_found", run("b").Code)
}

// changedNight and changedMonth are what nobody may deploy without a version gate while
// runs are open: they begin with another activity.
func changedNight(ctx workflow.Context, in wire.ReconNightInput) (wire.ReconNightResult, error) {
	_, err := reconcile.Month(ctx, wire.ReconMonthInput{Environment: in.Environment})
	return wire.ReconNightResult{}, err
}

func changedMonth(ctx workflow.Context, in wire.ReconMonthInput) (wire.ReconMonthResult, error) {
	_, err := reconcile.Night(ctx, wire.ReconNightInput{Environment: in.Environment})
	return wire.ReconMonthResult{}, err
}

// TestReplay holds the workflows to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	t.Run("night", func(t *testing.T) {
		t.Parallel()
		pipelinetest.ReplayFolder(t, "testdata/history/night", wire.WorkflowReconNight, 1, reconcile.Night, changedNight)
	})
	t.Run("month", func(t *testing.T) {
		t.Parallel()
		pipelinetest.ReplayFolder(t, "testdata/history/month", wire.WorkflowReconMonth, 1, reconcile.Month, changedMonth)
	})
}
