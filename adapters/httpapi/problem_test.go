package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

const connection = `{"id":"acme","environment":"live","roles":["source"],"secret_key":"rk_live_verysecret"}`

func TestKindsBecomeStatuses(t *testing.T) {
	t.Parallel()
	for kind, status := range map[fault.Kind]int{
		fault.Invalid: 400, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409,
		fault.RateLimited: 429, fault.Unavailable: 503, fault.Indeterminate: 503, fault.Internal: 500,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			e := newServer(t, &fakes{connect: func(onboard.ConnectionInput) (account.Connection, bool, error) {
				return account.Connection{}, false, fault.Wrap(errors.New("cause-text"), kind, "some_code", "what is wrong").On("secret_key").Fix("Do this")
			}})
			w, p := serve(t, e, request(http.MethodPost, "/v1/connections", connection))
			require.Equal(t, status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.EqualValues(t, status, p["status"])
			require.Equal(t, w.Header().Get("X-Request-Id"), p["request_id"])
			require.NotContains(t, w.Body.String(), "cause-text")
			if kind == fault.Internal {
				require.Equal(t, "internal", p["code"])
				require.NotContains(t, w.Body.String(), "what is wrong")
				return
			}
			require.Equal(t, "some_code", p["code"])
			require.Equal(t, "secret_key", p["field"])
			require.Equal(t, "Do this", p["remedy"])
		})
	}
}

func TestUnknownErrorsAndPanicsShowNothing(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(onboard.ConnectionInput) (account.Connection, bool, error){
		"error": func(onboard.ConnectionInput) (account.Connection, bool, error) {
			return account.Connection{}, false, errors.New("password=hunter2")
		},
		"panic": func(onboard.ConnectionInput) (account.Connection, bool, error) { panic("password=hunter2") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := serve(t, newServer(t, &fakes{connect: connect}), request(http.MethodPost, "/v1/connections", connection))
			require.Equal(t, http.StatusInternalServerError, w.Code)
			require.Equal(t, "internal", p["code"])
			require.NotContains(t, w.Body.String(), "hunter2")
		})
	}
}

func TestRequestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code, field        string
	}{
		"unknown field":    {"POST", "/v1/connections", `{"id":"a","secret_kee":"x"}`, 400, "field_unknown", "secret_kee"},
		"unknown nested":   {"POST", "/v1/accounts/a/plans", `{"id":"p","thresholds":{"min_unit":3}}`, 400, "field_unknown", "min_unit"},
		"wrong type":       {"POST", "/v1/connections", `{"id":7}`, 400, "json_type", "id"},
		"no JSON":          {"POST", "/v1/connections", `{"id":`, 400, "json_malformed", ""},
		"two objects":      {"POST", "/v1/connections", connection + connection, 400, "json_trailing", ""},
		"bad time":         {"POST", "/v1/accounts/a/snapshots", `{"id":"s","name":"n","shipped_at":"yesterday"}`, 400, "json_malformed", ""},
		"no body":          {"POST", "/v1/connections", "", 400, "body_empty", ""},
		"too large":        {"POST", "/v1/connections", `{"id":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body_too_large", ""},
		"parameter":        {"GET", "/v1/cycles?limit=many", "", 400, "parameter_malformed", "limit"},
		"route":            {"GET", "/v1/nothing", "", 404, "route_unknown", ""},
		"method":           {"DELETE", "/v1/connections", "", 405, "method_not_allowed", ""},
		"cursor":           {"GET", "/v1/connections?cursor=%25%25", "", 400, "cursor_malformed", "cursor"},
		"zero byte":        {"GET", "/v1/cycles?account=a%00b", "", 400, "text_unreadable", "account"},
		"no UTF-8":         {"GET", "/v1/cycles?account=%FF", "", 400, "text_unreadable", "account"},
		"no UTF-8 in name": {"GET", "/v1/cycles?%FF=1", "", 400, "text_unreadable", ""},
		"bad escape":       {"GET", "/v1/cycles?account=%zz", "", 400, "query_malformed", ""},
		"semicolon":        {"GET", "/v1/cycles?account=a;state=b", "", 400, "query_malformed", ""},
		"zero in path":     {"GET", "/v1/cycles/a%00b", "", 400, "address_unreadable", ""},
		"zero in body":     {"POST", "/v1/connections", `{"id":"a\\\u0000b"}`, 400, "text_unreadable", ""},
		"limit":            {"GET", "/v1/connections?limit=501", "", 400, "limit_range", "limit"},
		"plan's snapshots": {"POST", "/v1/accounts/a/plans", `{"id":"p","snapshots":-1}`, 400, "snapshot_limit", "error_budget.snapshots"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := serve(t, newServer(t, &fakes{}), request(tc.method, tc.path, tc.body))
			require.Equal(t, tc.status, w.Code, w.Body.String())
			require.Equal(t, tc.code, p["code"])
			if tc.field != "" {
				require.Equal(t, tc.field, p["field"])
			}
		})
	}
}

func TestMediaTypeIsAsked(t *testing.T) {
	t.Parallel()
	r := request(http.MethodPost, "/v1/connections", connection)
	r.Header.Set("Content-Type", "text/plain")
	w, p := serve(t, newServer(t, &fakes{}), r)
	require.Equal(t, http.StatusUnsupportedMediaType, w.Code)
	require.Equal(t, "Send application/json, not compressed", p["remedy"])
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{})
	r := request(http.MethodGet, "/healthz", "")
	r.Header.Set("X-Request-Id", "caller-chosen-1")
	w, _ := serve(t, e, r)
	require.Equal(t, "caller-chosen-1", w.Header().Get("X-Request-Id"))
	r = request(http.MethodGet, "/healthz", "")
	r.Header.Set("X-Request-Id", "<script>")
	w, _ = serve(t, e, r)
	require.NotEqual(t, "<script>", w.Header().Get("X-Request-Id"))
	require.Len(t, w.Header().Get("X-Request-Id"), 26)
}
