package webui

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/recon"
)

// Breaks are the differences to Stripe and the work on them; *reconcile.Reconciler is it.
type Breaks interface {
	Breaks(ctx context.Context, f reconcile.BreaksFilter) (reconcile.Page[reconcile.BreakView], error)
	Break(ctx context.Context, id string) (reconcile.BreakView, error)
	Assign(ctx context.Context, by access.Principal, id, owner string) (reconcile.BreakView, error)
	Note(ctx context.Context, by access.Principal, id, text, link string) (reconcile.BreakView, error)
	Resolve(ctx context.Context, by access.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error)
	RequestForce(ctx context.Context, by access.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error)
	Force(ctx context.Context, by access.Principal, id string, agree bool, text string) (reconcile.BreakView, error)
	Reopen(ctx context.Context, by access.Principal, id, text string) (reconcile.BreakView, error)
	Compare(ctx context.Context, by access.Principal, connectionID, object, id string) (reconcile.Comparison, error)
	Summary(ctx context.Context, accountID, month string) (reconcile.Summary, error)
	Reconcile(ctx context.Context, by access.Principal, accountID, month string, beat func(doing string)) (reconcile.Outcome, error)
	Close(ctx context.Context, by access.Principal, accountID, month string) error
	ReopenMonth(ctx context.Context, by access.Principal, accountID, month, reason string) error
	Closings(ctx context.Context, accountID, month string) ([]recon.Closing, error)
}

func (s *Server) registerBreaks(e exporting) {
	e.GET("/breaks", s.breakPage)
	e.GET("/breaks.:format", s.breakExport)
	e.POST("/breaks", s.breakBulk)
	e.GET("/breaks/:id", s.breakOne)
	e.POST("/breaks/:id/assign", s.breakAssign)
	e.POST("/breaks/:id/notes", s.breakNote)
	e.POST("/breaks/:id/resolve", s.breakResolve)
	e.POST("/breaks/:id/request-force", s.breakAskForce)
	e.POST("/breaks/:id/force", s.breakForce)
	e.POST("/breaks/:id/reopen", s.breakReopen)
	e.POST("/cycles", s.cycleBulk)
	e.POST("/cycles/:id/close", s.closeMonth)
	e.POST("/cycles/:id/reconcile", s.runMonth)
	e.GET("/accounts/:id/months/:period", s.accountMonth)
	e.POST("/accounts/:id/months/:period/reconcile", s.runAccountMonth)
	e.POST("/accounts/:id/months/:period/replay", s.replayMonth)
	e.GET("/connections/:id/compare", s.comparePage)
	e.POST("/connections/:id/compare", s.compare)
}

// showPending, showBlocking and showAll say which breaks are listed. What needs somebody is
// listed when nothing is said.
const (
	showPending  = ""
	showBlocking = "blocking"
	showAll      = "all"
)

var effects = map[recon.Effect]string{
	recon.NoEffect: "no amount changes", recon.OnRevenue: "the measured revenue, and through it the fee", recon.OnInvoice: "what the payer is asked to pay",
	recon.OnLater: "a later period", recon.OnEvidence: "no amount, but whether anybody can rely on it",
}

// breakState is how the state of a break looks.
func breakState(b recon.State) StateView {
	v := StateView{Name: words(string(b)), Icon: "●", Tone: "busy"}
	switch b {
	case recon.Open:
		v.Icon, v.Tone = "!", "bad"
	case recon.ForceRequested:
		v.Icon = "?"
	case recon.Resolved, recon.Forced, recon.AutoRepaired:
		v.Icon, v.Tone = "✓", "good"
	case recon.Gone:
		v.Icon, v.Tone = "–", "calm"
	case recon.Assigned, recon.Waiting: // somebody, or a repair, is at it
	}
	return v
}

func severityView(s recon.Severity) StateView {
	v := StateView{Name: string(s), Icon: "–", Tone: "calm"}
	switch s {
	case recon.Critical:
		v.Icon, v.Tone = "✕", "bad"
	case recon.Error:
		v.Icon, v.Tone = "!", "bad"
	case recon.Warning:
		v.Icon, v.Tone = "●", "busy"
	case recon.Info: // as it is
	}
	return v
}

// stripeID is an object of Stripe's that events are about.
var stripeID = regexp.MustCompile(`^(evt|cus|in|sub|ch|re|dp|du|pi|cn)_[A-Za-z0-9]+$`)

