package measure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

func quiet(int, int, string) {}

// TestMeasuringAgainChangesNothing: what Collect froze is what every later step
// sees, whatever arrives afterwards, and a repeated estimate has the same cases.
func TestMeasuringAgainChangesNothing(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	ctx, acme := t.Context(), companies[0]
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	s := d.Measure()

	_, err = s.Open(ctx, acme.ID, m.Add(1), "by-hand")
	require.Equal(t, "period_not_settled", fault.CodeOf(err), "a month that is not over cannot be billed")
	opened, err := s.Open(ctx, acme.ID, m, "by-hand")
	require.NoError(t, err)
	require.Equal(t, acme.CycleID(), opened.CycleID)
	_, err = s.Estimate(ctx, opened.CycleID, quiet)
	require.Equal(t, "not_collected", fault.CodeOf(err))

	first, err := s.Collect(ctx, opened.CycleID, quiet)
	require.NoError(t, err)
	require.Equal(t, billing.Computing, first.State)
	require.Positive(t, first.Units)
	frozen, err := d.DB.NewCycles().Cycle(ctx, opened.CycleID)
	require.NoError(t, err)

	require.NoError(t, d.Fake.Advance(40*24*time.Hour)) // renewals, refunds: a month of other news
	_, err = s.Collect(ctx, opened.CycleID, quiet)
	require.NoError(t, err)
	again, err := d.DB.NewCycles().Cycle(ctx, opened.CycleID)
	require.NoError(t, err)
	require.Equal(t, frozen.Watermark, again.Watermark)

	estimated, err := s.Estimate(ctx, opened.CycleID, quiet)
	require.NoError(t, err)
	require.Len(t, estimated.Cases, 4, "three snapshots and the pool")
	require.Equal(t, 1, estimated.Passed)
	require.Equal(t, 2, estimated.Withheld)
	requirePartsGiveTheSameCases(t, d, opened.CycleID, estimated.Cases)
	requireTamperingIsNoticed(t, d, s, opened.CycleID)
}

// requirePartsGiveTheSameCases cuts the units into 1, 7 and 64 parts, reads some of them
// twice and leaves some out: the cases stay, and nothing is kept behind them.
func requirePartsGiveTheSameCases(t *testing.T, d *pipelinetest.Deployment, cycleID string, cases []string) {
	t.Helper()
	kept := func() (n int) {
		require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT count(*) FROM cycle_moments WHERE cycle_id = $1`, cycleID).Scan(&n))
		return n
	}
	for _, parts := range []int{1, 7, 64} {
		s := d.Measure()
		s.PartitionUnits = 100
		for part := parts - 1; part >= 0; part-- {
			if parts > 1 && part == 1 {
				continue
			}
			_, err := s.Accumulate(t.Context(), cycleID, part, parts, quiet)
			require.NoError(t, err)
		}
		_, err := s.Accumulate(t.Context(), cycleID, 0, parts, quiet)
		require.NoError(t, err)
		require.Positive(t, kept())
		again, err := s.Estimate(t.Context(), cycleID, quiet)
		require.NoError(t, err)
		require.Equal(t, cases, again.Cases, "%d parts", parts)
		require.Zero(t, kept())
		for _, bad := range [][2]int{{-1, 4}, {4, 4}, {0, 0}} {
			_, err := s.Accumulate(t.Context(), cycleID, bad[0], bad[1], quiet)
			require.Equal(t, "partition_range", fault.CodeOf(err))
		}
	}
}

// requireTamperingIsNoticed changes one unit's revenue in the frozen table by a cent.
func requireTamperingIsNoticed(t *testing.T, d *pipelinetest.Deployment, s *measure.Service, cycleID string) {
	t.Helper()
	tag, err := d.SQL.Exec(t.Context(), `UPDATE cycle_units SET y_minor = y_minor + 1 WHERE (cycle_id, snapshot_id, unit_id) =
		(SELECT cycle_id, snapshot_id, unit_id FROM cycle_units WHERE cycle_id = $1 AND y_minor > 0 ORDER BY 2, 3 LIMIT 1)`, cycleID)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	_, err = s.Estimate(t.Context(), cycleID, quiet)
	require.Equal(t, "unit_table_changed", fault.CodeOf(err))
}

// TestCollectNoticesWhatStripeHasAndWeHaveNot: revenue that never arrived here
// differs from Stripe's own lists, and nothing is billed on it.
func TestCollectNoticesWhatStripeHasAndWeHaveNot(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	acme := companies[0]
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	tag, err := d.SQL.Exec(t.Context(), `DELETE FROM event_processing p USING stripe_events e
		WHERE p.connection_id = $1 AND e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
		AND e.type IN ('invoice.paid', 'invoice.payment_succeeded') AND e.created BETWEEN '2026-10-16' AND '2026-10-20'`, acme.ID+"-stripe")
	require.NoError(t, err)
	require.Positive(t, tag.RowsAffected())
	s := d.Measure()
	opened, err := s.Open(t.Context(), acme.ID, m, "by-hand")
	require.NoError(t, err)
	_, err = s.Collect(t.Context(), opened.CycleID, quiet)
	require.NoError(t, err)
	out, err := s.Estimate(t.Context(), opened.CycleID, quiet)
	require.NoError(t, err)
	require.Zero(t, out.Passed)
	var headline string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT headline FROM readouts WHERE cycle_id = $1 AND snapshot_id = $2`, opened.CycleID, pipelinetest.Positive).Scan(&headline))
	require.Equal(t, string(lift.CodeReconMismatch), headline)
}
