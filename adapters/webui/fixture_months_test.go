package webui_test

import (
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
)

func acmeTieOut(c reconcile.CycleSummary) reconcile.TieOut {
	return reconcile.TieOut{
		CycleSummary: c, ContractHash: "9c1185a5c5e9fc54612808977ee8f548b2258d31", Share: "0.20", PlanID: "acme-plan-2026",
		PlanHash: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", Watermark: now.Add(-9 * time.Hour),
		InputDigest: "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9", PaidRevenueMinor: 10_812_400, StripeNetMinor: ptr[int64](10_812_400),
		Buckets: []reconcile.BucketSum{
			{Bucket: "snapshot", SnapshotID: "trial-nudge-7", Currency: "usd", AmountMinor: 7_214_300, Events: 1_204},
			{Bucket: "snapshot", SnapshotID: "copy-test-2", Currency: "usd", AmountMinor: 1_402_000, Events: 301},
			{Bucket: "snapshot", SnapshotID: "discount-3", Currency: "usd", AmountMinor: 1_283_100, Events: 288},
			{Bucket: "own_invoice", Currency: "usd", AmountMinor: 0, Events: 0},
			{Bucket: "unmapped", Currency: "usd", AmountMinor: 98_000, Events: 20},
			{Bucket: "no_decision", Currency: "usd", AmountMinor: 515_000, Events: 102},
			{Bucket: "before_exposure", Currency: "usd", AmountMinor: 300_000, Events: 61},
		},
		Others: []reconcile.OtherRevenue{{
			Currency: "eur", PaidMinor: ptr[int64](77_700), StripeMinor: ptr[int64](77_800),
			Buckets: []reconcile.BucketSum{{Bucket: "other_currency", Currency: "eur", AmountMinor: 77_700, Events: 3}, {Bucket: "own_invoice", Currency: "eur", AmountMinor: 5_000, Events: 1}},
		}},
		Lines: []reconcile.Line{
			{SnapshotID: "trial-nudge-7", SnapshotName: "Trial nudge, version 7", CaseID: caseGood, Billed: true, Verdict: "passed", Explanation: "The policy added 20,602.50 USD over 6,000 users; with the scheduled error budget at least 11,240.13 USD of it is certain.", Units: 6_000, HoldoutUnits: 2_994, ObservedMinor: 7_214_300, MeasuredMinor: 2_060_250, BoundMinor: 1_124_013, IntervalLow: 1_510_008.4, IntervalHigh: 2_610_491.6, ESS: 1_282.7, HighWaterTo: 2_060_250, BaseMinor: 2_060_250, FeeMinor: 412_050, BilledMinor: 412_050, StripeLineID: "ii_1QHk2wG9RKHgCVdKz", StripeMinor: ptr[int64](412_050)},
			{SnapshotID: "copy-test-2", SnapshotName: "Copy test 2", CaseID: caseNull, Verdict: "withheld", HeadlineCode: "LCB_NOT_POSITIVE", Explanation: "The policy may have had no effect: the lower bound is -8,120.44 USD. 312.10 USD stay deferred within the year.", Units: 2_400, HoldoutUnits: 1_207, ObservedMinor: 1_402_000, MeasuredMinor: 31_210, BoundMinor: -812_044, DeferredMinor: 31_210},
			{SnapshotID: "discount-3", SnapshotName: "Discount 3", CaseID: caseHarm, Verdict: "withheld", HeadlineCode: "NEGATIVE_LIFT", Explanation: "The policy earned 1,204.00 USD less than the baseline would have.", Units: 2_400, HoldoutUnits: 1_188, ObservedMinor: 1_283_100, MeasuredMinor: -120_400, BoundMinor: -955_310},
		},
		Steps: []reconcile.Step{
			{Number: 1, Name: "measure", SnapshotID: "copy-test-2", Formula: "measured = observed − counterfactual, rounded down", Inputs: "1402000 − 1370790.000000", Result: "31210"},
			{Number: 2, Name: "guardrail", SnapshotID: "copy-test-2", Formula: "every check passes", Inputs: "LCB_NOT_POSITIVE", Result: "withheld"},
			{Number: 3, Name: "measure", SnapshotID: "trial-nudge-7", Formula: "measured = observed − counterfactual, rounded down", Inputs: "7214300 − 5154049.270000", Result: "2060250"},
			{Number: 4, Name: "bound", SnapshotID: "trial-nudge-7", Formula: "bound = measured − z × standard error, rounded down", Inputs: "2060250.730000 − 3.290527 × 284525.100000", Result: "1124013"},
			{Number: 5, Name: "guardrail", SnapshotID: "trial-nudge-7", Formula: "every check passes", Inputs: "5 checks", Result: "passed"},
			{Number: 6, Name: "base", SnapshotID: "trial-nudge-7", Formula: "max(0, measured − billed before)", Inputs: "2060250 − 0", Result: "2060250"},
			{Number: 7, Name: "fee", SnapshotID: "trial-nudge-7", Formula: "round down(base × share)", Inputs: "2060250 × 0.20", Result: "412050"},
			{Number: 8, Name: "total", Formula: "sum of the lines", Inputs: "412050", Result: "412050"},
		},
		HostedURL: "https://invoice.stripe.com/i/acct_x/test", PDFURL: "https://pay.stripe.com/invoice/x/pdf", StripeStatus: "open", FinalizedAt: ptr(now.Add(-46 * time.Minute)),
		CaseIDs: []string{caseGood, caseNull, caseHarm}, PooledCaseID: caseGood,
		Attempts: []reconcile.Attempt{
			{At: now.Add(-47 * time.Minute), Operation: "create_draft", Outcome: "ok", RequestID: "req_8XhDyQh3yYc1aB"},
			{At: now.Add(-47 * time.Minute), Operation: "add_item", Outcome: "timeout, looked and found", RequestID: ""},
			{At: now.Add(-46 * time.Minute), Operation: "finalize", Outcome: "ok", RequestID: "req_9XhDyQh3yYc1aC"},
		},
	}
}

