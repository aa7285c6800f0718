package lift_test

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
)

// tableOrder is the order of the headline.
var tableOrder = []lift.Code{
	"PLAN_NOT_SEALED", "PLAN_HASH_MISMATCH", "NOT_IDENTIFIED", "PROPENSITY_MISSING", "PROPENSITY_FLOOR", "ARM_HASH_MISMATCH",
	"CROSSOVER", "SRM", "PROPENSITY_MISCALIBRATED", "PLACEBO_LIFT", "SOURCE_STALE", "DECISION_LOG_GAP", "RECON_MISMATCH",
	"UNMAPPED_REVENUE", "MIN_UNITS", "MIN_BASELINE_PAYERS", "ESS_TOO_SMALL", "ESS_RATIO_LOW", "WEIGHT_DOMINANCE",
	"HOLDOUT_ABOVE_HALF", "CONCENTRATION", "CAP_SIGN_CONFLICT", "NEGATIVE_LIFT", "LCB_NOT_POSITIVE", "PORTFOLIO_CAPPED",
	"NO_LOOK", "TEST_MODE", "ROUNDING_EDGE",
}

// TestGuardrailPageListsEveryCode: the page has one row per code of the package, in the
// order in which the checks run, and none that does not exist.
func TestGuardrailPageListsEveryCode(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("guardrail.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/guardrail.md")
	require.NoError(t, err)
	find := func(pattern string, text []byte) (out []lift.Code) {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			out = append(out, lift.Code(m[1]))
		}
		return out
	}
	listed := find("(?m)^\\| `([A-Z_]+)` \\|", page)
	require.ElementsMatch(t, find(`\bCode = "([A-Z_]+)"`, code), listed)
	require.Equal(t, append(slices.Clone(tableOrder), lift.CodePooledDataGate, lift.CodeBelowHighWater), listed)
	d := lift.DefaultThresholds()
	for _, limit := range []string{d.PropensityFloor, d.SRMZ, d.CalibrationZ, d.ChiSquareZ, d.MinESSRatio, d.MaxWeightDominance, d.MaxHoldout} {
		require.Contains(t, string(page), limit, "a default that the page does not name")
	}
}

func TestHealthyReadoutIsBillable(t *testing.T) {
	t.Parallel()
	v := lift.Judge(healthy("snap-a", 1_000_000.7, 100_000), evidence(lift.LookMonth), sealed(t))
	require.True(t, v.Passed, v.Sentence)
	require.Equal(t, "3.290527", v.Z)
	require.Equal(t, int64(1_000_000), v.PointMinor)
	require.Equal(t, int64(670_948), v.BoundMinor) // 1,000,000.7 - 3.290527 * 100,000 = 670,948.0
	b, ok := v.Billable()
	require.True(t, ok)
	require.Equal(t, "snap-a", b.SnapshotID())
	require.Equal(t, v.PointMinor, b.PointMinor())
	require.Equal(t, v.BoundMinor, b.BoundMinor())
	codes := make([]lift.Code, 0, len(v.Checks))
	for _, c := range v.Checks {
		require.NotEmpty(t, c.Explain, c.Code)
		codes = append(codes, c.Code)
	}
	require.Equal(t, tableOrder, codes)
	require.Contains(t, v.Sentence, "10,000.00 USD")
}

