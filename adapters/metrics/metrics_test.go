package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/metrics"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
)

type figures func() ([]operate.Health, error)

func (f figures) Health(context.Context, access.Scope, string) ([]operate.Health, error) { return f() }

func scrape(t *testing.T, f figures) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(f, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Code, w.Body.String()
}

func TestFigures(t *testing.T) {
	t.Parallel()
	p50, p95, waits, last := 1500*time.Millisecond, 4*time.Second, 90*time.Second, time.Unix(1790000000, 0)
	code, text := scrape(t, func() ([]operate.Health, error) {
		return []operate.Health{
			{ConnectionID: "acme", Environment: account.Live, Endpoint: "disabled", LastEvent: &last, Waits: &waits, LagP50: &p50, LagP95: &p95, OpenReads: 3,
				Waiting: map[string]int64{"pending": 7, "dead": 1}, LastHour: map[string]int64{"processed": 40}},
			{ConnectionID: "trial", Environment: account.Test, Paused: true, PausedReason: "Mrs. Jones is on holiday"},
		}, nil
	})
	require.Equal(t, http.StatusOK, code)
	for _, line := range []string{
		"liftbill_ingest_figures 1",
		`liftbill_ingest_waiting_events{connection="acme",environment="live",status="pending"} 7`,
		`liftbill_ingest_waiting_events{connection="acme",environment="live",status="quarantined"} 0`,
		`liftbill_ingest_classified_last_hour{connection="acme",environment="live",status="processed"} 40`,
		`liftbill_ingest_lag_seconds{connection="acme",environment="live",quantile="0.95"} 4`,
		`liftbill_ingest_oldest_pending_seconds{connection="acme",environment="live"} 90`,
		`liftbill_ingest_oldest_pending_seconds{connection="trial",environment="test"} 0`,
		`liftbill_ingest_last_event_timestamp_seconds{connection="acme",environment="live"} 1.79e+09`,
		`liftbill_ingest_open_reads{connection="acme",environment="live"} 3`,
		`liftbill_connection_paused{connection="acme",environment="live",reason=""} 0`,
		`liftbill_connection_paused{connection="trial",environment="test",reason="by_person"} 1`,
		`liftbill_webhook_endpoint_enabled{connection="acme",environment="live"} 0`,
		"go_goroutines ",
	} {
		require.Contains(t, text, "\n"+line)
	}
	require.NotContains(t, text, "Jones", "a person's words are no label")
	require.NotContains(t, text, `ingest_lag_seconds{connection="trial"`, "nothing is not zero")
	require.NotContains(t, text, `webhook_endpoint_enabled{connection="trial"`)
	require.Equal(t, 2, strings.Count(text, "liftbill_ingest_open_reads{"))
}

// When the figures cannot be read the scrape says so, and the process's own are still there.
func TestFiguresThatCannotBeRead(t *testing.T) {
	t.Parallel()
	code, text := scrape(t, func() ([]operate.Health, error) { return nil, errors.New("database is away") })
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, "\nliftbill_ingest_figures 0")
	require.Contains(t, text, "\ngo_goroutines ")
	require.NotContains(t, text, "away")
}