// stripeURL is where the events of an object are; empty for what is none of Stripe's.
func stripeURL(id string) string {
	if !stripeID.MatchString(id) {
		return ""
	}
	return query("/events", "q", id)
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}

func breakTypes() []string {
	var out []string
	for _, r := range recon.Rules() {
		out = append(out, string(r.Type))
	}
	return out
}

// breakFilter reads the filters of the address.
func breakFilter(c echo.Context) (reconcile.BreaksFilter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := reconcile.BreaksFilter{
		Scope: scopeOf(c), AccountID: p("account"), Environment: p("environment"), Period: p("period"), Type: p("type"), State: p("state"), Severity: p("severity"), Owner: p("owner"),
		Age: p("age"), Currency: strings.ToLower(p("currency")), Search: p("q"), Sort: p("sort"), Cursor: p("cursor"), Limit: listLimit,
	}
	f.Pending, f.Blocking = p("show") == showPending && f.State == "", p("show") == showBlocking
	var err error
	if f.Min, err = parseMajor("from", p("from"), f.Currency); err != nil {
		return f, err
	}
	f.Max, err = parseMajor("to", p("to"), f.Currency)
	return f, err
}

// breakList is the list without its rows.
func (s *Server) breakList(c echo.Context) (list, reconcile.BreaksFilter, error) {
	ctx, scope := c.Request().Context(), scopeOf(c)
	f, err := breakFilter(c)
	if err != nil {
		return list{}, f, err
	}
	periods, err := s.reconcile.Periods(ctx, scope)
	if err != nil {
		return list{}, f, err
	}
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return list{}, f, err
	}
	show := c.QueryParam("show")
	l := list{
		Name: "breaks", Heading: "Breaks", Lead: "What must be fixed or explained? One row is one difference between the ledger and Stripe, or within the ledger.", Path: "/breaks", Active: "breaks", Environment: f.Environment,
		Filters: []field{
			{Name: "show", Label: "Show", Value: show, Choices: choices("What needs somebody", show, []string{showBlocking, showAll}, func(v string) string {
				return map[string]string{showBlocking: "What blocks the close", showAll: "Every break"}[v]
			})},
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "period", Label: "Cycle", Value: f.Period, Choices: choices("Every period", f.Period, withChosen(periods, f.Period), month)},
			{Name: "environment", Label: "Environment", Value: f.Environment, Choices: choices("Live and test", f.Environment, []string{"live", "test"}, words)},
			{Name: "type", Label: "Type", Value: f.Type, Choices: choices("Every type", f.Type, breakTypes(), words)},
			{Name: "severity", Label: "Severity", Value: f.Severity, Choices: choices("Every severity", f.Severity, texts([]recon.Severity{recon.Critical, recon.Error, recon.Warning, recon.Info}), words)},
			{Name: "state", Label: "Status", Value: f.State, Choices: choices("Every status", f.State, texts(recon.States()), words)},
			{Name: "age", Label: "Age", Value: f.Age, Choices: choices("Every age", f.Age, texts(recon.Ages()), func(a string) string { return a + " days" })},
			{Name: "owner", Label: "Owner", Value: f.Owner},
			{Name: "from", Label: "At stake from", Value: c.QueryParam("from"), Hint: "0.00"}, {Name: "to", Label: "to", Value: c.QueryParam("to"), Hint: "1000.00"},
			{Name: "currency", Label: "Currency", Value: f.Currency, Hint: "usd"},
			{Name: "q", Label: "Object or customer", Value: f.Search, Type: "search", Hint: "in_…, cus_…"},
		},
		Columns: []column{
			{Name: "type"}, {Name: "severity"}, {Name: "state"}, {Name: "account"}, {Name: "environment"}, {Name: "period"}, {Name: "currency"}, {Name: "at_stake", Kind: columnMoney, Sum: true},
			{Name: "difference", Kind: columnMoney, Sum: true}, {Name: "effect"}, {Name: "age_days"}, {Name: "owner"}, {Name: "ledger_source"}, {Name: "ledger_id"}, {Name: "ledger", Kind: columnMoney},
			{Name: "stripe_source"}, {Name: "stripe_id"}, {Name: "stripe", Kind: columnMoney}, {Name: "customer"}, {Name: "first_seen", Kind: columnTime}, {Name: "last_seen", Kind: columnTime},
			{Name: "reason"}, {Name: "notes", Kind: columnCount, Sum: true}, {Name: "detail"}, {Name: "break"},
		},
		Labels: []string{"Break", "Severity", "Status", "Account", "Environment", "Cycle", "Currency", "At stake", "Difference", "Effect on the invoice", "Age, days", "Owner", "Ours: where", "Ours: object", "Ours", "Theirs: where", "Theirs: object", "Theirs", "Customer", "First seen", "Last seen", "Reason", "Notes", "Detail", "Break ID"},
		Empty:  "No break is open", EmptyHint: "Both sides are compared every night, and when somebody asks for it; a month's page says when that was. Choose “Every break” to see what was resolved.",
	}
	if f.Sort != "" {
		l.Keep = []parameter{{"sort", f.Sort}}
	}
	unsorted := l
	unsorted.Keep = nil
	l.Sorts = map[int]sortLink{7: {URL: unsorted.at("/breaks", "sort", "amount"), Active: f.Sort == "amount"}, 19: {URL: unsorted.at("/breaks"), Active: f.Sort == ""}}
	return l, f, nil
}

