package webui

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/audit"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// auditView is one page of the audit log.
type auditView struct {
	Actor, Action, Object, ObjectID, Account string
	Environments, Outcomes                   []Choice
	From, To                                 string
	Rows                                     []auditRow
	Filtered                                 bool
	MoreURL, FirstURL, ResetURL              string
}

// auditRow is an entry with what it changed, name by name.
type auditRow struct {
	trail.Row
	Changes []factChange
}

// factChange is one named value of an object, before and after.
type factChange struct{ Name, Before, After string }

// changesOf lists the values that differ; of an object that is new, all of them.
func changesOf(before, after string) []factChange {
	var was, is map[string]string
	if (before != "" && json.Unmarshal([]byte(before), &was) != nil) || (after != "" && json.Unmarshal([]byte(after), &is) != nil) {
		return []factChange{{"", before, after}}
	}
	names := slices.Collect(maps.Keys(was))
	for name := range is {
		if _, ok := was[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []factChange
	for _, name := range names {
		if was[name] != is[name] {
			out = append(out, factChange{strings.ReplaceAll(name, "_", " "), was[name], is[name]})
		}
	}
	return out
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
		Actor: f.ActorID, Action: f.Action, Object: f.Object, ObjectID: f.ObjectID, Account: f.AccountID, From: p("from"), To: p("to"),
		Environments: choices("Everything", f.Environment, []string{"live", "test", "installation"}, words),
		Outcomes:     choices("Done and refused", f.Outcome, []string{"done", "refused"}, words), ResetURL: "/audit",
	}
	for _, r := range page.Items {
		v.Rows = append(v.Rows, auditRow{r, changesOf(r.Before, r.After)})
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
