package period_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// zones have daylight saving on both hemispheres, odd offsets, a skipped day and
// midnights that do not exist.
var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Asuncion", "America/Havana", "Australia/Lord_Howe",
	"Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati", "Africa/Cairo", "Asia/Beirut", "Asia/Amman",
}

func zone(t require.TestingT, name string) *time.Location {
	loc, err := period.LoadZone(name)
	require.NoError(t, err)
	return loc
}

func month(t require.TestingT, s string) period.Month {
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

func TestParse(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-10")
	require.Equal(t, "2026-10", m.String())
	require.Equal(t, "October 2026", m.Name())
	require.False(t, m.IsZero())
	require.True(t, period.Month{}.IsZero())
	for _, bad := range []string{"", "2026", "2026-1", "2026-00", "2026-13", "2026-10-01", " 2026-10", "2026-10\n", "26-10", "0000-01", "1969-12", "9999-12", "２０２６-10", "2026/10"} {
		_, err := period.Parse(bad)
		require.Equal(t, "period_malformed", fault.CodeOf(err), bad)
		require.ErrorContains(t, err, "YYYY-MM")
	}
}

func TestBoundsAreLocalMidnights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ month, zone, start, end string }{
		{"2026-10", "UTC", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		// Summer time ends inside the month: it has 745 hours.
		{"2026-10", "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},
		{"2026-03", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		{"2026-03", "America/New_York", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"},
		{"2026-12", "Asia/Kolkata", "2026-11-30T18:30:00Z", "2026-12-31T18:30:00Z"},
		{"2024-02", "Asia/Kathmandu", "2024-01-31T18:15:00Z", "2024-02-29T18:15:00Z"},
		// The clocks jumped from 00:00 to 01:00 on the first of October: that is where it began.
		{"2023-10", "America/Asuncion", "2023-10-01T04:00:00Z", "2023-11-01T03:00:00Z"},
		// At one o'clock on the first of November they went back to midnight, which came twice.
		{"2026-11", "America/Havana", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"},
		{"2026-10", "America/Havana", "2026-10-01T04:00:00Z", "2026-11-01T04:00:00Z"},
	} {
		in := month(t, c.month).In(zone(t, c.zone))
		require.Equal(t, c.start, in.Start.Format(time.RFC3339), "%s %s", c.month, c.zone)
		require.Equal(t, c.end, in.End.Format(time.RFC3339), "%s %s", c.month, c.zone)
	}
}

func TestIntervalIsHalfOpen(t *testing.T) {
	t.Parallel()
	in := month(t, "2026-10").In(time.UTC)
	require.True(t, in.Contains(in.Start))
	require.True(t, in.Contains(in.End.Add(-1)))
	require.False(t, in.Contains(in.End))
	require.False(t, in.Contains(in.Start.Add(-1)))
}

// Every instant belongs to exactly one month, the one that the local calendar shows.
func TestMonthsTileTheTimeOfEveryZone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		m := month(t, fmt.Sprintf("%04d-%02d", rapid.IntRange(1971, 2037).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month")))
		in, next := m.In(loc), m.Add(1).In(loc)
		require.Equal(t, in.End, next.Start)
		require.True(t, in.Start.Before(in.End))
		require.Equal(t, m, period.Of(in.Start, loc), "the first instant is of the month")
		require.Equal(t, m, period.Of(in.End.Add(-1), loc), "and so is the last one")
		at := in.Start.Add(time.Duration(rapid.Int64Range(0, int64(in.End.Sub(in.Start))-1).Draw(t, "offset")))
		require.Equal(t, m, period.Of(at, loc))
		require.True(t, in.Contains(at))
	})
}

func TestAddAndSub(t *testing.T) {
	t.Parallel()
	require.Equal(t, month(t, "2027-01"), month(t, "2026-12").Add(1))
	require.Equal(t, month(t, "2025-12"), month(t, "2026-01").Add(-1))
	require.Equal(t, 14, month(t, "2027-03").Sub(month(t, "2026-01")))
	rapid.Check(t, func(t *rapid.T) {
		m := month(t, fmt.Sprintf("%04d-%02d", rapid.IntRange(1990, 2090).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month")))
		n := rapid.IntRange(-240, 240).Draw(t, "n")
		moved := m.Add(n)
		require.Equal(t, n, moved.Sub(m))
		require.Equal(t, m, moved.Add(-n))
		require.Equal(t, n > 0, m.Before(moved))
		require.Equal(t, n < 0, moved.Before(m))
	})
}

func TestLoadZone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd", "UTC+2"} {
		_, err := period.LoadZone(bad)
		require.Equal(t, "time_zone_unknown", fault.CodeOf(err), bad)
	}
}

// TestSettlementFollowsTheLastMonth: a settlement is billed behind its month and before
// the next one, its text sorts there too, and it comes back from its text.
func TestSettlementFollowsTheLastMonth(t *testing.T) {
	t.Parallel()
	december := month(t, "2026-12")
	s := december.Settlement()
	require.Equal(t, "2026-12-settlement", s.String())
	require.Equal(t, "settlement of the year to December 2026", s.Name())
	require.True(t, s.IsSettlement())
	require.False(t, december.IsSettlement(), "the month itself stays one")
	back, err := period.Parse(s.String())
	require.NoError(t, err)
	require.Equal(t, s, back)
	order := []period.Month{december.Add(-1), december, s, december.Add(1)}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, i < j, a.Before(b), "%s before %s", a, b)
			require.Equal(t, i < j, a.String() < b.String(), "%s before %s", a, b)
		}
	}
	require.Equal(t, december.Add(1), s.Add(1), "a month follows")
	require.Zero(t, s.Sub(december))
	require.Equal(t, december.In(time.UTC), s.In(time.UTC))
	_, err = period.ParseMonth(s.String())
	require.Equal(t, "period_malformed", fault.CodeOf(err))
	_, err = period.ParseMonth("2026-12")
	require.NoError(t, err)
	_, err = period.Parse("2026-12-settled")
	require.Error(t, err)
}
