package reward_test

import (
	"encoding/json"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/reward"
)

func recurring(interval string, count int) obj {
	return obj{"interval": interval, "interval_count": count, "usage_type": "licensed"}
}

func TestMRR(t *testing.T) {
	t.Parallel()
	p := func(amount int64, fields obj) obj { return with(price("p", amount), fields) }
	rec := func(interval string, count int) obj { return obj{"recurring": recurring(interval, count)} }
	once := with(price("o", 9900), obj{"type": "one_time", "recurring": nil})
	metered := with(price("m", 5), obj{"recurring": obj{"interval": "month", "interval_count": 1, "usage_type": "metered"}})
	meteredTiers := with(metered, obj{"billing_scheme": "tiered", "tiers_mode": "graduated", "unit_amount": nil})
	off := func(fields obj) obj {
		return obj{"discount": obj{"coupon": with(obj{"duration": "forever"}, fields)}}
	}
	plain := items(item(p(2000, nil), 1))
	two := items(item(p(2000, nil), 1), item(p(3000, obj{"product": "prod_2"}), 1))
	for _, c := range []struct {
		name          string
		status        string
		items         obj
		fields        obj
		contract, net string // empty: unknown
	}{
		{"monthly seats", "active", items(item(p(2000, nil), 5)), nil, "10000", "10000"},
		{"quarterly", "active", items(item(p(3000, rec("month", 3)), 1)), nil, "1000", "1000"},
		{"yearly", "past_due", items(item(p(24000, rec("year", 1)), 1)), nil, "2000", "2000"},
		{"two years", "active", items(item(p(24000, rec("year", 2)), 1)), nil, "1000", "1000"},
		{"weekly is 52/12", "active", items(item(p(300, rec("week", 1)), 1)), nil, "1300", "1300"},
		{"daily is 365/12", "active", items(item(p(120, rec("day", 1)), 1)), nil, "3650", "3650"},
		{"thirds are kept", "active", items(item(p(1000, rec("month", 3)), 1)), nil, "333.333333333333", "333.333333333333"},
		{"sub-cent prices", "active", items(item(p(0, obj{"unit_amount": nil, "unit_amount_decimal": "0.05"}), 3)), nil, "0.15", "0.15"},
		{"a fee once and metered use are not recurring", "active", items(item(p(2000, nil), 1), item(once, 1), item(metered, 1), item(meteredTiers, 1)), nil, "2000", "2000"},
		{"packages round up", "active", items(item(p(500, obj{"transform_quantity": obj{"divide_by": 10, "round": "up"}}), 21)), nil, "1500", "1500"},
		{"packages round down", "active", items(item(p(500, obj{"transform_quantity": obj{"divide_by": 10, "round": "down"}}), 29)), nil, "1000", "1000"},
		{"tiers are unknown, not zero", "active", items(item(p(0, obj{"unit_amount": nil, "billing_scheme": "tiered"}), 3)), nil, "", ""},
		{"a second page is unknown", "active", with(plain, obj{"has_more": true}), nil, "", ""},
		{"another currency is unknown", "active", items(item(p(2000, obj{"currency": "eur"}), 1)), nil, "", ""},
		{"trials bring nothing", "trialing", plain, nil, "0", "0"},
		{"unpaid brings nothing", "unpaid", plain, nil, "0", "0"},
		{"paused brings nothing", "paused", plain, nil, "0", "0"},
		{"paused collection keeps it", "active", plain, obj{"pause_collection": obj{"behavior": "void"}}, "2000", "2000"},
		{"percent off", "active", plain, off(obj{"percent_off": "12.5"}), "2000", "1750"},
		{"amount off per interval", "active", items(item(p(24000, rec("year", 1)), 1)), off(obj{"amount_off": 12000}), "2000", "1000"},
		{"amount off in another currency is unknown", "active", plain, off(obj{"amount_off": 500, "currency": "eur"}), "2000", ""},
		{"amount off has an option in this currency", "active", plain, off(obj{"amount_off": 500, "currency": "eur", "currency_options": obj{"usd": obj{"amount_off": 600}}}), "2000", "1400"},
		{"off one product", "active", two, off(obj{"percent_off": 50, "applies_to": obj{"products": []string{"prod_2"}}}), "5000", "3500"},
		{"amount off one product", "active", two, off(obj{"amount_off": 9900, "applies_to": obj{"products": []string{"prod_2"}}}), "5000", "2000"},
		{"off a product that is not subscribed", "active", two, off(obj{"percent_off": 50, "applies_to": obj{"products": []string{"prod_3"}}}), "5000", "5000"},
		{"off a product, which an item does not name", "active", items(item(p(2000, obj{"product": nil}), 1)), off(obj{"percent_off": 50, "applies_to": obj{"products": []string{"prod_2"}}}), "2000", ""},
		{"amount off over two intervals is unknown", "active", items(item(p(2000, nil), 1), item(p(24000, rec("year", 1)), 1)), off(obj{"amount_off": 500}), "4000", ""},
		{"stacked, and only one is told", "active", plain, with(off(obj{"percent_off": 50}), obj{"discounts": []string{"di_1", "di_2"}}), "2000", ""},
		{"named beside the one that is told", "active", plain, with(off(obj{"percent_off": 50}), obj{"discounts": []string{"di_1"}}), "2000", "1000"},
		{"more than can be stacked", "active", plain, obj{"discounts": slices.Repeat([]obj{{"coupon": obj{"percent_off": 1, "duration": "forever"}}}, 51)}, "2000", ""},
		{"once is ignored", "active", plain, off(obj{"percent_off": 50, "duration": "once"}), "2000", "2000"},
		{"never below zero", "active", plain, off(obj{"amount_off": 99999}), "2000", "0"},
		{"a discount by id", "active", plain, obj{"discounts": []string{"di_1"}}, "2000", ""},
		{"a discount by source", "active", plain, obj{"discounts": []obj{{"source": obj{"coupon": obj{"percent_off": 10, "duration": "forever"}}}}}, "2000", "1800"},
		{"absurd magnitude is unknown", "active", items(item(p(0, obj{"unit_amount": json.Number("1e31")}), 1)), nil, "", ""},
		{"yen stay yen", "active", items(item(p(980, obj{"currency": "jpy"}), 1)), obj{"currency": "jpy"}, "980", "980"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := reward.MRROf(must(sub(c.status, with(obj{"items": c.items}, c.fields))))
			require.NoError(t, err)
			require.Equal(t, c.contract != "", m.Known)
			require.Equal(t, c.net != "", m.NetKnown)
			if m.Known {
				require.Equal(t, c.contract, m.Contract.String())
			}
			if m.NetKnown {
				require.Equal(t, c.net, m.Net.String())
			}
		})
	}
}

