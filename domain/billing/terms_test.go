package billing_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

func tier(from int64, share string) billing.Tier { return billing.Tier{FromMinor: from, Share: share} }

// Every refusal names the field and says what to do.
func TestPricingTermsNameTheField(t *testing.T) {
	t.Parallel()
	type terms = billing.Terms
	for i, c := range []struct {
		field, code string
		change      func(*terms)
	}{
		{"share", "share_range", func(x *terms) { x.Share = "0" }},
		{"share", "share_range", func(x *terms) { x.Share, x.Tiers = "0", &billing.Tiers{Above: []billing.Tier{tier(5, "0")}} }},
		{"tiers.above", "tiers_count", func(x *terms) { x.Tiers = &billing.Tiers{} }},
		{"tiers.above", "tiers_count", func(x *terms) { x.Tiers = &billing.Tiers{Above: make([]billing.Tier, 21)} }},
		{"tiers.mode", "choice_unknown", func(x *terms) { x.Tiers = &billing.Tiers{Mode: "stairs", Above: []billing.Tier{tier(5, "0.1")}} }},
		{"tiers.reset", "choice_unknown", func(x *terms) { x.Tiers = &billing.Tiers{Reset: "week", Above: []billing.Tier{tier(5, "0.1")}} }},
		{"tiers.above[0].from_minor", "tiers_order", func(x *terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(0, "0.1")}} }},
		{"tiers.above[1].from_minor", "tiers_order", func(x *terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0.1"), tier(5, "0.2")}} }},
		{"tiers.above[0].from_minor", "amount_range", func(x *terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(-5, "0.1")}} }},
		{"tiers.above[0].share", "share_range", func(x *terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "1.1")}} }},
		{"tiers.above[0].share", "share_range", func(x *terms) {
			x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0."+strings.Repeat("1", 5000))}}
		}},
		{"caps.month_minor", "amount_range", func(x *terms) { x.Caps = &billing.Caps{MonthMinor: -1} }},
		{"caps.year_minor", "amount_range", func(x *terms) { x.Caps = &billing.Caps{YearMinor: 1e12 + 1} }},
		{"caps.total_minor", "amount_step", func(x *terms) { x.Currency, x.Caps = "isk", &billing.Caps{TotalMinor: 150} }},
		{"caps.excess", "choice_unknown", func(x *terms) { x.Caps = &billing.Caps{MonthMinor: 5, Excess: "kept"} }},
		{"caps.excess", "excess_without_month_cap", func(x *terms) { x.Caps = &billing.Caps{YearMinor: 5, Excess: billing.ExcessCarried} }},
		{"floor_minor", "amount_range", func(x *terms) { x.FloorMinor = -1 }},
		{"floor_minor", "floor_above_cap", func(x *terms) { x.FloorMinor, x.Caps = 11, &billing.Caps{MonthMinor: 10} }},
		{"platform_fee_minor", "amount_step", func(x *terms) { x.Currency, x.PlatformFeeMinor = "ugx", 1_050 }},
		{"minimum_commitment.amount_minor", "amount_range", func(x *terms) { x.Minimum = &billing.Minimum{AmountMinor: -1} }},
		{"minimum_commitment.every", "choice_unknown", func(x *terms) { x.Minimum = &billing.Minimum{AmountMinor: 1, Every: "decade"} }},
		{"minimum_commitment.counts", "choice_unknown", func(x *terms) { x.Minimum = &billing.Minimum{AmountMinor: 1, Counts: []billing.Counted{"tips"}} }},
		{"outcomes[0].kind", "choice_unknown", func(x *terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "refund", PriceMinor: "1"}} }},
		{"outcomes[1].kind", "outcome_repeated", func(x *terms) {
			x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "1"}, {Kind: "upgrade", PriceMinor: "2"}}
		}},
		{"outcomes[0].price_minor", "price_range", func(x *terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "0.0"}} }},
		{"outcomes[0].price_minor", "price_range", func(x *terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "1e9"}} }},
		{"outcomes[0].included", "included_range", func(x *terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "1", Included: -1}} }},
		{"phases", "phases_count", func(x *terms) { x.Phases = make([]billing.Phase, 13) }},
		{"phases[0].kind", "choice_unknown", func(x *terms) { x.Phases = []billing.Phase{{Kind: "full", Months: 1}} }},
		{"phases[0].months", "phase_months", func(x *terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow}} }},
		{"phases[1].months", "phase_months", func(x *terms) {
			x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 59}, {Kind: billing.PhaseFree, Months: 2}}
		}},
		{"phases[0].factor", "factor_range", func(x *terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1, Factor: "0.5"}} }},
		{"phases[0].factor", "factor_range", func(x *terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseRamp, Months: 1}} }},
		{"phases[0].factor", "factor_range", func(x *terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseRamp, Months: 1, Factor: "1"}} }},
		{"phases[0].kind", "ramp_with_whole_tiers", func(x *terms) {
			x.Phases = []billing.Phase{{Kind: billing.PhaseRamp, Months: 1, Factor: "0.5"}}
			x.Tiers = &billing.Tiers{Mode: billing.Whole, Above: []billing.Tier{tier(5, "0.1")}}
		}},
		{"holdback.share", "share_range", func(x *terms) { x.Holdback = &billing.Holdback{Share: "1"} }},
		{"holdback.share", "share_range", func(x *terms) { x.Holdback = &billing.Holdback{Share: "0"} }},
		{"holdback.release_after_months", "release_range", func(x *terms) { x.Holdback = &billing.Holdback{Share: "0.1", ReleaseAfterMonths: 25} }},
		{"netting.mode", "choice_unknown", func(x *terms) { x.Netting = &billing.Netting{Mode: "none"} }},
		{"netting.rate", "rate_range", func(x *terms) { x.Netting = &billing.Netting{Rate: "0.1"} }},
		{"netting.rate", "rate_range", func(x *terms) { x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "2"} }},
		{"netting.lookback_days", "days_range", func(x *terms) { x.Netting = &billing.Netting{LookbackDays: 731} }},
		{"netting.lookback_days", "days_range", func(x *terms) {
			x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.1", LookbackDays: 5}
		}},
		{"dispute_days", "days_range", func(x *terms) { x.DisputeDays = 366 }},
		{"approval.mode", "choice_unknown", func(x *terms) { x.Approval = &billing.Approval{Mode: "sometimes"} }},
		{"approval.mode", "approval_automatic", func(x *terms) { x.Approval = &billing.Approval{Mode: billing.ApprovalAutomatic, WaitDays: 3} }},
		{"approval.auto_below_minor", "amount_range", func(x *terms) { x.Approval = &billing.Approval{AutoBelowMinor: -1} }},
		{"approval.wait_days", "days_range", func(x *terms) { x.Approval = &billing.Approval{WaitDays: 61} }},
		{"approval.remind_days", "days_range", func(x *terms) { x.Approval = &billing.Approval{RemindDays: -1} }},
		{"approval.on_timeout", "choice_unknown", func(x *terms) { x.Approval = &billing.Approval{OnTimeout: "pay"} }},
		{"effective_from", "period_malformed", func(x *terms) { x.EffectiveFrom = "2026" }},
		{"effective_from", "effective_before_contract", func(x *terms) { x.EffectiveFrom = "2025-12" }},
	} {
		in := billing.DefaultTerms()
		in.FirstPeriod = "2026-01"
		c.change(&in)
		_, err := in.Normalise()
		var e *fault.Error
		require.ErrorAs(t, err, &e, "case %d", i)
		require.Equal(t, c.field+" "+c.code, e.Field+" "+e.Code, "case %d: %v", i, err)
		require.NotEmpty(t, e.Remedy, "case %d", i)
		require.Less(t, len(err.Error()), 300)
	}
}

