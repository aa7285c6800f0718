package accountbill_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changedWorkflow is what nobody may deploy without a version gate while runs are open.
func changedWorkflow(ctx workflow.Context, in wire.BillInput) (wire.BillStep, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueCompute, StartToCloseTimeout: time.Minute})
	// Collects before the cycle was opened.
	return wire.BillStep{}, workflow.ExecuteActivity(ctx, wire.ActivityCollectRewards, wire.StepInput{}).Get(ctx, nil)
}

// TestReplay holds the workflow to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	pipelinetest.Replay(t, wire.WorkflowAccountBill, 6, accountbill.Workflow, changedWorkflow)
}
