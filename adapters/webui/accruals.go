package webui

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Accruals keeps the figures of open months; *accrual.Service is it.
type Accruals interface {
	Accruals(ctx context.Context, f accrual.Filter) (accrual.Page, error)
	Run(ctx context.Context, by access.Principal, accountID, month string) (accrual.Accrual, error)
}

// accrualForm asks for the figures of an account's month now.
type accrualForm struct {
	AccountID, Name string
	Period          string
	Problem         string // why the last request was refused
}

func (s *Server) accrualList(c echo.Context) (list, accrual.Filter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := accrual.Filter{
		Scope: scopeOf(c), AccountID: cmp.Or(c.Param("id"), p("account")), Period: p("period"), Environment: p("environment"), Closed: p("months"), History: p("history") == "all", Cursor: p("cursor"), Limit: listLimit,
	}
	accounts, err := s.reconcile.Accounts(c.Request().Context(), f.Scope)
	if err != nil {
		return list{}, f, err
	}
	only := map[string]string{"open": "Open months", "closed": "Final months", "all": "Every night"}
	label := func(v string) string { return only[v] }
	l := list{
		Name: "accruals", Heading: "Accruals", Lead: "What months were expected to come to before they were closed: low is the constrained estimate at the lower bound, expected is the invoice on the data so far, high is what the intervals leave room for. Nothing is invoiced from them.",
		Path: "/accruals", Active: "accruals", Environment: f.Environment,
		Filters: []field{
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "period", Label: "Month", Value: f.Period, Hint: "2026-10"},
			{Name: "months", Label: "Months", Value: f.Closed, Choices: choices("Open and final", f.Closed, []string{"open", "closed"}, label)},
			{Name: "environment", Label: "Environment", Value: f.Environment, Choices: choices("Live and test", f.Environment, []string{"live", "test"}, words)},
			{Name: "history", Label: "Show", Value: p("history"), Choices: choices("The newest of each month", p("history"), []string{"all"}, label)},
		},
		Columns: []column{
			{Name: "cycle"}, {Name: "account"}, {Name: "environment"}, {Name: "period"}, {Name: "as_of", Kind: columnTime}, {Name: "figures"}, {Name: "currency"},
			{Name: "low", Kind: columnMoney, Sum: !f.History}, {Name: "expected", Kind: columnMoney, Sum: !f.History}, {Name: "high", Kind: columnMoney, Sum: !f.History},
			{Name: "state"}, {Name: "realised", Kind: columnMoney, Sum: !f.History}, {Name: "off", Kind: columnMoney, Sum: !f.History}, {Name: "within"}, {Name: "held"}, {Name: "waits_for"}, {Name: "computed_by"}, {Name: "digest"},
		},
		Labels: []string{"Cycle", "Account", "Environment", "Month", "As of", "Figures", "Currency", "Low", "Expected", "High", "Cycle is", "Came to", "Off", "In range", "Would be held", "Waits for", "Computed by", "Digest of the preview"},
		Empty:  "No accrual yet", EmptyHint: "Every night stores one for each open month. You can also compute one now.",
	}
	if f.History {
		l.Notes = append(l.Notes, "A month stands here once per night, so nothing is summed.")
	}
	caller := app.From(c.Request().Context())
	i := slices.IndexFunc(accounts, func(o reconcile.Overview) bool { return o.ID == f.AccountID })
	switch {
	case caller.Kind != access.User || !caller.Can(access.RunCycle) || len(accounts) == 0:
	case i < 0:
		l.Notes = append(l.Notes, "Choose an account to compute its figures now.")
	default:
		l.Accrue = &accrualForm{AccountID: f.AccountID, Name: accounts[i].Name, Period: f.Period}
		if f.Period == "" {
			l.Accrue.Period = period.Of(s.clock.Now(), time.UTC).String()
		}
	}
	return l, f, nil
}

