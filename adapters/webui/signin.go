package webui

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Access lets people in and says who may; *access.Service is it.
type Access interface {
	AnyAdmin(ctx context.Context) (bool, error)
	SignIn(ctx context.Context, email, password string, b app.Browser) (app.SignedIn, error)
	SignInWithLink(ctx context.Context, link string, b app.Browser) (app.SignedIn, error)
	BeginProvider(ctx context.Context, next string) (address, keep string, err error)
	FinishProvider(ctx context.Context, keep, state, code string, b app.Browser) (app.SignedIn, string, error)
	SignOut(ctx context.Context, c app.Caller) error
	SignOutEverywhere(ctx context.Context, by access.Principal, userID string) error
	SetPassword(ctx context.Context, c app.Caller, old, password string, b app.Browser) (app.SignedIn, error)
	Sessions(ctx context.Context, by access.Principal) ([]access.Session, error)

	Users(ctx context.Context, by access.Principal) ([]access.UserAccount, error)
	CreateUser(ctx context.Context, by access.Principal, in app.UserInput) (access.UserAccount, error)
	UpdateUser(ctx context.Context, by access.Principal, id string, in app.UserChange) (access.UserAccount, error)
	CreateLink(ctx context.Context, by access.Principal, userID string, life time.Duration) (access.Secret, time.Time, error)
	Tokens(ctx context.Context, by access.Principal) ([]access.APIToken, error)
	CreateToken(ctx context.Context, by access.Principal, in app.TokenInput) (access.APIToken, access.TokenText, error)
	RotateToken(ctx context.Context, by access.Principal, id string) (access.APIToken, access.TokenText, error)
	RevokeToken(ctx context.Context, by access.Principal, id string) (access.APIToken, error)
}

// Audit reads the audit log; *audit.Service is it.
type Audit interface {
	Entries(ctx context.Context, f audit.Filter) (audit.Page, error)
	Verify(ctx context.Context, chain trail.Chain, anchor audit.Head) (audit.Head, error)
}

func (s *Server) registerAccess(e *echo.Echo) {
	e.GET("/sign-in", s.signInPage)
	e.POST("/sign-in", s.signIn)
	e.GET("/sign-in/link", s.linkPage)
	e.POST("/sign-in/link", s.signInWithLink)
	e.GET("/sign-in/provider", s.toProvider)
	e.GET("/sign-in/provider/callback", s.fromProvider)
	e.POST("/sign-out", s.signOut)
	e.GET("/you", s.youPage)
	e.POST("/you/password", s.setPassword)
	e.POST("/you/sign-out-everywhere", s.signOutEverywhere)
	e.GET("/audit", s.auditPage)
	e.GET("/audit/verify", s.verifyAudit)
	s.registerUsers(e)
}

// signInView is the page before all others.
type signInView struct {
	Next, Email string
	Problem     string
	Provider    string
	ProviderURL string
	NoAdmin     bool
	// Ended: a form came after the session had ended.
	Ended bool
	Link  string
}

func (s *Server) signInPage(c echo.Context) error {
	return s.showSignIn(c, http.StatusOK, signInView{Next: local(c.QueryParam("next")), Ended: c.QueryParam("ended") == "form"})
}

func (s *Server) showSignIn(c echo.Context, status int, v signInView) error {
	ok, err := s.access.AnyAdmin(c.Request().Context())
	if err != nil {
		return err
	}
	v.NoAdmin = !ok
	if v.Provider = s.options.Provider; v.Provider != "" {
		v.ProviderURL = query("/sign-in/provider", "next", v.Next)
	}
	return s.render(c, status, "signin", frame{Title: "Sign in", Active: "door", Environment: "none", Page: v})
}

// signIn answers a wrong password with the form again, and nothing else differs.
func (s *Server) signIn(c echo.Context) error {
	next := local(c.Request().PostFormValue("next"))
	in, err := s.access.SignIn(c.Request().Context(), c.Request().PostFormValue("email"), c.Request().PostFormValue("password"), s.browser(c))
	if err != nil {
		return s.againSignIn(c, err, signInView{Next: next, Email: c.Request().PostFormValue("email")})
	}
	return s.enter(c, in, next)
}

