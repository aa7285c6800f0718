package webui

import (
	"cmp"
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
	"github.com/liftbill/liftbill/domain/billing"
)

// boardLimit is a page of the close board, which says of its totals that they are its own.
const boardLimit = 200

// everyPeriod selects all periods; without a period the newest one is shown.
const everyPeriod = "all"

// cyclesView is the close board.
type cyclesView struct {
	Period, PeriodName          string
	PreviousURL, NextURL        string
	Periods, States             []Choice
	Accounts, Modes             []Choice
	Environments                []Choice // nil unless the address has one: a mode says more
	Filtered                    bool
	Rows                        []cycleRow
	Totals                      []cycleTotal
	MoreURL, FirstURL, ResetURL string
	CSVURL, XLSXURL, PDFURL     string
	Breaks                      []Choice
	Currency, From, To          string
	Sort                        string
	// Selected are the filters that select something, for the page on paper.
	Selected []string
	Heads    map[string]headView
	// MayPick: rows can be marked, to be approved or closed together.
	MayPick, MayApprove bool
	SelfURL             string
	Done, Problem       string
	// Open are the newest figures of months without a final cycle.
	Open    []accrual.Accrual
	Console []consoleLink
}

type cycleRow struct {
	reconcile.CycleSummary
	State       StateView
	WorkflowURL string
	TiesOut     bool
	BreaksURL   string
	// TrueUpsURL and LaterURL are the adjustments that the cycle has as lines, and those that
	// stem from its month.
	TrueUpsURL, LaterURL string
	DueAt                string
	// Age is how many days the period has been over.
	Age int
}

// ClosedTime is when the month was closed.
func (r cycleRow) ClosedTime() time.Time { return timeOf(r.ClosedAt) }

// cycleTotal sums the rows of one mode and currency.
type cycleTotal struct {
	Mode, Currency                        string
	Cycles, Lines, Withheld               int
	Lift, Engine, Stripe, Difference      int64
	WithheldMinor, TrueUps, Later         int64
	WithStripe, Unwritten, WithDifference int
	Breaks, Blocking                      int
	AtStake                               int64
}

func (s *Server) cycles(c echo.Context) error { return s.showCycles(c, http.StatusOK, "", "") }

// cyclesFilter reads the filters of the address.
func cyclesFilter(c echo.Context) (reconcile.CyclesFilter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	q := reconcile.CyclesFilter{
		Scope: scopeOf(c), Period: p("period"), State: p("state"), AccountID: p("account"), Environment: p("environment"), Mode: p("mode"), Breaks: p("breaks"), Currency: strings.ToLower(p("currency")),
		Sort: p("sort"), Cursor: p("cursor"), Limit: boardLimit,
	}
	var err error
	if q.Min, err = parseMajor("from", p("from"), q.Currency); err != nil {
		return q, err
	}
	q.Max, err = parseMajor("to", p("to"), q.Currency)
	return q, err
}

// leads says where the list goes from here: to its files, to other periods and pages.
func (v *cyclesView) leads(c echo.Context, q reconcile.CyclesFilter, next string, periods []string) {
	list := func(path, p, sort, cursor string) string {
		return query(path, "period", p, "state", q.State, "account", q.AccountID, "environment", q.Environment, "mode", q.Mode, "breaks", q.Breaks, "currency", q.Currency, "from", v.From, "to", v.To, "sort", sort, "cursor", cursor)
	}
	at := func(p, cursor string) string { return list("/cycles", p, q.Sort, cursor) }
	export := func(format string) string { return list("/cycles."+format, v.Period, q.Sort, "") }
	v.Sort, v.Heads = q.Sort, map[string]headView{}
	for name, label := range map[string]string{"account": "Account", "state": "State", "updated": "Updated"} {
		link := sortLink{Active: q.Sort == name || q.Sort == name+"_asc", Ascending: q.Sort == name+"_asc"}
		next := name + "_asc"
		if link.Ascending {
			next = name
		}
		link.URL = list("/cycles", v.Period, next, "")
		v.Heads[name] = headView{Label: label, Sort: &link}
	}
	caller := app.From(c.Request().Context())
	v.MayPick, v.MayApprove, v.SelfURL = caller.Can(access.DecideCycle), caller.Can(access.ApproveCycle), at(v.Period, q.Cursor)
	v.CSVURL, v.XLSXURL, v.PDFURL = export("csv"), export("xlsx"), export("pdf")
	if i := slices.Index(periods, v.Period); i >= 0 {
		if i+1 < len(periods) {
			v.PreviousURL = at(periods[i+1], "")
		}
		if i > 0 {
			v.NextURL = at(periods[i-1], "")
		}
	}
	if next != "" {
		v.MoreURL = at(v.Period, next)
	}
	if q.Cursor != "" {
		v.FirstURL = at(v.Period, "")
	}
}

