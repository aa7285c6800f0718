package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// Access tells callers apart and decides; *access.Service is it.
type Access interface {
	AuthenticateToken(ctx context.Context, text, requestID string) (access.Caller, error)
	AuthenticateSession(ctx context.Context, text, requestID string) (access.Caller, error)
	Authorize(ctx context.Context, by domain.Principal, route string, rule domain.Rule, id string) error

	CreateToken(ctx context.Context, by domain.Principal, in access.TokenInput) (domain.APIToken, domain.TokenText, error)
	RotateToken(ctx context.Context, by domain.Principal, id string) (domain.APIToken, domain.TokenText, error)
	RevokeToken(ctx context.Context, by domain.Principal, id string) (domain.APIToken, error)
	Tokens(ctx context.Context, by domain.Principal) ([]domain.APIToken, error)
	Users(ctx context.Context, by domain.Principal) ([]domain.UserAccount, error)
}

// SignInPath is where a browser without a session is sent.
const SignInPath = "/sign-in"

// signOutPath ends a session; one that has ended already is signed out.
const signOutPath = "/sign-out"

var echoParameter = regexp.MustCompile(`:(\w+)`)

// routeOf names the route of a request as the API description and the permission table
// do.
func routeOf(c echo.Context) string {
	return c.Request().Method + " " + echoParameter.ReplaceAllString(c.Path(), "{$1}")
}

// permitted asks the permission table about every request on this server, pages
// included. What has no rule there is not served.
func (s *Server) permitted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		route := routeOf(c)
		rule, ok := domain.RuleOf(route)
		if !ok {
			return s.unlisted(c, route)
		}
		caller := access.Caller{Client: s.Edge.client(c.Request())}
		caller.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)
		if !rule.Public {
			var err error
			if caller, err = s.authenticated(c, rule, caller); err != nil {
				if rule.Page && fault.Is(err, fault.Unauthenticated) {
					return toSignIn(c)
				}
				return err
			}
		}
		if err := checkForm(c, rule, caller); err != nil {
			return err
		}
		ctx := access.With(c.Request().Context(), caller)
		c.SetRequest(c.Request().WithContext(ctx))
		if !rule.Public {
			id, err := url.PathUnescape(c.Param(rule.Param)) // as the generated handlers do
			if err != nil {
				return echo.NewHTTPError(http.StatusNotFound)
			}
			asked := route
			if rule.Export && c.Request().URL.RawQuery != "" {
				asked += "?" + cut(c.Request().URL.RawQuery) // what was selected is part of what was exported
			}
			if err := s.Access.Authorize(ctx, caller.Principal, asked, rule, id); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// cut bounds what a caller can write into the audit log.
func cut(query string) string {
	const most = 500
	if len(query) > most {
		return query[:most] + "…"
	}
	return query
}

// toSignIn sends a browser to the sign-in, and from there back to what it asked for.
func toSignIn(c echo.Context) error {
	r, address := c.Request(), SignInPath
	switch {
	case r.URL.Path == signOutPath: // it is done
	case !safe(r.Method): // back to the page of the form, and said that nothing came of it
		q := url.Values{"ended": {"form"}}
		if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
			q.Set("next", from.RequestURI())
		}
		address += "?" + q.Encode()
	case r.URL.Path != "/":
		address += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	return c.Redirect(http.StatusSeeOther, address)
}

// unlisted answers for a route without a rule: there is none, or somebody forgot to
// write it.
func (s *Server) unlisted(c echo.Context, route string) error {
	if allow, ok := c.Get(echo.ContextKeyHeaderAllow).(string); ok {
		c.Response().Header().Set(echo.HeaderAllow, allow)
		return echo.ErrMethodNotAllowed
	}
	if !slices.ContainsFunc(c.Echo().Routes(), func(r *echo.Route) bool { return r.Method == c.Request().Method && r.Path == c.Path() }) {
		return echo.ErrNotFound
	}
	s.log.LogAttrs(c.Request().Context(), slog.LevelError, "a route has no rule in the permission table", slog.String("route", route))
	return fault.New(fault.Forbidden, "route_unlisted", "nobody may use this address, because no rule says who may").Fix("Report it: the permission table lacks the route")
}

// authenticated finds out who asks. The API takes a token, and a browser's session for
// reading; pages take a session.
func (s *Server) authenticated(c echo.Context, rule domain.Rule, blank access.Caller) (access.Caller, error) {
	r := c.Request()
	caller, err := s.credential(r, rule, blank.RequestID)
	caller.Client = blank.Client
	switch {
	case err == nil:
		return caller, s.limits.allow(caller.ID)
	case !fault.Is(err, fault.Unauthenticated):
		return caller, err
	}
	if limited := s.limits.failed(blank.Client); limited != nil {
		return caller, limited
	}
	if !rule.Page {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="liftbill"`)
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "a caller is not known", slog.String("request_id", blank.RequestID),
			slog.String("client", blank.Client), slog.String("code", fault.CodeOf(err)))
	}
	return caller, err
}

func (s *Server) credential(r *http.Request, rule domain.Rule, requestID string) (access.Caller, error) {
	scheme, token, given := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if given && strings.EqualFold(scheme, "Bearer") && !rule.Page {
		return s.Access.AuthenticateToken(r.Context(), token, requestID)
	}
	cookie, err := r.Cookie(access.SessionCookie(s.Edge.TLS))
	switch {
	case err != nil || cookie.Value == "":
		remedy := "Send a token: Authorization: Bearer lb_live_… or lb_test_…"
		if rule.Page {
			remedy = "Sign in"
		}
		return access.Caller{}, fault.New(fault.Unauthenticated, "authentication_required", "this needs to know who asks").Fix("%s", remedy)
	case !rule.Page && !safe(r.Method):
		return access.Caller{}, fault.New(fault.Unauthenticated, "token_required", "a browser's session may read the API and change nothing").Fix("Send a token")
	}
	return s.Access.AuthenticateSession(r.Context(), cookie.Value, requestID)
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// maxForm bounds what a page's form can send.
const maxForm = 64 << 10

// FormToken is the field of a form that proves that a page of this session made it.
const FormToken = "csrf"

// checkForm lets a form in only from a page of this server: the browser must say where
// it comes from, and with a session the form must hold the session's own text.
func checkForm(c echo.Context, rule domain.Rule, caller access.Caller) error {
	r := c.Request()
	if !rule.Page || safe(r.Method) {
		return nil
	}
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return originRefused()
	}
	if kind, _, _ := strings.Cut(r.Header.Get(echo.HeaderContentType), ";"); !strings.EqualFold(strings.TrimSpace(kind), echo.MIMEApplicationForm) {
		return unsupported(echo.MIMEApplicationForm)
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return err
	}
	if err := readableValues(r.PostForm); err != nil {
		return err
	}
	if rule.Public {
		return nil
	}
	if want := domain.Given(caller.CSRF()); !want.Matches(domain.Given(r.PostForm.Get(FormToken)).Hash()) {
		return fault.New(fault.Forbidden, "form_stale", "this form was not made by a page of your session").Fix("Open the page again and send the form from there")
	}
	return nil
}
