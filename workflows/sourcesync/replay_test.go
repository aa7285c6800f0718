package sourcesync_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/sourcesync"
	"github.com/liftbill/liftbill/workflows/wire"
)

// changedTick and changedBackfill are what nobody may deploy without a version gate while
// runs are open: they begin with another activity.
func changedTick(ctx workflow.Context, _ wire.SourceTickInput) (wire.SourceTickResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueSource, StartToCloseTimeout: time.Minute})
	return wire.SourceTickResult{}, workflow.ExecuteActivity(ctx, wire.ActivitySyncSource, wire.SyncSourceInput{}).Get(ctx, nil)
}

func changedBackfill(ctx workflow.Context, _ wire.BackfillInput) (wire.BackfillProgress, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: wire.QueueSource, StartToCloseTimeout: time.Minute})
	return wire.BackfillProgress{}, workflow.ExecuteActivity(ctx, wire.ActivityAbandonBackfill, wire.AbandonInput{}).Get(ctx, nil)
}

// TestReplay holds the workflows to the histories that a real server recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	t.Run("tick", func(t *testing.T) {
		t.Parallel()
		pipelinetest.ReplayFolder(t, "testdata/history/tick", wire.WorkflowSourceTick, 2, sourcesync.Tick, changedTick)
	})
	t.Run("backfill", func(t *testing.T) {
		t.Parallel()
		pipelinetest.ReplayFolder(t, "testdata/history/backfill", wire.WorkflowSourceBackfill, 1, sourcesync.Backfill, changedBackfill)
	})
}