// withChosen adds the chosen period where no cycle has it yet: a month that is running has breaks.
func withChosen(periods []string, chosen string) []string {
	for _, p := range periods {
		if p == chosen {
			return periods
		}
	}
	if chosen == "" {
		return periods
	}
	return append([]string{chosen}, periods...)
}

func breakRow(b reconcile.BreakView) row {
	state, severity := breakState(b.State), severityView(b.Rule().Severity)
	return row{Key: rowKey(b.ID), Pick: b.ID, Cells: []cell{
		{Value: string(b.Type), URL: "/breaks/" + b.ID, Sub: b.Rule().Title}, {Value: string(b.Rule().Severity), State: &severity}, {Value: string(b.State), State: &state},
		{Value: b.AccountName, Sub: b.AccountID, Env: b.Environment.String()}, {Value: b.Environment.String()}, {Value: b.Period, URL: monthURL(b.AccountID, b.Period), Sub: month(b.Period)}, {Value: strings.ToUpper(b.Currency)},
		{Value: cashOf(b.AmountMinor, b.Currency), URL: "/breaks/" + b.ID}, {Value: cashOf(b.Difference(b.Currency), b.Currency)}, {Value: effects[b.Rule().Effect]}, {Value: string(b.Age)}, {Value: b.Owner},
		{Value: b.Left.Source}, {Value: b.Left.ID, URL: stripeURL(b.Left.ID), Mono: true}, {Value: cash{b.Left.AmountMinor, b.Left.Currency}},
		{Value: b.Right.Source}, {Value: b.Right.ID, URL: stripeURL(b.Right.ID), Mono: true}, {Value: cash{b.Right.AmountMinor, b.Right.Currency}},
		{Value: b.CustomerID, URL: customerURL(b.AccountID, b.CustomerID), Mono: true}, {Value: b.FirstSeen}, {Value: b.LastSeen}, {Value: string(b.Reason)}, {Value: int64(b.Notes), URL: "/breaks/" + b.ID + "#history"}, {Value: b.Detail}, {Value: b.ID, Mono: true},
	}}
}

func customerURL(accountID, id string) string {
	if id == "" {
		return ""
	}
	return "/accounts/" + accountID + "/customers/" + url.PathEscape(id)
}

func (s *Server) breakPage(c echo.Context) error { return s.showBreaks(c, 200, "", "") }

// showBreaks shows the list, with what came of a change of marked rows.
func (s *Server) showBreaks(c echo.Context, status int, done, problem string) error {
	l, f, err := s.breakList(c)
	if err != nil {
		return err
	}
	page, err := s.breaks.Breaks(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, b := range page.Items {
		l.Rows = append(l.Rows, breakRow(b))
	}
	l.Done, l.Problem = done, problem
	if caller := app.From(c.Request().Context()); caller.Can(access.ResolveBreak) && len(l.Rows) > 0 {
		l.Bulk = &bulk{URL: l.at("/breaks", "cursor", f.Cursor), Reasons: texts(recon.Reasons()), Me: caller.Name}
	}
	return s.showWith(c, status, l, f.Cursor, page.NextCursor)
}

func (s *Server) breakExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.breakList(c)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, breakRow, func(cursor string, n int) ([]reconcile.BreakView, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.breaks.Breaks(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}
