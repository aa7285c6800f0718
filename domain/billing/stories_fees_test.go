package billing_test

import (
	"github.com/liftbill/liftbill/domain/billing"
)

// Contracts 23 to 29: caps.
func storiesOfCaps() []story {
	caps := func(c billing.Caps) func(*billing.Terms) { return func(x *billing.Terms) { x.Caps = &c } }
	return []story{
		{name: "23 a month's cap, in proportion", terms: caps(billing.Caps{MonthMinor: 15_000}), months: []chapter{
			{ytd: "a=60000 b=40000", lines: "a=12000 b=8000 cap=-5000", total: 15_000, billed: "a=9000 b=6000"},
			{ytd: "a=135000 b=40000", lines: "a=15000", total: 15_000}, // at the cap, nothing is cut
		}},
		{name: "24 the cap's cents go to the largest remainder", terms: caps(billing.Caps{MonthMinor: 10_000}), months: []chapter{
			// 8,000 off three equal lines: 2,666.67 each, the two left over from a and b.
			{ytd: "a=30000 b=30000 c=30000", lines: "a=6000 b=6000 c=6000 cap=-8000", total: 10_000, billed: "a=3333 b=3333 c=3334"},
		}},
		{name: "25 a year's cap", terms: caps(billing.Caps{YearMinor: 30_000}), months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000},
			{ytd: "a=200000", lines: "a=20000 cap=-10000", total: 10_000, billed: "a=10000"},
			{ytd: "a=300000", lines: "a=20000 cap=-20000"},
			{n: 13, ytd: "a=100000", lines: "a=20000", total: 20_000}, // a new contract year
		}},
		{name: "26 a cap over the whole contract", terms: caps(billing.Caps{TotalMinor: 50_000}), months: []chapter{
			{ytd: "a=200000", lines: "a=40000", total: 40_000},
			{n: 13, ytd: "a=100000", lines: "a=20000 cap=-10000", total: 10_000, billed: "a=10000"},
		}},
		{name: "27 what the month cuts off, the year catches up", terms: caps(billing.Caps{MonthMinor: 15_000, Excess: billing.ExcessCarried}), months: []chapter{
			{ytd: "a=100000", lines: "a=20000 cap=-5000", total: 15_000, billed: "a=15000"},
			{ytd: "a=160000", lines: "a=12000 cap_excess=3000", total: 15_000}, // room 15,000 − 12,000
			{ytd: "a=160000", lines: "cap_excess=2000", total: 2_000},
			{n: 13, ytd: "a=50000", lines: "a=10000", total: 10_000},
		}},
		{name: "28 the lowest of three caps", terms: caps(billing.Caps{MonthMinor: 30_000, YearMinor: 45_000, TotalMinor: 60_000}), months: []chapter{
			{ytd: "a=200000", lines: "a=40000 cap=-10000", total: 30_000, billed: "a=30000"},        // month
			{ytd: "a=300000", lines: "a=20000 cap=-5000", total: 15_000, billed: "a=15000"},         // year: 45,000 − 30,000
			{n: 13, ytd: "a=200000", lines: "a=40000 cap=-25000", total: 15_000, billed: "a=15000"}, // contract: 60,000 − 45,000
		}},
		{name: "29 a cap above tiers", terms: func(x *billing.Terms) {
			x.Caps = &billing.Caps{MonthMinor: 22_000}
			x.Tiers = &billing.Tiers{Reset: billing.PerMonth, Above: []billing.Tier{{FromMinor: 100_000, Share: "0.10"}}}
		}, months: []chapter{
			{ytd: "a=150000", lines: "a=25000 cap=-3000", total: 22_000, billed: "a=22000"},
		}},
	}
}

