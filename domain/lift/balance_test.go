package lift_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
)

// sticky draws a log of n units with holdout 0.2, two surfaces, three months and three
// actions; bend may spoil a decision.
func sticky(n int, seed uint64, bend func(i int, e *lift.Exposure)) []lift.Exposure {
	rng := rand.New(rand.NewPCG(seed, 11))
	out := make([]lift.Exposure, n)
	for i := range out {
		e := exposure(fmt.Sprintf("u%05d", i), "s", lift.ArmPolicy, float64(i%80))
		e.Surface = []string{"web", "mobile"}[i%2]
		offers := 0.3 + 0.4*rng.Float64()
		e.Actions, e.Baseline = []string{"keep", "annual", "longer"}, "keep"
		e.Propensity = []float64{0.2, 0.8 * offers, 0.8 * (1 - offers)}
		switch x := rng.Float64(); {
		case x < 0.2:
			e.Arm, e.Action = lift.ArmHoldout, "keep"
		case x < 0.2+e.Propensity[1]:
			e.Action = "annual"
		default:
			e.Action = "longer"
		}
		if bend != nil {
			bend(i, &e)
		}
		out[i] = e
	}
	return out
}

func srmOf(t *testing.T, p lift.Plan, exposures []lift.Exposure) (lift.Check, lift.Balance) {
	t.Helper()
	j, err := lift.Join(p, exposures, nil, nil)
	require.NoError(t, err)
	e, err := lift.Measure(j.Tables[0], p, 1)
	require.NoError(t, err)
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	c, ok := lift.Judge(e, j.Fill(evidence(lift.LookMonth), j.Tables[0]), s).Check(lift.CodeSRM)
	require.True(t, ok)
	return c, j.Balance("s")
}

func TestBalanceOfHealthyLogs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		c, b := srmOf(t, plan(t), sticky(2000, seed, nil))
		require.Equal(t, lift.Passed, c.Status, c.Explain)
		require.Equal(t, 6, b.Strata.Degrees, "two surfaces in three months")
		require.Equal(t, 2, b.Actions.Degrees)
		require.Nil(t, b.Deciles, "one probability has one decile")
		require.Nil(t, b.Decisions)
		require.InDelta(t, 0.2, float64(b.MeanProbability), 1e-12)
	}
}

// TestSRMByStratumAndAction: a surface whose holdout loses its rows while another one
// gains as many is balanced in all, and so is a policy that draws otherwise than logged.
func TestSRMByStratumAndAction(t *testing.T) {
	t.Parallel()
	shifted := sticky(4000, 3, func(i int, e *lift.Exposure) {
		switch {
		case e.Surface == "web" && e.Arm == lift.ArmHoldout && i%3 == 0:
			e.Arm, e.Action = lift.ArmPolicy, "annual"
		case e.Surface == "mobile" && e.Arm == lift.ArmPolicy && i%13 == 0:
			e.Arm, e.Action = lift.ArmHoldout, "keep"
		}
	})
	c, b := srmOf(t, plan(t), shifted)
	require.Equal(t, lift.Failed, c.Status, c.Explain)
	require.Contains(t, c.Explain, "by surface and month chi-square")
	require.Greater(t, float64(b.Strata.Statistic), 40.0)

	misdrawn := sticky(4000, 3, func(i int, e *lift.Exposure) {
		if e.Action == "longer" && i%4 == 0 {
			e.Action = "annual"
		}
	})
	c, b = srmOf(t, plan(t), misdrawn)
	require.Equal(t, lift.Failed, c.Status, c.Explain)
	require.Contains(t, c.Explain, "by action chi-square")
	require.Contains(t, []string{"annual", "longer"}, b.Actions.Worst)

	// A plan that was sealed before these limits existed shows the figures and is not
	// held to them.
	old := plan(t)
	old.Thresholds.ChiSquareZ = ""
	c, _ = srmOf(t, old, misdrawn)
	require.Equal(t, lift.Passed, c.Status)
	require.Contains(t, c.Explain, "not limited by this plan")
}

// TestStrataAreUTCMonths: the same instant is in the same stratum whatever its zone.
func TestStrataAreUTCMonths(t *testing.T) {
	t.Parallel()
	_, one := srmOf(t, plan(t), sticky(1000, 5, nil))
	_, other := srmOf(t, plan(t), sticky(1000, 5, func(_ int, e *lift.Exposure) { e.At = e.At.In(time.FixedZone("", 14*3600)) }))
	require.Equal(t, one, other)
}

// TestChiSquareLimits: the limits in the checks are those of the tables of the
// chi-square at p = 0.001 (13.816 for 2, 22.458 for 6 degrees), or a little higher.
func TestChiSquareLimits(t *testing.T) {
	t.Parallel()
	c, _ := srmOf(t, plan(t), sticky(2000, 1, nil))
	limits := regexp.MustCompile(`by surface and month <= ([0-9.]+), by action <= ([0-9.]+)`).FindStringSubmatch(c.Threshold)
	require.Len(t, limits, 3, c.Threshold)
	for i, exact := range []float64{22.458, 13.816} {
		got, err := strconv.ParseFloat(limits[i+1], 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got, exact)
		require.Less(t, got, exact*1.025)
	}
}
