package billing_test

import (
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// Contracts 1 to 12: shares, marks, bases, rounding, currencies.
func storiesOfShares() []story {
	return []story{
		{name: "01 a share of one lift", months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000}, // 100,000 × 0.20
		}},
		{name: "02 every line is rounded by itself, down", months: []chapter{
			{ytd: "a=333 b=1234", lines: "a=66 b=246", total: 312}, // 66.6 and 246.8; together 313.4
		}},
		// The published example of a recovery vendor: 25 % of 18,822.98 is 4,705.745.
		{name: "03 half up", terms: func(x *billing.Terms) { x.Share, x.Rounding = "0.25", money.HalfUp }, months: []chapter{
			{ytd: "a=1882298", lines: "a=470575", total: 470_575}, // 470,574.5
		}},
		{name: "04 half even", terms: func(x *billing.Terms) { x.Share, x.Rounding = "0.25", money.HalfEven }, months: []chapter{
			{ytd: "a=1882298", lines: "a=470574", total: 470_574},         // 470,574.5 → even
			{ytd: "a=1882304", lines: "", held: billing.HeldBelowMinimum}, // 6 × 0.25 = 1.5 → 2 < 50
			{ytd: "a=1882500", lines: "a=50", total: 50},                  // 202 × 0.25 = 50.5 → 50
		}},
		{name: "05 what fell has to be earned back", months: []chapter{
			{ytd: "a=100000", lines: "a=20000", total: 20_000},
			{ytd: "a=40000", lines: ""},                      // 40,000 < the mark of 100,000
			{ytd: "a=120000", lines: "a=4000", total: 4_000}, // (120,000 − 100,000) × 0.20
		}},
		{name: "06 withheld is deferred, not lost", months: []chapter{
			{ytd: "a=8000? b=3000", lines: "b=600", total: 600},
			{ytd: "a=19000 b=3000", lines: "a=3800", total: 3_800}, // the whole 19,000 at once
		}},
		{name: "07 proven bills the bound", terms: func(x *billing.Terms) { x.Basis = lift.BasisProven }, months: []chapter{
			{ytd: "a=100000", lines: "a=19999", total: 19_999}, // 99,999 × 0.20 = 19,999.8
		}},
		{name: "08 the pooled bound caps the portfolio", terms: func(x *billing.Terms) { x.PortfolioCap = ptr(true) }, months: []chapter{
			// Room 60,001 − 1 = 60,000 for rises of 80,000 and 40,000: 40,000 and 20,000.
			{ytd: "a=80000 b=40000", pooled: 60_001, lines: "a=8000 b=4000", total: 12_000},
		}},
		{name: "09 a share of twelve places", terms: func(x *billing.Terms) { x.Share = "0.333333333333" }, months: []chapter{
			{ytd: "a=300000", lines: "a=99999", total: 99_999}, // 99,999.9999
		}},
		{name: "10 yen have no cents", terms: func(x *billing.Terms) { x.Currency = "jpy" }, months: []chapter{
			{ytd: "a=12345", lines: "a=2469", total: 2_469},
			{ytd: "a=12590", lines: "", held: billing.HeldBelowMinimum}, // 245 × 0.20 = 49 < 50
			{ytd: "a=12595", lines: "a=50", total: 50},                  // 250 × 0.20
		}},
		{name: "11 whole krónur, written with two zeros", terms: func(x *billing.Terms) {
			x.Currency, x.Caps = "isk", &billing.Caps{MonthMinor: 200_000}
		}, months: []chapter{
			{ytd: "a=1000000", lines: "a=200000", total: 200_000},
			// 133,350 is 133,300 and 133,399.8 is 133,300: 66,600 above the cap, 33,300 off each.
			{ytd: "a=1666750 b=666999", lines: "a=133300 b=133300 cap=-66600", total: 200_000, billed: "a=100000 b=100000"},
			{ytd: "a=1667200 b=666999", lines: ""}, // 450 × 0.20 = 90, which is no króna
		}},
		{name: "12 shillings half up, forints with fillér", terms: func(x *billing.Terms) { x.Currency, x.Rounding = "ugx", money.HalfUp }, months: []chapter{
			{ytd: "a=4000750", lines: "a=800200", total: 800_200}, // 800,150 is half way to 800,200
		}},
	}
}

