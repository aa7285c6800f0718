package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/account"
)

// newEdge is a server that is reached as the edge says, with a page of its own beside
// the API.
func newEdge(t *testing.T, edge httpapi.Edge) *echo.Echo {
	t.Helper()
	f := &fakes{connections: []account.Connection{{ID: "acme"}}}
	e := echo.New()
	said := func(c echo.Context) error { return c.String(http.StatusOK, access.From(c.Request().Context()).Client) }
	e.GET("/cycles", said)
	e.POST("/sign-out", said)
	e.POST("/sign-in", said)
	e.POST("/you/password", said)
	e.GET("/forgotten", said)
	e.GET("/v1/forgotten", said)
	httpapi.New(httpapi.Services{
		Access: newGate(), Audit: gateAudit{}, Onboard: f, Connections: f, Ingest: f, Decisions: f, Reconcile: f, ParseDecisions: lines,
		Idempotency: newKeys(), Ready: func(context.Context) error { return nil }, Edge: edge,
	}, slog.New(slog.DiscardHandler)).Register(e)
	return e
}

func withSession(r *http.Request, name string) *http.Request {
	r.Header.Del("Authorization")
	r.AddCookie(&http.Cookie{Name: name, Value: goodSession})
	return r
}

// form is what a browser sends from a page of this server.
func form(path string, fields url.Values) *http.Request {
	r := request(http.MethodPost, path, fields.Encode())
	r.Header.Del("Authorization")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://127.0.0.1:8080")
	return r
}

func TestWhoeverAsksIsKnown(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{})
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"a token":                  {func(*http.Request) {}, 200, ""},
		"a token, scheme in caps":  {func(r *http.Request) { r.Header.Set("Authorization", "BEARER "+goodToken) }, 200, ""},
		"nothing":                  {func(r *http.Request) { r.Header.Del("Authorization") }, 401, "authentication_required"},
		"a wrong token":            {func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }, 401, "token_unknown"},
		"basic":                    {func(r *http.Request) { r.SetBasicAuth("a", "b") }, 401, "authentication_required"},
		"a session reads":          {func(r *http.Request) { withSession(r, "liftbill_session") }, 200, ""},
		"a cookie of another name": {func(r *http.Request) { withSession(r, "__Host-liftbill_session") }, 401, "authentication_required"},
		"an old session": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "liftbill_session", Value: "old"})
		}, 401, "session_ended"},
	} {
		r := request(http.MethodGet, "/v1/connections", "")
		tc.change(r)
		w, body := serve(t, e, r)
		require.Equal(t, tc.status, w.Code, name)
		if tc.code != "" {
			require.Equal(t, tc.code, body["code"], name)
			require.NotEmpty(t, body["remedy"], name)
			require.Equal(t, `Bearer realm="liftbill"`, w.Header().Get("WWW-Authenticate"), name)
		}
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'", name)
	}
	w, body := serve(t, e, withSession(request(http.MethodPost, "/v1/connections", connection), "liftbill_session"))
	require.Equal(t, 401, w.Code, "a browser's session changes nothing through the API")
	require.Equal(t, "token_required", body["code"])
	r := request(http.MethodPost, "/v1/connections", connection)
	r.Header.Set("Authorization", "Bearer "+viewerToken)
	w, body = serve(t, e, r)
	require.Equal(t, 403, w.Code)
	require.Equal(t, "permission_denied", body["code"])
	require.Contains(t, body["remedy"], "admin")
}

// What nobody wrote a rule for is not served, whoever asks.
func TestARouteWithoutARuleIsRefused(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{})
	w, body := serve(t, e, request(http.MethodGet, "/v1/forgotten", ""))
	require.Equal(t, 403, w.Code)
	require.Equal(t, "route_unlisted", body["code"])
	w, _ = serve(t, e, request(http.MethodGet, "/forgotten", ""))
	require.NotEqual(t, 200, w.Code)
	w, _ = serve(t, e, request(http.MethodDelete, "/v1/connections", ""))
	require.Equal(t, 405, w.Code)
	require.Contains(t, w.Header().Get("Allow"), "POST")
	w, _ = serve(t, e, request(http.MethodGet, "/v1/nothing", ""))
	require.Equal(t, 404, w.Code)
}