// feesTieOut has a capped lift, a platform fee and a holdback: 4,120.50 − 1,320.50 + 800.00 − 300.00.
func feesTieOut(c reconcile.CycleSummary) reconcile.TieOut {
	t := acmeTieOut(c)
	c.StripeMinor, c.DifferenceMinor = ptr[int64](330_000), ptr[int64](0)
	t.CycleSummary, t.Phase = c, "full"
	t.Terms = []string{"Share 0.20 of the measured incremental revenue", "Platform fee of 800.00 USD a month"}
	t.Lines[0].BilledMinor, t.Lines[0].StripeMinor = 250_000, ptr[int64](250_000)
	t.Steps = append(t.Steps[:7:7],
		reconcile.Step{Number: 8, Name: "cap", Formula: "−max(0, fees − room of the caps: month)", Inputs: "412050 − (280000 − 0)", Result: "-132050"},
		reconcile.Step{Number: 9, Name: "platform_fee", Formula: "as agreed", Inputs: "80000", Result: "80000"},
		reconcile.Step{Number: 10, Name: "holdback", Formula: "−round down(performance fees × holdback)", Inputs: "280000 × 0.12", Result: "-30000"})
	t.Charges = []reconcile.Charge{
		{Line: "fee:cap", Kind: "cap", Description: "Fees above the agreed cap (month)", AmountMinor: -132_050},
		{Line: "fee:platform_fee", Kind: "platform_fee", Description: "Platform fee, October 2026", AmountMinor: 80_000, BilledMinor: 80_000, StripeLineID: "ii_1QHk2wG9RKHgCVdKf1", StripeMinor: ptr[int64](80_000)},
		{Line: "fee:holdback", Kind: "holdback", Description: "Holdback of 0.12 of the performance fees", AmountMinor: -30_000},
	}
	return t
}

func shadowTieOut(c reconcile.CycleSummary) reconcile.TieOut {
	t := acmeTieOut(c)
	t.Phase, t.StripeStatus, t.HostedURL, t.PDFURL, t.FinalizedAt, t.Attempts = "shadow", "", "", "", nil, nil
	for i := range t.Lines {
		t.Lines[i].Billed, t.Lines[i].BilledMinor, t.Lines[i].StripeMinor, t.Lines[i].StripeLineID = false, 0, nil, ""
	}
	t.Lines[1].WaivedMinor, t.Lines[1].DeferredMinor = t.Lines[1].DeferredMinor, 0
	t.Charges = []reconcile.Charge{{Line: "fee:shadow", Kind: "shadow", Description: "Shadow month: priced and shown, not invoiced", AmountMinor: -412_050}}
	return t
}
