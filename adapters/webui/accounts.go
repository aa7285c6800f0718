package webui

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
)

// accountsView is what is wired to what.
type accountsView struct {
	Rows                         []accountRow
	Environments                 []Choice
	Search, Sort                 string
	Filtered                     bool
	MoreURL, FirstURL, IDSortURL string
	CSVURL, XLSXURL, PDFURL      string
	Descending                   bool
	Totals                       []*accountTotal
	// Risks are those of the rules that the contracts have.
	Risks []lift.Risk
}

// accountTotal sums the accounts of one environment: live and test never meet.
type accountTotal struct {
	Environment                        account.Environment
	Accounts, Incomplete, Snapshots    int
	Pending, Dead, Decisions, Invoices int64
	// Revenue and MRR are by currency.
	Revenue, MRR []Amount
	revenue      map[string]int64
	mrr          map[string]decimal.Decimal
}

type accountRow struct {
	reconcile.Overview
	Missing []string
	Health  accountHealth
	// MRR is by currency; InvoicesURL leads to what Figures.Invoices counts.
	MRR         []worthView
	InvoicesURL string
}

// accountsFilter reads the filters of the address.
func (s *Server) accountsFilter(c echo.Context) reconcile.AccountsFilter {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	return reconcile.AccountsFilter{Scope: scopeOf(c), Environment: p("environment"), Search: p("q"), Sort: p("sort"), Now: s.clock.Now(), Cursor: p("cursor"), Limit: listLimit}
}

func (s *Server) accounts(c echo.Context) error {
	f := s.accountsFilter(c)
	page, err := s.reconcile.AccountList(c.Request().Context(), f)
	if err != nil {
		return err
	}
	env := f.Environment
	list := func(path, sort, cursor string) string {
		return query(path, "environment", env, "q", f.Search, "sort", sort, "cursor", cursor)
	}
	at := func(sort, cursor string) string { return list("/accounts", sort, cursor) }
	v := accountsView{
		Environments: choices("Live and test", env, []string{"live", "test"}, words), Search: f.Search, Sort: f.Sort, Descending: f.Sort != "",
		CSVURL: list("/accounts.csv", f.Sort, ""), XLSXURL: list("/accounts.xlsx", f.Sort, ""), PDFURL: list("/accounts.pdf", f.Sort, ""),
		Filtered: env != "" || f.Search != "" || f.Cursor != "", IDSortURL: at("id_desc", ""),
	}
	if v.Descending {
		v.IDSortURL = at("", "")
	}
	if page.NextCursor != "" {
		v.MoreURL = at(f.Sort, page.NextCursor)
	}
	if f.Cursor != "" {
		v.FirstURL = at(f.Sort, "")
	}
	var ids []string
	for _, o := range page.Items {
		ids = append(ids, o.ID)
	}
	health, err := s.reconcile.AccountHealth(c.Request().Context(), ids, s.clock.Now())
	if err != nil {
		return err
	}
	for _, o := range page.Items {
		row := accountRow{Overview: o, Missing: missing(o), Health: accountHealthOf(health[o.ID], o.ID), InvoicesURL: query("/invoices", "account", o.ID)}
		for _, w := range o.Figures.Worth {
			row.MRR = append(row.MRR, worthView{MRR: wholeMRR(w.MRR, w.Currency), Unknown: w.Unknown})
		}
		if o.ContractID != "" {
			risk, err := lift.KnownRisk(o.Rule())
			if err != nil {
				return err
			}
			row.Settlement = risk.Rule.Settlement
			if !slices.Contains(v.Risks, risk) {
				v.Risks = append(v.Risks, risk)
			}
		}
		v.Rows = append(v.Rows, row)
		v.sum(row)
	}
	for _, t := range v.Totals {
		t.amounts()
	}
	return s.render(c, http.StatusOK, "accounts", frame{Title: "Accounts", Active: "accounts", Environment: env, Page: v})
}

// sum adds an account to the total of its environment. Amounts of two currencies never meet.
func (v *accountsView) sum(r accountRow) {
	i := slices.IndexFunc(v.Totals, func(t *accountTotal) bool { return t.Environment == r.Environment })
	if i < 0 {
		i = len(v.Totals)
		v.Totals = append(v.Totals, &accountTotal{Environment: r.Environment, revenue: map[string]int64{}, mrr: map[string]decimal.Decimal{}})
	}
	t, f := v.Totals[i], r.Figures
	t.Accounts++
	t.Snapshots += r.Snapshots
	t.Pending += r.PendingEvents
	t.Dead += r.DeadEvents
	t.Decisions += f.Decisions
	t.Invoices += f.Invoices
	if len(r.Missing) > 0 {
		t.Incomplete++
	}
	if f.Period != "" {
		t.revenue[f.Currency] += f.RevenueMinor
	}
	for _, w := range f.Worth {
		t.mrr[w.Currency] = t.mrr[w.Currency].Add(w.MRR)
	}
}

// amounts shows what was summed, by currency.
func (t *accountTotal) amounts() {
	for _, currency := range slices.Sorted(maps.Keys(t.revenue)) {
		t.Revenue = append(t.Revenue, amount(t.revenue[currency], currency))
	}
	for _, currency := range slices.Sorted(maps.Keys(t.mrr)) {
		t.MRR = append(t.MRR, *wholeMRR(t.mrr[currency], currency))
	}
}

// wholeMRR shows recurring revenue of a whole account, rounded down to a minor unit.
func wholeMRR(v decimal.Decimal, currency string) *Amount {
	return amountOf(floorMinor(v, currency).Minor, currency)
}

// missing names what an account still needs before a cycle can bill it.
func missing(o reconcile.Overview) []string {
	var out []string
	for _, need := range []struct {
		name string
		have bool
	}{
		{"source", o.SourceConnection != ""}, {"issuer", o.IssuerConnection != ""}, {"payer", o.PayerCustomer != ""},
		{"contract", o.ContractID != ""}, {"plan", o.PlanID != ""}, {"snapshot", o.Snapshots > 0}, {"decisions", o.HasDecisions}, {"events", o.HasEvents},
	} {
		if !need.have {
			out = append(out, need.name)
		}
	}
	return out
}