func TestPagesSendToTheSignIn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{})
	r := request(http.MethodGet, "/cycles?period=2026-10", "")
	w, _ := serve(t, e, r)
	require.Equal(t, http.StatusSeeOther, w.Code, "a token opens no page")
	require.Equal(t, "/sign-in?next=%2Fcycles%3Fperiod%3D2026-10", w.Header().Get("Location"))
	w, _ = serve(t, e, withSession(request(http.MethodGet, "/cycles", ""), "liftbill_session"))
	require.Equal(t, 200, w.Code)
	w, _ = serve(t, e, form("/sign-out", nil))
	require.Equal(t, "/sign-in", w.Header().Get("Location"))

	// A form that comes after the session has ended leads back to its page, and is told of.
	r = form("/you/password", nil)
	r.Header.Set("Referer", "http://"+r.Host+"/you?tab=1")
	w, _ = serve(t, e, r)
	require.Equal(t, "/sign-in?ended=form&next=%2Fyou%3Ftab%3D1", w.Header().Get("Location"))
	r.Header.Set("Referer", "http://evil.example/you")
	w, _ = serve(t, e, r)
	require.Equal(t, "/sign-in?ended=form", w.Header().Get("Location"), "another site's page is no way back")
}

// A text that no column takes is refused in a form as well, and named.
func TestFormsHoldText(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{})
	var refused error
	e.HTTPErrorHandler = func(err error, _ echo.Context) { refused = err }
	e.ServeHTTP(httptest.NewRecorder(), form("/sign-in", url.Values{"email": {"a\x00b@example.com"}}))
	require.ErrorContains(t, refused, "email: the value holds a zero byte")
}

// A form must come from a page of this server and of this session.
func TestFormsAreOurs(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{})
	caller, err := newGate().AuthenticateSession(t.Context(), goodSession, "")
	require.NoError(t, err)
	good := url.Values{"csrf": {caller.CSRF()}}
	for name, tc := range map[string]struct {
		path   string
		fields url.Values
		change func(*http.Request)
		status int
	}{
		"ours":                   {"/sign-out", good, func(*http.Request) {}, 200},
		"without its text":       {"/sign-out", nil, func(*http.Request) {}, 403},
		"with another's text":    {"/sign-out", url.Values{"csrf": {"x"}}, func(*http.Request) {}, 403},
		"the text in the query":  {"/sign-out?" + good.Encode(), nil, func(*http.Request) {}, 403},
		"from nowhere":           {"/sign-out", good, func(r *http.Request) { r.Header.Del("Origin") }, 403},
		"from another site":      {"/sign-out", good, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		"as JSON":                {"/sign-out", good, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 415},
		"too long":               {"/sign-out", url.Values{"csrf": {strings.Repeat("x", 1<<17)}}, func(*http.Request) {}, 413},
		"sign-in":                {"/sign-in", nil, func(*http.Request) {}, 200},
		"sign-in from nowhere":   {"/sign-in", nil, func(r *http.Request) { r.Header.Del("Origin") }, 403},
		"sign-in by a new agent": {"/sign-in", nil, func(r *http.Request) { r.Header.Del("Origin"); r.Header.Set("Sec-Fetch-Site", "same-origin") }, 200},
	} {
		r := withSession(form(tc.path, tc.fields), "liftbill_session")
		tc.change(r)
		w, _ := serve(t, e, r)
		if tc.status >= 400 {
			require.NotEqual(t, 200, w.Code, name)
			continue
		}
		require.Equal(t, tc.status, w.Code, "%s: %s", name, w.Body.String())
	}
}

func TestEdgeBehindTLS(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{Hosts: []string{"billing.example.com"}, TLS: true, Proxied: true})
	r := withSession(request(http.MethodGet, "/cycles", ""), "__Host-liftbill_session")
	r.Host = "Billing.example.com"
	r.Header.Add("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
	r.Header.Add("X-Forwarded-For", "198.51.100.7")
	w, _ := serve(t, e, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "198.51.100.7", w.Body.String(), "the proxy's own word, not the client's")
	require.Contains(t, w.Header().Get("Strict-Transport-Security"), "max-age")
	r = withSession(request(http.MethodGet, "/cycles", ""), "liftbill_session")
	r.Host = "billing.example.com"
	w, _ = serve(t, e, r)
	require.Equal(t, http.StatusSeeOther, w.Code, "a cookie that any page of the domain could set is not taken")
	for path, status := range map[string]int{"/v1/me": http.StatusMisdirectedRequest, "/docs/api": http.StatusMisdirectedRequest, "/healthz": 200} {
		r = request(http.MethodGet, path, "")
		r.Host = "10.0.0.7:8443"
		w, _ = serve(t, e, r)
		require.Equal(t, status, w.Code, path)
	}

	r = withSession(request(http.MethodGet, "/cycles", ""), "liftbill_session")
	r.Header.Set("X-Forwarded-For", "6.6.6.6")
	r.RemoteAddr = "127.0.0.1:999"
	w, _ = serve(t, newEdge(t, httpapi.Edge{}), r)
	require.Equal(t, "127.0.0.1", w.Body.String(), "without a proxy nobody is believed")
	require.Empty(t, w.Header().Get("Strict-Transport-Security"))
}

