package stripefake_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answer is an API answer below stripe-go, to look at headers and bytes.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) errorField(name string) string {
	inner, _ := a.body["error"].(map[string]any)
	s, _ := inner[name].(string)
	return s
}

// do sends a form-encoded request; err is a broken connection.
func do(url, key, method, path, form, idem string) (answer, error) {
	target := url + path
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form)
	} else if form != "" {
		target += "?" + form
	}
	req, err := http.NewRequestWithContext(context.Background(), method, target, body)
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if idem != "" {
		req.Header.Set("Idempotency-Key", idem)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body) // a truncated body stays nil
	return a, nil
}

func (f *fixture) post(path, form, idem string) answer {
	f.t.Helper()
	a, err := do(f.URL, liveKey, http.MethodPost, path, form, idem)
	require.NoError(f.t, err)
	return a
}

func (f *fixture) get(path, query string) answer {
	f.t.Helper()
	a, err := do(f.URL, liveKey, http.MethodGet, path, query, "")
	require.NoError(f.t, err)
	return a
}

// control calls the control API and decodes its answer.
func (f *fixture) control(method, path, body string, out any) int {
	f.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, f.URL+path, strings.NewReader(body))
	require.NoError(f.t, err)
	resp, err := f.Client.Do(req)
	require.NoError(f.t, err)
	defer func() { _ = resp.Body.Close() }()
	if out != nil {
		require.NoError(f.t, json.NewDecoder(resp.Body).Decode(out))
	}
	return resp.StatusCode
}

func TestRequestIDAndUnknownURL(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b := f.get("/v1/customers", ""), f.get("/v1/nowhere", "")
	require.NotEmpty(t, a.header.Get("Request-Id"))
	require.NotEqual(t, a.header.Get("Request-Id"), b.header.Get("Request-Id"))
	require.Equal(t, http.StatusNotFound, b.status)
	require.Contains(t, b.errorField("message"), "Unrecognized request URL (GET: /v1/nowhere)")
	require.Equal(t, "list", f.get("/v1/invoices/", "").body["object"], "an empty id is a list, as at Stripe")
}
