package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
)

// TestFireTime: 06:00 local on the first day on which the lag is over, in winter and
// in summer, and in the month after for lags that are longer than a month.
func TestFireTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		month, zone string
		lag         int
		want        string
	}{
		{"2026-10", "UTC", 3, "2026-11-04T06:00:00Z"},
		{"2026-02", "America/New_York", 3, "2026-03-04T11:00:00Z"},
		{"2026-03", "America/New_York", 3, "2026-04-04T10:00:00Z"},
		{"2026-10", "Europe/Berlin", 5, "2026-11-06T05:00:00Z"},
		{"2026-12", "Pacific/Auckland", 3, "2027-01-03T17:00:00Z"},
		{"2026-01", "UTC", 28, "2026-03-28T06:00:00Z"},
		{"2026-01", "UTC", 60, "2026-04-28T06:00:00Z"},
	} {
		zone, err := period.LoadZone(c.zone)
		require.NoError(t, err)
		m, err := period.Parse(c.month)
		require.NoError(t, err)
		end := m.In(zone).End
		got := scheduler.FireTime(billing.Calendar{TimeZone: c.zone, CloseLagDays: c.lag}, end, zone)
		require.Equal(t, c.want, got.Format(time.RFC3339), "%+v", c)
		require.False(t, got.Before(end.AddDate(0, 0, c.lag)))
	}
}
