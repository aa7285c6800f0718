package webui

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// Mapping tells whose customers are nobody's yet; *mapping.Service is it.
type Mapping interface {
	Quarantine(ctx context.Context, f mapping.PeriodFilter) (mapping.Quarantine, error)
	Coverage(ctx context.Context, f mapping.PeriodFilter) (mapping.Coverage, error)
	Suggestions(ctx context.Context, f mapping.SuggestionsFilter) (mapping.Page[mapping.Suggestion], error)
	Accept(ctx context.Context, connectionID, id string, by mapping.Decision) (mapping.Suggestion, error)
	Reject(ctx context.Context, connectionID, id string, by mapping.Decision) (mapping.Suggestion, error)
}

func (s *Server) registerCoverage(e exporting) {
	e.GET("/coverage", s.coveragePage)
	e.GET("/coverage.:format", s.coverageExport)
	e.POST("/accounts/:id/suggestions/:suggestion", s.suggestion)
}

// coverageView is what of a month does not meet, and what could be done about it.
type coverageView struct {
	listView
	Shares      []shareView
	Suggestions []mapping.Suggestion
	Account     string
	Period      string
	MayDecide   bool
	Customers   mapping.Share
	Facts       mapping.Share
	CSVURL      string
	XLSX, PDF   string
	Done        string
	Problem     string
	// AsOf is when the figures were summed; empty is now.
	AsOf string
}

// shareView is how much of the net confirmed revenue in a currency is somebody's.
type shareView struct {
	Currency      string
	Mapped, Total int64
	Share         string
}

var gapReasons = map[string]string{
	mapping.ReasonNeverMapped: "nothing was ever said of the customer", mapping.ReasonUnlinked: "the customer was said to be nobody's", mapping.ReasonConflict: "statements about the customer contradict each other",
	mapping.ReasonLeftOut: "joined by e-mail or domain, which the connection leaves out", mapping.ReasonNoCustomer: "the fact names no customer",
	string(reconcile.RewardWithoutDecision): "users for whom no decision was logged (contract year to date, frozen)", string(reconcile.BeforeExposure): "paid before the user was decided about (contract year to date, frozen)",
	string(reconcile.OutOfWindow): "paid outside the attribution window (contract year to date, frozen)", string(reconcile.DecisionWithoutCustomer): "decisions about users to whom no customer is joined",
	string(reconcile.DuplicateReward): "confirmations of an invoice beyond its first", string(reconcile.DuplicateDecision): "decisions about a user and snapshot beyond the first, which alone counts",
	string(reconcile.PropensityOutOfRange): "decisions whose action has no probability in (0, 1]",
}

// coverageOf loads one account's month. Without a choice it is the first account and its
// newest period.
func (s *Server) coverageOf(c echo.Context) (list, *coverageView, error) {
	ctx, scope := c.Request().Context(), scopeOf(c)
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return list{}, nil, err
	}
	periods, err := s.reconcile.Periods(ctx, scope)
	if err != nil {
		return list{}, nil, err
	}
	periods = slices.DeleteFunc(slices.Clone(periods), func(p string) bool { return !monthly(p) })
	id, chosen := c.QueryParam("account"), c.QueryParam("period")
	if id == "" && len(accounts) > 0 {
		id = accounts[0].ID
	}
	if chosen == "" {
		if chosen = s.clock.Now().UTC().Format("2006-01"); len(periods) > 0 {
			chosen = periods[0]
		}
	}
	l := coverageList(accounts, periods, id, chosen, c.QueryParam("reason"))
	v := &coverageView{Account: id, Period: chosen, MayDecide: app.From(ctx).Can(access.DecideMapping)}
	i := slices.IndexFunc(accounts, func(a reconcile.Overview) bool { return a.ID == id })
	if i < 0 {
		if id != "" {
			return l, nil, access.Hidden(access.Account, id)
		}
		return l, v, nil
	}
	l.Environment = accounts[i].Environment.String()
	err = s.fillCoverage(ctx, &l, v, accounts[i])
	return l, v, err
}

func coverageList(accounts []reconcile.Overview, periods []string, id, chosen, reason string) list {
	pick := choices("", id, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })[1:]
	months := choices("", chosen, withChosen(periods, chosen), month)[1:]
	return list{
		Name: "coverage", Heading: "Join coverage", Lead: "What is unmatched? Rewards and decisions of one account's month that do not meet, and what they are worth.", Path: "/coverage", Active: "coverage",
		Filters: []field{
			{Name: "account", Label: "Account", Value: id, Choices: pick}, {Name: "period", Label: "Period", Value: chosen, Choices: months},
			{Name: "reason", Label: "Reason", Value: reason, Choices: choices("Every reason", reason, gapNames(), words)},
		},
		Columns: []column{{Name: "reason"}, {Name: "means"}, {Name: "count", Kind: columnCount}, {Name: "currency"}, {Name: "amount", Kind: columnMoney}, {Name: "share_of_revenue"}}, // one fact may stand in two rows: they have no sum
		Labels:  []string{"Reason", "What it is", "Rows", "Currency", "Amount", "Share of revenue"},
	}
}