// journals lead to the bookings of a month, each where something of the selection would be
// booked. A page that is the whole selection tells; otherwise the live ones are read until
// both have something.
func (s *Server) journals(c echo.Context, l list, f accrual.Filter, page accrual.Page) (out []crumb, err error) {
	if f.Period == "" || f.Environment == string(account.Test) {
		return nil, nil
	}
	var low, expected bool
	look := func(of []accrual.Accrual) {
		for _, a := range of {
			live := a.Environment == account.Live
			low, expected = low || live && a.Low.TotalMinor() != 0, expected || live && a.Expected.TotalMinor() != 0
		}
	}
	if whole := f.Cursor == "" && page.NextCursor == "" && !f.History; whole {
		look(page.Items)
	} else {
		f.Environment, f.History, f.Cursor, f.Limit = string(account.Live), false, "", exportPage
		for more := true; more && !(low && expected); more = f.Cursor != "" {
			if page, err = s.accrued.Accruals(c.Request().Context(), f); err != nil {
				return nil, err
			}
			look(page.Items)
			f.Cursor = page.NextCursor
		}
	}
	if low {
		out = append(out, crumb{"Journal, constrained", l.at("/accruals/journal.csv", "figure", string(accrual.FigureLow))})
	}
	if expected {
		out = append(out, crumb{"Journal, expected", l.at("/accruals/journal.csv", "figure", string(accrual.FigureExpected))})
	}
	return out, nil
}

// figuresOf says whether a month was over when it was looked at.
func figuresOf(a accrual.Accrual) string {
	if a.Over {
		return "month over"
	}
	return "to date"
}

func accrualRow(a accrual.Accrual) row {
	currency := string(a.Currency)
	state, stateName := cell{}, string(a.State)
	if stateName != "" {
		v := stateOf(stateName)
		state = cell{Value: words(stateName), State: &v, URL: "/cycles/" + a.CycleID()}
	}
	within := cell{}
	if in, known := a.Within(); known {
		v := StateView{"in range", "✓", "good"}
		if !in {
			v = StateView{"outside", "✕", "bad"}
		}
		within = cell{Value: v.Name, State: &v}
	}
	cycleURL := ""
	if stateName != "" {
		cycleURL = "/cycles/" + a.CycleID()
	}
	history := query("/accruals", "account", a.AccountID, "period", a.Period, "history", "all")
	return row{Key: rowKey(a.CycleID(), "-", a.AsOf.UnixMicro()), Cells: []cell{
		{Value: a.CycleID(), Mono: true, URL: cycleURL}, {Value: a.AccountName, URL: query("/cycles", "period", "all", "account", a.AccountID)}, {Value: string(a.Environment)}, {Value: a.Period, Sub: month(a.Period), URL: history}, {Value: a.AsOf},
		{Value: figuresOf(a)}, {Value: strings.ToUpper(currency)}, {Value: cashOf(a.Low.TotalMinor(), currency)}, {Value: cashOf(a.Expected.TotalMinor(), currency)}, {Value: cashOf(a.HighMinor, currency)},
		state, {Value: cash{a.RealisedMinor, currency}, URL: cycleURL}, {Value: cash{a.OffMinor(), currency}}, within, {Value: string(a.Held)}, {Value: strings.Join(a.WaitsFor, ", "), Mono: true}, {Value: a.By}, {Value: a.Digest, Mono: true},
	}}
}

func (s *Server) accruals(c echo.Context) error { return s.showAccruals(c, http.StatusOK, "") }

