package apiclient_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/apiclient"
	"github.com/liftbill/liftbill/domain/fault"
)

// The token goes with every request, and nowhere else.
func TestTokenIsSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer lbt_secret" || r.URL.Path != "/v1/cycles" || r.URL.Query().Get("period") != "2026-10" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"items":[{"id":"acme.2026-10","state":"withheld"}]}`) //nolint:errcheck // the reader has gone
	}))
	defer server.Close()
	c, err := apiclient.New(apiclient.Options{BaseURL: server.URL + "/", Token: "lbt_secret"})
	require.NoError(t, err)
	res, err := c.ListCyclesWithResponse(t.Context(), &apiclient.ListCyclesParams{Period: "2026-10"})
	require.NoError(t, err)
	require.NoError(t, apiclient.Refused(res.StatusCode(), res.Body))
	require.Equal(t, "acme.2026-10", res.JSON200.Items[0].ID)
}

func TestAddressesAndTokens(t *testing.T) {
	t.Parallel()
	for base, code := range map[string]string{
		"": "address_malformed", "billing.example.com": "address_malformed", "ftp://x": "address_malformed",
		"http://billing.example.com": "address_not_secure", "https://billing.example.com": "", "http://localhost:8080": "", "http://[::1]:8080": "", "http://127.0.0.1:8080": "",
	} {
		_, err := apiclient.New(apiclient.Options{BaseURL: base, Token: "lbt_secret"})
		require.Equal(t, code == "", err == nil, base)
		if code != "" {
			require.Equal(t, code, fault.CodeOf(err), base)
			require.NotContains(t, err.Error(), "lbt_secret")
		}
	}
	_, err := apiclient.New(apiclient.Options{BaseURL: "https://billing.example.com"})
	require.Equal(t, "token_missing", fault.CodeOf(err))
}

// A problem becomes an error with its code, field and remedy; what is no problem says so.
func TestProblemsAreErrors(t *testing.T) {
	t.Parallel()
	require.NoError(t, apiclient.Refused(http.StatusCreated, nil))
	err := apiclient.Refused(http.StatusConflict, []byte(`{"code":"plan_exists","detail":"there is one","field":"id","remedy":"Keep it"}`))
	require.True(t, fault.Is(err, fault.Conflict))
	require.Equal(t, "plan_exists", fault.CodeOf(err))
	require.ErrorContains(t, err, "there is one. Keep it")
	for status, kind := range map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 422: fault.Invalid, 429: fault.RateLimited, 502: fault.Unavailable,
	} {
		require.True(t, fault.Is(apiclient.Refused(status, []byte("<html>")), kind), status)
	}
}
