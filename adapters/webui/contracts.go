package webui

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Agreements are what was agreed on; *onboard.Service is it.
type Agreements interface {
	ContractVersions(ctx context.Context, accountID string) (billing.Versions, error)
	ContractsOf(ctx context.Context, accountIDs []string) (map[string]billing.Versions, error)
	PlansOf(ctx context.Context, accountIDs []string) (map[string][]onboard.StoredPlan, error)
}

// WhatIf prices past months under other terms; *whatif.Service is it. It cannot write.
type WhatIf interface {
	Price(ctx context.Context, accountID string, n int, changes []byte) (whatif.Answer, error)
}

func (s *Server) registerContracts(e exporting) {
	e.GET("/contracts", s.contracts)
	e.GET("/contracts.:format", s.contractsExport)
	e.GET("/accounts/:id/whatif", s.whatIfPage)
	e.GET("/accounts/:id/whatif.:format", s.whatIfExport)
}

// contractList has one row per version of the contracts in the scope, of listLimit accounts
// behind the cursor, which is an account, or of all of them.
func (s *Server) contractList(c echo.Context, cursor string, limit int) (list, string, error) {
	ctx := c.Request().Context()
	accounts, err := s.reconcile.Accounts(ctx, scopeOf(c))
	if err != nil {
		return list{}, "", err
	}
	id, active := c.QueryParam("account"), strings.TrimSpace(c.QueryParam("active"))
	l := list{
		Name: "contracts", Heading: "Contracts", Lead: "What did we agree? Every version with all of its terms; a version is never changed, the next one replaces it.", Path: "/contracts", Active: "contracts", Version: 2,
		Filters: []field{
			{Name: "account", Label: "Account", Value: id, Choices: choices("Every account", id, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "active", Label: "In force in", Value: active, Hint: "2026-10"},
		},
		Columns: []column{
			{Name: "account"}, {Name: "version", Kind: columnCount}, {Name: "from"}, {Name: "to"}, {Name: "next_change"}, {Name: "share"}, {Name: "tiers"}, {Name: "basis"}, {Name: "alpha_year"}, {Name: "alpha_look"}, {Name: "min_ess"}, {Name: "holdout"}, {Name: "holdout_min"},
			{Name: "currency"}, {Name: "platform_fee", Kind: columnMoney}, {Name: "floor", Kind: columnMoney}, {Name: "caps"}, {Name: "commitment", Kind: columnMoney}, {Name: "commitment_every"},
			{Name: "time_zone"}, {Name: "close_lag_days", Kind: columnCount}, {Name: "collection"}, {Name: "days_until_due", Kind: columnCount}, {Name: "terms"}, {Name: "signed_hash"}, {Name: "plan"}, {Name: "plan_hash"}, {Name: "created_at", Kind: columnTime}, {Name: "contract"}, {Name: "environment"},
		},
		Labels: []string{
			"Account", "Version", "From", "To", "Next change", "Share", "Tiers", "Basis", "Alpha, year", "Alpha, a look", "ESS at least", "Holdout", "Holdout at least",
			"Currency", "Platform fee", "Floor", "Caps", "Commitment", "every", "Time zone", "Close lag", "Collection", "Due days", "All terms", "Hash", "Plan", "Plan hash", "Agreed", "Contract", "Environment",
		},
		Empty: "No contract yet", EmptyHint: "Agree on one: POST /v1/accounts/{account}/contracts, or liftbill account.",
	}
	shown := slices.DeleteFunc(slices.Clone(accounts), func(a reconcile.Overview) bool { return a.ID <= cursor || (id != "" && a.ID != id) })
	next := ""
	if len(shown) > limit {
		shown = shown[:limit]
		next = shown[limit-1].ID
	}
	agreed, err := s.agreements.ContractsOf(ctx, idsOf(shown))
	if err != nil {
		return l, "", err
	}
	plans, err := s.agreements.PlansOf(ctx, idsOf(shown))
	if err != nil {
		return l, "", err
	}
	on := period.Of(s.clock.Now(), time.UTC)
	if active != "" {
		if on, err = period.ParseMonth(active); err != nil {
			return l, "", err
		}
	}
	for _, a := range shown {
		l.Rows = append(l.Rows, contractRows(a, agreed[a.ID], plans[a.ID], active, on)...)
	}
	return l, next, nil
}

// contractRows are the versions of an account's contract, the newest first; with a month
// only the one that is in force in it. Beside each stands the sealed plan of the contract year
// of a month: on, or the month of the version that is next to it.
func contractRows(a reconcile.Overview, versions billing.Versions, plans []onboard.StoredPlan, active string, on period.Month) []row {
	var out []row
	for i, v := range slices.Backward(versions) {
		span := versionSpan{from: v.EffectiveFrom}
		at := on
		if i+1 < len(versions) {
			span.next = versions[i+1].EffectiveFrom.String()
			last := versions[i+1].EffectiveFrom.Add(-1)
			span.to = last.String()
			if at.Sub(last) > 0 {
				at = last
			}
		}
		if at.Sub(v.EffectiveFrom) < 0 {
			at = v.EffectiveFrom
		}
		if active != "" && at != on {
			continue
		}
		plan, sealed := onboard.PlanOf(plans, at)
		out = append(out, contractRow(a, v, span, plan, sealed))
	}
	return out
}

// versionSpan is how long a version holds: to and next are empty for the newest.
type versionSpan struct {
	from     period.Month
	to, next string
}

func contractRow(a reconcile.Overview, v billing.Contract, span versionSpan, plan onboard.StoredPlan, sealed bool) row {
	t := v.Terms
	cur := string(t.Currency)
	optional := func(minor int64) cash {
		if minor == 0 {
			return cash{nil, cur} // it was not agreed on
		}
		return cashOf(minor, cur)
	}
	commitment, every := cash{nil, cur}, ""
	if t.Minimum != nil {
		commitment, every = cashOf(t.Minimum.AmountMinor, cur), string(t.Minimum.Every)
	}
	cells := []cell{
		{Value: a.Name, URL: "/accounts/" + a.ID + "/whatif", Sub: "what if?", Env: a.Environment.String()}, {Value: int64(v.Version)}, {Value: span.from.String()}, {Value: span.to}, {Value: span.next}, {Value: t.Share}, {Value: tiersOf(t)}, {Value: string(t.Basis)},
	}
	cells = append(cells, planCells(plan, sealed)...)
	cells = append(cells, []cell{
		{Value: strings.ToUpper(cur)}, {Value: optional(t.PlatformFeeMinor)}, {Value: optional(t.FloorMinor)}, {Value: capsOf(t)}, {Value: commitment}, {Value: every}, {Value: t.TimeZone}, {Value: int64(t.CloseLagDays)}, {Value: words(string(t.CollectionMethod))}, {Value: int64(t.DaysUntilDue)},
		{Value: strings.Join(t.Words(), "; ")}, {Value: v.Hash, Mono: true}, {Value: plan.ID, Mono: true}, {Value: plan.Plan.Hash(), Mono: true}, {Value: v.CreatedAt}, {Value: v.ID, Mono: true, URL: query("/cycles", "period", everyPeriod, "account", a.ID)}, {Value: a.Environment.String()},
	}...)
	return row{Key: rowKey(v.ID, "-", v.Version), Cells: cells}
}

// planCells are what the sealed plan promises of the measurement: the error that the year and
// one look at a snapshot may spend, the least effective sample, the probability of the holdout,
// and the least of it that is billed on. All are unknown while nothing is sealed.
func planCells(stored onboard.StoredPlan, sealed bool) []cell {
	if !sealed {
		return make([]cell, 5)
	}
	p := stored.Plan.Plan()
	t := p.Thresholds
	least := fmt.Sprintf("%s and %s, probability %s", plural(t.MinUnits, "user"), plural(t.MinBaselinePayers, "payer"), t.PropensityFloor)
	holdout := cell{Value: p.HoldoutProbability}
	if p.Randomisation == lift.RandomisedPerDecision {
		holdout.Value = "drawn per decision"
	}
	return []cell{{Value: p.ErrorBudget.AlphaYear}, {Value: p.ErrorBudget.AlphaLine}, {Value: t.MinESS}, holdout, {Value: least}}
}

// amountText is an amount within a sentence.
func amountText(minor int64, currency string) string {
	a := amountOf(&minor, currency)
	return a.Digits + " " + a.Currency
}

// tiersOf says the tiers in one line; empty without any.
func tiersOf(t billing.Terms) string {
	if t.Tiers == nil {
		return ""
	}
	var parts []string
	for _, tier := range t.Tiers.Above {
		parts = append(parts, tier.Share+" from "+amountText(tier.FromMinor, string(t.Currency)))
	}
	return strings.Join(parts, ", ") + ", " + string(t.Tiers.Mode) + ", by " + string(t.Tiers.Reset)
}

// capsOf says the caps in one line; empty without any.
func capsOf(t billing.Terms) string {
	if t.Caps == nil {
		return ""
	}
	var parts []string
	for _, c := range []struct {
		minor int64
		of    string
	}{{t.Caps.MonthMinor, "a month"}, {t.Caps.YearMinor, "a year"}, {t.Caps.TotalMinor, "in all"}} {
		if c.minor > 0 {
			parts = append(parts, amountText(c.minor, string(t.Currency))+" "+c.of)
		}
	}
	return strings.Join(parts, ", ")
}

func (s *Server) contracts(c echo.Context) error {
	cursor := c.QueryParam("cursor")
	l, next, err := s.contractList(c, cursor, listLimit)
	if err != nil {
		return err
	}
	return s.show(c, l, cursor, next)
}

func (s *Server) contractsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, _, err := s.contractList(c, "", math.MaxInt)
	if err != nil {
		return err
	}
	return s.sendList(c, l)
}