func (s *Server) showCycles(c echo.Context, status int, done, problem string) error {
	ctx := c.Request().Context()
	periods, err := s.reconcile.Periods(ctx, scopeOf(c))
	if err != nil {
		return err
	}
	accounts, err := s.reconcile.Accounts(ctx, scopeOf(c))
	if err != nil {
		return err
	}
	q, err := cyclesFilter(c)
	if err != nil {
		return err
	}
	if q.Period == "" && len(periods) > 0 {
		q.Period = periods[0]
	}
	chosen := q.Period
	if q.Period == everyPeriod {
		q.Period = ""
	}
	page, err := s.reconcile.Cycles(ctx, q)
	if err != nil {
		return err
	}
	v := cyclesView{
		Period: chosen, PeriodName: month(chosen), Totals: totalsOf(page.Items), ResetURL: "/cycles",
		Filtered: q.State != "" || q.AccountID != "" || q.Environment != "" || q.Mode != "" || q.Cursor != "" || q.Breaks != "" || q.Currency != "" || q.Min != nil || q.Max != nil,
		Breaks: choices("With and without", q.Breaks, []string{"open", "blocking"}, func(v string) string {
			return map[string]string{"open": "With open breaks", "blocking": "With blocking breaks"}[v]
		}),
		Currency: q.Currency, From: c.QueryParam("from"), To: c.QueryParam("to"), Done: done, Problem: problem,
		States:   choices("Every state", q.State, stateNames(), words),
		Modes:    choices("Every mode", q.Mode, reconcile.Modes(), words),
		Accounts: choices("Every account", q.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) }),
	}
	if q.Environment != "" {
		v.Environments = choices("Live and test", q.Environment, []string{"live", "test"}, words)
	}
	for _, all := range [][]Choice{v.States, v.Accounts, v.Environments, v.Modes, v.Breaks} {
		if i := slices.IndexFunc(all, func(c Choice) bool { return c.Selected && c.Value != "" }); i >= 0 {
			v.Selected = append(v.Selected, all[i].Label)
		}
	}
	for _, bound := range [][2]string{{"engine total from", v.From}, {"to", v.To}, {"in", strings.ToUpper(v.Currency)}} {
		if bound[1] != "" {
			v.Selected = append(v.Selected, bound[0]+" "+bound[1])
		}
	}
	if chosen == "" {
		v.PeriodName = "Cycles"
	}
	if chosen == everyPeriod {
		v.PeriodName = "Every period"
	}
	v.Periods = periodChoices(periods, chosen)
	v.leads(c, q, page.NextCursor, periods)
	v.Console = s.consoleLinks(chosen)
	for _, item := range page.Items {
		v.Rows = append(v.Rows, s.cycleRow(item))
	}
	v.Open, err = s.everyAccrual(c, accrual.Filter{Scope: q.Scope, AccountID: q.AccountID, Environment: environmentOfMode(q), Closed: "open"})
	if err != nil {
		return err
	}
	return s.render(c, status, "cycles", frame{Title: v.PeriodName, Active: "cycles", Environment: environmentOfMode(q), Shadow: q.Mode == reconcile.ModeShadow, Page: v})
}