// againSignIn shows the form with what is wrong, when somebody can mend it.
func (s *Server) againSignIn(c echo.Context, err error, v signInView) error {
	var fe *fault.Error
	if !errors.As(err, &fe) {
		return err
	}
	status := http.StatusUnauthorized
	switch fe.Kind {
	case fault.Unauthenticated:
	case fault.Forbidden:
		status = http.StatusForbidden
	case fault.RateLimited:
		status = http.StatusTooManyRequests
	case fault.Unavailable:
		status = http.StatusServiceUnavailable
	default:
		return err
	}
	v.Problem = sentence(fe.Msg)
	if fe.Remedy != "" {
		v.Problem += " " + sentence(fe.Remedy)
	}
	return s.showSignIn(c, status, v)
}

// linkPage shows a button: what reads mail in advance presses none, so that it does not
// use the link up.
func (s *Server) linkPage(c echo.Context) error {
	v := signInView{Link: c.QueryParam("link"), Next: local(c.QueryParam("next"))}
	return s.render(c, http.StatusOK, "signinlink", frame{Title: "Sign in", Active: "door", Environment: "none", Page: v})
}

func (s *Server) signInWithLink(c echo.Context) error {
	in, err := s.access.SignInWithLink(c.Request().Context(), c.Request().PostFormValue("link"), s.browser(c))
	if err != nil {
		return s.againSignIn(c, err, signInView{})
	}
	next := local(c.Request().PostFormValue("next"))
	if next == "/" && !in.User.HasPassword {
		next = "/you"
	}
	return s.enter(c, in, next)
}

// LinkURL is the address that a sign-in link is.
func LinkURL(pages string, link access.Secret, next string) string {
	return strings.TrimRight(pages, "/") + query("/sign-in/link", "link", link.Reveal(), "next", next)
}

// attemptCookie is the name of what a browser keeps while it is at the provider.
func (s *Server) attemptCookie() string {
	if s.options.TLS {
		return "__Host-liftbill_attempt"
	}
	return "liftbill_attempt"
}

func (s *Server) toProvider(c echo.Context) error {
	address, keep, err := s.access.BeginProvider(c.Request().Context(), local(c.QueryParam("next")))
	if err != nil {
		return s.againSignIn(c, err, signInView{})
	}
	s.setCookie(c, s.attemptCookie(), keep, int(app.AttemptLife.Seconds()))
	return c.Redirect(http.StatusSeeOther, address)
}

func (s *Server) fromProvider(c echo.Context) error {
	keep := ""
	if cookie, err := c.Cookie(s.attemptCookie()); err == nil {
		keep = cookie.Value
	}
	s.setCookie(c, s.attemptCookie(), "", -1)
	in, next, err := s.access.FinishProvider(c.Request().Context(), keep, c.QueryParam("state"), c.QueryParam("code"), s.browser(c))
	if err != nil {
		return s.againSignIn(c, err, signInView{})
	}
	return s.enter(c, in, local(next))
}

// enter hands the session to the browser. It is a cookie of the browser's session: the
// database knows when it ends.
func (s *Server) enter(c echo.Context, in app.SignedIn, next string) error {
	s.setCookie(c, app.SessionCookie(s.options.TLS), in.Session.Reveal(), 0)
	return c.Redirect(http.StatusSeeOther, next)
}

// setCookie sets one that lives for some seconds, for the browser's session when that
// is 0, and removes it when that is negative.
func (s *Server) setCookie(c echo.Context, name, value string, seconds int) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure wherever there is TLS; without it the server is on loopback
		Name: name, Value: value, Path: "/", HttpOnly: true, Secure: s.options.TLS, SameSite: http.SameSiteLaxMode, MaxAge: seconds,
	})
}

func (s *Server) signOut(c echo.Context) error {
	if err := s.access.SignOut(c.Request().Context(), app.From(c.Request().Context())); err != nil {
		return err
	}
	return s.leave(c)
}

func (s *Server) leave(c echo.Context) error {
	s.setCookie(c, app.SessionCookie(s.options.TLS), "", -1)
	c.Response().Header().Set("Clear-Site-Data", `"cache"`)
	return c.Redirect(http.StatusSeeOther, "/sign-in")
}

func (s *Server) browser(c echo.Context) app.Browser {
	caller := app.From(c.Request().Context())
	b := app.Browser{Client: caller.Client, Agent: c.Request().UserAgent(), RequestID: caller.RequestID}
	if cookie, err := c.Cookie(app.SessionCookie(s.options.TLS)); err == nil {
		b.Session = cookie.Value
	}
	return b
}

// local is the address to go to after the sign-in: one of ours, or the first page.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}