func TestBusyCallersWait(t *testing.T) {
	t.Parallel()
	e := newEdge(t, httpapi.Edge{PerSecond: 1})
	status := map[int]int{}
	for range 12 {
		w, _ := serve(t, e, request(http.MethodGet, "/v1/me", ""))
		status[w.Code]++
		if w.Code == http.StatusTooManyRequests {
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
	}
	require.GreaterOrEqual(t, status[200], 5)
	require.Positive(t, status[429])
	r := request(http.MethodGet, "/v1/me", "")
	r.Header.Set("Authorization", "Bearer "+viewerToken)
	w, _ := serve(t, e, r)
	require.Equal(t, 200, w.Code, "others are not kept waiting")
	for range 40 {
		r := request(http.MethodGet, "/v1/me", "")
		r.Header.Set("Authorization", "Bearer guess")
		w, _ = serve(t, e, r)
	}
	require.Equal(t, http.StatusTooManyRequests, w.Code, "guessing tokens is slow")
	for range 40 {
		f := &fakes{receive: func(context.Context, ingest.Delivery) (ingest.Receipt, error) { return ingest.Receipt{}, nil }}
		w, _ = serve(t, newServer(t, f), request(http.MethodPost, "/v1/stripe/webhooks/we-1", "{}"))
		require.Equal(t, 200, w.Code, "Stripe is not limited")
	}
}

func TestAccessOperations(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{})
	w, body := serve(t, e, request(http.MethodGet, "/v1/me", ""))
	require.Equal(t, 200, w.Code)
	require.Equal(t, "token", body["kind"])
	require.Contains(t, body["permissions"], "cycle.approve")
	require.Equal(t, []any{}, body["accounts"], "every account")

	w, body = serve(t, e, request(http.MethodPost, "/v1/tokens", `{"name":"ci","environment":"live","roles":["ingest"],"expires_in_days":30}`))
	require.Equal(t, 201, w.Code, w.Body.String())
	require.True(t, strings.HasPrefix(body["secret"].(string), "lb_live_"))
	require.NotContains(t, body["token"], "secret")
	w, body = serve(t, e, request(http.MethodPost, "/v1/tokens", `{"name":"ci","environment":"live","roles":["ingest"],"expires_in_days":-1}`))
	require.Equal(t, 400, w.Code)
	require.Equal(t, "expires_in_days", body["field"])
	w, _ = serve(t, e, request(http.MethodPost, "/v1/tokens/abc/rotate", ""))
	require.Equal(t, 201, w.Code)
	w, body = serve(t, e, request(http.MethodPost, "/v1/tokens/abc/revoke", ""))
	require.Equal(t, 200, w.Code)
	require.Equal(t, "abc", body["id"])
	_, body = serve(t, e, request(http.MethodGet, "/v1/tokens?limit=1", ""))
	require.Equal(t, "a", body["items"].([]any)[0].(map[string]any)["id"])
	require.NotEmpty(t, body["next_cursor"])
	_, body = serve(t, e, request(http.MethodGet, "/v1/users", ""))
	require.Equal(t, true, body["items"].([]any)[0].(map[string]any)["disabled"])
	_, body = serve(t, e, request(http.MethodGet, "/v1/audit?action=contract.created&from=2026-01-01T00:00:00Z", ""))
	row := body["items"].([]any)[0].(map[string]any)
	require.Equal(t, "contract.created", row["action"])
	require.Len(t, row["hash"], 64)
	require.Equal(t, strings.Repeat("0", 64), row["previous"])
}
