package accrual_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/wire"
)

// bill runs the month's workflow to its end.
func bill(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.SetTestTimeout(time.Minute)
	measure, inv := d.Measure(), d.Invoicing()
	accountbill.RegisterLedger(env, &accountbill.LedgerActivities{Measure: measure, Drafting: inv, Deciding: d.Deciding()})
	accountbill.RegisterCompute(env, &accountbill.ComputeActivities{Measure: measure})
	accountbill.RegisterStripeLive(env, &accountbill.StripeActivities{Writing: inv})
	env.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: c.Environment, AccountID: c.ID, Period: pipelinetest.Month})
	require.NoError(t, env.GetWorkflowError())
}

func list(t *testing.T, d *pipelinetest.Deployment, f accrual.Filter) []accrual.Accrual {
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
	for _, a := range list(t, d, accrual.Filter{History: true}) {
		_, known := a.Within()
		require.False(t, known, "the month is open")
		require.Nil(t, a.OffMinor())
	}

	bill(t, d, c)
	tie, err := d.Reconcile().TieOut(t.Context(), c.CycleID())
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, tie.State)
	all := list(t, d, accrual.Filter{History: true, Closed: "closed"})
	require.Len(t, all, 2)
	require.Empty(t, list(t, d, accrual.Filter{Closed: "open"}))
	for i, a := range all {
		require.Equal(t, tie.EngineMinor, *a.RealisedMinor)
		require.Equal(t, tie.EngineMinor-a.Expected.TotalMinor(), *a.OffMinor())
		within, known := a.Within()
		t.Logf("accrual %d as of %s: low %d, expected %d, high %d, realised %d", i, a.AsOf, a.Low.TotalMinor(), a.Expected.TotalMinor(), a.HighMinor, *a.RealisedMinor)
		require.True(t, known && within, "%+v", a)
	}
	require.Len(t, list(t, d, accrual.Filter{}), 1, "the newest of the month")

	_, err = d.Accruals().Run(t.Context(), kim, c.ID, pipelinetest.Month)
	require.Equal(t, "accrual_closed", fault.CodeOf(err))
	_, err = d.SQL.Exec(t.Context(), `INSERT INTO accruals SELECT account_id, environment, period, as_of + interval '9 days', 'demand/x', period_start, period_end, time_zone, contract_id, computed_by, over,
		currency, phase, held, low_performance, low_fixed, low_balance, expected_performance, expected_fixed, expected_balance, high, lines, waits_for, input_digest, digest FROM accruals LIMIT 1`)
	require.ErrorContains(t, err, "is frozen")
	_, err = d.SQL.Exec(t.Context(), `UPDATE accruals SET high = high + 1`)
	require.ErrorContains(t, err, "append-only")
}

// TestOpenMonths: every month that has begun and is not frozen is computed, whether or not
// it has a cycle; who may not run cycles computes none, and what a person asked for stands
// in the audit log.
func TestOpenMonths(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ApprovalMonth(t)
	open, err := d.Accruals().Open(t.Context(), account.Live, accrual.Month{}, 10)
	require.NoError(t, err)
	require.Equal(t, []accrual.Month{{AccountID: c.ID, Period: "2026-10"}, {AccountID: c.ID, Period: "2026-11"}}, open)
	open, err = d.Accruals().Open(t.Context(), account.Live, open[0], 10)
	require.NoError(t, err)
	require.Len(t, open, 1)
	open, err = d.Accruals().Open(t.Context(), account.Test, accrual.Month{}, 10)
	require.NoError(t, err)
	require.Empty(t, open)

	got, err := d.Accruals().Run(t.Context(), access.Operator("kim"), c.ID, "2026-11")
	require.NoError(t, err)
	require.Equal(t, []string{"acme.2026-10"}, got.WaitsFor)
	entries, err := (&audit.Service{Reader: d.DB.AuditReader()}).Entries(t.Context(), audit.Filter{Scope: access.Everything(), Action: "accrual.computed"})
	require.NoError(t, err)
	require.Len(t, entries.Items, 1)
	require.Equal(t, "acme.2026-11", entries.Items[0].ObjectID)

	_, err = d.Accruals().Run(t.Context(), access.Operator("kim"), "nobody", "2026-11")
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = d.Accruals().Run(t.Context(), access.Operator("kim"), c.ID, "11/2026")
	require.True(t, fault.Is(err, fault.Invalid))
	for _, p := range []access.Principal{
		{Kind: access.User, ID: "v", Roles: access.Roles{access.Viewer}, Scope: access.Everything()},
		{Kind: access.User, ID: "f", Roles: access.Roles{access.Finance}, Scope: access.Scope{Environments: []account.Environment{account.Test}, AllAccounts: true}},
	} {
		_, err = d.Accruals().Run(t.Context(), p, c.ID, "2026-11")
		require.Error(t, err)
		page, err := d.Accruals().Accruals(t.Context(), accrual.Filter{Scope: p.Scope})
		require.NoError(t, err)
		require.Len(t, page.Items, map[string]int{"v": 1, "f": 0}[p.ID])
	}
	for field, f := range map[string]accrual.Filter{"cursor": {Cursor: "x~y"}, "limit": {Limit: 501}, "closed": {Closed: "maybe"}, "environment": {Environment: "prod"}} {
		_, err := d.Accruals().Accruals(t.Context(), f)
		require.True(t, fault.Is(err, fault.Invalid), field)
	}
}
