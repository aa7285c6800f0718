package webui

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
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

// auditView is one page of the audit log.
type auditView struct {
	Actor, Action, Object, ObjectID, Account string
	Environments, Outcomes                   []Choice
	From, To                                 string
	Rows                                     []trail.Row
	Filtered                                 bool
	MoreURL, FirstURL, ResetURL              string
}

func (s *Server) auditPage(c echo.Context) error {
	p := func(name string) string { return c.QueryParam(name) }
	from, err := dayOf("from", p("from"))
	if err != nil {
		return err
	}
	to, err := dayOf("to", p("to"))
	if err != nil {
		return err
	}
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1) // the day itself is shown
	}
	f := audit.Filter{
		Scope: scopeOf(c), ActorID: p("actor"), Action: p("action"), Object: p("object"), ObjectID: p("object_id"), AccountID: p("account"),
		Environment: p("environment"), Outcome: p("outcome"), From: from, To: to, Cursor: p("cursor"), Limit: 100,
	}
	page, err := s.audit.Entries(c.Request().Context(), f)
	if err != nil {
		return err
	}
	v := auditView{
		Actor: f.ActorID, Action: f.Action, Object: f.Object, ObjectID: f.ObjectID, Account: f.AccountID, From: p("from"), To: p("to"), Rows: page.Items,
		Environments: choices("Everything", f.Environment, []string{"live", "test", "installation"}, words),
		Outcomes:     choices("Done and refused", f.Outcome, []string{"done", "refused"}, words), ResetURL: "/audit",
	}
	at := func(cursor string) string {
		return query("/audit", "actor", f.ActorID, "action", f.Action, "object", f.Object, "object_id", f.ObjectID, "account", f.AccountID,
			"environment", f.Environment, "outcome", f.Outcome, "from", v.From, "to", v.To, "cursor", cursor)
	}
	v.Filtered = at("") != "/audit" || f.Cursor != ""
	if page.NextCursor != "" {
		v.MoreURL = at(page.NextCursor)
	}
	if f.Cursor != "" {
		v.FirstURL = at("")
	}
	shown := f.Environment
	if shown == "installation" {
		shown = "none"
	}
	return s.render(c, http.StatusOK, "audit", frame{Title: "Audit log", Active: "audit", Environment: shown, Page: v})
}

func dayOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fault.InvalidField(field, "day_malformed", "%q is not a day", text).Fix("Write it as YYYY-MM-DD")
	}
	return t, nil
}