// TestEveryCodeFails breaks one thing at a time: exactly that check fails, it is
// the headline, and nothing can be billed.
func TestEveryCodeFails(t *testing.T) {
	t.Parallel()
	type change func(e *lift.Estimate, ev *lift.Evidence, p *lift.Plan)
	r := func(fn func(r *ope.Result)) change {
		return func(e *lift.Estimate, _ *lift.Evidence, _ *lift.Plan) { fn(&e.Result) }
	}
	cases := map[lift.Code]change{
		lift.CodePlanNotSealed:     func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.PlanDue = ptr(sealedAt.Add(-time.Second)) },
		lift.CodePlanHashMismatch:  func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.DecisionsOtherPlan = ptr(1) },
		lift.CodePropensityMissing: func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.DecisionsWithoutPropensity = ptr(51) },
		lift.CodePropensityFloor:   r(func(r *ope.Result) { r.MinP = 0.0199 }),
		lift.CodeArmHashMismatch:   func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.ArmMismatches = ptr(1) },
		lift.CodeCrossover:         func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.CrossoverUnits = ptr(201) },
		lift.CodeSRM:               r(func(r *ope.Result) { r.SRMZ = -3.3 }),
		lift.CodeMiscalibrated:     r(func(r *ope.Result) { r.CalibrationZ = 3.291 }),
		lift.CodePlaceboLift:       func(e *lift.Estimate, _ *lift.Evidence, _ *lift.Plan) { e.Placebo = &ope.Result{T: 340, SE: 100} },
		lift.CodeSourceStale: func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) {
			ev.SourceWatermark = ptr(ev.PeriodEnd.Add(72*time.Hour - time.Second))
		},
		lift.CodeDecisionLogGap:    func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.DecisionGaps = ptr(1) },
		lift.CodeReconMismatch:     func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.Books[0].StripeMinor++ },
		lift.CodeUnmappedRevenue:   func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.UnmappedMinor = ptr(int64(180_001)) },
		lift.CodeMinUnits:          r(func(r *ope.Result) { r.Holdout = 999 }),
		lift.CodeMinBaselinePayers: r(func(r *ope.Result) { r.HoldoutPayers = 99 }),
		lift.CodeESSTooSmall:       r(func(r *ope.Result) { r.ESS, r.Units = 999.5, 10_000 }),
		lift.CodeESSRatioLow:       r(func(r *ope.Result) { r.ESS, r.Units = 1_100, 23_000 }),
		lift.CodeWeightDominance:   r(func(r *ope.Result) { r.WeightDominance = 0.0101 }),
		lift.CodeHoldoutAboveHalf:  func(_ *lift.Estimate, _ *lift.Evidence, p *lift.Plan) { p.HoldoutProbability = "0.51" },
		lift.CodeConcentration:     r(func(r *ope.Result) { r.WithoutTop = &ope.Reduced{T: 300_000, SE: 100_000} }),
		lift.CodeCapSignConflict:   func(e *lift.Estimate, _ *lift.Evidence, _ *lift.Plan) { e.Uncapped = &ope.Result{T: -1} },
		lift.CodeLCBNotPositive:    r(func(r *ope.Result) { r.SE = 400_000 }),
		lift.CodeNoLook:            func(_ *lift.Estimate, ev *lift.Evidence, _ *lift.Plan) { ev.Look = lift.LookNone },
	}
	for code, apply := range cases {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			e, ev, p := healthy("snap-a", 1_000_000, 100_000), evidence(lift.LookMonth), plan(t)
			apply(&e, &ev, &p)
			s, err := p.Seal(sealedAt)
			require.NoError(t, err)
			v := lift.Judge(e, ev, s)
			require.Equal(t, []lift.Code{code}, v.FailedCodes())
			require.Equal(t, code, v.Headline)
			require.False(t, v.Passed)
			_, ok := v.Billable()
			require.False(t, ok)
			require.Contains(t, v.Sentence, string(code))
			c, _ := v.Check(code)
			require.Equal(t, !c.DataGate, v.DataGatesPassed)
		})
	}
}