// Each term changes the hash; what means the same has the same hash; what is not agreed
// on leaves no trace, so that contracts from before a term existed keep theirs.
func TestPricingTermsAreHashed(t *testing.T) {
	t.Parallel()
	seen := map[string]int{contract(t, nil).Hash: -1}
	for i, change := range []func(*billing.Terms){
		func(x *billing.Terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0.1")}} },
		func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Mode: billing.Whole, Above: []billing.Tier{tier(5, "0.1")}}
		},
		func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Reset: billing.PerMonth, Above: []billing.Tier{tier(5, "0.1")}}
		},
		func(x *billing.Terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(6, "0.1")}} },
		func(x *billing.Terms) { x.Caps = &billing.Caps{MonthMinor: 5} },
		func(x *billing.Terms) { x.Caps = &billing.Caps{MonthMinor: 5, Excess: billing.ExcessCarried} },
		func(x *billing.Terms) { x.Caps = &billing.Caps{YearMinor: 5} },
		func(x *billing.Terms) { x.Caps = &billing.Caps{TotalMinor: 5} },
		func(x *billing.Terms) { x.FloorMinor = 5 },
		func(x *billing.Terms) { x.PlatformFeeMinor = 5 },
		func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 5} },
		func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 5, Every: billing.PerMonth} },
		func(x *billing.Terms) {
			x.Minimum = &billing.Minimum{AmountMinor: 5, Counts: []billing.Counted{billing.CountsFloor}}
		},
		func(x *billing.Terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "5"}} },
		func(x *billing.Terms) {
			x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "5", Included: 1}}
		},
		func(x *billing.Terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1}} },
		func(x *billing.Terms) {
			x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1, WaiveFixed: true}}
		},
		func(x *billing.Terms) { x.Holdback = &billing.Holdback{Share: "0.1"} },
		func(x *billing.Terms) { x.Holdback = &billing.Holdback{Share: "0.1", ReleaseAfterMonths: 1} },
		func(x *billing.Terms) { x.Netting = &billing.Netting{LookbackDays: 1} },
		func(x *billing.Terms) { x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.1"} },
		func(x *billing.Terms) { x.DisputeDays = 15 },
		func(x *billing.Terms) { x.Approval = &billing.Approval{Mode: billing.ApprovalRequired} },
		func(x *billing.Terms) { x.Approval = &billing.Approval{AutoBelowMinor: 100} },
		func(x *billing.Terms) { x.Approval = &billing.Approval{WaitDays: 9} },
		func(x *billing.Terms) { x.Approval = &billing.Approval{RemindDays: 2} },
		func(x *billing.Terms) { x.Approval = &billing.Approval{OnTimeout: billing.TimeoutApprove} },
	} {
		c := contract(t, change)
		before, again := seen[c.Hash]
		require.False(t, again, "change %d has the hash of %d", i, before)
		seen[c.Hash] = i
		// What is stored is normalised and comes back as it was.
		raw, err := json.Marshal(c.Terms)
		require.NoError(t, err)
		var back billing.Terms
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, c.Hash, contract(t, func(x *billing.Terms) { *x = back }).Hash)
	}
	for i, pair := range [][2]func(*billing.Terms){
		{nil, func(x *billing.Terms) {
			x.Caps, x.Netting, x.Phases = &billing.Caps{}, &billing.Netting{Mode: billing.NetActual}, []billing.Phase{}
		}},
		{nil, func(x *billing.Terms) {
			x.Minimum, x.Outcomes, x.EffectiveFrom = &billing.Minimum{}, []billing.OutcomePrice{}, "2026-01"
		}},
		{
			func(x *billing.Terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0.1")}} },
			func(x *billing.Terms) {
				x.Tiers = &billing.Tiers{Mode: billing.Marginal, Reset: billing.PerYear, Above: []billing.Tier{tier(5, "0.1")}}
			},
		},
		{
			func(x *billing.Terms) {
				x.Outcomes = []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "1"}, {Kind: "upgrade", PriceMinor: "2"}}
			},
			func(x *billing.Terms) {
				x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "2"}, {Kind: "conversion", PriceMinor: "1"}}
			},
		},
		{
			func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 5} },
			func(x *billing.Terms) {
				x.Minimum = &billing.Minimum{AmountMinor: 5, Every: billing.PerYear, Counts: []billing.Counted{billing.CountsPlatformFee, billing.CountsPerformance, billing.CountsFloor, billing.CountsFloor}}
			},
		},
	} {
		require.Equal(t, contract(t, pair[0]).Hash, contract(t, pair[1]).Hash, "pair %d", i)
	}
}

// Normalising never writes into the caller's terms.
func TestNormaliseCopies(t *testing.T) {
	t.Parallel()
	in := terms()
	in.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0.1")}}
	in.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "2"}, {Kind: "conversion", PriceMinor: "1"}}
	in.Minimum, in.Caps = &billing.Minimum{AmountMinor: 5}, &billing.Caps{MonthMinor: 5}
	_, err := in.Normalise()
	require.NoError(t, err)
	require.Empty(t, in.Tiers.Mode)
	require.Empty(t, in.Minimum.Counts)
	require.Empty(t, in.Caps.Excess)
	require.Equal(t, "upgrade", in.Outcomes[0].Kind)
}
