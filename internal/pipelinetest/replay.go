package pipelinetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Replay replays every history below testdata/history, as a real server recorded it
// (see adapters/scheduler, RECORD=1), against a workflow as it is now: a run that is
// open while a new version is deployed goes on as if nothing had happened. changed is
// what nobody may deploy without a version gate; it must be noticed.
func Replay(t *testing.T, workflowType string, histories int, definition, changed any) {
	t.Helper()
	ReplayFolder(t, "testdata/history", workflowType, histories, definition, changed)
}

// ReplayFolder is Replay for the histories of one folder, where a package has several
// workflows.
func ReplayFolder(t *testing.T, folder, workflowType string, histories int, definition, changed any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, histories)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replayFile(file, workflowType, definition))
			require.ErrorContains(t, replayFile(file, workflowType, changed), "TMPRL1100", "the replayer must notice a changed workflow")
		})
	}
}

func replayFile(file, workflowType string, definition any) error {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(definition, workflow.RegisterOptions{Name: workflowType})
	return r.ReplayWorkflowHistoryFromJSONFile(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)), file)
}
