package lift_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
)

// TestThresholdsAreExactAtTheBoundary: every value stands exactly at its threshold, which
// still passes, or one step beyond it, which fails. 27 of 3,000 is 0.009 and 100 equal
// weights carry 0.01 each, however a float64 rounds them.
func TestThresholdsAreExactAtTheBoundary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   lift.Code
		change func(e *lift.Estimate, ev *lift.Evidence, p *lift.Plan, step int)
	}{
		"crossover share of a plan": {code: lift.CodeCrossover, change: func(e *lift.Estimate, ev *lift.Evidence, p *lift.Plan, step int) {
			p.Thresholds.CrossoverShare, e.Units, ev.CrossoverUnits = "0.009", 3_000, ptr(27+step)
		}},
		"crossover share by default": {code: lift.CodeCrossover, change: func(e *lift.Estimate, ev *lift.Evidence, _ *lift.Plan, step int) {
			ev.CrossoverUnits = ptr(e.Units/100 + step)
		}},
		"decisions without propensities": {code: lift.CodePropensityMissing, change: func(_ *lift.Estimate, ev *lift.Evidence, p *lift.Plan, step int) {
			p.Thresholds.PropensityMissingShare, ev.Decisions, ev.DecisionsWithoutPropensity = "0.009", ptr(7_000), ptr(63+step)
		}},
		"one of a hundred equal weights": {code: lift.CodeWeightDominance, change: func(e *lift.Estimate, _ *lift.Evidence, _ *lift.Plan, step int) {
			e.Result.WeightDominance = []float64{0.010000000000000026, 0.0101}[step]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for step, want := range []lift.Status{lift.Passed, lift.Failed} {
				e, ev, p := healthy("snap-a", 1_000_000, 100_000), evidence(lift.LookMonth), plan(t)
				c.change(&e, &ev, &p, step)
				s, err := p.Seal(sealedAt)
				require.NoError(t, err)
				got, ok := lift.Judge(e, ev, s).Check(c.code)
				require.True(t, ok)
				require.Equal(t, want, got.Status, got.Explain)
			}
		})
	}
}

// TestASourceLagNeverOverflows: 3,000,000 hours are more than a time.Duration holds and
// would be due in 1783, when every source was in time. The longest lag that a plan may
// have still holds a source back.
func TestASourceLagNeverOverflows(t *testing.T) {
	t.Parallel()
	p := plan(t)
	for _, hours := range []int{1_000_001, 3_000_000, math.MaxInt, -1} {
		p.Thresholds.SourceLagHours = hours
		_, err := p.Seal(sealedAt)
		require.ErrorContains(t, err, "thresholds.source_lag_hours")
	}
	p.Thresholds.SourceLagHours = 1_000_000
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	require.Equal(t, lift.CodeSourceStale, lift.Judge(healthy("snap-a", 1_000_000, 100_000), evidence(lift.LookMonth), s).Headline)
}
