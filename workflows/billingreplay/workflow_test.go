package billingreplay_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/billingreplay"
	"github.com/liftbill/liftbill/workflows/wire"
)

type replays func() (replay.Report, error)

func (r replays) Run(_ context.Context, by access.Principal, ask replay.Ask) (replay.Report, error) {
	if !by.Can(access.RunCycle) || ask.AccountID != "acme" || ask.Period != "2026-10" || ask.WorkflowID == "" || ask.WorkflowRunID == "" {
		return replay.Report{}, fault.New(fault.Internal, "unexpected", "%s %+v", by.ID, ask)
	}
	return r()
}

// start runs the workflow with the input as the web console's form sends it.
func start(t *testing.T, r billingreplay.Replays, input string) (out wire.ReplayResult, details string, err error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.SetTestTimeout(5 * time.Minute)
	billingreplay.RegisterWorkflow(env)
	billingreplay.RegisterCompute(env, &billingreplay.Activities{Replays: r})
	env.ExecuteWorkflow(wire.WorkflowBillingReplay, json.RawMessage(input))
	require.True(t, env.IsWorkflowCompleted())
	value, err := env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var meta sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&meta))
	details = meta.GetCurrentDetails()
	if err := env.GetWorkflowError(); err != nil {
		return out, details, err
	}
	return out, details, env.GetWorkflowResult(&out)
}

// input is what the documentation tells people to type.
const input = `{"account":"acme","period":"2026-10"}`

func TestInputIsChecked(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{`{}`, `{"account":"acme"}`, `{"period":"2026-10"}`} {
		_, details, err := start(t, nil, wrong)
		require.ErrorContains(t, err, input)
		require.Contains(t, details, input)
	}
}

// TestFailuresAreRetriedOrTold: what a retry mends is retried, the rest stands in the details.
func TestFailuresAreRetriedOrTold(t *testing.T) {
	t.Parallel()
	n := 0
	out, details, err := start(t, replays(func() (replay.Report, error) {
		if n++; n == 1 {
			return replay.Report{}, fault.New(fault.Unavailable, "database_unavailable", "not now")
		}
		return replay.Report{CycleID: "acme.2026-10", Environment: account.Test, Equal: true}, nil
	}), input)
	require.NoError(t, err)
	require.True(t, out.Equal)
	require.Equal(t, 2, n)
	require.Contains(t, details, "| now | equal |")
	_, details, err = start(t, replays(func() (replay.Report, error) {
		return replay.Report{}, fault.New(fault.Conflict, "not_collected", "cycle acme.2026-10 has no frozen inputs yet")
	}), input)
	require.ErrorContains(t, err, "not_collected")
	require.Contains(t, details, "failed; when its cause is gone")
}

// TestReplayFromTheConsole replays a real frozen month with the console's input: equal, and
// after somebody altered the ledger the first difference stands in the run's details.
func TestReplayFromTheConsole(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ApprovalMonth(t)
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	measure, silent := d.Measure(), func(int, int, string) {}
	_, err = measure.Open(t.Context(), c.ID, m, "")
	require.NoError(t, err)
	_, err = measure.Collect(t.Context(), c.CycleID(), silent)
	require.NoError(t, err)
	_, err = measure.Estimate(t.Context(), c.CycleID(), silent)
	require.NoError(t, err)
	out, details, err := start(t, d.Replays(), input)
	require.NoError(t, err)
	require.True(t, out.Equal, out.Difference)
	require.Positive(t, out.Facts)
	require.Contains(t, details, "| now | equal |")
	require.Contains(t, details, "| input digest | ")

	_, err = d.SQL.Exec(t.Context(), `UPDATE cycles SET input_digest = 'altered' WHERE id = $1`, c.CycleID())
	require.NoError(t, err)
	out, details, err = start(t, d.Replays(), `{"account":"acme","period":"2026-10","by":"cli:ada"}`)
	require.NoError(t, err, "a difference is a result")
	require.False(t, out.Equal)
	require.Contains(t, details, "| first difference | input digest: the ledger has altered")
	require.Contains(t, details, "**input digest differs**")
	var kept httpapi.ReplayList
	d.Get(t, "/v1/replays?account=acme", &kept)
	require.Len(t, kept.Items, 2)
	require.Equal(t, "liftbill, for cli:ada", kept.Items[0].RunBy)
	require.Equal(t, "liftbill", kept.Items[1].RunBy, "the form need not say")
	require.NotEmpty(t, kept.Items[0].WorkflowID)
	require.NotEmpty(t, kept.Items[0].WorkflowRunID)
	require.Equal(t, "altered", kept.Items[0].Inputs.Ledger)
}
