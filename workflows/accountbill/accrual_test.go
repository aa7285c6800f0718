package accountbill_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

func accruals(t *testing.T, d *pipelinetest.Deployment, f accrual.Filter) []accrual.Accrual {
	t.Helper()
	f.Scope = access.Everything()
	page, err := d.Accruals().Accruals(t.Context(), f)
	require.NoError(t, err)
	return page.Items
}

// TestRealisedLiesInTheRange: two days before the month's end, and after it, the figures
// are stored; what the invoice comes to lies between low and high, and every accrual shows
// how far off it was. The world was chosen before anybody looked: the fixture's month of
// its first company.
func TestRealisedLiesInTheRange(t *testing.T) {
	t.Parallel()
	d, c, finish := pipelinetest.PartMonth(t, 2)
	kim := access.Operator("kim")
	before, err := d.Accruals().Run(t.Context(), kim, c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.False(t, before.Over, "to date")
	require.Len(t, before.Lines, 3)
	finish()
	d.Fake.ResetRequests()
	night, fresh, err := d.Accruals().Night(t.Context(), accrual.Month{AccountID: c.ID, Period: pipelinetest.Month}, d.Accruals().NightRun())
	require.NoError(t, err)
	require.True(t, fresh && night.Over)
	again, fresh, err := d.Accruals().Night(t.Context(), accrual.Month{AccountID: c.ID, Period: pipelinetest.Month}, d.Accruals().NightRun())
	require.NoError(t, err)
	require.False(t, fresh, "one per month and night")
	require.Equal(t, night, again)
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))
	preview, err := d.Previews().Run(t.Context(), kim, c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.Equal(t, preview.TotalMinor, night.Expected.TotalMinor(), "the real path")
	for _, a := range accruals(t, d, accrual.Filter{History: true}) {
		_, known := a.Within()
		require.False(t, known, "the month is open")
		require.Nil(t, a.OffMinor())
	}

	runBill(t, d, c)
	tie, err := d.Reconcile().TieOut(t.Context(), c.CycleID())
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, tie.State)
	all := accruals(t, d, accrual.Filter{History: true, Closed: "closed"})
	require.Len(t, all, 2)
	require.Empty(t, accruals(t, d, accrual.Filter{Closed: "open"}))
	for i, a := range all {
		require.Equal(t, tie.EngineMinor, *a.RealisedMinor)
		require.Equal(t, tie.EngineMinor-a.Expected.TotalMinor(), *a.OffMinor())
		within, known := a.Within()
		t.Logf("accrual %d as of %s: low %d, expected %d, high %d, realised %d", i, a.AsOf, a.Low.TotalMinor(), a.Expected.TotalMinor(), a.HighMinor, *a.RealisedMinor)
		require.True(t, known && within, "%+v", a)
	}
	require.Len(t, accruals(t, d, accrual.Filter{}), 1, "the newest of the month")

	_, err = d.Accruals().Run(t.Context(), kim, c.ID, pipelinetest.Month)
	require.Equal(t, "accrual_closed", fault.CodeOf(err))
	_, err = d.SQL.Exec(t.Context(), `INSERT INTO accruals SELECT account_id, environment, period, as_of + interval '9 days', 'demand/x', period_start, period_end, time_zone, contract_id, computed_by, over,
		currency, phase, held, low_performance, low_fixed, low_balance, expected_performance, expected_fixed, expected_balance, high, lines, waits_for, input_digest, digest FROM accruals LIMIT 1`)
	require.ErrorContains(t, err, "is frozen")
	_, err = d.SQL.Exec(t.Context(), `UPDATE accruals SET high = high + 1`)
	require.ErrorContains(t, err, "append-only")
}