func TestCashNetIsHalfEven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ paid, net, total, want int64 }{
		{2400, 2000, 2400, 2000}, {1, 1, 2, 0}, {3, 1, 2, 2}, {5, 1, 2, 2}, {0, 5, 10, 0}, {1190, 1000, 1190, 1000},
	} {
		got, ok := reward.CashNet(c.paid, c.net, c.total)
		require.True(t, ok)
		require.Equal(t, c.want, got)
	}
	for _, bad := range [][3]int64{{5, 1, 0}, {5, -1, 3}, {5, 4, 3}} {
		_, ok := reward.CashNet(bad[0], bad[1], bad[2])
		require.False(t, ok)
	}
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(1, 1<<40).Draw(t, "total")
		net := rapid.Int64Range(0, total).Draw(t, "net")
		paid := rapid.Int64Range(0, 1<<40).Draw(t, "paid")
		got, ok := reward.CashNet(paid, net, total)
		require.True(t, ok)
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(paid), big.NewInt(net)), big.NewInt(total))
		off := exact.Sub(exact, new(big.Rat).SetInt64(got))
		require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(1, 2)), 0)
	})
}

// TestLargeNumbersStayExact would fail on any detour through a float64.
func TestLargeNumbersStayExact(t *testing.T) {
	t.Parallel()
	const big53 = 9007199254740993 // 2^53 + 1
	c := classify(t, event("invoice.paid", invoiceObj(obj{"amount_paid": json.Number("9007199254740993"), "total": big53, "total_excluding_tax": big53}), nil))
	require.Equal(t, ptr(big53), c.Facts[0].Amount)
}