func gapNames() []string {
	var out []string
	for name := range gapReasons {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// fillCoverage adds the rows of one account.
func (s *Server) fillCoverage(ctx context.Context, l *list, v *coverageView, a reconcile.Overview) error {
	f := mapping.PeriodFilter{ConnectionID: a.SourceConnection, Period: v.Period}
	covered, err := s.mapping.Coverage(ctx, f)
	if err != nil {
		return err
	}
	without, err := s.mapping.Quarantine(ctx, f)
	if err != nil {
		return err
	}
	gaps, err := s.reconcile.Gaps(ctx, a.ID, v.Period)
	if err != nil {
		return err
	}
	open, err := s.mapping.Suggestions(ctx, mapping.SuggestionsFilter{ConnectionID: a.SourceConnection, Limit: listLimit})
	if err != nil {
		return err
	}
	v.Suggestions, v.Customers, v.Facts = open.Items, covered.Customers, covered.Facts
	if covered.AsOf != nil {
		v.AsOf = stamp(*covered.AsOf)
	}
	total := map[string]int64{}
	for _, r := range covered.Revenue {
		total[r.Currency] = r.Total
		v.Shares = append(v.Shares, shareView{r.Currency, r.Mapped, r.Total, percent(r.Mapped, r.Total)})
	}
	reason := l.Filters[2].Value
	add := func(name string, n int64, minor *int64, currency, share, to string) {
		if reason == "" || reason == name {
			l.Rows = append(l.Rows, row{Key: rowKey(name, "-", currency), Cells: []cell{
				{Value: name, URL: to}, {Value: gapReasons[name]}, {Value: n, URL: to}, {Value: strings.ToUpper(currency)}, {Value: cash{minor, currency}, URL: to}, {Value: share},
			}})
		}
	}
	unmapped := query("/accounts/"+a.ID+"/events", "mapped", "no", "period", v.Period)
	for _, r := range without.Reasons {
		for i, m := range r.Amounts {
			n := r.Facts
			if i > 0 {
				n = 0 // the facts are counted once
			}
			add(r.Reason, n, &m.Minor, m.Currency, percent(m.Minor, total[m.Currency]), unmapped)
		}
		if len(r.Amounts) == 0 {
			add(r.Reason, r.Facts, nil, "", "", unmapped)
		}
	}
	for _, g := range gaps {
		if g.Currency == "" {
			add(string(g.Reason), g.Count, nil, "", "", query("/breaks", "show", showAll, "account", a.ID, "period", v.Period, "type", gapBreaks[g.Reason]))
			continue
		}
		share, to := "", "/cycles/"+a.ID+"."+v.Period+"#buckets"
		if g.Reason == reconcile.DuplicateReward {
			share = percent(g.AmountMinor, total[g.Currency])
			to = query("/breaks", "show", showAll, "account", a.ID, "period", v.Period, "type", "duplicate_reward")
		}
		add(string(g.Reason), g.Count, &g.AmountMinor, g.Currency, share, to)
	}
	return nil
}

// gapBreaks are the breaks that a gap of decisions leads to.
var gapBreaks = map[reconcile.GapReason]string{reconcile.PropensityOutOfRange: "decision_without_propensity", reconcile.DecisionWithoutCustomer: "reward_without_decision"}

func (s *Server) coveragePage(c echo.Context) error {
	return s.showCoverage(c, http.StatusOK, "", "")
}

func (s *Server) showCoverage(c echo.Context, status int, done, problem string) error {
	l, v, err := s.coverageOf(c)
	if err != nil {
		return err
	}
	v.listView = l.view()
	if err := l.checked(); err != nil {
		return err
	}
	v.CSVURL, v.XLSX, v.PDF, v.Done, v.Problem = l.at("/coverage.csv"), l.at("/coverage.xlsx"), l.at("/coverage.pdf"), done, problem
	return s.render(c, status, "coverage", frame{Title: l.Heading, Active: l.Active, Environment: l.Environment, Page: v})
}

func (s *Server) coverageExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, _, err := s.coverageOf(c)
	if err != nil {
		return err
	}
	return s.sendList(c, l)
}

// suggestion accepts or rejects who a customer is said to be.
func (s *Server) suggestion(c echo.Context) error {
	ctx, form := c.Request().Context(), posted(c)
	accounts, err := s.reconcile.Accounts(ctx, scopeOf(c))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(accounts, func(a reconcile.Overview) bool { return a.ID == c.Param("id") })
	if i < 0 {
		return access.Hidden(access.Account, c.Param("id"))
	}
	by := mapping.Decision{By: app.From(ctx).Principal, Reason: form.Get("reason")}
	decide := map[string]func(context.Context, string, string, mapping.Decision) (mapping.Suggestion, error){"accept": s.mapping.Accept, "reject": s.mapping.Reject}[form.Get("action")]
	if decide == nil {
		return fault.InvalidField("action", "action_unknown", "%q is nothing that can be done with a suggestion", form.Get("action")).Fix("Accept or reject it")
	}
	_, err = decide(ctx, accounts[i].SourceConnection, c.Param("suggestion"), by)
	if text, ok := refusal(err); ok {
		return s.showCoverage(c, http.StatusUnprocessableEntity, "", text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, query("/coverage", "account", c.Param("id"), "period", c.QueryParam("period"))+"#suggestions")
}
