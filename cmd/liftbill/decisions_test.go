package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
)

// Rows go to the API as they are, packed or not, with the token of the environment; what
// was refused is named, and makes the command fail.
func TestDecisionsAreUploaded(t *testing.T) { //nolint:paralleltest // it sets the environment
	const rows = "{\"decision_id\":\"d1\"}\n{\"decision_id\":\"d2\"}\n"
	answers := map[string]struct {
		status int
		body   string
	}{
		"good":   {http.StatusOK, `{"accepted":2,"duplicates":0,"rejected":0,"rows":[]}`},
		"partly": {http.StatusOK, `{"accepted":1,"duplicates":0,"rejected":1,"rows":[{"row":2,"field":"ts","code":"time_missing","message":"no time"}]}`},
		"bad":    {http.StatusUnprocessableEntity, `{"type":"t","title":"t","status":422,"detail":"all","code":"rows_rejected","request_id":"r","rejected":2,"rows":[{"row":1,"field":"ts","code":"time_missing","message":"no time"}]}`},
		"closed": {http.StatusForbidden, `{"type":"t","title":"t","status":403,"detail":"the token may not","code":"forbidden","remedy":"Use another","request_id":"r"}`},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		a := answers[filepath.Base(filepath.Dir(r.URL.Path))]
		if err != nil || string(body) != rows || r.Header.Get("Authorization") != "Bearer lb_test_x" || r.Header.Get("Content-Type") != "application/x-ndjson" {
			a.status = http.StatusTeapot
		}
		w.Header().Set("Content-Type", map[bool]string{true: "application/json", false: "application/problem+json"}[a.status == http.StatusOK])
		w.WriteHeader(a.status)
		io.WriteString(w, a.body) //nolint:errcheck // the reader has gone
	}))
	defer server.Close()
	t.Setenv("LIFTBILL_TOKEN", "lb_test_x")
	upload := func(account string, args ...string) (string, error) {
		return execute(t, rows, append([]string{"decisions", "upload", "--api", server.URL, "--account", account}, args...)...)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, rows)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	file := filepath.Join(t.TempDir(), "decisions.ndjson.gz")
	require.NoError(t, os.WriteFile(file, packed.Bytes(), 0o600))
	for _, source := range []string{"-", file} {
		out, err := upload("good", source)
		require.NoError(t, err)
		require.Equal(t, "2 accepted, 0 were there before, 0 rejected\n", out)
	}
	out, err := upload("partly", "-")
	require.Equal(t, exitFailed, exitCode(err))
	require.Equal(t, "1 accepted, 0 were there before, 1 rejected\nrow 2: ts: no time (time_missing)\n", out)
	out, err = upload("bad", "-", "--json")
	require.Equal(t, exitFailed, exitCode(err))
	require.JSONEq(t, `{"accepted":0,"duplicates":0,"rejected":2,"rows":[{"row":1,"field":"ts","code":"time_missing","message":"no time"}]}`, out)
	_, err = upload("closed", "-")
	require.Equal(t, "forbidden", fault.CodeOf(err))
	require.ErrorContains(t, err, "Use another")
	_, err = upload("good", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, "file_unreadable", fault.CodeOf(err))
	t.Setenv("LIFTBILL_TOKEN", "")
	_, err = upload("good", "-")
	require.Equal(t, "token_missing", fault.CodeOf(err))
}