// whatIfView is months beside what they would have come to.
type whatIfView struct {
	ID, Name                string
	Now                     []string // the terms of the newest version, in words
	Fields                  []field
	Bases                   []Choice
	More                    string
	Asked                   bool
	Answer                  *whatif.Answer
	Problem                 string
	CSVURL, XLSXURL, PDFURL string
	Environment             string
}

// whatIfFields are the terms with a field of their own; amounts are in major units.
var whatIfFields = []struct{ name, label, hint, term string }{
	{"share", "Share", "0.15", "share"}, {"cap", "Cap of a month", "50000.00", "caps"}, {"floor", "Floor of a month", "0.00", "floor_minor"}, {"fee", "Platform fee", "0.00", "platform_fee_minor"},
}

// whatIf reads the question of the address and has it answered. Nothing is changed by it.
func (s *Server) whatIf(c echo.Context) (whatIfView, int, error) {
	ctx := c.Request().Context()
	accounts, err := s.reconcile.Accounts(ctx, scopeOf(c))
	if err != nil {
		return whatIfView{}, 0, err
	}
	i := slices.IndexFunc(accounts, func(a reconcile.Overview) bool { return a.ID == c.Param("id") })
	if i < 0 {
		return whatIfView{}, 0, access.Hidden(access.Account, c.Param("id"))
	}
	v := whatIfView{ID: accounts[i].ID, Name: accounts[i].Name, Environment: accounts[i].Environment.String(), More: strings.TrimSpace(c.QueryParam("terms"))}
	versions, err := s.agreements.ContractVersions(ctx, v.ID)
	if err != nil {
		return v, 0, err
	}
	if len(versions) == 0 {
		return v, 0, fault.New(fault.NotFound, "contract_not_found", "account %s has no contract", v.ID).Fix("Agree on one first")
	}
	newest := versions[len(versions)-1].Terms
	v.Now = newest.Words()
	months := c.QueryParam("months")
	pairs := []string{"months", months, "terms", v.More, "basis", c.QueryParam("basis")}
	v.Fields = append(v.Fields, field{Name: "months", Label: "Last months", Value: months, Hint: "12"})
	for _, f := range whatIfFields {
		v.Fields = append(v.Fields, field{Name: f.name, Label: f.label, Value: c.QueryParam(f.name), Hint: f.hint})
		pairs = append(pairs, f.name, c.QueryParam(f.name))
	}
	v.Bases = choices("As agreed", c.QueryParam("basis"), texts([]lift.Basis{lift.BasisMeasured, lift.BasisProven}), words)
	at := "/accounts/" + v.ID + "/whatif"
	v.CSVURL, v.XLSXURL, v.PDFURL, v.Asked = query(at+".csv", pairs...), query(at+".xlsx", pairs...), query(at+".pdf", pairs...), c.QueryString() != ""
	if !v.Asked {
		return v, http.StatusOK, nil
	}
	answer, err := s.price(c, v, string(newest.Currency))
	if fault.Is(err, fault.NotFound) {
		v.Problem = "No month of this account was priced yet. Run its first cycle, then ask again."
		return v, http.StatusUnprocessableEntity, nil
	}
	if text, ok := refusal(err); ok {
		v.Problem = text
		return v, http.StatusUnprocessableEntity, nil
	}
	v.Answer = &answer
	return v, http.StatusOK, err
}

