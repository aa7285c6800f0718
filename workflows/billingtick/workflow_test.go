package billingtick_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/billingtick"
	"github.com/liftbill/liftbill/workflows/wire"
)

// books say which months are due and remember what was asked and started.
type books struct {
	due     map[period.Month]int
	asOf    []time.Time
	running map[string]bool
	started []string
	fails   int
	err     error
}

func (b *books) DuePeriods(_ context.Context, env account.Environment, _ billing.Calendar, asOf time.Time) (map[period.Month]int, error) {
	b.asOf = append(b.asOf, asOf)
	if b.err != nil {
		return nil, b.err
	}
	if b.fails--; b.fails >= 0 {
		return nil, fault.New(fault.Unavailable, "down", "the database is away")
	}
	if env != account.Live {
		return nil, errors.New("another environment")
	}
	return b.due, nil
}

func (b *books) StartCycle(_ context.Context, in wire.CycleInput) (wire.StartCycleResult, error) {
	b.started = append(b.started, in.Period)
	id := wire.CycleWorkflowID(in.Environment, wire.CalendarID(in.Calendar), in.Period)
	return wire.StartCycleResult{WorkflowID: id, Already: b.running[in.Period]}, nil
}

func month(t *testing.T, s string) period.Month {
	t.Helper()
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

var calendar = billing.Calendar{TimeZone: "America/New_York", CloseLagDays: 3}

// tick runs the workflow; a nominal time of zero is a start by hand.
func tick(t *testing.T, b *books, nominal, now time.Time) (wire.TickResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetTestTimeout(time.Minute)
	env.SetStartTime(now)
	if !nominal.IsZero() {
		key := temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")
		require.NoError(t, env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(key.ValueSet(nominal))))
	}
	billingtick.Register(env, &billingtick.Activities{Ledger: b, Starter: b})
	env.ExecuteWorkflow(wire.WorkflowBillingTick, wire.TickInput{Environment: account.Live, Calendar: calendar})
	require.True(t, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		return wire.TickResult{}, err
	}
	var out wire.TickResult
	require.NoError(t, env.GetWorkflowResult(&out))
	return out, nil
}

// TestTickGoesByItsNominalTime: a backfill that runs months later still asks for the
// months that were due at the time that it stands for.
func TestTickGoesByItsNominalTime(t *testing.T) {
	t.Parallel()
	nominal, now := time.Date(2026, 11, 4, 11, 0, 0, 0, time.UTC), time.Date(2027, 2, 17, 8, 30, 0, 0, time.UTC)
	b := &books{due: map[period.Month]int{month(t, "2026-10"): 3}}
	res, err := tick(t, b, nominal, now)
	require.NoError(t, err)
	require.Equal(t, []time.Time{nominal}, b.asOf)
	require.Equal(t, nominal, res.AsOf)
	require.Equal(t, []string{"billing-cycle/live/america-new-york-lag3/2026-10"}, res.Started)
	require.Equal(t, 3, res.Accounts)

	b = &books{}
	res, err = tick(t, b, time.Time{}, now)
	require.NoError(t, err)
	require.Equal(t, []time.Time{now}, b.asOf, "started by hand, the moment counts")
	require.Zero(t, res.Periods)
	require.Empty(t, b.started)
}

// TestTickStartsEveryDueMonth: what a pause has swallowed is picked up, oldest first.
func TestTickStartsEveryDueMonth(t *testing.T) {
	t.Parallel()
	b := &books{
		due:     map[period.Month]int{month(t, "2026-11"): 2, month(t, "2026-09"): 1, month(t, "2026-10"): 2},
		running: map[string]bool{"2026-10": true}, fails: 3,
	}
	res, err := tick(t, b, time.Date(2026, 12, 4, 11, 0, 0, 0, time.UTC), time.Date(2026, 12, 4, 11, 0, 1, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, []string{"2026-09", "2026-10", "2026-11"}, b.started)
	require.Equal(t, []string{"billing-cycle/live/america-new-york-lag3/2026-10"}, res.Already)
	require.Len(t, res.Started, 2)
	require.Equal(t, 3, res.Periods)
	require.Equal(t, 5, res.Accounts)
	require.Len(t, b.asOf, 4, "three failures were retried")
}

func TestTickStopsAtAnErrorThatNoRetryMends(t *testing.T) {
	t.Parallel()
	b := &books{err: fault.New(fault.Invalid, "zone_unknown", "there is no such time zone")}
	_, err := tick(t, b, time.Time{}, time.Date(2026, 12, 4, 11, 0, 1, 0, time.UTC))
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, "InvalidInput", app.Type())
	require.Len(t, b.asOf, 1)
}
