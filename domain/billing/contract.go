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
	"regexp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// CollectionMethod is how Stripe collects the invoice.
type CollectionMethod string

// Stripe's two collection methods.
const (
	SendInvoice         CollectionMethod = "send_invoice"
	ChargeAutomatically CollectionMethod = "charge_automatically"
)

// MaxBillableSnapshots bounds the lines of one invoice, so that one invoice per
// payer and period always suffices (Stripe takes 250 items).
const MaxBillableSnapshots = 200

// Terms are the pricing terms of one contract version, as agreed and hashed.
type Terms struct {
	// Share of the billed base that is the fee, as a decimal string in (0, 1].
	Share string `json:"share"`
	// Basis is what the fee is a share of: "measured" or "proven".
	Basis lift.Basis `json:"basis"`
	// PortfolioCap limits the total by the pooled bound. Nil means the basis's default.
	PortfolioCap *bool `json:"portfolio_cap,omitempty"`
	// Currency of the contract, the revenue that it measures and the invoice.
	Currency money.Currency `json:"currency"`
	// TimeZone whose midnights bound a period (IANA name).
	TimeZone string `json:"time_zone"`
	// CloseLagDays between a period's end and its cycle, for late webhooks.
	CloseLagDays int `json:"close_lag_days"`
	// CollectionMethod and DaysUntilDue go to Stripe as they are.
	CollectionMethod CollectionMethod `json:"collection_method"`
	DaysUntilDue     int              `json:"days_until_due"`
	// Rounding of a line's fee to minor units; default down.
	Rounding money.Rounding `json:"rounding"`
	// FirstPeriod starts the contract year (YYYY-MM).
	FirstPeriod string `json:"first_period"`
	// PONumber is printed on the invoice when the buyer needs one.
	PONumber string `json:"po_number,omitempty"`
	// CaseIDsInMetadata puts the readouts' case IDs into the invoice's metadata. Nil means yes.
	CaseIDsInMetadata *bool `json:"case_ids_in_metadata,omitempty"`
}

// Contract is one version of an account's terms.
type Contract struct {
	ID          string
	AccountID   string
	Environment account.Environment
	Version     int
	Terms       Terms
	Hash        string
	CreatedAt   time.Time
}

// DefaultTerms is the proposal that an integrator starts from.
func DefaultTerms() Terms {
	return Terms{
		Share: "0.20", Basis: lift.BasisMeasured, Currency: "usd", TimeZone: "UTC", CloseLagDays: 3,
		CollectionMethod: SendInvoice, DaysUntilDue: 30, Rounding: money.Down,
	}
}

// Normalise validates the terms and fills in the defaults that are written down
// with them, so that the stored terms say everything.
func (t Terms) Normalise() (Terms, error) {
	_, err := parseShare(t.Share)
	if err != nil {
		return t, err
	}
	if t.Basis != lift.BasisMeasured && t.Basis != lift.BasisProven {
		return t, fault.InvalidField("basis", "basis_unknown", "%q is not a basis", string(t.Basis)).Fix("Use measured or proven")
	}
	if t.PortfolioCap == nil {
		on := t.Basis.DefaultPortfolioCap()
		t.PortfolioCap = &on
	}
	if t.Currency, err = money.ParseCurrency(string(t.Currency)); err != nil {
		return t, err
	}
	if places, _ := t.Currency.Exponent(); places > 2 {
		return t, fault.InvalidField("currency", "currency_not_enabled", "%s has %d decimal places, which invoices do not support", t.Currency.Code(), places).
			Fix("Use a currency with at most two decimal places")
	}
	if _, err = period.LoadZone(t.TimeZone); err != nil {
		return t, err
	}
	if t.CloseLagDays < 3 || t.CloseLagDays > 60 {
		return t, fault.InvalidField("close_lag_days", "close_lag_range", "the close lag must be 3 to 60 days").
			Fix("Stripe retries a webhook for up to 3 days; a shorter lag would bill before late payments are known")
	}
	if t.Rounding, err = money.ParseRounding(string(t.Rounding)); err != nil {
		return t, err
	}
	if _, err = period.ParseMonth(t.FirstPeriod); err != nil {
		return t, fault.InvalidField("first_period", "period_malformed", "%q is not a month", t.FirstPeriod).Fix("Write YYYY-MM, for example 2026-10")
	}
	if len(t.PONumber) > 140 {
		return t, fault.InvalidField("po_number", "text_length", "a PO number has at most 140 characters")
	}
	if t.CaseIDsInMetadata == nil {
		on := true
		t.CaseIDsInMetadata = &on
	}
	return t, t.checkCollection()
}

// sharePattern keeps to plain digits: an exponent would let a short text stand for a
// number that takes minutes to multiply by.
var sharePattern = regexp.MustCompile(`^[01](\.[0-9]{1,12})?$`)

func parseShare(text string) (decimal.Decimal, error) {
	var share decimal.Decimal
	var err error
	if sharePattern.MatchString(text) {
		share, err = decimal.NewFromString(text)
	}
	if err != nil || !share.IsPositive() || share.GreaterThan(decimal.NewFromInt(1)) {
		if len(text) > 40 {
			text = text[:40] + "…"
		}
		return decimal.Zero, fault.InvalidField("share", "share_range", "%q is not a share", text).
			Fix("Write a decimal above 0 and at most 1 with up to 12 places, for example 0.20")
	}
	return share, nil
}

func (t Terms) checkCollection() error {
	switch t.CollectionMethod {
	case SendInvoice:
		if t.DaysUntilDue < 1 || t.DaysUntilDue > 365 {
			return fault.InvalidField("days_until_due", "days_range", "send_invoice needs 1 to 365 days until due")
		}
	case ChargeAutomatically:
		if t.DaysUntilDue != 0 {
			return fault.InvalidField("days_until_due", "days_range", "charge_automatically takes no days until due").Fix("Set it to 0")
		}
	default:
		return fault.InvalidField("collection_method", "collection_unknown", "%q is not a collection method", string(t.CollectionMethod)).
			Fix("Use send_invoice or charge_automatically")
	}
	return nil
}

// Capped reports whether the invoice total is limited by the pooled bound.
func (t Terms) Capped() bool { return t.PortfolioCap != nil && *t.PortfolioCap }

// NewContract seals terms as version n of an account's contract. Its hash is the
// SHA-256 of the terms' canonical JSON (fixed field order).
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
	raw, err := json.Marshal(terms)
	if err != nil {
		return Contract{}, fmt.Errorf("encode terms: %w", err)
	}
	sum := sha256.Sum256(raw)
	return Contract{
		ID: id, AccountID: accountID, Environment: env, Version: version, Terms: terms,
		Hash: hex.EncodeToString(sum[:]), CreatedAt: at.UTC(),
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
	first, err := period.Parse(c.Terms.FirstPeriod)
	if err != nil {
		return period.Month{}, err
	}
	if m.Before(first) {
		return period.Month{}, fault.InvalidField("period", "period_before_contract", "%s is before the contract's first period %s", m, first)
	}
	return first.Add(m.Sub(first) / 12 * 12), nil
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