// Contracts 13 to 22: tiers.
func storiesOfTiers() []story {
	tiers := func(mode billing.TierMode, reset billing.Window, share string, above ...billing.Tier) func(*billing.Terms) {
		return func(x *billing.Terms) {
			x.Share, x.Tiers = share, &billing.Tiers{Mode: mode, Reset: reset, Above: above}
		}
	}
	return []story{
		{name: "13 marginal tiers of a month", terms: tiers(billing.Marginal, billing.PerMonth, "0.20", billing.Tier{FromMinor: 100_000, Share: "0.10"}), months: []chapter{
			{ytd: "a=150000", lines: "a=25000", total: 25_000}, // 100,000 × 0.20 + 50,000 × 0.10
			{ytd: "a=250000", lines: "a=20000", total: 20_000}, // again from 0: 100,000 × 0.20
		}},
		{name: "14 marginal tiers of the year", terms: tiers("", "", "0.20", billing.Tier{FromMinor: 100_000, Share: "0.10"}), months: []chapter{
			{ytd: "a=80000", lines: "a=16000", total: 16_000},
			{ytd: "a=130000", lines: "a=7000", total: 7_000}, // 20,000 × 0.20 + 30,000 × 0.10
			{ytd: "a=140000", lines: "a=1000", total: 1_000}, // 10,000 × 0.10
			{n: 13, ytd: "a=50000", lines: "a=10000", total: 10_000},
		}},
		{name: "15 tiers are shared by the lines in proportion", terms: tiers(billing.Marginal, billing.PerMonth, "0.20", billing.Tier{FromMinor: 100_000, Share: "0.10"}), months: []chapter{
			{ytd: "a=90000 b=60000", lines: "a=15000 b=10000", total: 25_000}, // 25,000 × 9/15 and × 6/15
			// 25,000 × 7/15, × 5/15 and × 3/15: 11,666.67, 8,333.33 and 5,000
			{ytd: "a=160000 b=110000 c=30000", lines: "a=11666 b=8333 c=5000", total: 24_999},
		}},
		{name: "16 a free allowance is a tier of share 0", terms: tiers(billing.Marginal, billing.PerYear, "0", billing.Tier{FromMinor: 50_000, Share: "0.25"}), months: []chapter{
			{ytd: "a=40000", lines: ""},
			{ytd: "a=90000", lines: "a=10000", total: 10_000}, // 10,000 free, 40,000 × 0.25
		}},
		{name: "17 three marginal tiers at their bounds", terms: tiers(billing.Marginal, billing.PerMonth, "0.30", billing.Tier{FromMinor: 100_000, Share: "0.20"}, billing.Tier{FromMinor: 200_000, Share: "0.10"}), months: []chapter{
			{ytd: "a=100000", lines: "a=30000", total: 30_000},
			{ytd: "a=300000", lines: "a=50000", total: 50_000},  // 200,000: 30,000 + 20,000
			{ytd: "a=500001", lines: "a=50000", total: 50_000},  // 200,001: 30,000 + 20,000 + 0.1
			{ytd: "a=800001", lines: "a=60000", total: 60_000},  // 300,000: 30,000 + 20,000 + 10,000
			{ytd: "a=1050001", lines: "a=55000", total: 55_000}, // 250,000: 30,000 + 20,000 + 5,000
		}},
		{name: "18 whole tiers of a month, below and at the bound", terms: tiers(billing.Whole, billing.PerMonth, "0.20", billing.Tier{FromMinor: 100_000, Share: "0.15"}), months: []chapter{
			{ytd: "a=99999", lines: "a=19999", total: 19_999},  // 19,999.8
			{ytd: "a=199999", lines: "a=15000", total: 15_000}, // 100,000 × 0.15
		}},
		{name: "19 a volume rebate over the year", terms: tiers(billing.Whole, billing.PerYear, "0.20", billing.Tier{FromMinor: 100_000, Share: "0.15"}), months: []chapter{
			{ytd: "a=80000", lines: "a=16000", total: 16_000},
			// 40,000 × 0.15, and the first 80,000 at 0.15 instead of 0.20; all in all 120,000 × 0.15
			{ytd: "a=120000", lines: "a=6000 tier_adjustment=-4000", total: 2_000, billed: "a=2000"},
			{ytd: "a=130000", lines: "a=1500", total: 1_500},
		}},
		{name: "20 shares that rise with the goal", terms: tiers(billing.Whole, billing.PerYear, "0.02", billing.Tier{FromMinor: 100_000, Share: "0.035"}, billing.Tier{FromMinor: 200_000, Share: "0.05"}), months: []chapter{
			{ytd: "a=60000", lines: "a=1200", total: 1_200},
			{ytd: "a=100000", lines: "a=1400 tier_adjustment=900", total: 2_300},  // 40,000 × 0.035 + 60,000 × 0.015
			{ytd: "a=200000", lines: "a=5000 tier_adjustment=1500", total: 6_500}, // 100,000 × 0.05 + 100,000 × 0.015
		}},
		{name: "21 a rebate larger than the month", terms: tiers(billing.Whole, billing.PerYear, "0.20", billing.Tier{FromMinor: 200_000, Share: "0.10"}), months: []chapter{
			{ytd: "a=190000", lines: "a=38000", total: 38_000},
			{ytd: "a=200000", lines: "a=1000 tier_adjustment=-19000 carry_out=18000", held: billing.HeldCredit},
			{ytd: "a=400000", lines: "a=20000 carry_in=-18000", total: 2_000, billed: "a=2000"}, // in all 400,000 × 0.10
		}},
		{name: "22 tiers of a contract quarter", terms: func(x *billing.Terms) {
			x.FirstPeriod = "2026-02"
			tiers(billing.Marginal, billing.PerQuarter, "0.20", billing.Tier{FromMinor: 100_000, Share: "0.10"})(x)
		}, months: []chapter{
			{ytd: "a=90000", lines: "a=18000", total: 18_000},        // February
			{n: 3, ytd: "a=120000", lines: "a=4000", total: 4_000},   // April: 10,000 × 0.20 + 20,000 × 0.10
			{n: 4, ytd: "a=170000", lines: "a=10000", total: 10_000}, // May begins a quarter
		}},
	}
}
