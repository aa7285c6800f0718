//go:build e2e

package scheduler_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/billingreplay"
	"github.com/liftbill/liftbill/workflows/billingtick"
	"github.com/liftbill/liftbill/workflows/sourcesync"
	"github.com/liftbill/liftbill/workflows/wire"
)

// connect starts the real server, once built and cached, and connects to it.
func connect(t *testing.T) *scheduler.Scheduler {
	t.Helper()
	s, _ := connectWithConsole(t)
	return s
}

// connectWithConsole is connect with the address of the server's web console.
func connectWithConsole(t *testing.T) (*scheduler.Scheduler, string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "..", "cmd", "temporaldev"))
	require.NoError(t, err)
	server, err := localstack.EnsureTemporal(t.Context(), localstack.TemporalOptions{SourceDir: source, DataDir: t.TempDir(), Log: func(line string) { t.Log(line) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	s, err := scheduler.Connect(t.Context(), client.Options{HostPort: server.Address, Namespace: server.Namespace, Identity: "worker"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, server.UIURL
}

// work runs the workers of one process until stop is called.
func work(t *testing.T, s *scheduler.Scheduler, d *pipelinetest.Deployment, writing accountbill.Writing) (stop func()) {
	t.Helper()
	return workLinked(t, s, d, writing, "")
}

// workLinked is work whose runs link to the pages at an address.
func workLinked(t *testing.T, s *scheduler.Scheduler, d *pipelinetest.Deployment, writing accountbill.Writing, pages string) (stop func()) {
	t.Helper()
	cycles, measure, inv := d.DB.NewCycles(), d.Measure(), d.Invoicing()
	ledger := worker.New(s.Client(), wire.QueueWorkflows, worker.Options{})
	billingtick.Register(ledger, &billingtick.Activities{Ledger: cycles, Starter: s})
	billingcycle.Register(ledger, &billingcycle.Activities{Ledger: cycles})
	accountbill.RegisterLedger(ledger, &accountbill.LedgerActivities{Measure: measure, Drafting: inv, Deciding: d.Deciding(), Pages: pages})
	compute := worker.New(s.Client(), wire.QueueCompute, worker.Options{DisableWorkflowWorker: true})
	accountbill.RegisterCompute(compute, &accountbill.ComputeActivities{Measure: measure, TrueUps: d.TrueUps()})
	billingreplay.RegisterWorkflow(ledger)
	billingreplay.RegisterCompute(compute, &billingreplay.Activities{Replays: d.Replays(), Pages: pages})
	live := worker.New(s.Client(), wire.QueueStripeLive, worker.Options{DisableWorkflowWorker: true})
	accountbill.RegisterStripeLive(live, &accountbill.StripeActivities{Writing: writing})
	for _, w := range []worker.Worker{ledger, compute, live} {
		require.NoError(t, w.Start())
	}
	return func() {
		live.Stop()
		compute.Stop()
		ledger.Stop()
	}
}

// workSources runs the workers that look after sources until stop is called.
func workSources(t *testing.T, s *scheduler.Scheduler, d *pipelinetest.Deployment, sync sourcesync.Sync) (stop func()) {
	t.Helper()
	ledger := worker.New(s.Client(), wire.QueueWorkflows, worker.Options{})
	sourcesync.RegisterLedger(ledger, &sourcesync.LedgerActivities{Sources: d.DB.NewSources(), Starter: s, Now: d.Clock.Now})
	reading := worker.New(s.Client(), wire.QueueSource, worker.Options{DisableWorkflowWorker: true})
	sourcesync.RegisterSource(reading, &sourcesync.SourceActivities{Sync: sync})
	for _, w := range []worker.Worker{ledger, reading} {
		require.NoError(t, w.Start())
	}
	return func() {
		reading.Stop()
		ledger.Stop()
	}
}

// patience bounds every wait.
const patience = 4 * time.Minute

// runs are the executions of a workflow type in order of their start.
func runs(t *testing.T, s *scheduler.Scheduler, workflowType string) (ids []string) {
	t.Helper()
	res, err := s.Client().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + workflowType + "'"})
	require.NoError(t, err)
	for _, e := range res.GetExecutions() {
		ids = append([]string{e.GetExecution().GetWorkflowId()}, ids...)
	}
	return ids
}

// sticky is the name of a worker's own queue, which begins with its host.
var sticky = regexp.MustCompile(`"name":"[^"]*:[0-9a-f-]{36}"`)

// record exports a run's history as `temporal workflow show --output json` does,
// without what names the machine that made it.
func record(t *testing.T, s *scheduler.Scheduler, workflowID, file string) {
	t.Helper()
	history := &historypb.History{}
	it := s.Client().GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, e)
	}
	raw, err := protojson.Marshal(history)
	require.NoError(t, err)
	var compact, out bytes.Buffer
	require.NoError(t, json.Compact(&compact, raw))
	clean := sticky.ReplaceAll(compact.Bytes(), []byte(`"name":"worker:sticky"`))
	host, err := os.Hostname()
	require.NoError(t, err)
	require.NotContains(t, string(clean), `"`+host)
	require.NotContains(t, string(clean), ".go:") // a stack trace would name folders
	require.NoError(t, json.Indent(&out, clean, "", " "))
	path := filepath.Join("..", "..", "workflows", file)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, append(out.Bytes(), '\n'), 0o644))
}
