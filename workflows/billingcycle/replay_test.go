package billingcycle_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changed is what nobody may deploy without a version gate while runs are open.
func changedWorkflow(ctx workflow.Context, in wire.CycleInput) (wire.CycleResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: time.Minute})
	// Asks how the month stands before it has listed the accounts.
	return wire.CycleResult{}, workflow.ExecuteActivity(ctx, wire.ActivityCycleCounts, wire.CountsInput{}).Get(ctx, nil)
}

// TestReplay replays what a real server recorded (see adapters/scheduler, RECORD=1)
// against the workflow as it is now: a run that is open while a new version is
// deployed goes on as if nothing had happened.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/history/*.json")
	require.NoError(t, err)
	require.Len(t, files, 1)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(file, billingcycle.Workflow))
			require.ErrorContains(t, replay(file, changedWorkflow), "TMPRL1100", "the replayer must notice a changed workflow")
		})
	}
}

func replay(file string, definition any) error {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(definition, workflow.RegisterOptions{Name: wire.WorkflowBillingCycle})
	return r.ReplayWorkflowHistoryFromJSONFile(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)), file)
}
