package pipelinetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// AtStripe sends a request to the stand-in with a key, as somebody who works on that
// Stripe account.
func AtStripe(t testing.TB, fake *stripefake.Server, key, method, path string, form url.Values) map[string]any {
	t.Helper()
	status, out := atStripe(fake, key, method, path, form)
	require.Less(t, status, 300, "%s %s: %v", method, path, out)
	return out
}

func atStripe(fake *stripefake.Server, key, method, path string, form url.Values) (int, map[string]any) {
	req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := httptest.NewRecorder()
	fake.ServeHTTP(res, req)
	var out map[string]any
	if err := json.Unmarshal(res.Body.Bytes(), &out); err != nil {
		return http.StatusInternalServerError, map[string]any{"error": err.Error()}
	}
	return res.Code, out
}
