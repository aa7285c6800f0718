package source_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

var (
	t0  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day = 24 * time.Hour
)

func at(d time.Duration) time.Time { return t0.Add(d) }

// TestHorizon: what is inferred stays where no event tells, events stay where lists have
// not spoken, and what an object proves is welcome everywhere.
func TestHorizon(t *testing.T) {
	t.Parallel()
	fact := func(kind reward.Kind, when time.Duration, inferred bool) reward.Fact {
		return reward.Fact{Kind: kind, EffectiveAt: at(when), Flags: reward.Flags{Inferred: inferred}}
	}
	h := source.Horizon{Start: t0, Listed: true, Gaps: []source.Gap{
		{From: at(10 * day), To: at(20 * day), Listed: true}, {From: at(30 * day), To: at(40 * day)}, {From: at(50 * day), To: at(60 * day), Listed: true, Delivered: true},
	}}
	for _, c := range []struct {
		name           string
		when           time.Duration
		inferred, live bool
	}{
		{"before the horizon", -time.Second, true, false},
		{"at the horizon", 0, false, true},
		{"before a gap", 10*day - time.Second, false, true},
		{"in a gap that was listed", 10 * day, true, false},
		{"at the end of a gap", 20 * day, false, true},
		{"in a gap that is not listed yet", 35 * day, true, true},
		{"in a gap that webhooks may have filled", 55 * day, false, true},
	} {
		require.Equal(t, c.inferred, h.Admits(fact(reward.Upgrade, c.when, true), false), c.name)
		require.Equal(t, c.live, h.Admits(fact(reward.Upgrade, c.when, false), true), c.name)
		require.Equal(t, c.inferred, h.Admits(fact(reward.CustomerMapping, c.when, true), false), c.name)
		require.True(t, h.Admits(fact(reward.RevenueConfirmation, c.when, false), false), c.name)
		require.True(t, h.Admits(fact(reward.RevenueConfirmation, c.when, false), true), c.name)
		require.True(t, h.Admits(fact(reward.PaymentFailed, c.when, false), true), c.name)
	}
	h.Listed = false
	require.True(t, h.Admits(fact(reward.Upgrade, -day, false), true), "an event from before the horizon counts until lists have spoken")
	require.False(t, source.Horizon{}.Admits(fact(reward.Conversion, 0, true), false), "without a horizon events tell everything")
}

// TestJudged: whoever asks only about judged facts gets the same ledger.
func TestJudged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := reward.Fact{
			Kind:        rapid.SampledFrom([]reward.Kind{reward.Upgrade, reward.Downgrade, reward.Churn, reward.Refund, reward.CustomerMapping, reward.PlanChangeNeutral}).Draw(t, "kind"),
			EffectiveAt: at(time.Duration(rapid.IntRange(-5, 5).Draw(t, "day")) * day), Flags: reward.Flags{Inferred: rapid.Bool().Draw(t, "inferred")},
		}
		live := rapid.Bool().Draw(t, "live")
		h := source.Horizon{Start: at(time.Duration(rapid.IntRange(-5, 5).Draw(t, "start")) * day), Listed: rapid.Bool().Draw(t, "listed")}
		if !source.Judged(f, live) {
			require.True(t, h.Admits(f, live))
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := source.Budget{}
	require.Equal(t, 10_000, b.Limit())
	require.Equal(t, []int{10_000, 9_500, 9_000, 7_000}, []int{b.Left(source.ForMoney), b.Left(source.ForPull), b.Left(source.ForCheck), b.Left(source.ForBackfill)})
	require.Equal(t, 10_000, source.Budget{Transactions: 20}.Limit())
	require.Equal(t, 10_500, source.Budget{Transactions: 21}.Limit())
	b.Used = 7_999
	require.Zero(t, b.Left(source.ForBackfill))
	require.False(t, b.Tight())
	b.Used = 8_000
	require.True(t, b.Tight())
	b.Used = 20_000
	require.Zero(t, b.Left(source.ForMoney))
}

func TestSettings(t *testing.T) {
	t.Parallel()
	require.NoError(t, source.DefaultSettings().Validate())
	for field, change := range map[string]func(*source.Settings){
		"pull":             func(s *source.Settings) { s.Pull = "often" },
		"interval_seconds": func(s *source.Settings) { s.Interval = 59 * time.Second },
	} {
		s := source.DefaultSettings()
		change(&s)
		var e *fault.Error
		require.ErrorAs(t, s.Validate(), &e)
		require.Equal(t, field, e.Field)
		require.NotEmpty(t, e.Remedy)
	}
	for _, wrong := range []time.Duration{0, 25 * time.Hour, time.Minute + time.Millisecond} {
		s := source.DefaultSettings()
		s.Interval = wrong
		require.Error(t, s.Validate(), wrong)
	}
}

