package accrual_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

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
