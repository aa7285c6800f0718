package webui_test

import (
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
)

// goodManifest holds the figures of goodReadout.
func goodManifest() string {
	unmapped, net, none := int64(72_143), int64(7_214_300), 0
	raw, err := lift.Canonical(lift.Manifest{
		Schema:   lift.ManifestSchema,
		Inputs:   lift.Inputs{Watermark: now.Add(-9 * time.Hour), Decisions: 8_412, Revenue: lift.Tally{Events: 7_001, SumMinor: 7_300_000}, Buckets: []lift.BucketSum{{Bucket: lift.BucketUnmapped, Tally: lift.Tally{Events: 31, SumMinor: 72_143}}}},
		Evidence: lift.Evidence{DecisionsWithoutPropensity: &none, UnmappedMinor: &unmapped, NetMinor: &net, Balance: &lift.Balance{MeanProbability: 0.499}},
		Result:   &lift.Figures{Units: 6_000, Holdout: 2_994, HoldoutPayers: 912, ObservedMinor: 7_214_300, T: 2_060_250.73, R: -3.5, W: 5_988, ESS: 2_994, WeightDominance: 0.000334, CalibrationZ: -0.15, SRMZ: -1.96, MinP: 0.4},
		Uncapped: &lift.Figures{T: 2_100_000}, Placebo: &lift.Figures{T: -1_200},
	})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func goodReadout() reconcile.Readout {
	return reconcile.Readout{
		CaseID: caseGood, PreviousCaseID: caseNull, CycleID: "acme.2026-10", AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live,
		SnapshotID: "trial-nudge-7", SnapshotName: "Trial nudge, version 7", Period: "2026-10", Currency: "usd", Units: 6_000, HoldoutUnits: 2_994,
		ObservedMinor: 7_214_300, Lift: 2_060_250.73, Counterfactual: 5_154_049.27, SE: 284_525.1, VarianceCR: 7.9e10, VarianceB: 7.1e10, Variance0: 8.0951e10,
		IntervalLow: 1_502_604.9, IntervalHigh: 2_617_896.5, Bound: 1_124_013.2, Z: "3.290527", ESS: 2_994, Verdict: "passed",
		Explanation: "The policy added 20,602.50 USD over 6,000 users; with the scheduled error budget at least 11,240.13 USD of it is certain.",
		Checks: []reconcile.Check{
			{Code: "PLAN_NOT_SEALED", Status: "passed", Value: "2026-09-20", Threshold: "before 2026-10-01", Explain: "The plan was sealed before its first period."},
			{Code: "SRM", Status: "passed", Value: "0.15", Threshold: "3.29", Explain: "The arms have the sizes that chance gives."},
			{Code: "PLACEBO_LIFT", Status: "not_evaluated", Explain: "There is no revenue before exposure to test on."},
			{Code: "MIN_UNITS", Status: "passed", Value: "2,994", Threshold: "1,000", Explain: "The smaller arm has 2,994 users."},
			{Code: "LCB_NOT_POSITIVE", Status: "passed", Value: "11,240.13", Threshold: "0.00", Explain: "The lower bound is above zero."},
		},
		PlanHash: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", Estimator: "aipw-hajek-ridge/1", InputDigest: "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9",
		Watermark: now.Add(-9 * time.Hour), Manifest: goodManifest(), Build: map[string]string{"go": "go1.24.4", "vcs.revision": "5a1e9c0"}, Billed: true, BaseMinor: 2_060_250, FeeMinor: 412_050,
	}
}

func nullReadout() reconcile.Readout {
	r := goodReadout()
	r.CaseID, r.PreviousCaseID, r.SnapshotID, r.SnapshotName = caseNull, "", "copy-test-2", "Copy test 2"
	r.Units, r.HoldoutUnits, r.ObservedMinor, r.ESS = 2_400, 1_207, 1_402_000, 1_207
	r.Lift, r.Counterfactual, r.SE, r.IntervalLow, r.IntervalHigh, r.Bound = 31_210, 1_370_790, 256_270, -471_070, 533_490, -812_044
	r.Verdict, r.HeadlineCode, r.Billed, r.BaseMinor, r.FeeMinor = "withheld", "LCB_NOT_POSITIVE", false, 0, 0
	r.Explanation = "The policy may have had no effect: the lower bound is -8,120.44 USD. 312.10 USD stay deferred within the year."
	r.Checks = append([]reconcile.Check{}, r.Checks...)
	r.Checks[4] = reconcile.Check{Code: "LCB_NOT_POSITIVE", Status: "failed", Value: "-8,120.44", Threshold: "0.00", Explain: "The lower bound is not above zero, so the lift is not proven."}
	return r
}

func harmReadout() reconcile.Readout {
	r := nullReadout()
	r.CaseID, r.SnapshotID, r.SnapshotName, r.HeadlineCode = caseHarm, "discount-3", "Discount 3", "NEGATIVE_LIFT"
	r.Units, r.HoldoutUnits, r.ObservedMinor, r.Lift, r.Counterfactual, r.Bound = 2_400, 1_188, 1_283_100, -120_400, 1_403_500, -955_310
	r.Explanation = "The policy earned 1,204.00 USD less than the baseline would have."
	return r
}

func againReadout() reconcile.Readout {
	r := goodReadout()
	r.CaseID, r.PreviousCaseID, r.Billed, r.BaseMinor, r.FeeMinor, r.Lift = caseAgain, caseGood, false, 0, 0, r.Lift-6_310
	r.TrueUp = &reconcile.ReadoutTrueUp{SettlementCycle: "acme.2026-10", SettledCase: caseGood, BookedBy: "acme.2026-10", Look: 2, At: now}
	return r
}
