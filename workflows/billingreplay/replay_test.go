package billingreplay_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/billingreplay"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changedWorkflow is what nobody may deploy without a version gate while runs are open.
func changedWorkflow(ctx workflow.Context, _ wire.ReplayInput) (wire.ReplayResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueCompute, StartToCloseTimeout: time.Minute})
	return wire.ReplayResult{}, workflow.ExecuteActivity(ctx, wire.ActivityReplayMonth, wire.ReplayInput{}).Get(ctx, nil)
}

// TestReplay holds the workflow to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	pipelinetest.Replay(t, wire.WorkflowBillingReplay, 1, billingreplay.Workflow, changedWorkflow)
}
