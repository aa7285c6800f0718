package billingtick_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/billingtick"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changedWorkflow is what nobody may deploy without a version gate while runs are open.
func changedWorkflow(ctx workflow.Context, in wire.TickInput) (wire.TickResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: time.Minute})
	// Starts a cycle before it has asked which are due.
	return wire.TickResult{}, workflow.ExecuteActivity(ctx, wire.ActivityStartCycle, wire.CycleInput{}).Get(ctx, nil)
}

// TestReplay holds the workflow to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	pipelinetest.Replay(t, wire.WorkflowBillingTick, 1, billingtick.Workflow, changedWorkflow)
}