func (s *Server) showAccruals(c echo.Context, status int, problem string) error {
	l, f, err := s.accrualList(c)
	if err != nil {
		return err
	}
	page, err := s.accrued.Accruals(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, a := range page.Items {
		l.Rows = append(l.Rows, accrualRow(a))
	}
	if l.Links, err = s.journals(c, l, f, page); err != nil {
		return err
	}
	if l.Accrue != nil {
		l.Accrue.Problem = problem
	}
	return s.showWith(c, status, l, f.Cursor, page.NextCursor)
}

// computeAccrual computes what a form asks for; a refusal is shown on the page.
func (s *Server) computeAccrual(c echo.Context) error {
	a, err := s.accrued.Run(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), strings.TrimSpace(posted(c).Get("period")))
	if text, ok := refusal(err); ok {
		return s.showAccruals(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, query("/accruals", "account", a.AccountID, "period", a.Period))
}

// everyAccrual reads all pages of a selection.
func (s *Server) everyAccrual(c echo.Context, f accrual.Filter) ([]accrual.Accrual, error) {
	return everything(func(cursor string, n int) ([]accrual.Accrual, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.accrued.Accruals(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}

func (s *Server) accrualsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.accrualList(c)
	if err != nil {
		return err
	}
	all, err := s.everyAccrual(c, f)
	if err != nil {
		return err
	}
	for _, a := range all {
		l.Rows = append(l.Rows, accrualRow(a))
	}
	return s.sendList(c, l)
}

// accrualJournal books the newest accrual of every account in a month, and takes it back
// on the first day of the next.
func (s *Server) accrualJournal(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.accrualList(c)
	if err != nil {
		return err
	}
	figure, err := accrual.ParseFigure(c.QueryParam("figure"))
	if err != nil {
		return err
	}
	if f.Period == "" {
		return fault.InvalidField("period", "period_missing", "a journal is of one month").Fix("Choose the month, for example ?period=2026-10")
	}
	f.History = false
	all, err := s.everyAccrual(c, f)
	if err != nil {
		return err
	}
	entries, err := accrual.Journal(all, figure)
	if err != nil {
		return err
	}
	r := report{
		Name: "accrual-journal-" + f.Period, Title: "Accruals of " + month(f.Period) + " and their reversal", Version: 1,
		Parameters: append(slices.DeleteFunc(l.parameters(), func(p parameter) bool { return p.Name == "history" }), parameter{"figure", string(figure)}),
		Columns: []column{
			{Name: "date"}, {Name: "account"}, {Name: "description"}, {Name: "debit", Kind: columnMoney, Sum: true}, {Name: "credit", Kind: columnMoney, Sum: true}, {Name: "currency"}, {Name: "reference"}, {Name: "kind"},
		},
	}
	for _, e := range entries {
		kind := "accrual"
		if e.Reverses {
			kind = "reversal"
		}
		r.Rows = append(r.Rows, []any{e.Date.Format("2006-01-02"), s.bookedAs(e.Account), e.Description, cashOf(e.DebitMinor, e.Currency), cashOf(e.CreditMinor, e.Currency), e.Currency, e.Reference, kind})
	}
	return s.send(c, r)
}

// bookedAs is an account of a journal in the vendor's chart of accounts.
func (s *Server) bookedAs(name string) string {
	if own, ok := s.options.JournalAccounts[name]; ok {
		return own
	}
	return name
}

// accruedSum is what the open months of an environment and currency will come to.
type accruedSum struct {
	Environment, Currency string
	Months                int
	Low, Expected, High   int64
	URL                   string
}

// openSums sums the newest accruals of open months; amounts of two currencies, and of live
// and test, never meet.
func (s *Server) openSums(c echo.Context) ([]accruedSum, error) {
	all, err := s.everyAccrual(c, accrual.Filter{Scope: scopeOf(c), Closed: "open"})
	var out []accruedSum
	for _, a := range all {
		env, currency := string(a.Environment), string(a.Currency)
		i := slices.IndexFunc(out, func(s accruedSum) bool { return s.Environment == env && s.Currency == currency })
		if i < 0 {
			i = len(out)
			out = append(out, accruedSum{Environment: env, Currency: currency, URL: query("/accruals", "months", "open", "environment", env)})
		}
		o := &out[i]
		o.Months, o.Low, o.Expected, o.High = o.Months+1, o.Low+a.Low.TotalMinor(), o.Expected+a.Expected.TotalMinor(), o.High+a.HighMinor
	}
	slices.SortFunc(out, func(a, b accruedSum) int { return strings.Compare(a.Environment+a.Currency, b.Environment+b.Currency) })
	return out, err
}
