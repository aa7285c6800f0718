package webui

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// youView is one's own account.
type youView struct {
	Name, Roles, Scope string
	Permissions        []access.Permission
	ByLink             bool
	MinPassword        int
	Sessions           []sessionRow
	Problem            string
	Changed            bool
}

type sessionRow struct {
	access.Session
	Present bool
}

func (s *Server) youPage(c echo.Context) error {
	return s.showYou(c, http.StatusOK, youView{Changed: c.QueryParam("changed") == "password"})
}

func (s *Server) showYou(c echo.Context, status int, v youView) error {
	ctx := c.Request().Context()
	caller := app.From(ctx)
	sessions, err := s.access.Sessions(ctx, caller.Principal)
	if err != nil {
		return err
	}
	v.Name, v.Roles, v.Scope, v.Permissions = caller.Name, caller.Roles.String(), caller.Scope.String(), caller.Roles.Permissions()
	v.ByLink, v.MinPassword = caller.Info.ByLink, access.MinPassword
	for _, one := range sessions {
		v.Sessions = append(v.Sessions, sessionRow{one, one.CreatedAt.Equal(caller.Info.CreatedAt)})
	}
	return s.render(c, status, "you", frame{Title: "Your account", Active: "you", Environment: "none", Page: v})
}

func (s *Server) setPassword(c echo.Context) error {
	ctx := c.Request().Context()
	in, err := s.access.SetPassword(ctx, app.From(ctx), c.Request().PostFormValue("current"), c.Request().PostFormValue("password"), s.browser(c))
	var fe *fault.Error
	if errors.As(err, &fe) && (fe.Kind == fault.Invalid || fe.Kind == fault.RateLimited) {
		return s.showYou(c, http.StatusUnprocessableEntity, youView{Problem: sentence(fe.Msg) + " " + sentence(fe.Remedy)})
	}
	if err != nil {
		return err
	}
	return s.enter(c, in, "/you?changed=password")
}

func (s *Server) signOutEverywhere(c echo.Context) error {
	ctx := c.Request().Context()
	caller := app.From(ctx)
	if err := s.access.SignOutEverywhere(ctx, caller.Principal, caller.ID); err != nil {
		return err
	}
	return s.leave(c)
}