// Contracts 30 to 38: fees that need no lift, and counted outcomes.
func storiesOfFees() []story {
	minimum := func(m billing.Minimum) func(*billing.Terms) {
		return func(x *billing.Terms) { x.PlatformFeeMinor, x.Minimum = 5_000, &m }
	}
	return []story{
		{name: "30 a platform fee with and without a lift", terms: func(x *billing.Terms) { x.PlatformFeeMinor = 9_900 }, months: []chapter{
			{ytd: "a=50000?", lines: "platform_fee=9900", total: 9_900}, // withheld: only the fee that needs no lift
			{ytd: "a=100000", lines: "a=20000 platform_fee=9900", total: 29_900},
		}},
		{name: "31 a floor of the month's performance fees", terms: func(x *billing.Terms) { x.FloorMinor, x.PlatformFeeMinor = 10_000, 2_000 }, months: []chapter{
			{ytd: "a=30000", lines: "a=6000 floor=4000 platform_fee=2000", total: 12_000},
			{ytd: "a=20000?", lines: "floor=10000 platform_fee=2000", total: 12_000},
			{ytd: "a=80000", lines: "a=10000 platform_fee=2000", total: 12_000}, // exactly the floor
			{ytd: "a=200000", lines: "a=24000 platform_fee=2000", total: 26_000},
		}},
		{name: "32 a monthly minimum that counts performance only", terms: minimum(billing.Minimum{AmountMinor: 15_000, Every: billing.PerMonth, Counts: []billing.Counted{billing.CountsPerformance}}), months: []chapter{
			{ytd: "a=40000", lines: "a=8000 platform_fee=5000 minimum_top_up=7000", total: 20_000}, // 15,000 − 8,000
		}},
		{name: "33 a monthly minimum that counts everything", terms: minimum(billing.Minimum{AmountMinor: 15_000, Every: billing.PerMonth}), months: []chapter{
			{ytd: "a=40000", lines: "a=8000 platform_fee=5000 minimum_top_up=2000", total: 15_000}, // 15,000 − 13,000
			{ytd: "a=100000", lines: "a=12000 platform_fee=5000", total: 17_000},
		}},
		{name: "34 a year's commitment is trued up once", terms: minimum(billing.Minimum{AmountMinor: 100_000}), months: []chapter{
			{ytd: "a=100000", lines: "a=20000 platform_fee=5000", total: 25_000},
			{n: 11, ytd: "a=100000", lines: "platform_fee=5000", total: 5_000},
			{n: 12, ytd: "a=100000", lines: "platform_fee=5000 minimum_top_up=65000", total: 70_000}, // 100,000 − 30,000 − 5,000
			{n: 13, ytd: "a=50000", lines: "a=10000 platform_fee=5000", total: 15_000},
		}},
		{name: "35 a quarter's commitment", terms: minimum(billing.Minimum{AmountMinor: 40_000, Every: billing.PerQuarter}), months: []chapter{
			{ytd: "a=100000", lines: "a=20000 platform_fee=5000", total: 25_000},
			{ytd: "a=100000", lines: "platform_fee=5000", total: 5_000},
			{ytd: "a=100000", lines: "platform_fee=5000 minimum_top_up=5000", total: 10_000}, // 40,000 − 35,000
			{ytd: "a=100000", lines: "platform_fee=5000", total: 5_000},
		}},
		{name: "36 counted outcomes with an allowance", terms: func(x *billing.Terms) {
			x.Share, x.Outcomes = "0", []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "99", Included: 10}}
		}, months: []chapter{
			{ytd: "a=100000", outcomes: map[string]int64{"conversion": 25}, lines: "per_outcome:conversion=1485", total: 1_485}, // 15 × 99
			{ytd: "a=100000", outcomes: map[string]int64{"conversion": 30}, lines: "per_outcome:conversion=0"},                  // 5 more, all included
			{ytd: "a=100000", outcomes: map[string]int64{"conversion": 51}, lines: "per_outcome:conversion=1089", total: 1_089}, // 21 more, one of them known late
			{ytd: "a=100000", outcomes: map[string]int64{"conversion": 50}, lines: ""},
		}},
		{name: "37 a price below a cent, and two kinds", terms: func(x *billing.Terms) {
			x.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "250"}, {Kind: "trial_start", PriceMinor: "0.5"}}
		}, months: []chapter{
			// 1,001 × 0.5 = 500.5; 3 × 250; and the share of the lift
			{ytd: "a=10000", outcomes: map[string]int64{"trial_start": 1_001, "upgrade": 3}, lines: "a=2000 per_outcome:trial_start=500 per_outcome:upgrade=750", total: 3_250},
		}},
		{name: "38 outcomes are under the cap as well", terms: func(x *billing.Terms) {
			x.Caps, x.Outcomes = &billing.Caps{MonthMinor: 9_000}, []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "100"}}
			x.PlatformFeeMinor = 1_000
		}, months: []chapter{
			// 6,000 + 4,000 − 1,000, six to four; the platform fee is not under the cap.
			{ytd: "a=30000", outcomes: map[string]int64{"conversion": 40}, lines: "a=6000 per_outcome:conversion=4000 cap=-1000 platform_fee=1000", total: 10_000,
				billed: "a=5400 per_outcome:conversion=3600 platform_fee=1000"},
		}},
	}
}
