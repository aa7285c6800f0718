// Package billing turns settled lift into an invoice: contract terms, the steps
// from a base to cents, the cycle's states and the intent that drives one Stripe
// invoice to its final state.
//
// Money here is integer minor units or decimal. The only way in for a lift is
// lift.Billable, which only the guardrail makes; the only way out to Stripe is
// WriteBack, which only a live account's proof makes.
package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Contract is one version of an account's terms.
type Contract struct {
	ID          string
	AccountID   string
	Environment account.Environment
	Version     int
	// EffectiveFrom is the first month that the version holds for.
	EffectiveFrom period.Month
	Terms         Terms
	Hash          string
	CreatedAt     time.Time
}

// NewContract seals terms as version n of an account's contract. Its hash is the
// SHA-256 of the terms' canonical JSON (fixed field order). The first version holds
// from the contract's first period; a later one names its first month.
func NewContract(id, accountID string, env account.Environment, version int, terms Terms, at time.Time) (Contract, error) {
	if err := account.CheckID("id", id); err != nil {
		return Contract{}, err
	}
	if version < 1 {
		return Contract{}, fault.InvalidField("version", "version_range", "versions count from 1")
	}
	terms, err := terms.Normalise()
	if err != nil {
		return Contract{}, err
	}
	if (version == 1) != (terms.EffectiveFrom == "") {
		return Contract{}, fault.InvalidField("effective_from", "effective_from_version", "version %d holds from %q", version, terms.EffectiveFrom).
			Fix("The first version holds from first_period; a later one names a later month")
	}
	from, err := terms.From()
	if err != nil {
		return Contract{}, err
	}
	raw, err := json.Marshal(terms)
	if err != nil {
		return Contract{}, fmt.Errorf("encode terms: %w", err)
	}
	sum := sha256.Sum256(raw)
	return Contract{
		ID: id, AccountID: accountID, Environment: env, Version: version, EffectiveFrom: from, Terms: terms,
		Hash: hex.EncodeToString(sum[:]), CreatedAt: at.UTC().Truncate(time.Microsecond),
	}, nil
}

// Zone is the contract's time zone.
func (c Contract) Zone() (*time.Location, error) { return period.LoadZone(c.Terms.TimeZone) }

// Interval is what a cycle covers, half-open in UTC: the month, or for a settlement the
// run-off from the end of the contract year until the attribution window of its last
// exposures has passed.
func (c Contract) Interval(m period.Month, runOffDays int) (period.Interval, error) {
	zone, err := c.Zone()
	if err != nil {
		return period.Interval{}, err
	}
	in := m.In(zone)
	if !m.IsSettlement() {
		return in, nil
	}
	year, err := c.YearStart(m)
	if err != nil {
		return period.Interval{}, err
	}
	if m.Sub(year) != lift.PeriodsPerYear-1 {
		return period.Interval{}, fault.InvalidField("period", "period_no_year_end", "%s is not the last month of a contract year", m.Add(0)).
			Fix("The year of this contract ends with %s", year.Add(lift.PeriodsPerYear-1))
	}
	return period.Interval{Start: in.End, End: in.End.AddDate(0, 0, runOffDays)}, nil
}

// SettledAt is the moment from which a period may be billed: its end plus the close lag.
func (c Contract) SettledAt(m period.Month, runOffDays int) (time.Time, error) {
	in, err := c.Interval(m, runOffDays)
	if err != nil {
		return time.Time{}, err
	}
	return in.End.AddDate(0, 0, c.Terms.CloseLagDays), nil
}

// YearStart is the first period of the contract year that holds m.
func (c Contract) YearStart(m period.Month) (period.Month, error) {
	first, err := c.first(m)
	if err != nil {
		return period.Month{}, err
	}
	return first.Add(m.Sub(first) / lift.PeriodsPerYear * lift.PeriodsPerYear), nil
}

// first is the contract's first period; a month before it is refused.
func (c Contract) first(m period.Month) (period.Month, error) {
	first, err := period.ParseMonth(c.Terms.FirstPeriod)
	if err != nil {
		return period.Month{}, err
	}
	if m.Before(first) {
		return period.Month{}, fault.InvalidField("period", "period_before_contract", "%s is before the contract's first period %s", m, first)
	}
	return first, nil
}

// Cohort are the accounts of a calendar that are billed for a period as of a moment: years
// are settled when their own attribution window has passed, so that a settlement's
// accounts become due one after another.
type Cohort struct {
	Environment account.Environment
	Calendar    Calendar
	Period      period.Month
	AsOf        time.Time
}

// Calendar is what a Temporal Schedule is made for: a time zone and a close lag.
type Calendar struct {
	TimeZone     string `json:"time_zone"`
	CloseLagDays int    `json:"close_lag_days"`
}

// CalendarOf is the calendar of the terms.
func (t Terms) CalendarOf() Calendar {
	return Calendar{TimeZone: t.TimeZone, CloseLagDays: t.CloseLagDays}
}
