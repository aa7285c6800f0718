package billing

import (
	"regexp"

	"github.com/shopspring/decimal"

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

// Terms are the pricing terms of one contract version, as agreed and hashed. The
// order of the fields is the order of the canonical JSON; a term that is not agreed
// on is left out of it, so that older contracts keep their hashes. Amounts are minor
// units of the contract's currency, shares and factors decimal strings.
type Terms struct {
	// Share of the billed base that is the fee, in (0, 1]; with tiers the share below
	// the first of them, and 0 where something else is priced.
	Share string `json:"share"`
	// Basis is what the fee is a share of: "measured" or "proven".
	Basis lift.Basis `json:"basis"`
	// Settlement is what happens at the end of the contract year; empty is proven_lift.
	// It stands in the sealed plan too.
	Settlement lift.Settlement `json:"settlement,omitempty"`
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
	// Rounding of a line to minor units; default down.
	Rounding money.Rounding `json:"rounding"`
	// FirstPeriod starts the contract and its years (YYYY-MM).
	FirstPeriod string `json:"first_period"`
	// PONumber is printed on the invoice when the buyer needs one.
	PONumber string `json:"po_number,omitempty"`
	// CaseIDsInMetadata puts the readouts' case IDs into the invoice's metadata. Nil means yes.
	CaseIDsInMetadata *bool `json:"case_ids_in_metadata,omitempty"`

	// EffectiveFrom is the first month of a later version; empty for the first one,
	// which holds from FirstPeriod.
	EffectiveFrom string `json:"effective_from,omitempty"`
	// Tiers are the shares of larger bases. Nil means Share for all of it.
	Tiers *Tiers `json:"tiers,omitempty"`
	// Caps limit the performance fees. Nil means none.
	Caps *Caps `json:"caps,omitempty"`
	// FloorMinor is the least performance fee of a month; 0 means none.
	FloorMinor int64 `json:"floor_minor,omitempty"`
	// Minimum is the commitment of a month, quarter or year. Nil means none.
	Minimum *Minimum `json:"minimum_commitment,omitempty"`
	// PlatformFeeMinor is due every month; 0 means none.
	PlatformFeeMinor int64 `json:"platform_fee_minor,omitempty"`
	// Outcomes are priced by the piece, ascending by kind.
	Outcomes []OutcomePrice `json:"outcomes,omitempty"`
	// Phases precede the full terms, in order from FirstPeriod.
	Phases []Phase `json:"phases,omitempty"`
	// Holdback keeps a part of the performance fees for later. Nil means none.
	Holdback *Holdback `json:"holdback,omitempty"`
	// Netting says how refunds and chargebacks after the close count. Nil means as they are.
	Netting *Netting `json:"netting,omitempty"`
	// DisputeDays is how long after the invoice a line may be disputed; 0 means not agreed.
	DisputeDays int `json:"dispute_days,omitempty"`
	// Approval says who releases an invoice. Nil means the contract itself.
	Approval *Approval `json:"approval,omitempty"`
	// TrueUp says what comes after the settlement of a contract year. Nil means down only,
	// for TrueUpMonths.
	TrueUp *TrueUp `json:"true_up,omitempty"`
}

// DefaultTerms is the proposal that an integrator starts from.
func DefaultTerms() Terms {
	return Terms{
		Share: "0.20", Basis: lift.BasisMeasured, Currency: "usd", TimeZone: "UTC", CloseLagDays: 3,
		CollectionMethod: SendInvoice, DaysUntilDue: 30, Rounding: money.Down,
	}
}

// Normalise validates the terms and fills in the defaults that are written down
// with them, so that the stored terms say everything. Two texts that mean the same
// become the same.
func (t Terms) Normalise() (Terms, error) {
	if _, err := t.Rule().Normalise(); err != nil {
		return t, err
	}
	if t.PortfolioCap == nil {
		on := t.Basis.DefaultPortfolioCap()
		t.PortfolioCap = &on
	}
	var err error
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
	if t, err = t.normaliseDates(); err != nil {
		return t, err
	}
	if len(t.PONumber) > 140 {
		return t, fault.InvalidField("po_number", "text_length", "a PO number has at most 140 characters").Fix("Shorten it")
	}
	if t.CaseIDsInMetadata == nil {
		on := true
		t.CaseIDsInMetadata = &on
	}
	if err = t.checkCollection(); err != nil {
		return t, err
	}
	return t.normalisePricing()
}

func (t Terms) normaliseDates() (Terms, error) {
	first, err := period.ParseMonth(t.FirstPeriod)
	if err != nil {
		return t, fault.InvalidField("first_period", "period_malformed", "%q is not a month", t.FirstPeriod).Fix("Write YYYY-MM, for example 2026-10")
	}
	if t.EffectiveFrom == "" || t.EffectiveFrom == t.FirstPeriod {
		t.EffectiveFrom = ""
		return t, nil
	}
	from, err := period.ParseMonth(t.EffectiveFrom)
	if err != nil {
		return t, fault.InvalidField("effective_from", "period_malformed", "%q is not a month", t.EffectiveFrom).Fix("Write YYYY-MM, for example 2026-10")
	}
	if from.Before(first) {
		return t, fault.InvalidField("effective_from", "effective_before_contract", "%s is before the contract's first period %s", from, first).
			Fix("Use %s or a later month", first)
	}
	return t, nil
}

// Decimals keep to plain digits: an exponent would let a short text stand for a
// number that takes minutes to multiply by.
var (
	sharePattern = regexp.MustCompile(`^[01](\.[0-9]{1,12})?$`)
	pricePattern = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,6})?$`)
)

var one = decimal.NewFromInt(1)

// fraction reads a decimal in [0, 1].
func fraction(text string) (decimal.Decimal, bool) {
	if !sharePattern.MatchString(text) {
		return decimal.Zero, false
	}
	v, err := decimal.NewFromString(text)
	return v, err == nil && !v.GreaterThan(one)
}

// shorten keeps a text that a caller sent to what an error can show.
func shorten(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

// parseShare reads the terms' own share. It may be 0 where tiers or outcomes are priced.
func (t Terms) parseShare() (decimal.Decimal, error) {
	share, ok := fraction(t.Share)
	if !ok || (share.IsZero() && t.Tiers == nil && len(t.Outcomes) == 0) {
		return decimal.Zero, fault.InvalidField("share", "share_range", "%q is not a share", shorten(t.Share)).
			Fix("Write a decimal above 0 and at most 1 with up to 12 places, for example 0.20")
	}
	return share, nil
}

func (t Terms) checkCollection() error {
	switch t.CollectionMethod {
	case SendInvoice:
		if t.DaysUntilDue < 1 || t.DaysUntilDue > 365 {
			return fault.InvalidField("days_until_due", "days_range", "send_invoice needs 1 to 365 days until due").Fix("Set it to 30, for example")
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

// Rule is what the terms bill of a measured lift.
func (t Terms) Rule() lift.Rule { return lift.Rule{Basis: t.Basis, Settlement: t.Settlement} }

// Capped reports whether the invoice total is limited by the pooled bound.
func (t Terms) Capped() bool { return t.PortfolioCap != nil && *t.PortfolioCap }

// From is the first month that the version holds for.
func (t Terms) From() (period.Month, error) {
	if t.EffectiveFrom != "" {
		return period.ParseMonth(t.EffectiveFrom)
	}
	return period.ParseMonth(t.FirstPeriod)
}