// price makes the changed terms of the form's fields: a field of its own counts more than the
// same term among the others.
func (s *Server) price(c echo.Context, v whatIfView, currency string) (whatif.Answer, error) {
	changes := map[string]any{}
	if v.More != "" {
		if err := json.Unmarshal([]byte(v.More), &changes); err != nil || changes == nil {
			return whatif.Answer{}, fault.InvalidField("terms", "terms_malformed", "it is no JSON object").Fix(`Write it as {"days_until_due": 14}`)
		}
	}
	n := 12
	for _, f := range v.Fields {
		if f.Value = strings.TrimSpace(f.Value); f.Value == "" {
			continue
		}
		if f.Name == "share" {
			changes["share"] = f.Value
			continue
		}
		if f.Name == "months" {
			var err error
			if n, err = strconv.Atoi(f.Value); err != nil {
				return whatif.Answer{}, fault.InvalidField("months", "months_malformed", "%q is no number", f.Value).Fix("Write it as 12")
			}
			continue
		}
		minor, err := reconcile.ParseMinor(f.Name, f.Value, currency)
		if err != nil {
			return whatif.Answer{}, err
		}
		switch f.Name {
		case "cap":
			changes["caps"] = map[string]int64{"month_minor": minor}
		case "floor":
			changes["floor_minor"] = minor
		case "fee":
			changes["platform_fee_minor"] = minor
		}
	}
	if basis := c.QueryParam("basis"); basis != "" {
		changes["basis"] = basis
	}
	raw, err := json.Marshal(changes)
	if err != nil {
		return whatif.Answer{}, err
	}
	return s.simulate.Price(c.Request().Context(), v.ID, n, raw)
}

