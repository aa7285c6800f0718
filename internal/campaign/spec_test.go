package campaign

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

// officialMock is Stripe's own mock of this API version, which checks every parameter's
// name, type and value against the published specification.
var officialMock = sync.OnceValues(func() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, true, false)
})

// TestEveryRequestFollowsTheSpecification replays every request that schedules of all
// classes made, as it was, with only the Authorization header replaced.
func TestEveryRequestFollowsTheSpecification(t *testing.T) {
	t.Parallel()
	mock, err := officialMock()
	require.NoError(t, err)
	n := 0
	recorder := &Mutant{request: func(_ *world, req *http.Request) {
		var body []byte
		if req.Body != nil {
			body, err = io.ReadAll(req.Body)
			require.NoError(t, err)
			req.Body = io.NopCloser(bytes.NewReader(body))
		}
		again := httptest.NewRequestWithContext(t.Context(), req.Method, req.URL.RequestURI(), bytes.NewReader(body))
		again.Header = req.Header.Clone()
		again.Header.Set("Authorization", "Bearer sk_test_123") // the mock knows test keys only
		res := httptest.NewRecorder()
		mock.HandleRequest(res, again)
		require.Equal(t, http.StatusOK, res.Code, "%s %s %s: %s", req.Method, req.URL, body, res.Body)
		n++
	}}
	for _, s := range Draw(21, 40) {
		_, err := Run(t.Context(), s, NewMemory(), recorder)
		require.NoError(t, err)
	}
	require.Greater(t, n, 800)
}
