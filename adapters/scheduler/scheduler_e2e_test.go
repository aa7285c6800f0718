//go:build e2e

package scheduler_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/wire"
)

// TestEnsureOnTheRealServer: the second start of a worker writes nothing, and what
// operators have paused stays paused even when the times are brought up to date.
func TestEnsureOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	cal := billing.Calendar{TimeZone: "America/New_York", CloseLagDays: 3}
	ensure := func() bool {
		wrote, err := s.Ensure(t.Context(), account.Live, cal)
		require.NoError(t, err)
		return wrote
	}
	require.True(t, ensure())
	require.False(t, ensure())
	h := s.Client().ScheduleClient().GetHandle(t.Context(), "billing/live/america-new-york-lag3")
	describe := func() *client.ScheduleDescription {
		d, err := h.Describe(t.Context())
		require.NoError(t, err)
		return d
	}
	d := describe()
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, d.Schedule.Policy.Overlap)
	require.Equal(t, 365*24*time.Hour, d.Schedule.Policy.CatchupWindow)
	require.False(t, d.Schedule.Policy.PauseOnFailure)
	zone, err := time.LoadLocation(cal.TimeZone)
	require.NoError(t, err)
	for _, next := range d.Info.NextActionTimes {
		require.Equal(t, "4 06:00:00", next.In(zone).Format("2 15:04:05"))
	}

	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "closing late this month"}))
	require.False(t, ensure())
	require.True(t, describe().Schedule.State.Paused)

	require.NoError(t, h.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		sched := in.Description.Schedule
		sched.Spec.Calendars[0].Hour = []client.ScheduleRange{{Start: 9}}
		return &client.ScheduleUpdate{Schedule: &sched}, nil
	}}))
	require.True(t, ensure(), "other times than the calendar's are corrected")
	require.False(t, ensure())
	d = describe()
	require.True(t, d.Schedule.State.Paused)
	require.Equal(t, "closing late this month", d.Schedule.State.Note)
	require.Equal(t, 365*24*time.Hour, d.Schedule.Policy.CatchupWindow)
}

// dying finalizes an invoice and loses the answer: its worker is about to end.
type dying struct {
	accountbill.Writing
	once    sync.Once
	reached chan struct{}
	gone    chan struct{}
}

func (d *dying) Finalize(ctx context.Context, cycleID string) (invoicing.Outcome, error) {
	out, err := d.Writing.Finalize(ctx, cycleID)
	d.once.Do(func() {
		close(d.reached)
		<-d.gone
		out, err = invoicing.Outcome{}, fault.New(fault.Unavailable, "worker_stopped", "the worker has ended")
	})
	return out, err
}

