package webui

import (
	"maps"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
)

// accountLine is what one account comes to in one currency: it has a line for each that it has
// revenue, recurring revenue or unpaid invoices in, and one at least.
type accountLine struct {
	reconcile.Overview
	Health   reconcile.AccountHealth
	Currency string
	// First: the counts, which have no currency, stand in it alone, so that they sum up.
	First bool
}

// accountsExport has a row for each account and currency of what the filters select.
func (s *Server) accountsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	f := s.accountsFilter(c)
	all, err := everything(func(cursor string, n int) ([]accountLine, string, error) {
		f.Cursor, f.Limit = cursor, n
		return s.accountLines(c, f)
	})
	if err != nil {
		return err
	}
	r := report{
		Name: "accounts", Title: "Accounts", Version: 1, Parameters: []parameter{{"environment", f.Environment}, {"q", f.Search}, {"sort", f.Sort}},
		Columns: []column{
			{Name: "account"}, {Name: "account_id"}, {Name: "environment"}, {Name: "missing"}, {Name: "revenue_to"}, {Name: "currency"},
			{Name: "revenue", Kind: columnMoney, Sum: true}, {Name: "mrr", Kind: columnMoney, Sum: true}, {Name: "without_price", Kind: columnCount, Sum: true}, {Name: "decisions", Kind: columnCount, Sum: true}, {Name: "counted_at", Kind: columnTime}, {Name: "invoices", Kind: columnCount, Sum: true},
			{Name: "mapped_of", Kind: columnMoney, Sum: true}, {Name: "unmapped", Kind: columnMoney, Sum: true}, {Name: "newest_lift", Kind: columnMoney}, {Name: "effective_sample", Kind: columnCount}, {Name: "months_withheld", Kind: columnCount, Sum: true}, {Name: "open_breaks", Kind: columnCount, Sum: true},
			{Name: "unpaid_to_30", Kind: columnMoney, Sum: true}, {Name: "unpaid_31_60", Kind: columnMoney, Sum: true}, {Name: "unpaid_61_90", Kind: columnMoney, Sum: true}, {Name: "unpaid_over_90", Kind: columnMoney, Sum: true},
			{Name: "source"}, {Name: "issuer"}, {Name: "payer"}, {Name: "contract"}, {Name: "plan"}, {Name: "snapshots", Kind: columnCount, Sum: true}, {Name: "waiting", Kind: columnCount, Sum: true}, {Name: "not_understood", Kind: columnCount, Sum: true}, {Name: "last_event_at", Kind: columnTime},
		},
	}
	for _, l := range all {
		r.Rows = append(r.Rows, l.cells())
	}
	return s.send(c, r)
}

// accountLines are the lines of a page of accounts.
func (s *Server) accountLines(c echo.Context, f reconcile.AccountsFilter) ([]accountLine, string, error) {
	page, err := s.reconcile.AccountList(c.Request().Context(), f)
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(page.Items))
	for i, o := range page.Items {
		ids[i] = o.ID
	}
	health, err := s.reconcile.AccountHealth(c.Request().Context(), ids, f.Now)
	if err != nil {
		return nil, "", err
	}
	var out []accountLine
	for _, o := range page.Items {
		h, seen := health[o.ID], map[string]bool{}
		if o.Figures.Period != "" {
			seen[o.Figures.Currency] = true
		}
		if h.Period != "" {
			seen[h.Currency] = true
		}
		for _, w := range o.Figures.Worth {
			seen[w.Currency] = true
		}
		for _, u := range h.Unpaid {
			seen[u.Currency] = true
		}
		if len(seen) == 0 {
			seen[""] = true
		}
		for i, currency := range slices.Sorted(maps.Keys(seen)) {
			out = append(out, accountLine{o, h, currency, i == 0})
		}
	}
	return out, page.NextCursor, nil
}

func (l accountLine) cells() []any {
	f, h := l.Figures, l.Health
	money := func(known bool, minor int64) any {
		if !known {
			return nil
		}
		return cashOf(minor, l.Currency)
	}
	count := func(n int64) any {
		if !l.First {
			return nil
		}
		return n
	}
	var worth reconcile.Worth
	i := slices.IndexFunc(f.Worth, func(w reconcile.Worth) bool { return w.Currency == l.Currency })
	if i >= 0 {
		worth = f.Worth[i]
	}
	var unpaid reconcile.Ageing
	j := slices.IndexFunc(h.Unpaid, func(u reconcile.Ageing) bool { return u.Currency == l.Currency })
	if j >= 0 {
		unpaid = h.Unpaid[j]
	}
	measured, decided := h.Period != "" && h.Currency == l.Currency, any(nil)
	if f.CountedAt != nil {
		decided = count(f.Decisions)
	}
	lift, sample := any(nil), any(nil)
	if n := len(h.Trend); n > 0 && measured {
		lift, sample = estimated(true, h.Trend[n-1].Lift, l.Currency), int64(h.Trend[n-1].ESS)
	}
	row := []any{
		l.Name, l.ID, string(l.Environment), strings.Join(missing(l.Overview), ", "), f.Period, strings.ToUpper(l.Currency),
		money(f.Period != "" && f.Currency == l.Currency, f.RevenueMinor), money(i >= 0, worth.MRR.Floor().IntPart()), known(i >= 0, int64(worth.Unknown)), decided, timeOf(f.CountedAt), count(f.Invoices),
		money(measured, h.PaidMinor), money(measured, h.UnmappedMinor), lift, sample, count(h.Withheld), count(h.OpenBreaks),
	}
	for _, minor := range unpaid.Minor {
		row = append(row, money(j >= 0, minor))
	}
	return append(row, l.SourceConnection, l.IssuerConnection, l.PayerCustomer, l.ContractID, l.PlanID, count(int64(l.Snapshots)), count(l.PendingEvents), count(l.DeadEvents), timeOf(l.LastEventAt))
}

// known is a count, or nothing where it is not known.
func known(is bool, n int64) any {
	if !is {
		return nil
	}
	return n
}