// TestDue: a new source without an endpoint is fetched at once, every source is checked
// by the hour and by the day, and the widest task stands for the others.
func TestDue(t *testing.T) {
	t.Parallel()
	s := source.NewState(t0)
	due := func(s source.State, d time.Duration) source.Task {
		task, ok := s.Due(at(d))
		require.Equal(t, ok, task != "")
		return task
	}
	require.Equal(t, source.TaskPull, due(s, 0))
	require.Equal(t, t0, s.NextAt())
	s.Webhook = true
	require.Empty(t, due(s, 0))
	require.Equal(t, at(time.Hour), s.NextAt())
	require.Equal(t, source.TaskHourly, due(s, time.Hour))
	require.Equal(t, source.TaskDaily, due(s, day))
	s.Pull = source.PullAlways
	require.Equal(t, source.TaskPull, due(s, 0))
	s.RetryAt = at(2 * time.Hour)
	require.Empty(t, due(s, time.Hour))
	require.Equal(t, s.RetryAt, s.NextAt())
	s.Enabled = false
	require.Empty(t, due(s, 30*day))
	require.True(t, s.NextAt().IsZero())
	require.False(t, s.Pulls())
}

// TestAdaptiveInterval: the pause doubles while nothing is new, twice at most, and is
// stretched when the allowance runs short.
func TestAdaptiveInterval(t *testing.T) {
	t.Parallel()
	s := source.NewState(t0)
	pause := func(fresh int, b source.Budget) time.Duration {
		s = s.Done(source.TaskPull, t0, fresh, time.Time{}, b)
		return s.NextPull.Sub(t0)
	}
	minute := time.Minute
	require.Equal(t, 5*minute, pause(3, source.Budget{}))
	require.Equal(t, 10*minute, pause(0, source.Budget{}))
	require.Equal(t, 20*minute, pause(0, source.Budget{}))
	require.Equal(t, 20*minute, pause(0, source.Budget{}))
	require.Equal(t, 20*minute, pause(1, source.Budget{Used: 9_000}))
	require.Equal(t, 5*minute, pause(1, source.Budget{}))
	require.LessOrEqual(t, int(30*day/(5*minute)), source.Budget{}.Left(source.ForPull), "the default fits the smallest allowance")
}

// TestWindows: each task reads back as far as it must, and no further than Stripe keeps
// events or the connection goes back.
func TestWindows(t *testing.T) {
	t.Parallel()
	s := source.NewState(t0.Add(-100 * day))
	s.HighWater = t0.Add(-time.Minute)
	now := t0.Add(500 * time.Millisecond)
	window := func(task source.Task) [2]time.Duration {
		w := s.Window(task, now)
		require.Zero(t, w.From.Nanosecond()+w.To.Nanosecond())
		return [2]time.Duration{w.From.Sub(t0), w.To.Sub(t0)}
	}
	require.Equal(t, [2]time.Duration{-11 * time.Minute, -time.Minute}, window(source.TaskPull))
	require.Equal(t, [2]time.Duration{-121 * time.Minute, -time.Minute}, window(source.TaskHourly))
	require.Equal(t, [2]time.Duration{-72*time.Hour - time.Minute, -time.Minute}, window(source.TaskDaily))
	s.HighWater = t0.Add(-5 * day)
	require.Equal(t, -5*day-10*time.Minute, window(source.TaskPull)[0])
	require.Equal(t, -5*day-10*time.Minute, window(source.TaskDaily)[0], "a check also reads what was never read")
	require.Empty(t, s.Lost(now, time.Time{}))
	require.False(t, s.Late(now))
	s.HighWater = t0.Add(-26 * day)
	require.True(t, s.Late(now))
	s.HighWater = t0.Add(-40 * day)
	require.Equal(t, -source.Reach, window(source.TaskPull)[0])
	from, to, made := s.HighWater, t0.Add(-source.Reach), t0.Add(-35*day)
	require.Equal(t, []source.Gap{{From: from, To: to}}, s.Lost(now, time.Time{}))
	require.Equal(t, []source.Gap{{From: from, To: to}}, s.Lost(now, to), "an endpoint that is made behind it told nothing of it")
	require.Equal(t, []source.Gap{{From: from, To: to, Delivered: true}}, s.Lost(now, from))
	require.Equal(t, []source.Gap{{From: from, To: made}, {From: made, To: to, Delivered: true}}, s.Lost(now, made))

	s = source.NewState(t0)
	require.Equal(t, [2]time.Duration{-10 * time.Minute, -time.Minute}, window(source.TaskDaily), "before the connection is history")
	require.False(t, s.Window(source.TaskPull, now).Empty())
	require.Zero(t, s.Lag(t0.Add(-day)))
}

