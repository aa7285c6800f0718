package lift_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func perDecision(t require.TestingT) lift.Plan {
	p := plan(t)
	p.Randomisation, p.HoldoutProbability, p.SaltCommitment = lift.RandomisedPerDecision, "", ""
	require.NoError(t, p.Validate())
	return p
}

// choice is a decision with two eligible actions whose baseline has probability p.
func choice(unit, snapshot string, days, p float64, baseline bool) lift.Exposure {
	e := exposure(unit, snapshot, "", days)
	e.Actions, e.Propensity, e.Baseline, e.Action = []string{"keep", "offer"}, []float64{p, 1 - p}, "keep", "offer"
	if baseline {
		e.Action = "keep"
	}
	return e
}

// TestTrajectoriesByHand: unit u keeps the baseline (p = 0.5) under s1 on day 10 and
// (0.25) under s2 on day 20, is offered under s2 on day 30, and keeps it under s1 on
// day 200, long after its windows (90 days).
func TestTrajectoriesByHand(t *testing.T) {
	t.Parallel()
	j, err := lift.Join(perDecision(t), []lift.Exposure{
		choice("u", "s1", 10, 0.5, true), choice("u", "s2", 20, 0.25, true), choice("u", "s2", 30, 0.8, false), choice("u", "s1", 200, 0.1, true),
		choice("v", "s2", 15, 0.4, true), choice("v", "s1", 16, 0.5, true), choice("v", "s2", 17, 0.5, true),
	}, []lift.Revenue{{Key: "k", UnitID: "u", AmountMinor: 700, At: at(12)}}, nil)
	require.NoError(t, err)
	type row struct {
		Arm lift.Arm
		P   float64
		Y   int64
	}
	got := map[string]row{}
	for _, tab := range append(j.Tables, j.Pooled) {
		for _, r := range tab.Rows {
			got[tab.SnapshotID+"/"+r.UnitID] = row{r.Arm, r.BaselineProb, r.YMinor}
		}
	}
	require.Empty(t, cmp.Diff(map[string]row{
		"s1/u":     {lift.ArmHoldout, 0.5, 700}, // the decisions after day 10 cannot reach the revenue of s1
		"s2/u":     {lift.ArmPolicy, 0.5 * 0.25 * 0.8, 0},
		"pooled/u": {lift.ArmPolicy, 0.5 * 0.25 * 0.8, 700},
		"s1/v":     {lift.ArmHoldout, 0.4 * 0.5, 0},
		"s2/v":     {lift.ArmHoldout, 0.4 * 0.5 * 0.5, 0},
		"pooled/v": {lift.ArmHoldout, 0.4 * 0.5 * 0.5, 0},
	}, got))
	b := j.Balance(lift.SnapshotPooled)
	require.Equal(t, 7, b.Decisions.Decisions)
	require.Equal(t, 6, b.Decisions.Observed)
	require.InDelta(t, 0.5+0.25+0.8+0.1+0.4+0.5+0.5, float64(b.Decisions.Expected), 1e-12)
	require.Empty(t, j.Crossover, "without arms nobody crosses")
}

// TestESSFallsWithTheDecisions: T independent decisions with probability p leave the
// share p^T of the units as effective sample, and the guardrail says so by itself.
func TestESSFallsWithTheDecisions(t *testing.T) {
	t.Parallel()
	const units = 8_000
	p := perDecision(t)
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	for _, c := range []struct {
		p     float64
		ratio []float64
	}{{0.2, []float64{0.2, 0.04, 0.008}}, {0.5, []float64{0.5, 0.25, 0.125, 0.06}}} {
		for i, want := range c.ratio {
			decisions := i + 1
			rng := rand.New(rand.NewPCG(7, uint64(decisions)))
			var exposures []lift.Exposure
			for u := range units {
				for d := range decisions {
					exposures = append(exposures, choice(fmt.Sprintf("u%05d", u), "s", float64(d), c.p, rng.Float64() < c.p))
				}
			}
			j, err := lift.Join(p, exposures, nil, nil)
			require.NoError(t, err)
			e, err := lift.Measure(j.Tables[0], p, 1)
			require.NoError(t, err)
			require.False(t, e.Refused(), e.Refusal)
			n := units * math.Pow(c.p, float64(decisions))
			require.InDelta(t, want, e.Result.ESSRatio(), 0.003+4*math.Sqrt(n)/units, "p = %g, %d decisions", c.p, decisions)
			v := lift.Judge(e, j.Fill(evidence(lift.LookMonth), j.Tables[0]), s)
			ratio, _ := v.Check(lift.CodeESSRatioLow)
			require.Equal(t, want < 0.05, ratio.Status == lift.Failed, ratio.Explain)
			for _, code := range []lift.Code{lift.CodeSRM, lift.CodeMiscalibrated} {
				check, _ := v.Check(code)
				require.Equal(t, lift.Passed, check.Status, check.Explain)
			}
			for _, code := range []lift.Code{lift.CodeArmHashMismatch, lift.CodeCrossover} {
				check, _ := v.Check(code)
				require.Equal(t, lift.NotEvaluated, check.Status)
				require.Contains(t, check.Explain, "every decision draws its action anew")
			}
			if decisions == 1 && c.p == 0.5 {
				check, _ := v.Check(lift.CodeHoldoutAboveHalf)
				require.Equal(t, lift.Passed, check.Status, check.Explain)
			}
		}
	}
}

