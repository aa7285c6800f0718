package preview_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

func silent(int, int, string) {}

func run(t *testing.T, d *pipelinetest.Deployment, month string) preview.Preview {
	t.Helper()
	p, err := d.Previews().Run(t.Context(), access.Operator("kim"), "acme", month)
	require.NoError(t, err)
	return p
}

// TestPreviewIsTheCycle: a preview takes the cycle's path and stores nothing; on the same
// data it has the cycle's digests, and afterwards it says what changed.
func TestPreviewIsTheCycle(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ApprovalMonth(t)
	d.Fake.ResetRequests()
	before := run(t, d, pipelinetest.Month)
	require.True(t, before.Over && before.Settled)
	require.Nil(t, before.Compared)
	require.Equal(t, "awaiting_approval", string(before.State))
	require.Positive(t, before.TotalMinor)
	var rows int
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM cycles) + (SELECT count(*) FROM cycle_inputs) + (SELECT count(*) FROM readouts)
		+ (SELECT count(*) FROM invoices) + (SELECT count(*) FROM fact_links) + (SELECT count(*) FROM cycle_units)`).Scan(&rows))
	require.Zero(t, rows, "a preview stores nothing")
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))

	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	measure := d.Measure()
	_, err = measure.Open(t.Context(), c.ID, m, "")
	require.NoError(t, err)
	_, err = measure.Collect(t.Context(), c.CycleID(), silent)
	require.NoError(t, err)
	_, err = measure.Estimate(t.Context(), c.CycleID(), silent)
	require.NoError(t, err)
	_, err = d.Invoicing().Draft(t.Context(), c.CycleID())
	require.NoError(t, err)

	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
	require.Equal(t, tie.InputDigest, before.InputDigest)
	require.Equal(t, tie.InvoiceHash, before.InvoiceHash)
	require.Equal(t, tie.Cycle.EngineTotal.Minor, before.TotalMinor)
	require.Len(t, before.Lines, len(tie.Lines))
	for i, l := range tie.Lines {
		require.Equal(t, l.CaseID, before.Lines[i].CaseID)
	}
	after := run(t, d, pipelinetest.Month)
	require.Equal(t, &preview.Comparison{Equal: true, SameInputs: true, SameCases: true, SameInvoice: true, Changes: []preview.Change{}}, after.Compared)
	require.Equal(t, before.Digest, after.Digest)

	require.NoError(t, d.Fake.Advance(time.Hour))
	later := run(t, d, pipelinetest.Month)
	require.Equal(t, before.Digest, later.Digest, "the same data at another moment")
	require.True(t, later.Compared.Equal && later.Compared.SameInputs)
	require.False(t, later.Compared.SameCases, "a case ID hashes the moment, too")

	requireChangesNamed(t, d, c, m, later)
}

// requireChangesNamed: what comes after the cycle's inputs were frozen is said by count
// and amount, in the API as well.
func requireChangesNamed(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company, m period.Month, before preview.Preview) {
	t.Helper()
	row := c.Business.Rows(m)[0]
	row.ID, row.UnitID, row.UserID, row.SequenceNumber = "late", "late-unit", "late-unit", nil
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/acme/decisions", simulator.Log([]decision.Decision{row}), &up)
	require.Equal(t, 1, up.Accepted)
	var customer string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT customer_id FROM reward_events WHERE kind = 'revenue_confirmation' AND amount_minor > 0
		AND customer_id NOT IN (SELECT subject_id FROM mapping_spans WHERE state = 'linked') LIMIT 1`).Scan(&customer))
	d.Post(t, "/v1/connections/acme-stripe/links", httpapi.LinkCreate{CustomerID: customer, UserID: "nobody-decided", Reason: "found in the contract"}, nil)

	var got httpapi.Preview
	d.Post(t, "/v1/accounts/acme/previews", httpapi.CyclePeriod{Period: pipelinetest.Month}, &got)
	require.False(t, got.Compared.Equal)
	require.False(t, got.Compared.SameInputs)
	find := func(what, name string) httpapi.PreviewChange {
		i := slices.IndexFunc(got.Compared.Changes, func(x httpapi.PreviewChange) bool { return x.What == what && x.Name == name })
		require.GreaterOrEqual(t, i, 0, "%s %s in %+v", what, name, got.Compared.Changes)
		return got.Compared.Changes[i]
	}
	line := find("line", row.SnapshotID)
	require.Equal(t, line.CountBefore+1, line.CountAfter)
	from, to := find("bucket", "unmapped"), find("bucket", "no_decision")
	require.Equal(t, from.Before.Minor-from.After.Minor, to.After.Minor-to.Before.Minor, "what left one bucket is in the other")
	require.Positive(t, from.CountBefore-from.CountAfter)

	c2 := preview.Compare(before, run(t, d, pipelinetest.Month))
	require.Len(t, c2.Changes, len(got.Compared.Changes), "two previews are compared as a preview and the cycle are")
}

// TestPreviewOfAnOpenPeriod: the present month can be looked at, and the answer says that
// it is provisional and what it waits for.
func TestPreviewOfAnOpenPeriod(t *testing.T) {
	t.Parallel()
	d, _ := pipelinetest.ApprovalMonth(t)
	p := run(t, d, "2026-11")
	require.False(t, p.Over)
	require.False(t, p.Settled)
	require.Equal(t, []string{"acme.2026-10"}, p.WaitsFor)
	_, err := d.Previews().Run(t.Context(), access.Operator("kim"), "acme", "2026-09")
	require.Equal(t, "period_before_contract", fault.CodeOf(err))
	_, err = d.Previews().Run(t.Context(), access.Operator("kim"), "nobody", "2026-10")
	require.True(t, fault.Is(err, fault.NotFound))
	for _, by := range []access.Principal{
		{Kind: access.User, ID: "v", Roles: access.Roles{access.Viewer}, Scope: access.Everything()},
		{Kind: access.User, ID: "f", Roles: access.Roles{access.Finance}, Scope: access.Scope{Environments: []account.Environment{account.Test}}},
	} {
		_, err = d.Previews().Run(t.Context(), by, "acme", "2026-10")
		require.Error(t, err)
	}
}