// TestACheckThatIsCutShortGoesOn: where it stopped, and only for the same check.
func TestACheckThatIsCutShortGoesOn(t *testing.T) {
	t.Parallel()
	s := source.NewState(t0.Add(-100 * day))
	s.HighWater = t0
	s = s.Done(source.TaskDaily, t0, 5, t0.Add(-30*time.Hour), source.Budget{})
	require.Equal(t, t0.Add(-30*time.Hour), s.Window(source.TaskDaily, t0).From)
	require.Equal(t, t0.Add(-2*time.Hour-time.Minute), s.Window(source.TaskHourly, t0).From)
	task, _ := s.Due(t0)
	require.Equal(t, source.TaskDaily, task, "it stays due")
	s = s.Done(source.TaskDaily, t0, 5, time.Time{}, source.Budget{})
	require.Equal(t, t0.Add(-72*time.Hour-time.Minute), s.Window(source.TaskDaily, t0).From)
	require.Equal(t, at(day), s.NextDaily)
	require.Equal(t, at(time.Hour), s.NextHourly)
	require.Equal(t, at(5*time.Minute), s.NextPull)
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	s := source.NewState(t0)
	var pauses []time.Duration
	for range 8 {
		s = s.Failed(t0, source.Reason{Code: "x"}, 0)
		pauses = append(pauses, s.RetryAt.Sub(t0))
	}
	m := time.Minute
	require.Equal(t, []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, time.Hour, time.Hour}, pauses)
	require.Equal(t, t0, s.Problem.At)
	s = s.Failed(t0, source.Reason{Code: "x"}, 2*time.Hour)
	require.Equal(t, at(2*time.Hour), s.RetryAt, "Stripe asked for more")
	s = s.Done(source.TaskPull, t0, 0, time.Time{}, source.Budget{})
	require.Zero(t, s.Failures)
	require.Empty(t, s.Problem.Code)
	require.Equal(t, time.Hour, source.Backoff(1<<40))
}

// TestWindowsOfLists: windows widen where there is little and narrow where there is much,
// and cover a span without a hole.
func TestWindowsOfLists(t *testing.T) {
	t.Parallel()
	require.Equal(t, day, source.NextSpan(0, 0))
	require.Equal(t, 4*day, source.NextSpan(day, 0))
	require.Equal(t, 512*day, source.NextSpan(512*day, 0))
	require.Equal(t, 2*day, source.NextSpan(day, 100))
	require.Equal(t, day, source.NextSpan(day, 1000))
	require.Equal(t, 2*day, source.NextSpan(4*day, 5000))
	require.Equal(t, day, source.NextSpan(day, 5000))
	require.Equal(t, 12*time.Hour, source.NextSlice(6*time.Hour, 1))
	require.Equal(t, 6*time.Hour, source.NextSlice(6*time.Hour, 10))
	require.Equal(t, 3*time.Hour, source.NextSlice(6*time.Hour, 30))
	rapid.Check(t, func(t *rapid.T) {
		whole := source.Window{From: t0, To: t0.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "hours")) * time.Hour)}
		left, span, n := whole, time.Duration(0), 0
		for !left.Empty() {
			objects := rapid.SampledFrom([]int{0, 10, 700, 9000}).Draw(t, "objects")
			span = source.NextSpan(span, objects)
			w := source.SliceOf(left, span)
			require.Equal(t, left.From, w.From)
			require.False(t, w.Empty())
			require.False(t, w.To.After(whole.To))
			left.From = w.To
			n++
		}
		require.LessOrEqual(t, n, 170)
	})
}

// TestShrink: a first page shows how dense a window is.
func TestShrink(t *testing.T) {
	t.Parallel()
	w := source.Window{From: t0, To: at(512 * day)}
	_, ok := source.Shrink(w, at(482*day), source.MinSpan)
	require.False(t, ok, "1,706 objects are not too many")
	end, ok := source.Shrink(w, at(511*day), source.MinSpan)
	require.True(t, ok)
	require.Equal(t, at(20*day), end)
	end, ok = source.Shrink(w, at(512*day-time.Second), source.MinSpan)
	require.True(t, ok)
	require.Equal(t, at(day), end)
	_, ok = source.Shrink(source.Window{From: t0, To: at(day)}, at(day-time.Second), source.MinSpan)
	require.False(t, ok, "no smaller than the smallest")
}