// TestMonthOnTheRealServer bills a month by backfilling its Schedules. The worker
// ends in the middle and another one goes on; the backfill is repeated.
func TestMonthOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	d, companies := pipelinetest.LiveMonth(t)
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	fire := scheduler.FireTime(pipelinetest.Calendar(), m.In(time.UTC).End, time.UTC)
	backfill := func() {
		for _, env := range []account.Environment{account.Live, account.Test} {
			_, err := s.Ensure(t.Context(), env, pipelinetest.Calendar())
			require.NoError(t, err)
			require.NoError(t, s.Backfill(t.Context(), env, pipelinetest.Calendar(), fire.Add(-time.Minute), fire.Add(time.Minute)))
		}
	}

	first := &dying{Writing: d.Invoicing(), reached: make(chan struct{}), gone: make(chan struct{})}
	stop := work(t, s, d, first)
	backfill()
	approveFirst(t, s, d, companies)
	select {
	case <-first.reached:
	case <-time.After(patience):
		require.Fail(t, "the first worker got nowhere")
	}
	close(first.gone)
	stop()
	stop = work(t, s, d, d.Invoicing())
	defer stop()
	requireBilled(t, d, companies)
	cycle := wire.CycleWorkflowID(account.Live, wire.CalendarID(pipelinetest.Calendar()), pipelinetest.Month)
	res, err := s.WaitCycle(t.Context(), cycle)
	require.NoError(t, err)
	states := 0 // the cycle waits for no person; it may end before or after what was approved is written
	for _, n := range res.Counts.ByState {
		states += n
	}
	require.Equal(t, []int{2, 2}, []int{res.Counts.Total, states}, "%+v", res)

	for _, c := range companies {
		var step wire.BillStep // the run that lost its answer ends after its heartbeat's timeout
		require.NoError(t, s.Client().GetWorkflow(t.Context(), wire.BillWorkflowID(c.Environment, c.ID, pipelinetest.Month), "").Get(t.Context(), &step))
		require.True(t, step.State.Terminal())
	}

	ticks := runs(t, s, wire.WorkflowBillingTick)
	require.ElementsMatch(t, []string{"billing-tick/live/utc-lag3-2026-11-04T06:00:00Z", "billing-tick/test/utc-lag3-2026-11-04T06:00:00Z"}, ticks)
	tick := ticks[0]
	var ticked wire.TickResult
	require.NoError(t, s.Client().GetWorkflow(t.Context(), tick, "").Get(t.Context(), &ticked))
	require.Equal(t, fire, ticked.AsOf, "the month follows from the nominal time, not from the machine's clock")
	if os.Getenv("RECORD") != "" {
		record(t, s, "billing-tick/live/utc-lag3-2026-11-04T06:00:00Z", "billingtick/testdata/history/one_month_due.json")
		record(t, s, cycle, "billingcycle/testdata/history/two_accounts.json")
		record(t, s, wire.BillWorkflowID(account.Live, "acme", pipelinetest.Month), "accountbill/testdata/history/invoiced.json")
		record(t, s, wire.BillWorkflowID(account.Live, "borealis", pipelinetest.Month), "accountbill/testdata/history/invoiced_vendor_issuer.json")
		record(t, s, wire.BillWorkflowID(account.Test, "cedar-test", pipelinetest.Month), "accountbill/testdata/history/dry_run.json")
	}

	d.Fake.ResetRequests()
	cycles := len(runs(t, s, wire.WorkflowBillingCycle))
	backfill()
	require.Eventually(t, func() bool { return len(runs(t, s, wire.WorkflowBillingTick)) == 4 }, patience, 200*time.Millisecond)
	for _, id := range []string{tick, ticks[1]} {
		require.NoError(t, s.Client().GetWorkflow(t.Context(), id, "").Get(t.Context(), &ticked))
		require.Zero(t, ticked.Periods, "the ledger knows that the month is done")
	}
	require.Len(t, runs(t, s, wire.WorkflowBillingCycle), cycles)

	// Even a bill that is started by hand finds everything done.
	started, err := s.StartBill(t.Context(), wire.BillInput{Environment: account.Live, AccountID: "acme", Period: pipelinetest.Month})
	require.NoError(t, err)
	require.False(t, started.Already)
	var step wire.BillStep
	require.NoError(t, s.Client().GetWorkflow(t.Context(), started.WorkflowID, "").Get(t.Context(), &step))
	require.Equal(t, billing.Invoiced, step.State)
	if os.Getenv("RECORD") != "" {
		record(t, s, started.WorkflowID, "accountbill/testdata/history/finished_before.json")
	}
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))
	requireBilled(t, d, companies)
}

// approveFirst waits until the live companies' first invoices ask for a person, and lets
// one approve them.
func approveFirst(t *testing.T, s *scheduler.Scheduler, d *pipelinetest.Deployment, companies []*pipelinetest.Company) {
	t.Helper()
	desk := &invoicing.Decisions{Work: d.DB.Deciding(), Clock: d.Clock, Runs: &teller{s: s}}
	ada := access.Principal{Kind: access.User, ID: "ada", Name: "Ada", Person: "ada", Roles: access.Roles{access.Approver}, Scope: access.Everything()}
	for _, c := range companies {
		if c.Environment != account.Live {
			continue
		}
		var tie httpapi.TieOut
		require.Eventually(t, func() bool {
			var list httpapi.CycleList
			d.Get(t, "/v1/cycles?period="+pipelinetest.Month+"&account="+c.ID, &list)
			return len(list.Items) == 1 && list.Items[0].State == string(billing.AwaitingApproval)
		}, patience, 100*time.Millisecond, c.ID)
		d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
		require.True(t, tie.RequiresPerson)
		_, err := desk.Decide(t.Context(), ada, invoicing.Wish{CycleID: c.CycleID(), Action: billing.ActApprove, PlanHash: tie.InvoiceHash})
		require.NoError(t, err)
	}
}

// requireBilled waits until every company's month is finished and ties it out.
func requireBilled(t *testing.T, d *pipelinetest.Deployment, companies []*pipelinetest.Company) {
	t.Helper()
	for _, c := range companies {
		want := string(billing.Invoiced)
		if c.Environment == account.Test {
			want = string(billing.DryRun)
		}
		require.Eventually(t, func() bool {
			var list httpapi.CycleList
			d.Get(t, "/v1/cycles?period="+pipelinetest.Month, &list)
			for _, cy := range list.Items {
				if cy.AccountID == c.ID && cy.State == want {
					return true
				}
			}
			return false
		}, patience, 100*time.Millisecond, c.ID)
		if c.Environment == account.Live {
			var tie httpapi.TieOut
			d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
			require.Zero(t, tie.Cycle.Difference.Minor)
			require.Positive(t, tie.Cycle.StripeTotal.Minor)
		}
	}
}
