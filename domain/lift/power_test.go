package lift_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// TestBestHoldoutsOfTheDesign are figures that were worked out independently.
func TestBestHoldoutsOfTheDesign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ snr, z, best float64 }{
		{10, 1.645, .20}, {20, 1.645, .12}, {40, 1.645, .08}, {10, 2.64, .29}, {20, 2.64, .17}, {40, 2.64, .11},
		{3.8, 1.911, 0},
	} {
		p := lift.Power{Units: 10_000, SD: 100, Lift: c.snr, Z: c.z}
		require.InDelta(t, c.best, p.BestHoldout(), 0.006, "%+v", c)
	}
	for _, c := range []struct{ n, h, r2, mde float64 }{
		{50_000, .1, 0, 1.03}, {50_000, .1, .8, .46}, {50_000, .3, 0, .67}, {50_000, .3, .8, .30}, {200_000, .1, 0, .51}, {200_000, .1, .8, .23},
	} {
		p := lift.Power{Units: c.n, SD: 25 * math.Sqrt(1-c.r2), Holdout: c.h, Z: 1.911036}
		require.InDelta(t, c.mde, p.MDE(0.8), 0.006, "%+v", c)
	}
}

func drawPower(t *rapid.T) lift.Power {
	return lift.Power{Units: rapid.Float64Range(100, 1e7).Draw(t, "units"), SD: rapid.Float64Range(1, 1e6).Draw(t, "sd"),
		Lift: rapid.Float64Range(0.01, 1e5).Draw(t, "lift"), Holdout: rapid.Float64Range(0.001, 0.5).Draw(t, "h"), Z: rapid.Float64Range(0.5, 4).Draw(t, "z")}
}

func TestPowerProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPower(t)
		power := rapid.Float64Range(0.5, 0.99).Draw(t, "power")
		at := p
		at.Lift = p.MDE(power)
		require.InDelta(t, power, at.Chance(), 1e-9, "the minimum detectable effect has the power that it is for")

		share := p.ProvenShare()
		require.GreaterOrEqual(t, share, math.Max(0, p.LCB()/p.Total())-1e-9, "by Jensen, never below the share of the mean")
		more := p
		more.Units *= 2
		require.Less(t, more.MDE(power), p.MDE(power))
		require.GreaterOrEqual(t, more.Chance(), p.Chance())
		require.LessOrEqual(t, more.Z, p.Z)

		if h := p.LeastHoldout(power); h > 0 {
			at = p
			at.Holdout = h
			require.InEpsilon(t, p.Lift, at.MDE(power), 1e-6)
		} else {
			at = p
			at.Holdout = 0.5
			require.Less(t, p.Lift, at.MDE(power))
		}
		if h := p.BestHoldout(); h > 0 {
			at = p
			at.Holdout = h
			require.Positive(t, at.LCB())
			// The grid misses the optimum by at most half a thousandth.
			require.GreaterOrEqual(t, at.LCB()+p.Lift*p.Units*1e-3, p.LCB())
		} else {
			require.LessOrEqual(t, p.LCB(), 1e-9*p.Total())
		}
	})
}

func TestPlanPower(t *testing.T) {
	t.Parallel()
	terms := lift.PowerTerms{UnitsPerMonth: 5_000, SD: 2_500, Lift: 100, Holdout: 0.2, Months: 12, Snapshots: 1, Power: 0.8}
	p, err := lift.PlanPower(terms)
	require.NoError(t, err)
	require.Len(t, p.Rows, 12)
	require.Equal(t, lift.LookSettlement, p.Rows[11].Look)
	require.Equal(t, "1.911036", p.Rows[11].Z)
	require.Equal(t, "2.878162", p.Rows[10].Z)
	// (1.911036 + 0.841621) 2500 / sqrt(60000 x 0.16)
	require.InDelta(t, 70.235, p.Rows[11].MDEMinor, 0.001)
	require.Equal(t, 11, p.MonthsNeeded)
	for m := 1; m < 12; m++ {
		require.Less(t, p.Rows[m].MDEMinor, p.Rows[m-1].MDEMinor)
	}
	terms.Lift = 1
	p, err = lift.PlanPower(terms)
	require.NoError(t, err)
	require.Zero(t, p.MonthsNeeded)
	require.Zero(t, p.LeastHoldout)
	require.Zero(t, p.BestHoldout)
}

func TestPlanPowerRefuses(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*lift.PowerTerms){
		"units-per-month": func(p *lift.PowerTerms) { p.UnitsPerMonth = math.NaN() },
		"sd-minor":        func(p *lift.PowerTerms) { p.SD = 0 },
		"lift-minor":      func(p *lift.PowerTerms) { p.Lift = -1 },
		"holdout":         func(p *lift.PowerTerms) { p.Holdout = 0.51 },
		"months":          func(p *lift.PowerTerms) { p.Months = 13 },
		"snapshots":       func(p *lift.PowerTerms) { p.Snapshots = 0 },
		"power":           func(p *lift.PowerTerms) { p.Power = 1 },
	} {
		terms := lift.PowerTerms{UnitsPerMonth: 5_000, SD: 2_500, Lift: 100, Holdout: 0.2, Months: 12, Snapshots: 1, Power: 0.8}
		change(&terms)
		_, err := lift.PlanPower(terms)
		require.True(t, fault.Is(err, fault.Invalid), field)
		require.ErrorContains(t, err, field)
	}
}
