package httpapi_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestCheckListenAddress(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"127.0.0.1:8080", "localhost:0", "[::1]:8080", "127.9.9.9:1", "[::ffff:127.0.0.1]:80"} {
		require.NoError(t, httpapi.CheckListenAddress(ok, httpapi.Exposure{}), ok)
	}
	for addr, code := range map[string]string{
		":8080": "listen_without_tls", "0.0.0.0:8080": "listen_without_tls", "[::]:8080": "listen_without_tls",
		"10.0.0.3:8080": "listen_without_tls", "billing.example.com:80": "listen_without_tls",
		"localhost.example.com:80": "listen_without_tls", "127.0.0.1": "listen_malformed", "127.0.0.1:http": "listen_malformed", "127.0.0.1:70000": "listen_malformed",
	} {
		err := httpapi.CheckListenAddress(addr, httpapi.Exposure{Admin: true})
		require.Equal(t, code, fault.CodeOf(err), addr)
		var fe *fault.Error
		require.ErrorAs(t, err, &fe)
		require.NotEmpty(t, fe.Remedy)
	}
	require.Equal(t, "listen_without_admin", fault.CodeOf(httpapi.CheckListenAddress(":8080", httpapi.Exposure{TLS: true})))
	require.NoError(t, httpapi.CheckListenAddress(":8080", httpapi.Exposure{TLS: true, Admin: true}))
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, path, host string
		header             map[string]string
		status             int
	}{
		"program":             {"GET", "/healthz", "127.0.0.1:8080", nil, 200},
		"name":                {"GET", "/healthz", "localhost:8080", nil, 200},
		"IPv6":                {"GET", "/healthz", "[::1]:8080", nil, 200},
		"rebound name":        {"GET", "/healthz", "evil.example:8080", nil, 421},
		"no host":             {"GET", "/healthz", "", nil, 421},
		"own page posts":      {"POST", "/v1/nothing", "localhost:8080", map[string]string{"Origin": "http://localhost:8080"}, 404},
		"other page posts":    {"POST", "/v1/nothing", "localhost:8080", map[string]string{"Origin": "http://evil.example"}, 403},
		"other port posts":    {"POST", "/v1/nothing", "localhost:8080", map[string]string{"Origin": "http://localhost:3000"}, 403},
		"cross-site metadata": {"POST", "/v1/nothing", "localhost:8080", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"other page reads":    {"GET", "/healthz", "localhost:8080", map[string]string{"Origin": "http://evil.example"}, 200},
		"webhook by a proxy":  {"POST", "/v1/stripe/webhooks/we-1", "billing.example.com", nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newServer(t, &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { return ingest.Receipt{}, nil }})
			r := request(tc.method, tc.path, "")
			r.Host = tc.host
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			w, _ := serve(t, e, r)
			require.Equal(t, tc.status, w.Code, w.Body.String())
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		})
	}
}
