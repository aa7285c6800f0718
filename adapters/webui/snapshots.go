package webui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
)

func (s *Server) snapshotList(c echo.Context) (list, reconcile.SnapshotsFilter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := reconcile.SnapshotsFilter{Scope: scopeOf(c), AccountID: cmp.Or(c.Param("id"), p("account")), Verdict: p("verdict"), Search: p("q"), Sort: p("sort"), Cursor: p("cursor"), Limit: listLimit}
	accounts, err := s.reconcile.Accounts(c.Request().Context(), f.Scope)
	if err != nil {
		return list{}, f, err
	}
	l := list{
		Name: "snapshots", Heading: "Policy snapshots", Lead: "What was shipped to whom, and what was measured of it. A snapshot never changes; the newest readout is its latest word.", Path: "/snapshots", Active: "snapshots",
		Filters: []field{
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "verdict", Label: "Newest readout", Value: f.Verdict, Choices: choices("Every verdict", f.Verdict, []string{"passed", "withheld"}, words)},
			{Name: "q", Label: "Snapshot", Value: f.Search, Type: "search", Hint: "ID or name"},
		},
		Columns: []column{
			{Name: "name"}, {Name: "snapshot"}, {Name: "account"}, {Name: "environment"}, {Name: "shipped_at", Kind: columnTime}, {Name: "retired_at", Kind: columnTime}, {Name: "period"}, {Name: "verdict"}, {Name: "reason"}, {Name: "readouts", Kind: columnCount, Sum: true},
			{Name: "currency"}, {Name: "base_billed", Kind: columnMoney, Sum: true}, {Name: "fees", Kind: columnMoney, Sum: true}, {Name: "case_id"},
		},
		Labels: []string{"Name", "Snapshot", "Account", "Environment", "Shipped", "Retired", "Newest period", "Verdict", "Reason", "Readouts", "Currency", "Lift billed", "Fees", "Case"},
		Empty:  "No snapshot yet", EmptyHint: "Ship one: choose its account here, or POST /v1/accounts/…/snapshots.",
	}
	i := slices.IndexFunc(accounts, func(o reconcile.Overview) bool { return o.ID == f.AccountID })
	if caller := app.From(c.Request().Context()); i >= 0 && caller.Kind == access.User && caller.Can(access.WriteSetup) {
		l.Ship = &shipForm{AccountID: f.AccountID, Name: accounts[i].Name}
	}
	l.sorted(f.Sort, map[int]string{0: "name", 2: "account", 4: "shipped"}, "shipped")
	return l, f, nil
}

func snapshotRow(i reconcile.Snapshot) row {
	verdict, readout := cell{Value: i.Verdict}, ""
	if i.Verdict != "" {
		state := stateOf(i.Verdict)
		verdict.State, readout = &state, "/readouts/"+i.CaseID
	}
	return row{Key: rowKey(i.AccountID, "-", i.ID), Cells: []cell{
		{Value: i.Name, URL: snapshotURL(i.AccountID, i.ID)}, {Value: i.ID, Mono: true}, {Value: i.AccountName, URL: query("/cycles", "period", "all", "account", i.AccountID)}, {Value: string(i.Environment)}, {Value: i.ShippedAt}, {Value: timeOf(i.RetiredAt)},
		{Value: i.Period, Sub: month(i.Period)}, verdict, {Value: i.Headline, Mono: true}, {Value: i.Readouts}, {Value: strings.ToUpper(i.Currency)},
		{Value: cash{i.BilledMinor, i.Currency}, URL: readout}, {Value: cash{i.FeeMinor, i.Currency}, URL: readout}, {Value: i.CaseID, Mono: true, URL: readout},
	}}
}

// shipForm ships a snapshot to the account that the list shows.
type shipForm struct {
	AccountID, Name string
	Problem         string // why the last request was refused
}

func (s *Server) snapshots(c echo.Context) error { return s.showSnapshots(c, http.StatusOK, "") }

func (s *Server) showSnapshots(c echo.Context, status int, problem string) error {
	l, f, err := s.snapshotList(c)
	if err != nil {
		return err
	}
	page, err := s.reconcile.Snapshots(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, i := range page.Items {
		l.Rows = append(l.Rows, snapshotRow(i))
	}
	if l.Ship != nil {
		l.Ship.Problem = problem
	}
	return s.showWith(c, status, l, f.Cursor, page.NextCursor)
}

func (s *Server) snapshotsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.snapshotList(c)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, snapshotRow, func(cursor string, n int) ([]reconcile.Snapshot, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.reconcile.Snapshots(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}

// journalExport is what a general ledger takes: the receivable against the lines.
func (s *Server) journalExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	t, err := s.reconcile.TieOut(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	entries, err := reconcile.Journal(t)
	if err != nil {
		return err
	}
	r := report{
		Name: "journal-" + t.ID, Title: "Journal of " + t.AccountName + ", " + month(t.Period), Version: 2,
		Parameters: []parameter{{"cycle", t.ID}, {"revision", strconv.Itoa(t.Revision)}, {"state", string(t.State)}, {"contract_hash", t.ContractHash}},
		Columns: []column{
			{Name: "date"}, {Name: "account"}, {Name: "line"}, {Name: "description"}, {Name: "debit", Kind: columnMoney, Sum: true}, {Name: "credit", Kind: columnMoney, Sum: true}, {Name: "currency"}, {Name: "reference"}, {Name: "revision", Kind: columnCount},
		},
	}
	for _, e := range entries {
		r.Rows = append(r.Rows, []any{e.Date.Format("2006-01-02"), s.bookedAs(e.Account), e.Line, e.Description, cashOf(e.DebitMinor, e.Currency), cashOf(e.CreditMinor, e.Currency), e.Currency, e.Reference, int64(e.Revision)})
	}
	return s.send(c, r)
}
