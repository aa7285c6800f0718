package billing_test

import (
	"time"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
)

// Contracts 39 to 45: phases and holdbacks.
func storiesOfPhases() []story {
	phases := func(all ...billing.Phase) func(*billing.Terms) { return func(x *billing.Terms) { x.Phases = all } }
	return []story{
		{name: "39 a ramp across months", terms: phases(billing.Phase{Kind: billing.PhaseRamp, Months: 2, Factor: "0.5"}, billing.Phase{Kind: billing.PhaseRamp, Months: 1, Factor: "0.75"}), months: []chapter{
			{ytd: "a=100000", lines: "a=10000", total: 10_000}, // × 0.20 × 0.5
			{ytd: "a=200000", lines: "a=10000", total: 10_000},
			{ytd: "a=300000", lines: "a=15000", total: 15_000}, // × 0.20 × 0.75
			{ytd: "a=400000", lines: "a=20000", total: 20_000},
		}},
		{name: "40 a shadow month is shown and its lift never billed", terms: phases(billing.Phase{Kind: billing.PhaseShadow, Months: 1}), months: []chapter{
			// What is due of other months waits.
			{ytd: "a=100000 b=50000?", adjust: []billing.Adjustment{trueUp("x", "2026-01", billing.AdjustCorrection, "2026-01-09", 700)},
				lines: "a=20000 shadow=-20000", held: billing.HeldShadow},
			// b passes now: only what is above the 50,000 that the shadow month saw.
			{ytd: "a=150000 b=60000", adjust: []billing.Adjustment{trueUp("x", "2026-01", billing.AdjustCorrection, "2026-01-09", 700)},
				lines: "a=10000 b=2000 adjustment:x=700", total: 12_700},
		}},
		{name: "41 a shadow month counts nowhere", terms: func(x *billing.Terms) {
			phases(billing.Phase{Kind: billing.PhaseShadow, Months: 1})(x)
			x.PlatformFeeMinor, x.Holdback = 3_000, &billing.Holdback{Share: "0.10", ReleaseAfterMonths: 1}
			x.Caps, x.Minimum = &billing.Caps{YearMinor: 25_000}, &billing.Minimum{AmountMinor: 30_000, Every: billing.PerQuarter}
		}, months: []chapter{
			{ytd: "a=100000", lines: "a=20000 platform_fee=3000 holdback=-2000 shadow=-21000", held: billing.HeldShadow},
			{ytd: "a=200000", lines: "a=20000 platform_fee=3000 holdback=-2000", total: 21_000, billed: "a=18000 platform_fee=3000"},
			// Year's cap 25,000 − 20,000; holdback of 5,000; commitment 30,000 − (23,000 + 8,000) < 0.
			{ytd: "a=300000", lines: "a=20000 cap=-15000 platform_fee=3000 holdback=-500 holdback_release=2000", total: 9_500, billed: "a=4500 platform_fee=3000 holdback_release=2000"},
		}},
		{name: "42 a free month still has its fixed fee", terms: func(x *billing.Terms) {
			phases(billing.Phase{Kind: billing.PhaseFree, Months: 1}, billing.Phase{Kind: billing.PhaseRamp, Months: 1, Factor: "0.5", WaiveFixed: true})(x)
			x.PlatformFeeMinor, x.Outcomes = 5_000, []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "100"}}
		}, months: []chapter{
			{ytd: "a=100000 b=9000?", outcomes: map[string]int64{"conversion": 7}, lines: "per_outcome:conversion=0 platform_fee=5000", total: 5_000},
			{ytd: "a=150000 b=9000", outcomes: map[string]int64{"conversion": 9}, lines: "a=5000 per_outcome:conversion=100", total: 5_100}, // 2 × 100 × 0.5
			{ytd: "a=200000 b=9000", outcomes: map[string]int64{"conversion": 9}, lines: "a=10000 platform_fee=5000", total: 15_000},
		}},
		{name: "43 a holdback of two months", terms: func(x *billing.Terms) { x.Holdback = &billing.Holdback{Share: "0.10", ReleaseAfterMonths: 2} }, months: []chapter{
			{ytd: "a=100000", lines: "a=20000 holdback=-2000", total: 18_000, billed: "a=18000"},
			{ytd: "a=200005", lines: "a=20001 holdback=-2000", total: 18_001, billed: "a=18001"}, // 2,000.1
			{ytd: "a=200005", lines: "holdback_release=2000", total: 2_000},
			{ytd: "a=300000", lines: "a=19999 holdback=-1999 holdback_release=2000", total: 20_000, billed: "a=18000 holdback_release=2000"},
		}},
		{name: "44 a holdback until the close of the year", terms: func(x *billing.Terms) { x.Holdback = &billing.Holdback{Share: "0.25"} }, months: []chapter{
			{ytd: "a=100000", lines: "a=20000 holdback=-5000", total: 15_000, billed: "a=15000"},
			{n: 11, ytd: "a=120000", lines: "a=4000 holdback=-1000", total: 3_000, billed: "a=3000"},
			{n: 12, ytd: "a=120000", lines: "holdback_release=6000", total: 6_000},
			{n: 13, ytd: "a=10000", lines: "a=2000 holdback=-500", total: 1_500, billed: "a=1500"},
		}},
		{name: "45 the settlement bills, releases and closes", terms: func(x *billing.Terms) {
			x.Holdback, x.PlatformFeeMinor, x.Minimum = &billing.Holdback{Share: "0.10"}, 1_000, &billing.Minimum{AmountMinor: 50_000}
		}, months: []chapter{
			{ytd: "a=100000", lines: "a=20000 platform_fee=1000 holdback=-2000", total: 19_000, billed: "a=18000 platform_fee=1000"},
			{n: 12, open: true, ytd: "a=140000", lines: "platform_fee=1000", total: 1_000}, // month 12 looks at no lift and closes nothing
			// No platform fee of its own; 10,000 of new lift; 50,000 − (22,000 + 10,000).
			{n: 12, settlement: true, ytd: "a=150000", lines: "a=10000 minimum_top_up=18000 holdback_release=2000", total: 30_000},
		}},
	}
}

