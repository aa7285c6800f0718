package billing_test

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

var yearOpen = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func month(t require.TestingT, s string) period.Month {
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

// terms are the defaults with what has no default.
func terms() billing.Terms {
	t := billing.DefaultTerms()
	t.FirstPeriod = "2026-01"
	return t
}

func contract(t require.TestingT, change func(*billing.Terms)) billing.Contract {
	tt := terms()
	if change != nil {
		change(&tt)
	}
	c, err := billing.NewContract("acme-1", "acme", account.Live, 1, tt, yearOpen)
	require.NoError(t, err)
	return c
}

func sealed(t require.TestingT, snapshots int) lift.SealedPlan { return sealedIn(t, "usd", snapshots) }

func sealedIn(t require.TestingT, currency money.Currency, snapshots int) lift.SealedPlan {
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: month(t, "2026-01"), Currency: currency, Unit: "user",
		Baseline: "the old paywall", HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment([]byte("a secret of 32 bytes, revealed!!")),
		Features: []string{"tenure"}, Snapshots: snapshots})
	require.NoError(t, err)
	s, err := p.Seal(yearOpen.Add(-48 * time.Hour))
	require.NoError(t, err)
	return s
}

// estimate passes every check when its bound is above zero.
func estimate(snapshot string, point, se float64) lift.Estimate {
	return lift.Estimate{SnapshotID: snapshot, Units: 20_000, SumMinor: 9_000_000, Result: ope.Result{
		Units: 20_000, Holdout: 4_000, HoldoutPayers: 900, Observed: 9_000_000, Counterfactual: 9_000_000 - point, T: point,
		VCR: se * se, V: se * se, SE: se, W: 20_000, R: 1, ESS: 4_000, WeightDominance: 1.0 / 4_000, MinP: 0.2,
		TopUnit: "whale", TopPsi: 5, WithoutTop: &ope.Reduced{T: point, SE: se},
	}}
}

func readout(t require.TestingT, plan lift.SealedPlan, e lift.Estimate) lift.Readout {
	return readoutAt(t, plan, e, lift.LookMonth)
}

func readoutAt(t require.TestingT, plan lift.SealedPlan, e lift.Estimate, look lift.Look) lift.Readout {
	end := yearOpen.AddDate(0, 1, 0)
	r, err := lift.NewReadout(lift.ReadoutInput{
		AccountID: "acme", ContractID: "acme-1", Period: month(t, "2026-01"), Plan: plan, Estimate: e,
		Inputs: lift.Inputs{Units: e.Units, SumMinor: e.SumMinor, Watermark: end.AddDate(0, 0, 4)},
		Evidence: lift.Evidence{Environment: account.Live, Look: look, PeriodStart: yearOpen, PeriodEnd: end, PlanDue: ptr(yearOpen),
			DecisionsWithPlan: ptr(50_000), DecisionsOtherPlan: ptr(0), Decisions: ptr(50_000), DecisionsWithoutPropensity: ptr(0), UnitsWithoutPropensity: ptr(0),
			ArmMismatches: ptr(0), CrossoverUnits: ptr(0), SourceWatermark: ptr(end.Add(72 * time.Hour)), DecisionGaps: ptr(0),
			Books: []lift.Books{{Currency: "usd"}}, UnmappedMinor: ptr(int64(1_000)), NetMinor: ptr(int64(9_000_000))},
	})
	require.NoError(t, err)
	return r
}

// priceAll settles the readouts at the marks and prices them as the first month.
func priceAll(t require.TestingT, c billing.Contract, limit int, readouts []lift.Readout, marks map[string]int64, pooledPoint, pooledSE float64) billing.Priced {
	pooled := readout(t, sealed(t, limit), estimate(lift.SnapshotPooled, pooledPoint, pooledSE))
	p, err := billing.Bill(billing.BillInput{Contract: c, Period: month(t, "2026-01"), Snapshots: limit, Readouts: append(readouts, pooled), HighWater: marks})
	require.NoError(t, err)
	return p
}