// TestALookIsSpentOnce: a period has one look, however often it is computed. A revision whose
// predecessor used it in vain is withheld, whatever its own bound is, and the revision is part of
// what the case ID hashes.
func TestALookIsSpentOnce(t *testing.T) {
	t.Parallel()
	ev := evidence(lift.LookMonth)
	ev.Revision = 2
	v := lift.Judge(healthy("snap-a", 1_000_000, 100_000), ev, sealed(t))
	require.True(t, v.Passed, "the first revision said nothing about the lift")
	ev.LookSpent = true
	v = lift.Judge(healthy("snap-a", 1_000_000, 100_000), ev, sealed(t))
	require.Equal(t, []lift.Code{lift.CodeNoLook}, v.FailedCodes())
	require.Contains(t, v.Sentence, "Revision 2 of this period has no look of its own")
	_, ok := v.Billable()
	require.False(t, ok)
	raw, err := json.Marshal(ev)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"revision":2,"look_spent":true`)
	first, err := json.Marshal(evidence(lift.LookMonth))
	require.NoError(t, err)
	require.NotContains(t, string(first), "revision", "a month that was computed once has the case IDs that it always had")
}

func TestNegativeLiftAndRefusalAndMissingPlan(t *testing.T) {
	t.Parallel()
	v := lift.Judge(healthy("a", -5, 1), evidence(lift.LookMonth), sealed(t))
	require.Equal(t, lift.CodeNegativeLift, v.Headline)
	c, ok := v.Check(lift.CodeConcentration)
	require.True(t, ok)
	require.Equal(t, lift.NotEvaluated, c.Status) // one unit cannot carry what is not there
	require.Contains(t, v.FailedCodes(), lift.CodeNegativeLift)
	require.Contains(t, v.FailedCodes(), lift.CodeLCBNotPositive)

	v = lift.Judge(lift.Estimate{SnapshotID: "a", Refusal: "there are no units"}, evidence(lift.LookMonth), sealed(t))
	require.Equal(t, lift.CodeNotIdentified, v.Headline)
	require.False(t, v.DataGatesPassed)
	require.Contains(t, v.Sentence, "there are no units")

	v = lift.Judge(healthy("a", 1e6, 1), evidence(lift.LookMonth), lift.SealedPlan{})
	require.Equal(t, lift.CodePlanNotSealed, v.Headline)
	require.False(t, v.Passed)
}

// TestTwoWayPlansAskNoBoundAtTheSettlement: there and only there; every other check
// holds as ever.
func TestTwoWayPlansAskNoBoundAtTheSettlement(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.Settlement = lift.SettlePointTwoWay
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	v := lift.Judge(healthy("a", 5_000, 400_000), evidence(lift.LookMonth), s)
	require.Equal(t, lift.CodeLCBNotPositive, v.Headline)
	v = lift.Judge(healthy("a", 5_000, 400_000), evidence(lift.LookSettlement), s)
	require.True(t, v.Passed, v.Sentence)
	require.Contains(t, v.Sentence, "in both directions")
	b, ok := v.Billable()
	require.True(t, ok)
	require.Equal(t, int64(5_000), b.PointMinor())
	for _, code := range []lift.Code{lift.CodeConcentration, lift.CodeNegativeLift, lift.CodeLCBNotPositive} {
		c, _ := v.Check(code)
		require.Equal(t, lift.NotEvaluated, c.Status)
	}
	few := healthy("a", 5_000, 400_000)
	few.Result.HoldoutPayers = 5
	require.Equal(t, lift.CodeMinBaselinePayers, lift.Judge(few, evidence(lift.LookSettlement), s).Headline)
	require.False(t, lift.Judge(healthy("a", 5_000, 400_000), evidence(lift.LookSettlement), sealed(t)).Passed)
}

// TestReconWantsEveryCurrency: a payment that is missing in another currency than the
// contract's fails too, and the sentence has both sides.
func TestReconWantsEveryCurrency(t *testing.T) {
	t.Parallel()
	ev := evidence(lift.LookMonth)
	ev.Books = append(ev.Books, lift.Books{Currency: "eur", OursMinor: 12_300, StripeMinor: 45_600})
	v := lift.Judge(healthy("a", 1e6, 1e5), ev, sealed(t))
	require.Equal(t, []lift.Code{lift.CodeReconMismatch}, v.FailedCodes())
	c, _ := v.Check(lift.CodeReconMismatch)
	require.Equal(t, "usd 0, eur -33300", c.Value)
	require.Contains(t, c.Explain, "90,000.00 USD against 90,000.00 USD at Stripe; 123.00 EUR against 456.00 EUR at Stripe")
}

// TestTippingPoint: T = 10,000 of a holdout of 0.2 would vanish if 2,500 = T / ((1-h)/h)
// of the unmapped 5,000 belonged to the holdout, which is 50 %.
func TestTippingPoint(t *testing.T) {
	t.Parallel()
	ev := evidence(lift.LookMonth)
	ev.UnmappedMinor = ptr(int64(5_000))
	v := lift.Judge(healthy("a", 10_000, 1), ev, sealed(t))
	c, _ := v.Check(lift.CodeUnmappedRevenue)
	require.Equal(t, lift.Passed, c.Status)
	require.Contains(t, c.Explain, "50.00 USD of 90,000.00 USD net revenue (0.06 %) belongs to no known unit. The lift would vanish if 50.00 % of it belonged to the holdout.")
}

func TestUnknownEvidenceIsNotEvaluatedAndDoesNotFail(t *testing.T) {
	t.Parallel()
	v := lift.Judge(healthy("a", 1e6, 1e5), lift.Evidence{Look: lift.LookMonth}, sealed(t))
	require.True(t, v.Passed, v.Sentence)
	for _, code := range []lift.Code{lift.CodePlanNotSealed, lift.CodePlanHashMismatch, lift.CodePropensityMissing, lift.CodeArmHashMismatch,
		lift.CodeCrossover, lift.CodePlaceboLift, lift.CodeSourceStale, lift.CodeDecisionLogGap, lift.CodeReconMismatch, lift.CodeUnmappedRevenue, lift.CodeCapSignConflict} {
		c, ok := v.Check(code)
		require.True(t, ok)
		require.Equal(t, lift.NotEvaluated, c.Status, code)
	}
	require.True(t, v.TestMode, "an unknown environment is not live")
}

func TestPooledIsNeverBillableAndUsesItsOwnZ(t *testing.T) {
	t.Parallel()
	v := lift.Judge(healthy(lift.SnapshotPooled, 1e6, 1e5), evidence(lift.LookMonth), sealed(t))
	require.True(t, v.Passed)
	require.Equal(t, "2.878162", v.Z)
	_, ok := v.Billable()
	require.False(t, ok)
	v = lift.Judge(healthy(lift.SnapshotPooled, 1e6, 1e5), evidence(lift.LookSettlement), sealed(t))
	require.Equal(t, "1.911036", v.Z)
}

func TestTestModeIsShownAndCarried(t *testing.T) {
	t.Parallel()
	ev := evidence(lift.LookSettlement)
	ev.Environment = account.Test
	v := lift.Judge(healthy("a", 1e6, 1e5), ev, sealed(t))
	require.True(t, v.Passed)
	require.True(t, v.TestMode)
	require.Equal(t, "2.457263", v.Z)
	b, ok := v.Billable()
	require.True(t, ok)
	require.Equal(t, account.Test, b.Environment())
}

// TestBillableImpliesEveryCheck: over random estimates a permission exists only
// when nothing failed and the bound is above zero.
func TestBillableImpliesEveryCheck(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		e := healthy("a", rapid.Float64Range(-1e7, 1e7).Draw(rt, "t"), rapid.Float64Range(0, 1e6).Draw(rt, "se"))
		e.Result.SRMZ = rapid.Float64Range(-4, 4).Draw(rt, "srm")
		e.Result.HoldoutPayers = rapid.IntRange(50, 200).Draw(rt, "payers")
		v := lift.Judge(e, evidence(rapid.SampledFrom([]lift.Look{lift.LookMonth, lift.LookNone, lift.LookSettlement}).Draw(rt, "look")), sealed(rt))
		_, ok := v.Billable()
		require.Equal(rt, v.Passed, ok)
		require.Equal(rt, len(v.FailedCodes()) == 0, ok)
		if ok {
			require.Positive(rt, v.LCB)
			require.GreaterOrEqual(rt, v.PointMinor, v.BoundMinor)
		}
	})
}

func TestFloorMinor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float64
		want int64
		edge bool
	}{
		{0.4, 0, false}, {-0.4, -1, false}, {12.9999999, 12, true}, {13.0000001, 13, true}, {13, 13, true}, {12.999, 12, false},
		{-(1 << 63), math.MinInt64, true},
	} {
		got, edge, err := lift.FloorMinor(c.x)
		require.NoError(t, err)
		require.Equal(t, c.want, got, c.x)
		require.Equal(t, c.edge, edge, c.x)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1 << 63, -1e19} {
		_, _, err := lift.FloorMinor(x)
		require.Error(t, err)
	}
}