func trueUp(id, origin string, reason billing.AdjustmentReason, at string, minor int64) billing.Adjustment {
	when, err := time.Parse(time.DateOnly, at)
	if err != nil {
		panic(err)
	}
	return billing.Adjustment{ID: id, Origin: month(panics{}, origin), SnapshotID: "a", Reason: reason, At: when, AmountMinor: minor}
}

// panics lets a table be built where no test is at hand.
type panics struct{}

func (panics) Errorf(format string, _ ...any) { panic(format) }
func (panics) FailNow()                       { panic("failed") }

// Contracts 46 to 53: refunds, credits, settlements, carried amounts.
func storiesOfCorrections() []story {
	refund := func(at string, minor int64) []billing.Adjustment {
		return []billing.Adjustment{trueUp("re_1", "2026-01", billing.AdjustRefund, at, minor)}
	}
	return []story{
		{name: "46 a refund of an earlier month", months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000},
			{ytd: "a=150000", adjust: refund("2026-02-10", -3_000), lines: "a=10000 adjustment:re_1=-3000", total: 7_000, billed: "a=7000"},
		}},
		{name: "47 a refund too late to count", terms: func(x *billing.Terms) { x.Netting = &billing.Netting{LookbackDays: 30} }, months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000},
			// January ends on February 1st, 00:00; 30 days later it is March 3rd.
			{ytd: "a=150000", adjust: refund("2026-03-02", -3_000), lines: "a=10000 adjustment:re_1=-3000", total: 7_000, billed: "a=7000"},
			{ytd: "a=200000", adjust: refund("2026-03-03", -3_000), lines: "a=10000 adjustment:re_1=0", total: 10_000},
		}},
		{name: "48 an agreed rate instead of refunds", terms: func(x *billing.Terms) {
			x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.02"}
		}, months: []chapter{
			{ytd: "a=100000", lines: "a=19600", total: 19_600}, // × 0.20 × 0.98
			{ytd: "a=150000", adjust: append(refund("2026-02-10", -3_000), trueUp("z", "2026-01", billing.AdjustLateEvent, "2026-02-01", 700)),
				lines: "a=9800 adjustment:re_1=0 adjustment:z=700", total: 10_500},
		}},
		{name: "49 credits beyond the month", terms: func(x *billing.Terms) { x.PlatformFeeMinor = 1_000 }, months: []chapter{
			{ytd: "a=100000", lines: "a=20000 platform_fee=1000", total: 21_000},
			{ytd: "a=120000", adjust: refund("2026-02-10", -15_000), lines: "a=4000 adjustment:re_1=-15000 platform_fee=1000 carry_out=10000", held: billing.HeldCredit},
			// The credit is money: it takes from every fee in proportion, 8,000 to 1,000 of 9,000.
			{ytd: "a=160000", lines: "a=8000 platform_fee=1000 carry_in=-10000 carry_out=1000", held: billing.HeldCredit},
			{ytd: "a=205000", lines: "a=9000 platform_fee=1000 carry_in=-1000", total: 9_000, billed: "a=8100 platform_fee=900"},
		}},
		{name: "50 the settlement does not confirm the year", months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000},
			// 30,000 of 100,000 gone: 30,000 × 20,000 ÷ 100,000
			{n: 12, settlement: true, ytd: "a=70000", lines: "settlement_credit=-6000 carry_out=6000", held: billing.HeldCredit},
			{n: 13, ytd: "a=50000", lines: "a=10000 carry_in=-6000", total: 4_000, billed: "a=4000"},
		}},
		{name: "51 a credit of the settlement at capped fees", terms: func(x *billing.Terms) {
			x.Caps, x.Netting = &billing.Caps{MonthMinor: 10_000}, &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.1"}
		}, months: []chapter{
			{ytd: "a=100000", lines: "a=18000 cap=-8000", total: 10_000, billed: "a=10000"}, // × 0.20 × 0.9
			// 40,000 gone, 10,000 of them covered by the rate: 30,000 × 18,000 ÷ 100,000 × 10,000 ÷ 18,000
			{n: 12, settlement: true, ytd: "a=60000", lines: "settlement_credit=-3000 carry_out=3000", held: billing.HeldCredit},
		}},
		{name: "52 below the minimum charge, fixed fees are carried and the lift deferred", terms: func(x *billing.Terms) { x.PlatformFeeMinor = 30 }, months: []chapter{
			{ytd: "a=50", lines: "platform_fee=30 carry_out=-30", held: billing.HeldBelowMinimum}, // 10 + 30 < 50
			{ytd: "a=150", lines: "a=30 platform_fee=30 carry_in=30", total: 90},                  // 150 × 0.20
			{ytd: "a=150", lines: "platform_fee=30 carry_out=-30", held: billing.HeldBelowMinimum},
		}},
		{name: "53 forints below 175.00", terms: func(x *billing.Terms) { x.Currency, x.Rounding = "huf", money.HalfEven }, months: []chapter{
			{ytd: "a=87497", lines: "", held: billing.HeldBelowMinimum}, // 17,499.4 → 17,499
			{ytd: "a=87500", lines: "a=17500", total: 17_500},
		}},
	}
}

