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
	Search                       string
	Snapshots                    int
	Pending, Dead                int64
	LiveN, TestN, Incomplete     int
	Filtered                     bool
	MoreURL, FirstURL, IDSortURL string
	Descending                   bool
	Decisions, Invoices          int64
	// Revenue and MRR are the sums of the page by currency.
	Revenue, MRR []Amount
	revenue      map[string]int64
	mrr          map[string]decimal.Decimal
	// Risks are those of the rules that the contracts have.
	Risks []lift.Risk
}

type accountRow struct {
	reconcile.Overview
	Missing []string
	Health  accountHealth
	// MRR is by currency; InvoicesURL leads to what Figures.Invoices counts.
	MRR         []worthView
	InvoicesURL string
}

func (s *Server) accounts(c echo.Context) error {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := reconcile.AccountsFilter{Scope: scopeOf(c), Environment: p("environment"), Search: p("q"), Sort: p("sort"), Now: s.clock.Now(), Cursor: p("cursor"), Limit: listLimit}
	page, err := s.reconcile.AccountList(c.Request().Context(), f)
	if err != nil {
		return err
	}
	env := f.Environment
	at := func(sort, cursor string) string {
		return query("/accounts", "environment", env, "q", f.Search, "sort", sort, "cursor", cursor)
	}
	v := accountsView{
		Environments: choices("Live and test", env, []string{"live", "test"}, words), Search: f.Search, Descending: f.Sort != "",
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
		v.sum(o.Figures)
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
		v.Snapshots += o.Snapshots
		v.Pending += o.PendingEvents
		v.Dead += o.DeadEvents
		if o.Environment == account.Live {
			v.LiveN++
		} else {
			v.TestN++
		}
		if len(row.Missing) > 0 {
			v.Incomplete++
		}
	}
	v.totals()
	return s.render(c, http.StatusOK, "accounts", frame{Title: "Accounts", Active: "accounts", Environment: env, Page: v})
}

// sum adds an account's figures to the totals of the page. Amounts of two currencies never meet.
func (v *accountsView) sum(f reconcile.AccountFigures) {
	v.Decisions += f.Decisions
	v.Invoices += f.Invoices
	if v.revenue == nil {
		v.revenue, v.mrr = map[string]int64{}, map[string]decimal.Decimal{}
	}
	if f.Period != "" {
		v.revenue[f.Currency] += f.RevenueMinor
	}
	for _, w := range f.Worth {
		v.mrr[w.Currency] = v.mrr[w.Currency].Add(w.MRR)
	}
}

// totals shows what was summed, by currency.
func (v *accountsView) totals() {
	for _, currency := range slices.Sorted(maps.Keys(v.revenue)) {
		v.Revenue = append(v.Revenue, amount(v.revenue[currency], currency))
	}
	for _, currency := range slices.Sorted(maps.Keys(v.mrr)) {
		v.MRR = append(v.MRR, *wholeMRR(v.mrr[currency], currency))
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
