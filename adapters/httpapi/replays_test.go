package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/replay"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// starter starts replays of acme's October.
type starter struct {
	started []string
	run     replay.Run
}

func (s *starter) Start(_ context.Context, by domain.Principal, accountID, month string) (replay.Started, error) {
	if month != "2026-10" {
		return replay.Started{}, fault.New(fault.Conflict, "not_collected", "cycle %s.%s has no frozen inputs yet", accountID, month).Fix("Run the cycle first")
	}
	s.started = append(s.started, by.Label()+"|"+accountID+"|"+month)
	return replay.Started{CycleID: "acme.2026-10", WorkflowID: "billing-replay/live/acme/2026-10", Already: len(s.started) > 1}, nil
}

func (s *starter) Standing(_ context.Context, accountID, month string) (replay.Standing, error) {
	return replay.Standing{CycleID: accountID + "." + month, Environment: account.Live, Run: s.run}, nil
}

// TestAReplayIsStartedAndReadBack: a program starts the replay of a month, finds the open one,
// is told why a month cannot be replayed, and reads from one address whether it runs, and
// whether the report there is that of its run.
func TestAReplayIsStartedAndReadBack(t *testing.T) {
	t.Parallel()
	s := &starter{}
	f := &fakes{replaying: s}
	e := newServer(t, f)
	const address = "/v1/accounts/acme/replays"
	w, body := serve(t, e, request(http.MethodPost, address, `{"period":"2026-10"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, map[string]any{"cycle_id": "acme.2026-10", "workflow_id": "billing-replay/live/acme/2026-10", "already": false}, body)
	_, body = serve(t, e, request(http.MethodPost, address, `{"period":"2026-10"}`))
	require.Equal(t, true, body["already"])
	w, body = serve(t, e, request(http.MethodPost, address, `{"period":"2026-11"}`))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Equal(t, "not_collected", body["code"])

	w, body = serve(t, e, request(http.MethodGet, address+"/2026-10", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, map[string]any{"cycle_id": "acme.2026-10", "environment": "live", "current": false}, body, "Temporal does not answer and nothing was replayed: nothing is claimed")
	s.run = replay.Run{WorkflowID: "billing-replay/live/acme/2026-10", RunID: "r2", State: billing.RunRunning}
	f.replays = []replay.Report{{ID: 7, AccountID: "acme", Period: "2026-10", Difference: "input digest: the ledger has 55, the replay gives 66", WorkflowRunID: "r1", Inputs: replay.Digests{Ledger: "55", Replay: "66"}}}
	_, body = serve(t, e, request(http.MethodGet, address+"/2026-10", ""))
	require.Equal(t, []any{"running", "r2", false}, []any{body["run"], body["workflow_run_id"], body["current"]}, "the report is an earlier run's")
	s.run.RunID, s.run.State = "r1", billing.RunCompleted
	_, body = serve(t, e, request(http.MethodGet, address+"/2026-10", ""))
	require.Equal(t, []any{"completed", true}, []any{body["run"], body["current"]})
	report := body["report"].(map[string]any)
	require.Equal(t, []any{false, "input digest: the ledger has 55, the replay gives 66"}, []any{report["equal"], report["difference"]})
	require.Equal(t, map[string]any{"ledger": "55", "replay": "66"}, report["inputs"])
}