func (s *Server) whatIfPage(c echo.Context) error {
	v, status, err := s.whatIf(c)
	if err != nil {
		return err
	}
	return s.render(c, status, "whatif", frame{Title: "What if, " + v.Name, Active: "contracts", Environment: v.Environment, Page: v})
}

func (s *Server) whatIfExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	v, _, err := s.whatIf(c)
	switch {
	case err != nil:
		return err
	case v.Answer == nil:
		return fault.New(fault.Invalid, "question_missing", "nothing was asked that can be answered. %s", v.Problem).Fix("Change a term on the page, and export its answer")
	}
	r := report{
		Name: "whatif-" + v.ID, Title: "What " + v.Name + " would have paid under other terms", Version: 1,
		Parameters: []parameter{{"account", v.ID}, {"months", strconv.Itoa(v.Answer.Asked)}, {"terms", strings.Join(v.Answer.Terms, "; ")}, {"terms_hash", v.Answer.Hash}, {"basis", c.QueryParam("basis")}, {"changes", v.More}},
		Columns:    []column{{Name: "period"}, {Name: "state"}, {Name: "contract_version", Kind: columnCount}, {Name: "phase"}, {Name: "as_it_was", Kind: columnMoney, Sum: true}, {Name: "would_be", Kind: columnMoney, Sum: true}, {Name: "difference", Kind: columnMoney, Sum: true}},
	}
	for _, f := range v.Fields[1:] {
		r.Parameters = append(r.Parameters, parameter{f.Name, f.Value})
	}
	for _, m := range v.Answer.Months {
		r.Rows = append(r.Rows, []any{m.Period, string(m.State), int64(m.Version), string(m.Phase), cashOf(m.OldMinor, v.Answer.Currency), cashOf(m.NewMinor, v.Answer.Currency), cashOf(m.DifferenceMinor, v.Answer.Currency)})
	}
	return s.send(c, r)
}
