package reward_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/reward"
)

func TestConversions(t *testing.T) {
	t.Parallel()
	on := func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return at(t0 + n*day)
	}
	history := func(id string, converted, paid, ended, left int64) reward.History {
		return reward.History{Subscription: id, ConvertedAt: on(converted), PaidAt: on(paid), EndedAt: on(ended), LeftAt: on(left)}
	}
	for name, c := range map[string]struct {
		of   []reward.History
		want reward.ConversionOutcome
	}{
		"no money yet":                    {[]reward.History{history("s", 14, 0, 0, 0)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionUnconfirmed}},
		"paid":                            {[]reward.History{history("s", 14, 15, 0, 0)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionConfirmed, SettledAt: on(15)}},
		"paid, then left":                 {[]reward.History{history("s", 14, 15, 40, 40)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionConfirmed, SettledAt: on(15)}},
		"left at the moment of the money": {[]reward.History{history("s", 14, 15, 15, 15)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionConfirmed, SettledAt: on(15)}},
		"never paid":                      {[]reward.History{history("s", 14, 0, 30, 30)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionFailed, SettledAt: on(30)}},
		"unpaid, paid after all":          {[]reward.History{history("s", 14, 50, 30, 30)}, reward.ConversionOutcome{At: on(14), State: reward.ConversionFailed, SettledAt: on(30)}},
		"back after 20 days": {
			[]reward.History{history("s", 60, 61, 0, 0), history("old", 1, 2, 40, 40), history("older", 1, 2, 20, 20)},
			reward.ConversionOutcome{At: on(60), State: reward.ConversionConfirmed, SettledAt: on(61), Resubscribed: true, GapDays: 20},
		},
		"a free trial before is no subscription": {
			[]reward.History{history("s", 60, 61, 0, 0), history("old", 0, 0, 40, 40)},
			reward.ConversionOutcome{At: on(60), State: reward.ConversionConfirmed, SettledAt: on(61)},
		},
		"a second one beside the first": {
			[]reward.History{history("s", 30, 31, 0, 0), history("old", 1, 2, 40, 40)},
			reward.ConversionOutcome{At: on(30), State: reward.ConversionConfirmed, SettledAt: on(31)},
		},
	} {
		require.Equal(t, c.want, reward.Conversions(c.of)["s"], name)
	}
	require.Empty(t, reward.Conversions([]reward.History{history("s", 0, 5, 0, 0)}), "it has not converted")
}

// TestConversionsDoNotDependOnTheOrder in which a customer's subscriptions are listed.
func TestConversionsDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		when := func(name string) time.Time {
			if n := rapid.Int64Range(0, 9).Draw(t, name); n > 0 {
				return at(t0 + n*day)
			}
			return time.Time{}
		}
		var of []reward.History
		for i := range rapid.IntRange(1, 4).Draw(t, "n") {
			of = append(of, reward.History{Subscription: string(rune('a' + i)), ConvertedAt: when("converted"), PaidAt: when("paid"), EndedAt: when("ended"), LeftAt: when("left")})
		}
		got := reward.Conversions(of)
		require.Equal(t, got, reward.Conversions(rapid.Permutation(of).Draw(t, "order")))
		for id, c := range got {
			require.Equal(t, c.State == reward.ConversionUnconfirmed, c.SettledAt.IsZero(), id)
			require.GreaterOrEqual(t, c.GapDays, 0)
		}
	})
}
