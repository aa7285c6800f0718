package billing

import (
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Versions are the versions of one contract, ascending. Version n holds from its
// EffectiveFrom up to that of version n + 1, so that they cannot overlap and every
// month from the first period on has exactly one.
type Versions []Contract

// At is the version that holds in a month.
func (v Versions) At(m period.Month) (Contract, error) {
	for i := len(v) - 1; i >= 0; i-- {
		if !m.Before(v[i].EffectiveFrom) {
			return v[i], nil
		}
	}
	if len(v) == 0 {
		return Contract{}, fault.New(fault.NotFound, "contract_not_found", "there is no contract")
	}
	return Contract{}, fault.InvalidField("period", "period_before_contract", "%s is before the contract's first period %s", m, v[0].EffectiveFrom)
}

// Until is the month before which version i holds; ok is false for the last one,
// which has no end.
func (v Versions) Until(i int) (m period.Month, ok bool) {
	if i+1 >= len(v) {
		return period.Month{}, false
	}
	return v[i+1].EffectiveFrom, true
}

// Amend makes the next version from the whole new terms, which hold from
// terms.EffectiveFrom. What a contract is for its whole life is taken from the version
// before: currency, time zone and first period. A month that has begun keeps its terms,
// and terms that the year's measurement rests on change with a contract year only.
func (v Versions) Amend(id string, terms Terms, now time.Time) (Contract, error) {
	if len(v) == 0 {
		return Contract{}, fault.New(fault.NotFound, "contract_not_found", "there is no contract to change").Fix("Agree on a contract first")
	}
	last := v[len(v)-1]
	terms.Currency, terms.TimeZone, terms.FirstPeriod = last.Terms.Currency, last.Terms.TimeZone, last.Terms.FirstPeriod
	if terms.EffectiveFrom == "" {
		return Contract{}, fault.InvalidField("effective_from", "period_malformed", "a new version needs its first month").Fix("Write YYYY-MM, for example %s", v.earliest(now))
	}
	next, err := NewContract(id, last.AccountID, last.Environment, last.Version+1, terms, now)
	if err != nil {
		return Contract{}, err
	}
	if !last.EffectiveFrom.Before(next.EffectiveFrom) {
		return Contract{}, fault.New(fault.Conflict, "effective_overlap", "version %d holds from %s, so the next one cannot hold from %s", last.Version, last.EffectiveFrom, next.EffectiveFrom).
			On("effective_from").Fix("Use a month after %s", last.EffectiveFrom)
	}
	zone, err := last.Zone()
	if err != nil {
		return Contract{}, err
	}
	if !now.Before(next.EffectiveFrom.In(zone).Start) {
		return Contract{}, fault.InvalidField("effective_from", "effective_in_the_past", "%s has begun", next.EffectiveFrom).
			Fix("Use %s or a later month: nobody chooses the terms of a month whose result can be seen", v.earliest(now))
	}
	start, err := next.YearStart(next.EffectiveFrom)
	if err != nil {
		return Contract{}, err
	}
	if start == next.EffectiveFrom {
		return next, nil
	}
	if field, why := yearTerm(last.Terms, next.Terms); field != "" {
		return Contract{}, fault.InvalidField(field, "year_boundary", "%s changes within the contract year from %s: %s", field, start, why).
			Fix("Let the version begin with a contract year, for example %s", start.Add(lift.PeriodsPerYear))
	}
	return next, nil
}

// earliest is the first month that a new version may hold from.
func (v Versions) earliest(now time.Time) period.Month {
	last := v[len(v)-1]
	out := last.EffectiveFrom.Add(1)
	if zone, err := last.Zone(); err == nil {
		if m := period.Of(now, zone).Add(1); out.Before(m) {
			out = m
		}
	}
	return out
}

// yearTerm names the first term that differs and must last a contract year, with the reason.
func yearTerm(a, b Terms) (field, why string) {
	const marks = "the year's marks and error budget are those of one basis"
	for _, t := range []struct {
		field  string
		differ bool
		why    string
	}{
		{"basis", a.Basis != b.Basis, marks},
		{"settlement", a.Settlement != b.Settlement, "it stands in the plan that was sealed for the year"},
		{"portfolio_cap", a.Capped() != b.Capped(), marks},
		{"tiers", (a.Tiers.rePrices() || b.Tiers.rePrices()) && (!equal(a.Tiers, b.Tiers) || a.Share != b.Share), "whole tiers price the year's earlier base anew, and would price it by terms that did not hold then"},
		{"minimum_commitment", a.Minimum.spans() != b.Minimum.spans() || (a.Minimum.spans() && !equal(a.Minimum, b.Minimum)), "a commitment over several months is one promise"},
		{"netting", !equal(a.Netting, b.Netting), "the settlement of the year nets all of it in one way"},
		{"true_up", !equal(a.TrueUp, b.TrueUp), "what comes after the settlement of the year is one promise about all of its months"},
	} {
		if t.differ {
			return t.field, t.why
		}
	}
	return "", ""
}

// rePrices reports whether reaching a tier changes the fee of earlier months.
func (t *Tiers) rePrices() bool { return t != nil && t.Mode == Whole && t.Reset != PerMonth }

// spans reports whether the commitment is counted over more than one month.
func (m *Minimum) spans() bool { return m != nil && m.Every != PerMonth }

// equal compares terms by their canonical text.
func equal[T any](a, b T) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && string(left) == string(right)
}
