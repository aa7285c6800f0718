package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
)

// TestAFreeMonthPricesNothingAnew: a month that an amendment makes free, after months that
// bore a fee, counts towards no tier. Whole tiers price what was billed anew in the month whose
// own base reaches the tier, once: 80,000 at 0.20, then 110,000 at 0.25.
func TestAFreeMonthPricesNothingAnew(t *testing.T) {
	t.Parallel()
	for share, anew := range map[string]int64{"0.25": 4_000, "0.15": -4_000} {
		tl := newTeller(t, func(x *billing.Terms) {
			x.Share, x.Tiers = "0.20", &billing.Tiers{Mode: billing.Whole, Reset: billing.PerYear, Above: []billing.Tier{{FromMinor: 100_000, Share: share}}}
		})
		require.Equal(t, int64(16_000), tl.price(t, chapter{ytd: "a=80000"}).Total.Minor())

		terms := tl.contract.Terms
		terms.EffectiveFrom, terms.Phases = "2026-02", []billing.Phase{{Kind: billing.PhaseFree, Months: 2}}
		amended, err := billing.Versions{tl.contract}.Amend("acme-2", terms, yearOpen)
		require.NoError(t, err)
		tl.contract = amended
		lines, _ := told(tl.price(t, chapter{ytd: "a=120000"}))
		require.Empty(t, lines, "40,000 that cost nothing")

		p := tl.price(t, chapter{ytd: "a=150000"})
		var again int64
		for _, l := range p.Lines {
			if l.Kind == billing.LineTiers {
				again += l.AmountMinor
			}
		}
		require.Equal(t, anew, again, "80,000 × the change of the share")
	}
}

// TestTheMinimumChargeIsSaid: what is too little to charge is handed on with the figure that it
// is below, in every currency.
func TestTheMinimumChargeIsSaid(t *testing.T) {
	t.Parallel()
	for currency, least := range map[string]string{"usd": "50", "krw": "2000", "isk": "20000", "ugx": "600000", "huf": "17500"} {
		tl := newTeller(t, func(x *billing.Terms) {
			x.Currency, x.Share, x.PlatformFeeMinor = money.Currency(currency), "0.20", 1
			x.PlatformFeeMinor = max(1, x.Currency.Step())
		})
		p := tl.price(t, chapter{ytd: "a=1"})
		require.Equal(t, billing.HeldBelowMinimum, p.Held)
		said := false
		for _, s := range p.Steps {
			if s.Name == string(billing.LineCarryOut) {
				said = true
				require.Equal(t, "−(total below the minimum charge of "+least+")", s.Formula, currency)
			}
		}
		require.True(t, said)
	}
}
