package billingcycle_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changedWorkflow is what nobody may deploy without a version gate while runs are open.
func changedWorkflow(ctx workflow.Context, in wire.CycleInput) (wire.CycleResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: time.Minute})
	// Asks how the month stands before it has listed the accounts.
	return wire.CycleResult{}, workflow.ExecuteActivity(ctx, wire.ActivityCycleCounts, wire.CountsInput{}).Get(ctx, nil)
}

// TestReplay holds the workflow to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	pipelinetest.Replay(t, wire.WorkflowBillingCycle, 1, billingcycle.Workflow, changedWorkflow)
}
