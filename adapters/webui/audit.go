package webui

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
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
	CSVURL, XLSXURL, PDFURL                  string
	Time                                     timeOrder
	// MayVerify: the chains hold what others did too, so only who sees all of it verifies them.
	MayVerify bool
	Verified  []verifiedChain
}

// verifiedChain is what came of recomputing a chain.
type verifiedChain struct {
	audit.Head
	// Problem names the row at which it is broken; empty when it is whole.
	Problem string
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

// auditFilter is what the address selects.
func auditFilter(c echo.Context) (audit.Filter, error) {
	p := func(name string) string { return c.QueryParam(name) }
	from, err := dayOf("from", p("from"))
	if err != nil {
		return audit.Filter{}, err
	}
	to, err := dayOf("to", p("to"))
	if err != nil {
		return audit.Filter{}, err
	}
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1) // the day itself is shown
	}
	return audit.Filter{
		Scope: scopeOf(c), ActorID: p("actor"), Action: p("action"), Object: p("object"), ObjectID: p("object_id"), AccountID: p("account"),
		Environment: p("environment"), Outcome: p("outcome"), From: from, To: to, Sort: p("sort"), Cursor: p("cursor"), Limit: 100,
	}, nil
}

// auditExport has every entry that the page's filters select, with the hash of its row.
func (s *Server) auditExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	f, err := auditFilter(c)
	if err != nil {
		return err
	}
	all, err := everything(func(cursor string, n int) ([]trail.Row, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.audit.Entries(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	r := report{
		Name: "audit", Title: "Audit log", Version: 1,
		Columns: []column{
			{Name: "at", Kind: columnTime}, {Name: "chain"}, {Name: "row"}, {Name: "actor_kind"}, {Name: "actor"}, {Name: "actor_name"}, {Name: "action"}, {Name: "outcome"}, {Name: "object"}, {Name: "object_id"},
			{Name: "environment"}, {Name: "account"}, {Name: "before"}, {Name: "after"}, {Name: "reason"}, {Name: "request"}, {Name: "hash"},
		},
	}
	for _, name := range []string{"environment", "outcome", "action", "actor", "account", "object", "object_id", "from", "to", "sort"} {
		r.Parameters = append(r.Parameters, parameter{name, c.QueryParam(name)})
	}
	for _, e := range all {
		r.Rows = append(r.Rows, []any{
			e.At, string(e.Chain), strconv.FormatInt(e.Seq, 10), string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, string(e.Action), string(e.Outcome), e.Object, e.ObjectID,
			string(e.Environment), e.AccountID, e.Before, e.After, e.Reason, e.RequestID, hex.EncodeToString(e.Hash[:]),
		})
	}
	return s.send(c, r)
}

// verifyAudit recomputes every chain from its first row. A broken chain is a finding, not a
// failure of the page.
func (s *Server) verifyAudit(c echo.Context) error {
	var out []verifiedChain
	for _, chain := range trail.Chains() {
		head, err := s.audit.Verify(c.Request().Context(), chain, audit.Head{})
		v := verifiedChain{Head: head}
		v.Chain = chain
		if err != nil {
			if !fault.Is(err, fault.Conflict) {
				return err
			}
			v.Problem = err.Error()
		}
		out = append(out, v)
	}
	return s.showAudit(c, out)
}

func (s *Server) auditPage(c echo.Context) error { return s.showAudit(c, nil) }

func (s *Server) showAudit(c echo.Context, verified []verifiedChain) error {
	p := func(name string) string { return c.QueryParam(name) }
	f, err := auditFilter(c)
	if err != nil {
		return err
	}
	page, err := s.audit.Entries(c.Request().Context(), f)
	if err != nil {
		return err
	}
	v := auditView{
		Actor: f.ActorID, Action: f.Action, Object: f.Object, ObjectID: f.ObjectID, Account: f.AccountID, From: p("from"), To: p("to"),
		Environments: choices("Everything", f.Environment, []string{"live", "test", "installation"}, words),
		Outcomes:     choices("Done and refused", f.Outcome, []string{"done", "refused"}, words), ResetURL: "/audit",
		MayVerify: f.Scope.Whole(), Verified: verified,
	}
	for _, r := range page.Items {
		v.Rows = append(v.Rows, auditRow{r, changesOf(r.Before, r.After)})
	}
	address := func(path, cursor string) string {
		return query(path, "actor", f.ActorID, "action", f.Action, "object", f.Object, "object_id", f.ObjectID, "account", f.AccountID,
			"environment", f.Environment, "outcome", f.Outcome, "from", v.From, "to", v.To, "sort", v.Time.sort, "cursor", cursor)
	}
	v.Time = timeOrder{sort: f.Sort, Ascending: f.Sort == audit.SortOldest}
	v.Time.turn(audit.SortOldest, func(sort string) string {
		return query("/audit", "actor", f.ActorID, "action", f.Action, "object", f.Object, "object_id", f.ObjectID, "account", f.AccountID,
			"environment", f.Environment, "outcome", f.Outcome, "from", v.From, "to", v.To, "sort", sort)
	})
	at := func(cursor string) string { return address("/audit", cursor) }
	v.CSVURL, v.XLSXURL, v.PDFURL = address("/audit.csv", ""), address("/audit.xlsx", ""), address("/audit.pdf", "")
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
