package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/httpclient"
)

func TestServesUntilToldToStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, accounts, clock := filepath.Join(dir, "ready"), filepath.Join(dir, "accounts.json"), filepath.Join(dir, "clock.json")
	require.NoError(t, os.WriteFile(accounts, []byte(`[{"id":"acct_a","keys":[{"mode":"test","secret":"sk_test_a"}]}]`), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd := command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--ready-file", ready, "--accounts", accounts, "--clock-file", clock, "--start", "2026-01-01T00:00:00Z"})
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	var url string
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(ready)
		url = strings.TrimSpace(string(raw))
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	require.FileExists(t, clock)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/account", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk_test_a")
	resp, err := httpclient.New(time.Minute).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	stop()
	require.NoError(t, <-done)
	require.Equal(t, url+"\n", out.String())
}

func TestRefusesWrongFlags(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"not loopback":     {"--addr", "0.0.0.0:0"},
		"no port":          {"--addr", "127.0.0.1"},
		"bad start":        {"--start", "yesterday"},
		"missing accounts": {"--accounts", "/nonexistent.json"},
		"bad clock folder": {"--clock-file", "/nonexistent/clock.json"},
		"argument":         {"extra"},
	} {
		cmd := command()
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetArgs(args)
		require.Error(t, cmd.ExecuteContext(context.Background()), name)
	}
}