// Contracts 54 to 59: several terms at once.
func storiesTogether() []story {
	return []story{
		{name: "54 tiers, ramp, cap, floor, fees and a holdback", terms: func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Above: []billing.Tier{{FromMinor: 100_000, Share: "0.10"}}}
			x.Phases = []billing.Phase{{Kind: billing.PhaseRamp, Months: 1, Factor: "0.5"}}
			x.Caps, x.FloorMinor, x.PlatformFeeMinor = &billing.Caps{MonthMinor: 20_000, YearMinor: 45_000}, 5_000, 2_500
			x.Holdback = &billing.Holdback{Share: "0.10", ReleaseAfterMonths: 2}
		}, months: []chapter{
			// 40,000 × 0.20 × 0.5 = 4,000; floor 1,000; holdback of 4,000
			{ytd: "a=40000", lines: "a=4000 floor=1000 platform_fee=2500 holdback=-400", total: 7_100, billed: "a=3600 floor=1000 platform_fee=2500"},
			// 60,000 × 0.20 + 140,000 × 0.10 = 26,000 over 150,000 and 50,000: 19,500 and 6,500; cap 20,000
			{ytd: "a=190000 b=50000", lines: "a=19500 b=6500 cap=-6000 platform_fee=2500 holdback=-2000", total: 20_500, billed: "a=13500 b=4500 platform_fee=2500"},
			// 300,000 × 0.10; caps: 20,000 and 45,000 − 24,000
			{ytd: "a=490000 b=50000", lines: "a=30000 cap=-10000 platform_fee=2500 holdback=-2000 holdback_release=400", total: 20_900, billed: "a=18000 platform_fee=2500 holdback_release=400"},
			// the year's cap leaves 45,000 − 44,000; the floor is on what the cap left
			{ytd: "a=590000 b=50000", lines: "a=10000 cap=-9000 floor=4000 platform_fee=2500 holdback=-100 holdback_release=2000", total: 9_400, billed: "a=900 floor=4000 platform_fee=2500 holdback_release=2000"},
		}},
		{name: "55 shadow, then a commitment with outcomes and a credit", terms: func(x *billing.Terms) {
			x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 2, WaiveFixed: true}}
			x.PlatformFeeMinor, x.Minimum = 1_000, &billing.Minimum{AmountMinor: 20_000, Every: billing.PerMonth}
			x.Outcomes = []billing.OutcomePrice{{Kind: "payment_recovered", PriceMinor: "150.5"}}
		}, months: []chapter{
			{ytd: "a=50000", outcomes: map[string]int64{"payment_recovered": 10}, lines: "a=10000 per_outcome:payment_recovered=1505 shadow=-11505", held: billing.HeldShadow},
			{ytd: "a=40000", outcomes: map[string]int64{"payment_recovered": 10}, lines: "", held: billing.HeldShadow},
			// 30,000 above the mark of 50,000; 3 × 150.5 = 451.5; 20,000 − (6,000 + 451 + 1,000),
			// because the true-up is about another month
			{ytd: "a=80000", outcomes: map[string]int64{"payment_recovered": 13}, adjust: []billing.Adjustment{trueUp("dp_1", "2026-02", billing.AdjustDispute, "2026-03-05", -2_000)},
				lines: "a=6000 per_outcome:payment_recovered=451 adjustment:dp_1=-2000 platform_fee=1000 minimum_top_up=12549", total: 18_000,
				billed: "a=4140 per_outcome:payment_recovered=311 platform_fee=1000 minimum_top_up=12549"},
		}},
		{name: "57 a rebate under an agreed rate", terms: func(x *billing.Terms) {
			x.Tiers = &billing.Tiers{Mode: billing.Whole, Above: []billing.Tier{{FromMinor: 100_000, Share: "0.15"}}}
			x.Netting = &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.1"}
		}, months: []chapter{
			{ytd: "a=80000", lines: "a=14400", total: 14_400}, // × 0.20 × 0.9
			// 40,000 × 0.15 × 0.9; 80,000 × −0.05 × 0.9: in all 120,000 × 0.15 × 0.9 = 16,200
			{ytd: "a=120000", lines: "a=5400 tier_adjustment=-3600", total: 1_800, billed: "a=1800"},
		}},
		{name: "58 a credit after a cap takes from what the cap has left", terms: func(x *billing.Terms) {
			x.Caps, x.PlatformFeeMinor = &billing.Caps{MonthMinor: 5_000}, 10_000
		}, months: []chapter{
			// Month 1 owes 1,000: 15,000 cannot be taken off 14,000.
			{ytd: "a=20000", adjust: []billing.Adjustment{trueUp("y", "2026-01", billing.AdjustCorrection, "2026-01-09", -15_000)},
				lines: "a=4000 adjustment:y=-15000 platform_fee=10000 carry_out=1000", held: billing.HeldCredit},
			// 10,000 − 5,000 of the cap leaves 5,000 beside 10,000: the credit takes 333 and 667.
			{ytd: "a=70000", lines: "a=10000 cap=-5000 platform_fee=10000 carry_in=-1000", total: 14_000, billed: "a=4667 platform_fee=9333"},
		}},
		{name: "59 a free month's base is in no tier", terms: func(x *billing.Terms) {
			x.Phases = []billing.Phase{{Kind: billing.PhaseFree, Months: 1}}
			x.Tiers = &billing.Tiers{Above: []billing.Tier{{FromMinor: 100_000, Share: "0.10"}}}
		}, months: []chapter{
			{ytd: "a=100000", lines: ""},
			{ytd: "a=150000", lines: "a=10000", total: 10_000}, // 50,000 × 0.20, the first of the year
		}},
		{name: "56 krónur with tiers, holdback and a credit, all in whole krónur", terms: func(x *billing.Terms) {
			x.Currency, x.Rounding = "isk", money.HalfUp
			x.Tiers = &billing.Tiers{Reset: billing.PerMonth, Above: []billing.Tier{{FromMinor: 1_000_000, Share: "0.15"}}}
			x.Holdback, x.PlatformFeeMinor = &billing.Holdback{Share: "0.05", ReleaseAfterMonths: 1}, 99_900
		}, months: []chapter{
			// 200,000 + 333,333 × 0.15 = 249,999.95 over 999,999 and 333,334:
			// 187,499.6 and 62,500.3 → 187,500 and 62,500; holdback 12,500
			{ytd: "a=999999 b=333334", lines: "a=187500 b=62500 platform_fee=99900 holdback=-12500", total: 337_400, billed: "a=178100 b=59400 platform_fee=99900"},
			{ytd: "a=999999 b=333334", adjust: []billing.Adjustment{trueUp("k", "2026-01", billing.AdjustCorrection, "2026-02-01", -50_000)},
				lines: "adjustment:k=-50000 platform_fee=99900 holdback_release=12500", total: 62_400, billed: "platform_fee=55500 holdback_release=6900"},
		}},
	}
}
