package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestDecisionsOnTheCommandLine: an operator stops an invoice and lets it wait again,
// without Temporal as well, and approves nothing.
func TestDecisionsOnTheCommandLine(t *testing.T) {
	i := newInstallation(t)
	t.Setenv("DATABASE_URL", i.url)
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)))
	t.Setenv("LIFTBILL_CLOCK_FILE", i.app.cfg.ClockFile)
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	cycle := func(args ...string) (string, error) {
		return execute(t, "", append(append([]string{"cycle"}, args...), "--account", accA, "--period", "2026-10")...)
	}
	i.exec(`UPDATE cycles SET state = 'awaiting_approval', reason = '' WHERE id = $1`, accA+".2026-10")
	for code, args := range map[string][]string{
		access.CodePermission: {"approve", "--invoice-hash", "x"}, "reason_missing": {"hold"}, "cycle_state": {"release"}, "plan_changed": {"hold", "--reason", "r", "--invoice-hash", "other"},
	} {
		_, err := cycle(args...)
		require.Equal(t, code, fault.CodeOf(err), args)
	}
	out, err := cycle("hold", "--reason", "finance asks")
	require.NoError(t, err)
	require.Contains(t, out, "held; its next run finds the decision. Release it")
	out, err = cycle("release", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"state": "awaiting_approval"`)
	out, err = cycle("skip", "--reason", "free month")
	require.NoError(t, err)
	require.Contains(t, out, "skipped")
	_, err = cycle("correct", "--void")
	require.Equal(t, "reason_missing", fault.CodeOf(err))
	_, err = cycle("correct", "--void", "--reason", "voided by hand at Stripe")
	require.Equal(t, "not_released", fault.CodeOf(err))
	i.exec(`UPDATE cycles SET watermark = NULL WHERE id = $1`, accA+".2026-10")
	_, err = cycle("replay")
	require.Equal(t, "not_collected", fault.CodeOf(err), "what cannot be replayed asks no worker")
	path := filepath.Join(t.TempDir(), "earlier.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"cycle_id":"other.2026-10"}`), 0o600))
	_, err = readPreview(path, accA+".2026-10")
	require.Equal(t, "preview_other_cycle", fault.CodeOf(err))
}
