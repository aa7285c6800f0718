//go:build e2e

package localstack

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/httpclient"
)

// TestRealTemporal builds the real server (minutes, once) and starts it twice
// on the same histories.
func TestRealTemporal(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs(filepath.Join("..", "..", "cmd", "temporaldev"))
	require.NoError(t, err)
	opts := TemporalOptions{SourceDir: source, DataDir: t.TempDir(), Log: func(line string) { t.Log(line) }}
	for range 2 {
		s, err := EnsureTemporal(t.Context(), opts)
		require.NoError(t, err)
		resp, err := httpclient.New(time.Minute).Get(s.UIURL + "/api/v1/namespaces/default")
		require.NoError(t, err)
		var ns struct {
			Config struct {
				Retention string            `json:"workflowExecutionRetentionTtl"`
				Aliases   map[string]string `json:"customSearchAttributeAliases"`
			} `json:"config"`
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&ns))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "2592000s", ns.Config.Retention)
		var names []string
		for _, name := range ns.Config.Aliases {
			names = append(names, name)
		}
		require.ElementsMatch(t, SearchAttributes(), names)
		require.NoError(t, s.Stop())
		requireEnds(t, s.proc.Pid())
	}
}
