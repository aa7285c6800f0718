package projection_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
)

func TestTimeline(t *testing.T) {
	t.Parallel()
	trial := obj{"trial_start": t0, "trial_end": t0 + 14*day}
	created := func(status string, f obj) projection.Observation {
		return event(t, "customer.subscription.created", t0, sub(status, f), nil)
	}
	moved := func(at int64, was, now string, f obj) projection.Observation {
		return event(t, "customer.subscription.updated", t0+at*day, sub(now, f), obj{"status": was})
	}
	quiet := func(at int64, now string, f obj) projection.Observation {
		return event(t, "customer.subscription.updated", t0+at*day, sub(now, f), obj{"latest_invoice": "in_0"})
	}
	gone := func(at int64, f obj) projection.Observation {
		return event(t, "customer.subscription.deleted", t0+at*day, sub("canceled", with(obj{"ended_at": t0 + at*day}, f)), nil)
	}
	list := func(at int64, status string, f obj) projection.Observation {
		return read(t, sec(t0+at*day), sub(status, f))
	}
	for name, c := range map[string]struct {
		want string
		all  []projection.Observation
	}{
		"born active":                      {"active@0", []projection.Observation{created("active", nil)}},
		"trial, paid, failed, saved":       {"trialing@0 active@14 past_due@45 active@47", []projection.Observation{created("trialing", trial), moved(14, "trialing", "active", trial), moved(45, "active", "past_due", trial), moved(47, "past_due", "active", trial)}},
		"a trial's end is its own date":    {"trialing@0 active@14", []projection.Observation{created("trialing", trial), moved(15, "trialing", "active", trial)}},
		"a trial that was cut short":       {"trialing@0 active@3", []projection.Observation{created("trialing", trial), moved(3, "trialing", "active", obj{"trial_start": t0, "trial_end": t0 + 3*day})}},
		"renewals add nothing":             {"active@0", []projection.Observation{created("active", nil), quiet(31, "active", nil), quiet(62, "active", nil)}},
		"an end is the object's own date":  {"active@0 canceled@20", []projection.Observation{created("active", nil), event(t, "customer.subscription.deleted", t0+21*day, sub("canceled", obj{"ended_at": t0 + 20*day}), nil)}},
		"paused and its twin":              {"trialing@0 paused@14 active@20", []projection.Observation{created("trialing", trial), moved(14, "trialing", "paused", trial), event(t, "customer.subscription.paused", t0+14*day, sub("paused", trial), nil), moved(20, "paused", "active", trial)}},
		"all in one second":                {"active@0", []projection.Observation{created("incomplete", nil), moved(0, "incomplete", "active", nil)}},
		"the beginning was lost":           {"trialing@0? active@14 past_due@45", []projection.Observation{moved(14, "trialing", "active", trial), moved(45, "active", "past_due", trial)}},
		"only the last change is known":    {"trialing@0? active@14? past_due@45", []projection.Observation{moved(45, "active", "past_due", trial)}},
		"only the end is known":            {"trialing@0? active@14? canceled@60", []projection.Observation{gone(60, trial)}},
		"a change in between was lost":     {"active@0 past_due@31… active@60", []projection.Observation{created("active", nil), moved(31, "active", "past_due", nil), moved(60, "unpaid", "active", nil)}},
		"the last change was lost":         {"active@0 past_due@40?", []projection.Observation{created("active", nil), quiet(40, "past_due", nil)}},
		"a lost end, known by a read":      {"active@0 canceled@50?", []projection.Observation{created("active", nil), list(90, "canceled", obj{"ended_at": t0 + 50*day})}},
		"listed while active":              {"active@0?", []projection.Observation{list(100, "active", nil)}},
		"listed after its trial":           {"trialing@0? active@14?", []projection.Observation{list(100, "active", trial)}},
		"listed in its trial":              {"trialing@0?", []projection.Observation{list(5, "trialing", trial)}},
		"listed as paused after its trial": {"trialing@0? paused@14?", []projection.Observation{list(100, "paused", trial)}},
		"listed as past due":               {"active@0? past_due@100?", []projection.Observation{list(100, "past_due", nil)}},
		"listed as canceled in its trial":  {"trialing@0? canceled@7?", []projection.Observation{list(100, "canceled", with(trial, obj{"ended_at": t0 + 7*day}))}},
		"listed as expired":                {"incomplete@0? incomplete_expired@1?", []projection.Observation{list(100, "incomplete_expired", obj{"ended_at": t0 + day})}},
		"a trial after a paid time":        {"active@0? trialing@20? active@30?", []projection.Observation{list(100, "active", obj{"trial_start": t0 + 20*day, "trial_end": t0 + 30*day})}},
		"events say more than an old read": {"active@0 past_due@31", []projection.Observation{list(10, "active", nil), created("active", nil), moved(31, "active", "past_due", nil)}},
		"a test clock's own time":          {"trialing@0 active@14 past_due@45 canceled@60", []projection.Observation{created("trialing", with(trial, obj{"test_clock": "clock_1"})), moved(0, "trialing", "active", with(trial, obj{"test_clock": "clock_1"})), moved(0, "active", "past_due", with(trial, obj{"test_clock": "clock_1", "current_period_start": t0 + 45*day})), event(t, "customer.subscription.deleted", t0+1, sub("canceled", with(trial, obj{"test_clock": "clock_1", "ended_at": t0 + 60*day})), nil)}},
	} {
		permute(c.all, func(order []projection.Observation) {
			require.Equal(t, c.want, statuses(subscription(t, order...)), name)
		})
	}
}

func TestWhatATimelineAnswers(t *testing.T) {
	t.Parallel()
	o := subscription(t, life(t)...)
	intervals := projection.Intervals(projection.Timeline(o))
	at := func(day_ float64) string {
		i, ok := projection.StatusAt(intervals, t0+int64(day_*day))
		if !ok {
			return "none"
		}
		return i.Status
	}
	for day_, want := range map[float64]string{-1: "none", 0: "trialing", 13.9: "trialing", 14: "active", 44.99: "active", 45: "past_due", 59: "past_due", 60: "canceled", 999: "canceled"} {
		require.Equal(t, want, at(day_), "day %v", day_)
	}
	require.EqualValues(t, t0+14*day, projection.ActivatedAt(intervals))
	require.Zero(t, projection.ActivatedAt(intervals[:1]))
	for i := range len(intervals) - 1 {
		require.Equal(t, intervals[i].Until, intervals[i+1].From, "half open, without holes")
	}
}

// TestSettledTimelines: a timeline that later versions leave alone says so.
func TestSettledTimelines(t *testing.T) {
	t.Parallel()
	for want, o := range map[bool]*projection.Object[projection.Subscription]{
		true:  subscription(t, read(t, sec(t0+100), sub("active", nil))),
		false: subscription(t, read(t, sec(t0+100), sub("past_due", nil))), // it began at the latest then
	} {
		require.Equal(t, want, projection.Settled(o, projection.Timeline(o)))
	}
}