// environmentOfMode is the environment of all rows that are selected; empty where both may be.
func environmentOfMode(q reconcile.CyclesFilter) string {
	if q.Mode == reconcile.ModeShadow {
		return string(account.Live)
	}
	return cmp.Or(q.Mode, q.Environment)
}

func (s *Server) cycleRow(item reconcile.CycleSummary) cycleRow {
	due := ""
	if item.Payment != nil && item.Payment.DueAt != nil {
		due = day(*item.Payment.DueAt)
	}
	return cycleRow{
		BreaksURL:  query("/breaks", "account", item.AccountID, "period", item.Period),
		TrueUpsURL: query("/adjustments", "account", item.AccountID, "applied", item.Period), LaterURL: query("/adjustments", "account", item.AccountID, "period", item.Period), DueAt: due, Age: max(0, int(s.clock.Now().Sub(item.PeriodEnd).Hours()/24)),
		CycleSummary: item, State: stateOf(string(item.State)), WorkflowURL: s.workflowURL(item.WorkflowID),
		TiesOut: item.DifferenceMinor != nil && *item.DifferenceMinor == 0,
	}
}

// totalsOf sums the shown rows. Amounts of two currencies never meet, and neither
// do those of live, test and shadow months.
func totalsOf(rows []reconcile.CycleSummary) []cycleTotal {
	var out []cycleTotal
	for _, r := range rows {
		i := slices.IndexFunc(out, func(t cycleTotal) bool { return t.Currency == r.Currency && t.Mode == r.Mode() })
		if i < 0 {
			i = len(out)
			out = append(out, cycleTotal{Mode: r.Mode(), Currency: r.Currency})
		}
		t := &out[i]
		t.Cycles++
		t.Lines += r.Lines
		t.Withheld += r.WithheldLines
		t.Lift += r.LiftMinor
		t.WithheldMinor += r.WithheldMinor
		t.TrueUps += r.TrueUpMinor
		t.Later += r.LaterMinor
		t.Engine += r.EngineMinor
		t.Breaks += r.OpenBreaks
		t.Blocking += r.BlockingBreaks
		t.AtStake += r.BreaksMinor
		if r.StripeMinor != nil {
			t.Stripe += *r.StripeMinor
			t.WithStripe++
		} else if r.EngineMinor != 0 {
			t.Unwritten++
		}
		if r.DifferenceMinor != nil {
			t.Difference += *r.DifferenceMinor
			t.WithDifference++
		}
	}
	return out
}

func stateNames() []string {
	var out []string
	for _, s := range []billing.CycleState{
		billing.Collecting, billing.Computing, billing.Proposed, billing.Writing, billing.Invoiced,
		billing.Withheld, billing.DryRun, billing.Blocked, billing.NeedsHuman,
		billing.AwaitingApproval, billing.Approved, billing.Held, billing.Returned, billing.Expired, billing.Skipped,
	} {
		out = append(out, string(s))
	}
	return out
}

func periodChoices(periods []string, chosen string) []Choice {
	var out []Choice
	for _, p := range periods {
		out = append(out, Choice{Value: p, Label: month(p), Selected: p == chosen})
	}
	if chosen != "" && chosen != everyPeriod && !slices.Contains(periods, chosen) {
		out = append(out, Choice{Value: chosen, Label: month(chosen), Selected: true})
	}
	return append(out, Choice{Value: everyPeriod, Label: "Every period", Selected: chosen == everyPeriod})
}

func idsOf(accounts []reconcile.Overview) []string {
	var out []string
	for _, a := range accounts {
		out = append(out, a.ID)
	}
	return out
}

func nameOf(accounts []reconcile.Overview, id string) string {
	for _, a := range accounts {
		if a.ID == id {
			return a.Name
		}
	}
	return id
}
