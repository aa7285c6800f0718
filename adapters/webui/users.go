package webui

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// accessView is who may do what: users and tokens.
type accessView struct {
	Users  []userRow
	Tokens []tokenRow
	Roles  []access.Role // of people
	All    []access.Role // of tokens
	Days   int
	// Given is a secret that is shown this once, and what it is.
	Given, GivenName string
	Problem, Done    string
}

type userRow struct {
	access.UserAccount
	Me, Live, Test bool
}

type tokenRow struct {
	access.APIToken
	State StateView
	Ended bool
}

func (s *Server) registerUsers(e *echo.Echo) {
	e.GET("/access", s.accessPage)
	e.POST("/access/users", s.createUser)
	e.POST("/access/users/:id", s.updateUser)
	e.POST("/access/users/:id/link", s.createLink)
	e.POST("/access/users/:id/sign-out", s.signUserOut)
	e.POST("/access/tokens", s.createToken)
	e.POST("/access/tokens/:id/rotate", s.rotateToken)
	e.POST("/access/tokens/:id/revoke", s.revokeToken)
}

func (s *Server) accessPage(c echo.Context) error {
	return s.showAccess(c, http.StatusOK, accessView{})
}

func (s *Server) showAccess(c echo.Context, status int, v accessView) error {
	ctx := c.Request().Context()
	by := app.From(ctx).Principal
	users, err := s.access.Users(ctx, by)
	if err != nil {
		return err
	}
	for _, u := range users {
		v.Users = append(v.Users, userRow{u, u.ID == by.ID, u.Scope.Reaches("live"), u.Scope.Reaches("test")})
	}
	tokens, err := s.access.Tokens(ctx, by)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	for _, t := range tokens {
		row := tokenRow{APIToken: t, State: StateView{Name: "works", Icon: "✓", Tone: "good"}, Ended: !t.Live(now)}
		switch {
		case !t.RevokedAt.IsZero():
			row.State = StateView{Name: "revoked", Icon: "✕", Tone: "calm"}
		case row.Ended:
			row.State = StateView{Name: "expired", Icon: "✕", Tone: "calm"}
		case t.ReplacedBy != "":
			row.State = StateView{Name: "replaced, ends soon", Icon: "●", Tone: "busy"}
		}
		v.Tokens = append(v.Tokens, row)
	}
	v.All, v.Days = access.AllRoles(), int(access.TokenLife.Hours()/24)
	for _, r := range v.All {
		if r != access.Ingest {
			v.Roles = append(v.Roles, r)
		}
	}
	return s.render(c, status, "access", frame{Title: "Users and tokens", Active: "access", Environment: "none", Page: v})
}

// changed shows the page with what came of a change, or with what is wrong with it.
func (s *Server) changed(c echo.Context, err error, v accessView) error {
	var fe *fault.Error
	if errors.As(err, &fe) && (fe.Kind == fault.Invalid || fe.Kind == fault.Conflict) {
		text := sentence(fe.Msg)
		if fe.Remedy != "" {
			text += " " + sentence(fe.Remedy)
		}
		return s.showAccess(c, http.StatusUnprocessableEntity, accessView{Problem: text})
	}
	if err != nil {
		return err
	}
	return s.showAccess(c, http.StatusOK, v)
}

// posted are the fields of a form, without those of the address.
func posted(c echo.Context) url.Values {
	if c.Request().ParseForm() != nil {
		return nil // the guard has parsed it, and refused what it could not
	}
	return c.Request().PostForm //nolint:forbidigo // the field of a request, not the function
}

// listed splits a field of identifiers that a person typed.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == ';' })
}

func (s *Server) createUser(c echo.Context) error {
	ctx := c.Request().Context()
	by, form := app.From(ctx).Principal, posted(c)
	u, err := s.access.CreateUser(ctx, by, app.UserInput{
		Email: form.Get("email"), Name: form.Get("name"), Roles: form["role"], Accounts: listed(form.Get("accounts")), Environments: form["environment"],
	})
	if err != nil {
		return s.changed(c, err, accessView{})
	}
	return s.giveLink(c, by, u)
}

func (s *Server) giveLink(c echo.Context, by access.Principal, u access.UserAccount) error {
	const life = 24 * time.Hour
	link, until, err := s.access.CreateLink(c.Request().Context(), by, u.ID, life)
	return s.changed(c, err, accessView{Given: LinkURL(s.options.PagesURL, link, ""), GivenName: "Sign-in link for " + u.Name + ", which works once until " + stamp(until)})
}

func (s *Server) createLink(c echo.Context) error {
	ctx := c.Request().Context()
	by := app.From(ctx).Principal
	users, err := s.access.Users(ctx, by)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.ID == c.Param("id") {
			return s.giveLink(c, by, u)
		}
	}
	return echo.NewHTTPError(http.StatusNotFound)
}

func (s *Server) updateUser(c echo.Context) error {
	ctx := c.Request().Context()
	form := posted(c)
	by := app.From(ctx)
	u, err := s.access.UpdateUser(ctx, by.Principal, c.Param("id"), app.UserChange{
		Name: form.Get("name"), Roles: form["role"], Accounts: listed(form.Get("accounts")), Environments: form["environment"], Disabled: form.Get("disabled") != "",
	})
	if err == nil && u.ID == by.ID && (u.Roles.String() != by.Roles.String() || !u.Enabled()) {
		return s.leave(c) // one's own rights changed, and the session ended with them
	}
	return s.changed(c, err, accessView{Done: u.Name + " was changed."})
}

func (s *Server) signUserOut(c echo.Context) error {
	ctx := c.Request().Context()
	by := app.From(ctx)
	err := s.access.SignOutEverywhere(ctx, by.Principal, c.Param("id"))
	if err == nil && c.Param("id") == by.ID {
		return s.leave(c)
	}
	return s.changed(c, err, accessView{Done: "Every session of the user has ended."})
}

func (s *Server) createToken(c echo.Context) error {
	ctx := c.Request().Context()
	form := posted(c)
	in := app.TokenInput{Name: form.Get("name"), Environment: form.Get("environment"), Roles: form["role"], Accounts: listed(form.Get("accounts"))}
	const longest = 3650
	days, err := strconv.Atoi(form.Get("days"))
	switch {
	case err != nil || days < 0 || days > longest:
		return s.changed(c, fault.InvalidField("days", "expiry_range", "a token works for 1 to %d days, or 0 for ever", longest), accessView{})
	case days == 0:
		in.Life = app.Forever
	default:
		in.Life = time.Duration(days) * 24 * time.Hour
	}
	t, text, err := s.access.CreateToken(ctx, app.From(ctx).Principal, in)
	return s.changed(c, err, accessView{Given: text.Reveal(), GivenName: "Token " + t.Name})
}

func (s *Server) rotateToken(c echo.Context) error {
	ctx := c.Request().Context()
	t, text, err := s.access.RotateToken(ctx, app.From(ctx).Principal, c.Param("id"))
	return s.changed(c, err, accessView{Given: text.Reveal(), GivenName: "Token " + t.Name + ", in the place of " + c.Param("id")})
}

func (s *Server) revokeToken(c echo.Context) error {
	ctx := c.Request().Context()
	t, err := s.access.RevokeToken(ctx, app.From(ctx).Principal, c.Param("id"))
	return s.changed(c, err, accessView{Done: "Token " + t.Name + " works no more."})
}
