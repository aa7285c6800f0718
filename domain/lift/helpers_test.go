package lift_test

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

var (
	salt     = []byte("a secret of 32 bytes, revealed!!")
	yearOpen = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sealedAt = yearOpen.Add(-48 * time.Hour)
)

// month parses a month that the test knows to be well-formed.
func month(t require.TestingT, s string) period.Month {
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

func plan(t require.TestingT) lift.Plan {
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: month(t, "2026-01"), Currency: "usd", Unit: "user",
		Baseline: "show the old paywall", HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment(salt),
		Features: []string{lift.FeaturePreRevenue, "tenure"}})
	require.NoError(t, err)
	return p
}

func sealed(t require.TestingT) lift.SealedPlan {
	s, err := plan(t).Seal(sealedAt)
	require.NoError(t, err)
	return s
}

// healthy is an estimate that passes every check when its bound is above zero.
func healthy(snapshot string, t, se float64) lift.Estimate {
	return lift.Estimate{SnapshotID: snapshot, Units: 20_000, SumMinor: 9_000_000, Result: ope.Result{
		Units: 20_000, Holdout: 4_000, HoldoutPayers: 900, Observed: 9_000_000, Counterfactual: 9_000_000 - t, T: t,
		VCR: se * se, V: se * se, SE: se, W: 20_000, R: 1, ESS: 4_000, WeightDominance: 1.0 / 4_000, MinP: 0.2,
		TopUnit: "whale", TopPsi: 5, WithoutTop: &ope.Reduced{T: t, SE: se},
	}}
}

func ptr[T any](v T) *T { return &v }

// evidence is complete and clean.
func evidence(look lift.Look) lift.Evidence {
	end := yearOpen.AddDate(0, 1, 0)
	return lift.Evidence{Environment: account.Live, Look: look, PeriodStart: yearOpen, PeriodEnd: end, PlanDue: ptr(yearOpen),
		DecisionsWithPlan: ptr(50_000), DecisionsOtherPlan: ptr(0), Decisions: ptr(50_000), DecisionsWithoutPropensity: ptr(0), UnitsWithoutPropensity: ptr(0),
		ArmMismatches: ptr(0), CrossoverUnits: ptr(0), SourceWatermark: ptr(end.Add(72 * time.Hour)), DecisionGaps: ptr(0),
		Books: []lift.Books{{Currency: "usd", OursMinor: 9_000_000, StripeMinor: 9_000_000}}, UnmappedMinor: ptr(int64(1_000)), NetMinor: ptr(int64(9_000_000))}
}
