//go:build e2e

package scheduler_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/reconcile"
	"github.com/liftbill/liftbill/workflows/wire"
)

// TestReconcileOnTheRealServer: the night compares every live month once, whether it was
// billed or not; a month on demand is compared under an ID of its own; the Schedule is
// written once, its hour is corrected, and a pause stays.
func TestReconcileOnTheRealServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	d, companies := pipelinetest.LiveMonth(t)
	for _, c := range companies {
		require.NoError(t, d.DrainAll(t.Context(), c.ID+"-stripe"))
	}
	ledger := worker.New(s.Client(), wire.QueueWorkflows, worker.Options{})
	reading := worker.New(s.Client(), wire.QueueSource, worker.Options{DisableWorkflowWorker: true})
	activities := &reconcile.Activities{Reconciler: d.Reconciler(), Accruals: d.Accruals()}
	reconcile.RegisterLedger(ledger, activities)
	reconcile.RegisterSource(reading, activities)
	for _, w := range []worker.Worker{ledger, reading} {
		require.NoError(t, w.Start())
		defer w.Stop()
	}
	for _, want := range []bool{true, false} {
		wrote, err := s.EnsureReconcile(t.Context(), account.Live)
		require.NoError(t, err)
		require.Equal(t, want, wrote)
	}
	require.NoError(t, s.TriggerReconcile(t.Context(), account.Live))
	var nights []string
	require.Eventually(t, func() bool { nights = runs(t, s, wire.WorkflowReconNight); return len(nights) == 1 }, patience, 50*time.Millisecond)
	var night wire.ReconNightResult
	require.NoError(t, s.Client().GetWorkflow(t.Context(), nights[0], "").Get(t.Context(), &night))
	require.Equal(t, 4, night.Months, "October and the month that is running, of two accounts")
	require.Zero(t, night.Refused)
	require.Positive(t, night.Found)
	var sum httpapi.Reconciliation
	d.Get(t, "/v1/accounts/acme/reconciliations/"+pipelinetest.Month, &sum)
	require.True(t, sum.Ties)

	started, err := s.StartReconcile(t.Context(), wire.ReconMonthInput{Environment: account.Live, ReconMonth: wire.ReconMonth{AccountID: companies[0].ID, Period: pipelinetest.Month}, By: "user:nina"})
	require.NoError(t, err)
	var month wire.ReconMonthResult
	require.NoError(t, s.Client().GetWorkflow(t.Context(), started.WorkflowID, "").Get(t.Context(), &month))
	require.Zero(t, month.Fresh, "the same breaks")
	if os.Getenv("RECORD") != "" {
		record(t, s, nights[0], "reconcile/testdata/history/night/four_months.json")
		record(t, s, started.WorkflowID, "reconcile/testdata/history/month/on_demand.json")
	}

	h := s.Client().ScheduleClient().GetHandle(t.Context(), wire.ReconScheduleID(account.Live))
	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "maintenance"}))
	require.NoError(t, h.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		sched := in.Description.Schedule
		sched.Spec.Jitter = time.Minute
		return &client.ScheduleUpdate{Schedule: &sched}, nil
	}}))
	wrote, err := s.EnsureReconcile(t.Context(), account.Live)
	require.NoError(t, err)
	require.True(t, wrote)
	desc, err := h.Describe(t.Context())
	require.NoError(t, err)
	require.True(t, desc.Schedule.State.Paused)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, desc.Schedule.Policy.Overlap)
}
