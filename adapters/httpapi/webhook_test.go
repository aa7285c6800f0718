package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

const endpointPath = "/v1/stripe/webhooks/we-acme"

func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		status int
	}{
		"stored":            {nil, 200},
		"unknown endpoint":  {fault.New(fault.NotFound, "endpoint_unknown", "no"), 404},
		"bad signature":     {fault.New(fault.Invalid, "signature_mismatch", "no"), 400},
		"database down":     {fault.New(fault.Unavailable, "database", "no"), 503},
		"slow":              {context.DeadlineExceeded, 503},
		"bug":               {errors.New("bug"), 503},
		"no signing secret": {fault.New(fault.Internal, "secret_empty", "no"), 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { return ingest.Receipt{}, tc.err }})
			w, _ := serve(t, e, request(http.MethodPost, endpointPath, `{}`))
			require.Equal(t, tc.status, w.Code)
			require.Zero(t, w.Body.Len(), "Stripe gets a status and nothing to read")
		})
	}
}

func TestWebhookPassesTheBytesOn(t *testing.T) {
	t.Parallel()
	raw := "\ufeff{ \"id\" : \"evt_1\",\r\n\"x\":\"\\u00e9\" }\n\n"
	var got ingest.Delivery
	var deadline bool
	e := newServer(t, &fakes{receive: func(ctx context.Context, d ingest.Delivery) (ingest.Receipt, error) {
		got = d
		_, deadline = ctx.Deadline()
		return ingest.Receipt{}, nil
	}})
	r := request(http.MethodPost, endpointPath, raw)
	r.Header.Set("Stripe-Signature", "t=1,v1=ab")
	r.Header.Set("Content-Encoding", "gzip") // what a proxy claims changes nothing
	w, _ := serve(t, e, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, ingest.Delivery{EndpointID: "we-acme", SignatureHeader: "t=1,v1=ab", Body: []byte(raw)}, got)
	require.True(t, deadline)
}

func TestWebhookLimits(t *testing.T) {
	t.Parallel()
	calls := 0
	e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { calls++; return ingest.Receipt{}, nil }})
	w, _ := serve(t, e, request(http.MethodPost, endpointPath, strings.Repeat("x", 1<<20+1)))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Zero(t, w.Body.Len())

	r := request(http.MethodPost, endpointPath, "{}")
	r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	w, _ = serve(t, e, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Zero(t, calls, "nothing of either reaches the use case")

	w, _ = serve(t, e, request(http.MethodPost, endpointPath, strings.Repeat("x", 1<<20)))
	require.Equal(t, http.StatusOK, w.Code)

	for _, path := range []string{endpointPath + "/", endpointPath + "/more", "/v1/stripe/webhooks"} {
		w, _ = serve(t, e, request(http.MethodPost, path, "{}"))
		require.Equal(t, http.StatusNotFound, w.Code, "never a redirect: %s", path)
	}
	w, _ = serve(t, e, request(http.MethodGet, endpointPath, ""))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}
