package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

func amend(v billing.Versions, now time.Time, from string, change func(*billing.Terms)) (billing.Versions, error) {
	t := v[len(v)-1].Terms
	t.EffectiveFrom = from
	if change != nil {
		change(&t)
	}
	c, err := v.Amend("acme-v"+from, t, now)
	if err != nil {
		return v, err
	}
	return append(v, c), nil
}

// A version holds from its first month up to the next one's.
func TestVersionsFollowOneAnother(t *testing.T) {
	t.Parallel()
	now := yearOpen.AddDate(0, 1, 14) // 15 February
	v := billing.Versions{contract(t, nil)}
	v, err := amend(v, now, "2026-03", func(x *billing.Terms) { x.Share = "0.15" })
	require.NoError(t, err)
	v, err = amend(v, now, "2026-07", func(x *billing.Terms) { x.PlatformFeeMinor = 100 })
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, []int{v[0].Version, v[1].Version, v[2].Version})
	for m, want := range map[string]int{"2026-01": 1, "2026-02": 1, "2026-03": 2, "2026-06": 2, "2026-07": 3, "2031-01": 3} {
		c, err := v.At(month(t, m))
		require.NoError(t, err)
		require.Equal(t, want, c.Version, m)
	}
	until, ok := v.Until(0)
	require.True(t, ok)
	require.Equal(t, "2026-03", until.String())
	_, ok = v.Until(2)
	require.False(t, ok)
	_, err = v.At(month(t, "2025-12"))
	require.Equal(t, "period_before_contract", fault.CodeOf(err))
	_, err = billing.Versions{}.At(month(t, "2025-12"))
	require.Equal(t, "contract_not_found", fault.CodeOf(err))
	_, err = billing.Versions{}.Amend("x", terms(), now)
	require.Equal(t, "contract_not_found", fault.CodeOf(err))
	require.NotEqual(t, v[1].Hash, v[2].Hash)
}

// What a contract is for life is taken over, whatever the new terms say.
func TestAmendKeepsWhatAContractIs(t *testing.T) {
	t.Parallel()
	v, err := amend(billing.Versions{contract(t, func(x *billing.Terms) { x.Currency, x.TimeZone = "eur", "Europe/Berlin" })}, yearOpen, "2026-05", func(x *billing.Terms) {
		x.Currency, x.TimeZone, x.FirstPeriod = "usd", "UTC", "2026-05"
	})
	require.NoError(t, err)
	require.Equal(t, []string{"eur", "Europe/Berlin", "2026-01"}, []string{string(v[1].Terms.Currency), v[1].Terms.TimeZone, v[1].Terms.FirstPeriod})
}

// A month that has begun in the contract's zone keeps its terms; two versions never
// share a month; what the year rests on changes with a year.
func TestAmendRefuses(t *testing.T) {
	t.Parallel()
	berlin := contract(t, func(x *billing.Terms) { x.TimeZone = "Europe/Berlin" })
	begun := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC) // midnight of 1 February in Berlin
	_, err := amend(billing.Versions{berlin}, begun, "2026-02", nil)
	require.Equal(t, "effective_in_the_past", fault.CodeOf(err))
	require.ErrorContains(t, err, "2026-03")
	_, err = amend(billing.Versions{berlin}, begun.Add(-time.Second), "2026-02", nil)
	require.NoError(t, err)

	v, err := amend(billing.Versions{contract(t, nil)}, yearOpen, "2026-06", nil)
	require.NoError(t, err)
	for i, c := range []struct {
		from, field, code string
		change            func(*billing.Terms)
	}{
		{"", "effective_from", "period_malformed", nil},
		{"2026-01", "effective_from", "effective_from_version", nil},
		{"2026-06", "effective_from", "effective_overlap", nil},
		{"2026-03", "effective_from", "effective_overlap", nil},
		{"2026-07", "share", "share_range", func(x *billing.Terms) { x.Share = "2" }},
		{"2026-07", "basis", "year_boundary", func(x *billing.Terms) { x.Basis, x.PortfolioCap = lift.BasisProven, nil }},
		{"2026-07", "portfolio_cap", "year_boundary", func(x *billing.Terms) { x.PortfolioCap = ptr(true) }},
		{"2026-12", "tiers", "year_boundary", func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Mode: billing.Whole, Above: []billing.Tier{tier(5, "0.1")}}
		}},
		{"2027-02", "minimum_commitment", "year_boundary", func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 5} }},
		{"2027-02", "netting", "year_boundary", func(x *billing.Terms) { x.Netting = &billing.Netting{LookbackDays: 5} }},
	} {
		_, err := amend(v, yearOpen, c.from, c.change)
		var e *fault.Error
		require.ErrorAs(t, err, &e, "case %d", i)
		require.Equal(t, c.field+" "+c.code, e.Field+" "+e.Code, "case %d", i)
		require.NotEmpty(t, e.Remedy, "case %d", i)
		if c.code == "year_boundary" {
			_, err = amend(v, yearOpen, "2027-01", c.change)
			require.NoError(t, err, "case %d with the contract year", i)
		}
	}
	// What changes within a year.
	for i, change := range []func(*billing.Terms){
		func(x *billing.Terms) { x.Share = "0.1" },
		func(x *billing.Terms) { x.Tiers = &billing.Tiers{Above: []billing.Tier{tier(5, "0.1")}} },
		func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Mode: billing.Whole, Reset: billing.PerMonth, Above: []billing.Tier{tier(5, "0.1")}}
		},
		func(x *billing.Terms) { x.Caps, x.FloorMinor, x.PlatformFeeMinor = &billing.Caps{YearMinor: 5}, 5, 5 },
		func(x *billing.Terms) { x.Minimum = &billing.Minimum{AmountMinor: 5, Every: billing.PerMonth} },
		func(x *billing.Terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 9}} },
		func(x *billing.Terms) { x.Holdback, x.Rounding = &billing.Holdback{Share: "0.1"}, money.HalfUp },
		func(x *billing.Terms) { x.CloseLagDays, x.DaysUntilDue, x.PONumber, x.DisputeDays = 9, 9, "9", 9 },
		func(x *billing.Terms) { x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "5"}} },
	} {
		_, err := amend(v, yearOpen, "2026-07", change)
		require.NoError(t, err, "change %d", i)
	}
}

// However versions are asked for, every month from the first has exactly one, and
// months that have begun keep theirs.
func TestEveryMonthHasOneVersion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, now := billing.Versions{contract(t, nil)}, yearOpen
		first := month(t, "2026-01")
		for range rapid.IntRange(1, 12).Draw(t, "tries") {
			now = now.AddDate(0, 0, rapid.IntRange(0, 60).Draw(t, "days"))
			before := v
			v, _ = amend(v, now, first.Add(rapid.IntRange(-2, 40).Draw(t, "from")).String(), func(x *billing.Terms) { x.Share = "0.1" })
			for m := first; !period.Of(now, time.UTC).Before(m); m = m.Add(1) {
				old, err := before.At(m)
				require.NoError(t, err)
				kept, err := v.At(m)
				require.NoError(t, err)
				require.Equal(t, old.Version, kept.Version, "%s has begun", m)
			}
		}
		for i := range 50 {
			m, holds := first.Add(i), 0
			for n := range v {
				until, ends := v.Until(n)
				if !m.Before(v[n].EffectiveFrom) && (!ends || m.Before(until)) {
					holds++
				}
			}
			require.Equal(t, 1, holds, m)
		}
	})
}
