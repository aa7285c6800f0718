package billingcycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/wire"
)

// books are the ledger and the bills of a month: which accounts there are, how
// their cycles stand, and how many bills were open at once.
type books struct {
	mu       sync.Mutex
	accounts []string
	states   map[string]billing.CycleState
	started  []string
	open     int
	most     int
	polls    int
	// onPoll happens when the ledger is asked how the month stands.
	onPoll func(polls int)
}

func newBooks(n int) *books {
	b := &books{states: map[string]billing.CycleState{}}
	for i := range n {
		b.accounts = append(b.accounts, fmt.Sprintf("account-%02d", i))
	}
	return b
}

func (b *books) ListAccounts(_ context.Context, _ billing.Cohort, after string, limit int) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, id := range b.accounts {
		if id > after && !b.states[id].Terminal() && len(out) < limit {
			out = append(out, id)
		}
	}
	return out, nil
}

func (b *books) Counts(context.Context, billing.Cohort) (int, map[billing.CycleState]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.polls++
	if b.onPoll != nil {
		b.onPoll(b.polls)
	}
	by := map[billing.CycleState]int{}
	for _, s := range b.states {
		by[s]++
	}
	return len(b.accounts), by, nil
}

func (b *books) begin(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = append(b.started, id)
	b.open++
	b.most = max(b.most, b.open)
}

func (b *books) end(id string, state billing.CycleState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if state != "" {
		b.states[id] = state
	}
}

// bill is a stand-in of the account's bill: it takes its time and ends in a state.
type bill struct {
	takes  time.Duration
	state  billing.CycleState
	silent bool // ends without giving its slot back
	err    error
}

func (b *books) workflow(of func(account string) bill) func(workflow.Context, wire.BillInput) (wire.BillStep, error) {
	return func(ctx workflow.Context, in wire.BillInput) (wire.BillStep, error) {
		b.begin(in.AccountID)
		mine := of(in.AccountID)
		err := workflow.Sleep(ctx, mine.takes)
		b.end(in.AccountID, mine.state)
		if !mine.silent && err == nil {
			err = workflow.SignalExternalWorkflow(ctx, in.CycleWorkflowID, "", wire.SignalSlotReleased, in.AccountID).Get(ctx, nil)
		}
		return wire.BillStep{}, errors.Join(err, mine.err)
	}
}

var calendar = billing.Calendar{TimeZone: "UTC", CloseLagDays: 3}

// chain runs the cycle until it does not continue as new, each run in an
// environment of its own, and returns how many runs it took and how long the last.
func chain(t *testing.T, b *books, in wire.CycleInput, of func(account string) bill) (out wire.CycleResult, runs []wire.CycleInput, took time.Duration) {
	t.Helper()
	in.Environment, in.Calendar, in.Period = account.Live, calendar, "2026-10"
	for {
		runs = append(runs, in)
		require.Less(t, len(runs), 50)
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
		env.SetTestTimeout(time.Minute)
		start := time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)
		env.SetStartTime(start)
		billingcycle.Register(env, &billingcycle.Activities{Ledger: b})
		env.RegisterWorkflowWithOptions(b.workflow(of), workflow.RegisterOptions{Name: wire.WorkflowAccountBill})
		env.ExecuteWorkflow(wire.WorkflowBillingCycle, in)
		require.True(t, env.IsWorkflowCompleted())
		took = env.Now().Sub(start)
		err := env.GetWorkflowError()
		var next *workflow.ContinueAsNewError
		if errors.As(err, &next) {
			in = wire.CycleInput{}
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
			continue
		}
		require.NoError(t, err)
		require.NoError(t, env.GetWorkflowResult(&out))
		return out, runs, took
	}
}

func quick(string) bill { return bill{takes: time.Minute, state: billing.Invoiced} }

func TestCycleKeepsToItsWindow(t *testing.T) {
	t.Parallel()
	b := newBooks(17)
	out, runs, _ := chain(t, b, wire.CycleInput{Window: 3}, quick)
	require.Len(t, runs, 1)
	require.Equal(t, b.accounts, b.started)
	require.Equal(t, 3, b.most)
	require.Equal(t, 17, out.Counts.Finished)
	require.Equal(t, map[string]int{"invoiced": 17}, out.Counts.ByState)
}

func TestCycleContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := newBooks(11)
	out, runs, _ := chain(t, b, wire.CycleInput{Window: 20, PageSize: 4}, quick)
	require.Equal(t, b.accounts, b.started, "every account once, in order")
	require.Greater(t, len(runs), 2)
	for i, in := range runs[1:] {
		require.True(t, slices.IsSorted(in.Holding))
		require.Equal(t, b.accounts[4*i+3], in.Cursor)
		require.Equal(t, 4*(i+1), in.Started)
	}
	require.Equal(t, 11, out.Counts.Total)
}

// TestCycleFailedBillGivesItsSlotBack: a bill that ends without a word does not keep
// its slot, and the others are not held up until the watchdog.
func TestCycleFailedBillGivesItsSlotBack(t *testing.T) {
	t.Parallel()
	b := newBooks(6)
	out, _, took := chain(t, b, wire.CycleInput{Window: 1}, func(id string) bill {
		if id < "account-03" {
			return bill{takes: time.Minute, silent: true, err: errors.New("died")}
		}
		return quick(id)
	})
	require.Equal(t, b.accounts, b.started)
	require.Equal(t, 1, b.most)
	require.Less(t, took, 15*time.Minute)
	require.Equal(t, 3, out.Counts.Finished)
	require.Equal(t, 6, out.Counts.Total)
}

// TestCycleWatchdogFreesLostSlots: bills of an earlier run whose signal was lost are
// given up when the ledger says that nothing that was started is open.
func TestCycleWatchdogFreesLostSlots(t *testing.T) {
	t.Parallel()
	b := newBooks(3)
	b.states["account-00"] = billing.Blocked
	out, _, took := chain(t, b, wire.CycleInput{Window: 1, Cursor: "account-00", Started: 1, Holding: []string{"account-00"}}, quick)
	require.Equal(t, b.accounts[1:], b.started)
	require.GreaterOrEqual(t, took, 15*time.Minute)
	require.Equal(t, 2, out.Counts.Finished)
	require.Equal(t, 1, out.Counts.Waiting)
}

// TestCycleWaitsForTheLedger: a run that only holds bills of earlier runs ends when
// the ledger says that they have.
func TestCycleWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	b := newBooks(2)
	b.states["account-00"], b.states["account-01"] = billing.Collecting, billing.NeedsHuman
	b.onPoll = func(polls int) {
		if polls == 5 {
			b.states["account-00"] = billing.Withheld
		}
	}
	out, _, took := chain(t, b, wire.CycleInput{AllStarted: true, Started: 2, Cursor: "account-01", Holding: []string{"account-00"}}, quick)
	require.Empty(t, b.started)
	require.Equal(t, 5, b.polls)
	require.Equal(t, 15*time.Second, took, "1 + 2 + 4 + 8 seconds between the polls")
	require.Equal(t, wire.Counts{Total: 2, Finished: 1, Waiting: 1, ByState: map[string]int{"withheld": 1, "needs_human": 1}}, out.Counts, "states that are left count nobody")
}

func TestCycleOfAFinishedMonthStartsNothing(t *testing.T) {
	t.Parallel()
	b := newBooks(2)
	b.states["account-00"], b.states["account-01"] = billing.Invoiced, billing.DryRun
	out, runs, _ := chain(t, b, wire.CycleInput{}, quick)
	require.Len(t, runs, 1)
	require.Empty(t, b.started)
	require.Equal(t, 2, out.Counts.Finished)
}

// TestCycleLeavesARunningBillAlone: one that was started by hand has the same ID.
func TestCycleLeavesARunningBillAlone(t *testing.T) {
	t.Parallel()
	b := newBooks(2)
	b.accounts = []string{"account-00", "account-00a", "account-00"}
	out, _, _ := chain(t, b, wire.CycleInput{}, quick)
	require.Equal(t, []string{"account-00", "account-00a"}, b.started)
	require.Equal(t, 2, out.Counts.Finished)
}
