package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
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
		"no signing secret": {fault.New(fault.Unavailable, "secret_missing", "no"), 503},
		"too many":          {fault.New(fault.Unavailable, "inbox_busy", "no"), 503},
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

	r = request(http.MethodPost, endpointPath, strings.Repeat("x", 1<<20+1))
	r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	w, _ = serve(t, e, r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code, "what is announced as too large is not read")
	require.Zero(t, calls, "nothing of these reaches the use case")

	w, _ = serve(t, e, request(http.MethodPost, endpointPath, strings.Repeat("x", 1<<20)))
	require.Equal(t, http.StatusOK, w.Code)

	for _, path := range []string{endpointPath + "/", endpointPath + "/more", "/v1/stripe/webhooks"} {
		w, _ = serve(t, e, request(http.MethodPost, path, "{}"))
		require.Equal(t, http.StatusNotFound, w.Code, "never a redirect: %s", path)
	}
	w, _ = serve(t, e, request(http.MethodGet, endpointPath, ""))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

// Nothing that is mounted on the server, before or after, gets between Stripe's bytes and
// the check of their signature.
func TestWebhookStandsApart(t *testing.T) {
	t.Parallel()
	var got []byte
	e := newServer(t, &fakes{receive: func(_ context.Context, d ingest.Delivery) (ingest.Receipt, error) {
		got = bytes.Clone(d.Body)
		return ingest.Receipt{}, nil
	}})
	seen := 0
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			seen++
			return next(c)
		}
	}, middleware.Decompress(), middleware.BodyLimit("1"), middleware.RemoveTrailingSlash())
	r := request(http.MethodPost, endpointPath, "not compressed, whatever it says")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("Origin", "https://evil.example")
	r.Host = "billing.example.com"
	w, _ := serve(t, e, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "not compressed, whatever it says", string(got))
	require.Zero(t, seen)
	require.Empty(t, w.Header().Get("Location"))
	w, _ = serve(t, e, request(http.MethodGet, "/healthz", ""))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, 1, seen, "the rest goes through it")
}

// A panic leaves the event with Stripe and the server alive.
func TestWebhookPanic(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { panic("bug") }})
	for range 3 {
		w, _ := serve(t, e, request(http.MethodPost, endpointPath, "{}"))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("X-Request-Id"))
	}
}

// A body that does not come ends with the time that a delivery has.
func TestWebhookBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { return ingest.Receipt{}, nil }})
	web := httptest.NewUnstartedServer(e)
	web.Config.BaseContext = func(net.Listener) context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	web.Start()
	t.Cleanup(web.Close)
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // the test is over
	_, err = conn.Write([]byte("POST " + endpointPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
}

// What is in flight is bounded by number and by bytes; what comes beyond is answered 503
// at once, and room that was given back is used again.
func TestWebhookBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size, fit int
	}{
		"by number": {10, httpapi.MaxDeliveries}, "by bytes": {1 << 20, httpapi.MaxDeliveryBytes / (1<<20 + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside, leave := make(chan struct{}), make(chan struct{})
			e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) {
				inside <- struct{}{}
				<-leave
				return ingest.Receipt{}, nil
			}})
			body := strings.Repeat("x", c.size)
			for range 2 { // twice: what is given back fits again
				var wg sync.WaitGroup
				statuses := make(chan int, c.fit)
				for range c.fit {
					wg.Go(func() {
						w := httptest.NewRecorder()
						e.ServeHTTP(w, request(http.MethodPost, endpointPath, body))
						statuses <- w.Code
					})
					<-inside
				}
				w, _ := serve(t, e, request(http.MethodPost, endpointPath, body))
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				for range c.fit {
					leave <- struct{}{}
				}
				wg.Wait()
				for range c.fit {
					require.Equal(t, http.StatusOK, <-statuses)
				}
			}
		})
	}
}