// TestWrongPropensitiesAreCaught: propensities that were logged as p^0.6 fail.
func TestWrongPropensitiesAreCaught(t *testing.T) {
	t.Parallel()
	p := perDecision(t)
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	var exposures []lift.Exposure
	for u := range 4000 {
		truth := 0.2 + 0.6*rng.Float64()
		exposures = append(exposures, choice(fmt.Sprint(u), "s", 1, math.Pow(truth, 0.6), rng.Float64() < truth))
	}
	j, err := lift.Join(p, exposures, nil, nil)
	require.NoError(t, err)
	e, err := lift.Measure(j.Pooled, p, 1)
	require.NoError(t, err)
	v := lift.Judge(e, j.Fill(evidence(lift.LookMonth), j.Pooled), s)
	for _, code := range []lift.Code{lift.CodeSRM, lift.CodeMiscalibrated} {
		check, _ := v.Check(code)
		require.Equal(t, lift.Failed, check.Status, check.Explain)
	}
	c, _ := v.Check(lift.CodeMiscalibrated)
	require.Contains(t, c.Explain, "by decile of the probability")
}

// TestPerDecisionPlansAndDecisionsAreRefused: what a plan without a holdout must not
// say, and a decision whose baseline was not eligible.
func TestPerDecisionPlansAndDecisionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, change := range []func(p *lift.Plan){
		func(p *lift.Plan) { p.HoldoutProbability = "0.1" },
		func(p *lift.Plan) { p.SaltCommitment = lift.SaltCommitment(salt) },
		func(p *lift.Plan) { p.Randomisation = "coin" },
	} {
		p := perDecision(t)
		change(&p)
		require.Equal(t, "plan_randomisation", fault.CodeOf(p.Validate()))
	}
	stranger := choice("u", "s", 1, 0.5, true)
	stranger.Baseline = "else"
	_, err := lift.Join(perDecision(t), []lift.Exposure{stranger}, nil, nil)
	require.Equal(t, "exposure_baseline", fault.CodeOf(err))
	for _, p := range [][]float64{{1}, {math.NaN(), 1}, {-0.1, 1.1}} {
		bad := choice("u", "s", 1, 0.5, true)
		bad.Propensity = p
		_, err = lift.Join(perDecision(t), []lift.Exposure{bad}, nil, nil)
		require.Equal(t, "exposure_propensity", fault.CodeOf(err))
	}

	// A decision whose baseline was impossible gives no estimate, and no error.
	sure := []lift.Exposure{choice("a", "s", 1, 0.5, true), choice("b", "s", 1, 0, false), choice("c", "s", 1, 0.5, true), choice("d", "s", 1, 0.5, false)}
	j, err := lift.Join(perDecision(t), sure, nil, nil)
	require.NoError(t, err)
	e, err := lift.Measure(j.Pooled, perDecision(t), 1)
	require.NoError(t, err)
	require.Contains(t, e.Refusal, "column probability")
	require.NotContains(t, e.Refusal, `"b"`, "a unit's id does not leave the house")
}

// TestTrajectoriesDoNotDependOnTheOrder: neither does the balance.
func TestTrajectoriesDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var exposures []lift.Exposure
		for range rapid.IntRange(1, 40).Draw(rt, "decisions") {
			exposures = append(exposures, choice(fmt.Sprint(rapid.IntRange(0, 4).Draw(rt, "unit")), fmt.Sprint("s", rapid.IntRange(0, 2).Draw(rt, "snapshot")),
				float64(rapid.IntRange(0, 120).Draw(rt, "day")), rapid.Float64Range(0.01, 0.99).Draw(rt, "p"), rapid.Bool().Draw(rt, "baseline")))
		}
		p := perDecision(rt)
		j, err := lift.Join(p, exposures, nil, nil)
		require.NoError(rt, err)
		rng := rand.New(rand.NewPCG(3, rapid.Uint64().Draw(rt, "shuffle")))
		rng.Shuffle(len(exposures), func(a, b int) { exposures[a], exposures[b] = exposures[b], exposures[a] })
		again, err := lift.Join(p, exposures, nil, nil)
		require.NoError(rt, err)
		require.Empty(rt, cmp.Diff(j.Tables, again.Tables))
		require.Empty(rt, cmp.Diff(j.Balance(lift.SnapshotPooled), again.Balance(lift.SnapshotPooled)))
		for _, r := range j.Pooled.Rows {
			require.True(rt, r.BaselineProb >= 0 && r.BaselineProb <= 1)
		}
	})
}
