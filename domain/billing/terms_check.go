package billing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// Bounds of the pricing terms.
const (
	maxTermMinor    = 1_000_000_000_000
	maxTiers        = 20
	maxPhases       = 12
	maxPhaseMonths  = 60
	maxHoldMonths   = 24
	maxLookbackDays = 730
)

// normalisePricing validates the terms of the price and writes their defaults out.
// What means nothing is left out: caps without a cap, netting as it happens anyway.
func (t Terms) normalisePricing() (Terms, error) {
	t.Outcomes = slices.Clone(t.Outcomes)
	slices.SortFunc(t.Outcomes, func(a, b OutcomePrice) int { return strings.Compare(a.Kind, b.Kind) })
	if len(t.Outcomes) == 0 {
		t.Outcomes = nil
	}
	for _, part := range []func(*Terms) error{
		(*Terms).checkShares, (*Terms).checkCaps, (*Terms).checkFixed, (*Terms).checkMinimum, (*Terms).checkOutcomes,
		(*Terms).checkPhases, (*Terms).checkHoldback, (*Terms).checkNetting, (*Terms).checkTrueUp, (*Terms).checkApproval,
	} {
		if err := part(&t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// amount checks an agreed amount: not negative, of a sane size, and one that the
// currency can be charged in.
func (t *Terms) amount(field string, minor int64) error {
	if minor < 0 || minor > maxTermMinor {
		return fault.InvalidField(field, "amount_range", "%d is not an amount of minor units", minor).
			Fix("Write 0 to %d minor units; 0 or nothing means that it is not agreed", int64(maxTermMinor))
	}
	if step := t.Currency.Step(); minor%step != 0 {
		return fault.InvalidField(field, "amount_step", "%d minor units of %s cannot be charged", minor, t.Currency.Code()).
			Fix("Write a multiple of %d", step)
	}
	return nil
}

func oneOf[T ~string](field string, v T, known ...T) error {
	if slices.Contains(known, v) {
		return nil
	}
	return fault.InvalidField(field, "choice_unknown", "%q is not a choice", shorten(string(v))).Fix("Use one of %s", list(known))
}

func list[T ~string](words []T) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = string(w)
	}
	return strings.Join(parts, ", ")
}

func (t *Terms) checkShares() error {
	if t.Tiers != nil && len(t.Tiers.Above) == 0 {
		return fault.InvalidField("tiers.above", "tiers_count", "tiers without a tier").Fix("Name at least one tier, or leave tiers out")
	}
	share, err := t.parseShare()
	if err != nil || t.Tiers == nil {
		return err
	}
	tiers := *t.Tiers
	tiers.Above = slices.Clone(tiers.Above)
	t.Tiers = &tiers
	if tiers.Mode == "" {
		tiers.Mode = Marginal
	}
	if tiers.Reset == "" {
		tiers.Reset = PerYear
	}
	if err := oneOf("tiers.mode", tiers.Mode, Marginal, Whole); err != nil {
		return err
	}
	if err := oneOf("tiers.reset", tiers.Reset, PerMonth, PerQuarter, PerYear); err != nil {
		return err
	}
	if len(tiers.Above) > maxTiers {
		return fault.InvalidField("tiers.above", "tiers_count", "%d tiers", len(tiers.Above)).Fix("Use at most %d", maxTiers)
	}
	positive := share.IsPositive() || len(t.Outcomes) > 0
	for i, tier := range tiers.Above {
		field := fmt.Sprintf("tiers.above[%d]", i)
		if err := t.amount(field+".from_minor", tier.FromMinor); err != nil {
			return err
		}
		if tier.FromMinor == 0 || (i > 0 && tier.FromMinor <= tiers.Above[i-1].FromMinor) {
			return fault.InvalidField(field+".from_minor", "tiers_order", "tiers ascend from above 0, %d does not", tier.FromMinor).
				Fix("Order the tiers by from_minor; share is what holds from 0")
		}
		v, ok := fraction(tier.Share)
		if !ok {
			return fault.InvalidField(field+".share", "share_range", "%q is not a share", shorten(tier.Share)).Fix("Write a decimal from 0 to 1 with up to 12 places, for example 0.15")
		}
		positive = positive || v.IsPositive()
	}
	if !positive {
		return fault.InvalidField("share", "share_range", "every share is 0").Fix("Give one tier a share, or price outcomes")
	}
	return nil
}

func (t *Terms) checkCaps() error {
	if t.Caps == nil {
		return nil
	}
	c := *t.Caps
	for _, v := range []struct {
		field string
		minor int64
	}{{"caps.month_minor", c.MonthMinor}, {"caps.year_minor", c.YearMinor}, {"caps.total_minor", c.TotalMinor}} {
		if err := t.amount(v.field, v.minor); err != nil {
			return err
		}
	}
	if c.Excess == "" {
		c.Excess = ExcessWaived
	}
	if err := oneOf("caps.excess", c.Excess, ExcessWaived, ExcessCarried); err != nil {
		return err
	}
	switch {
	case c.MonthMinor == 0 && c.Excess == ExcessCarried:
		return fault.InvalidField("caps.excess", "excess_without_month_cap", "only what a month's cap cuts off can be carried within the year").
			Fix("Set caps.month_minor, or use waived")
	case c.MonthMinor > 0 && t.FloorMinor > c.MonthMinor:
		return fault.InvalidField("floor_minor", "floor_above_cap", "the floor of %d is above the month's cap of %d", t.FloorMinor, c.MonthMinor).
			Fix("Lower the floor or raise caps.month_minor")
	case c == Caps{Excess: ExcessWaived}:
		t.Caps = nil
	default:
		t.Caps = &c
	}
	return nil
}

func (t *Terms) checkFixed() error {
	if err := t.amount("floor_minor", t.FloorMinor); err != nil {
		return err
	}
	if t.DisputeDays < 0 || t.DisputeDays > 365 {
		return fault.InvalidField("dispute_days", "days_range", "%d days to dispute a line", t.DisputeDays).Fix("Write 0 to 365; 0 means that no window is agreed")
	}
	return t.amount("platform_fee_minor", t.PlatformFeeMinor)
}

func (t *Terms) checkMinimum() error {
	if t.Minimum == nil {
		return nil
	}
	m := *t.Minimum
	if m.AmountMinor == 0 {
		t.Minimum = nil
		return nil
	}
	if err := t.amount("minimum_commitment.amount_minor", m.AmountMinor); err != nil {
		return err
	}
	if m.Every == "" {
		m.Every = PerYear
	}
	if err := oneOf("minimum_commitment.every", m.Every, PerMonth, PerQuarter, PerYear); err != nil {
		return err
	}
	all := []Counted{CountsFloor, CountsPerformance, CountsPlatformFee}
	if len(m.Counts) == 0 {
		m.Counts = all
	}
	m.Counts = slices.Clone(m.Counts)
	slices.Sort(m.Counts)
	m.Counts = slices.Compact(m.Counts)
	for _, c := range m.Counts {
		if err := oneOf("minimum_commitment.counts", c, all...); err != nil {
			return err
		}
	}
	t.Minimum = &m
	return nil
}

func (t *Terms) checkOutcomes() error {
	for i, o := range t.Outcomes {
		field := fmt.Sprintf("outcomes[%d]", i)
		if err := oneOf(field+".kind", o.Kind, OutcomeKinds()...); err != nil {
			return err
		}
		if i > 0 && t.Outcomes[i-1].Kind == o.Kind {
			return fault.InvalidField(field+".kind", "outcome_repeated", "%s is priced twice", o.Kind).Fix("Keep one price per kind")
		}
		price := decimal.Zero
		if pricePattern.MatchString(o.PriceMinor) {
			price, _ = decimal.NewFromString(o.PriceMinor)
		}
		if !price.IsPositive() {
			return fault.InvalidField(field+".price_minor", "price_range", "%q is not a price", shorten(o.PriceMinor)).
				Fix("Write minor units above 0 with up to 6 places, for example 99 for 0.99 USD")
		}
		if o.Included < 0 || o.Included > maxTermMinor {
			return fault.InvalidField(field+".included", "included_range", "%d included outcomes", o.Included).Fix("Write 0 or more")
		}
	}
	return nil
}

func (t *Terms) checkPhases() error {
	if len(t.Phases) == 0 {
		t.Phases = nil
		return nil
	}
	if len(t.Phases) > maxPhases {
		return fault.InvalidField("phases", "phases_count", "%d phases", len(t.Phases)).Fix("Use at most %d", maxPhases)
	}
	months := 0
	for i, p := range t.Phases {
		field := fmt.Sprintf("phases[%d]", i)
		if err := oneOf(field+".kind", p.Kind, PhaseShadow, PhaseFree, PhaseRamp); err != nil {
			return err
		}
		if months += p.Months; p.Months < 1 || months > maxPhaseMonths {
			return fault.InvalidField(field+".months", "phase_months", "a phase of %d months", p.Months).Fix("Write 1 or more; all phases together last at most %d months", maxPhaseMonths)
		}
		f, ok := fraction(p.Factor)
		switch {
		case p.Kind != PhaseRamp && p.Factor != "":
			return fault.InvalidField(field+".factor", "factor_range", "only a ramp has a factor").Fix("Leave it out")
		case p.Kind == PhaseRamp && (!ok || f.IsZero() || f.Equal(one)):
			return fault.InvalidField(field+".factor", "factor_range", "%q is not the factor of a ramp", shorten(p.Factor)).Fix("Write a decimal between 0 and 1, for example 0.5")
		case p.Kind == PhaseRamp && t.Tiers != nil && t.Tiers.Mode == Whole && t.Tiers.Reset != PerMonth:
			return fault.InvalidField(field+".kind", "ramp_with_whole_tiers", "tiers that price earlier months anew cannot be ramped").
				Fix("Use marginal tiers, tiers that reset every month, or no ramp")
		}
	}
	t.Phases = slices.Clone(t.Phases)
	return nil
}

func (t *Terms) checkHoldback() error {
	if t.Holdback == nil {
		return nil
	}
	h := *t.Holdback
	share, ok := fraction(h.Share)
	if !ok || share.IsZero() || share.Equal(one) {
		return fault.InvalidField("holdback.share", "share_range", "%q is not the share of a holdback", shorten(h.Share)).Fix("Write a decimal between 0 and 1, for example 0.10")
	}
	if h.ReleaseAfterMonths < 0 || h.ReleaseAfterMonths > maxHoldMonths {
		return fault.InvalidField("holdback.release_after_months", "release_range", "a release after %d months", h.ReleaseAfterMonths).
			Fix("Write 1 to %d, or 0 for the close of the contract year", maxHoldMonths)
	}
	t.Holdback = &h
	return nil
}

func (t *Terms) checkNetting() error {
	if t.Netting == nil {
		return nil
	}
	n := *t.Netting
	if n.Mode == "" {
		n.Mode = NetActual
	}
	if err := oneOf("netting.mode", n.Mode, NetActual, NetAgreedRate); err != nil {
		return err
	}
	rate, ok := fraction(n.Rate)
	switch {
	case n.Mode == NetActual && n.Rate != "":
		return fault.InvalidField("netting.rate", "rate_range", "only an agreed_rate has a rate").Fix("Leave it out, or use the mode agreed_rate")
	case n.Mode == NetAgreedRate && (!ok || rate.IsZero() || rate.Equal(one)):
		return fault.InvalidField("netting.rate", "rate_range", "%q is not a rate", shorten(n.Rate)).Fix("Write a decimal between 0 and 1, for example 0.015")
	case n.LookbackDays < 0 || n.LookbackDays > maxLookbackDays:
		return fault.InvalidField("netting.lookback_days", "days_range", "%d days", n.LookbackDays).Fix("Write 0 to %d; 0 means no limit", maxLookbackDays)
	case n.Mode == NetAgreedRate && n.LookbackDays != 0:
		return fault.InvalidField("netting.lookback_days", "days_range", "an agreed rate has no lookback").Fix("Leave it out")
	}
	t.Netting = &n
	if n == (Netting{Mode: NetActual}) {
		t.Netting = nil
	}
	return nil
}
