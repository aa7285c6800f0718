package stripefake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// ServeHTTP keeps the delivery and answers with the status of the moment.
func (h *hook) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.got = append(h.got, delivered{body, req.Header.Get("Stripe-Signature")})
	}
	w.WriteHeader(h.status)
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *hook) received() []delivered {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// types are the event types received, in order of arrival.
func (h *hook) types(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for _, d := range h.received() {
		var e struct {
			Type string `json:"type"`
		}
		require.NoError(t, json.Unmarshal(d.body, &e))
		out = append(out, e.Type)
	}
	return out
}

func (f *fixture) endpoint(h *hook, types ...string) *stripe.WebhookEndpoint {
	f.t.Helper()
	if len(types) == 0 {
		types = []string{"*"}
	}
	e, err := f.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		URL: &h.URL, EnabledEvents: stripe.StringSlice(types), APIVersion: stripe.String(stripe.APIVersion),
	})
	require.NoError(f.t, err)
	return e
}

// newSlowHook answers only when released.
func newSlowHook(t *testing.T, release <-chan struct{}) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(srv.Close)
	return srv.URL
}
