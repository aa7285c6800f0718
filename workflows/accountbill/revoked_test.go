package accountbill_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// stopped runs the workflow and returns the error that it ended with.
func stopped(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) string {
	t.Helper()
	env := registered(d)
	env.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: c.Environment, AccountID: c.ID, Period: pipelinetest.Month})
	require.True(t, env.IsWorkflowCompleted())
	require.Error(t, env.GetWorkflowError())
	return env.GetWorkflowError().Error()
}

func connectionOf(t *testing.T, d *pipelinetest.Deployment, id string) httpapi.Connection {
	t.Helper()
	var list httpapi.ConnectionList
	d.Get(t, "/v1/connections", &list)
	for _, c := range list.Items {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no connection %s", id)
	return httpapi.Connection{}
}

// revoke makes a connection's key useless and returns one to replace it with.
func revoke(t *testing.T, d *pipelinetest.Deployment, connectionID, stripeAccount string, permissions map[string]string) string {
	t.Helper()
	sealed, err := d.DB.SealedConnection(t.Context(), connectionID)
	require.NoError(t, err)
	key, err := d.Box.Open("connection-key:"+connectionID, sealed.SealedKey)
	require.NoError(t, err)
	require.NoError(t, d.Fake.RevokeKey(string(key)))
	next, err := d.Fake.AddKey(stripefake.KeySpec{Account: stripeAccount, Mode: "live", Restricted: true, Permissions: permissions})
	require.NoError(t, err)
	return next.Secret
}

// A key that is revoked in the middle of a cycle pauses its connection with the reason, and
// leaves no partial invoice: before the collection none at all, during the write-back a
// draft that nobody was charged by. With another key the cycle ends in one invoice.
func TestARevokedKeyLeavesNoPartialInvoice(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	acme, borealis := companies[0], companies[1]

	next := revoke(t, d, "acme-stripe", acme.StripeID, map[string]string{"*": "write"})
	require.Contains(t, stopped(t, d, acme), "stripe_auth")
	conn := connectionOf(t, d, "acme-stripe")
	require.Equal(t, []any{true, "key_revoked", "liftbill"}, []any{conn.Paused, conn.PausedReason, conn.PausedBy})
	require.Contains(t, stopped(t, d, acme), "connection_paused", "another run says why and asks Stripe nothing")
	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+acme.CycleID(), &tie)
	require.Equal(t, "collecting", tie.Cycle.State)
	require.Equal(t, "source_paused", tie.Warnings[0].Code)
	require.Empty(t, outcomeInvoices(t, d, acme))
	d.Post(t, "/v1/connections/acme-stripe/key", httpapi.KeyReplace{SecretKey: next}, nil)
	require.False(t, connectionOf(t, d, "acme-stripe").Paused)
	requireInvoice(t, d, acme, runBill(t, d, acme))

	// The vendor's key goes when the draft is there.
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	quiet := func(int, int, string) {}
	_, err = d.Measure().Open(t.Context(), borealis.ID, m, "wf")
	require.NoError(t, err)
	_, err = d.Measure().Collect(t.Context(), borealis.CycleID(), quiet)
	require.NoError(t, err)
	_, err = d.Measure().Estimate(t.Context(), borealis.CycleID(), quiet)
	require.NoError(t, err)
	out, err := d.Invoicing().Draft(t.Context(), borealis.CycleID())
	require.NoError(t, err)
	require.Equal(t, billing.AwaitingApproval, out.State)
	d.Approve(t, borealis.CycleID())
	_, err = d.Invoicing().Draft(t.Context(), borealis.CycleID())
	require.NoError(t, err)
	_, err = d.Invoicing().EnsureDraft(t.Context(), borealis.CycleID())
	require.NoError(t, err)
	next = revoke(t, d, "vendor-issuer", borealis.IssuerID, map[string]string{"*": "read", "invoice": "write", "invoiceitem": "write", "credit_note": "write"})
	waits := runBill(t, d, borealis)
	require.Equal(t, []any{billing.Blocked, billing.UnmetIssuerKeyRefused}, []any{waits.State, waits.Reason})
	require.Equal(t, "key_revoked", connectionOf(t, d, "vendor-issuer").PausedReason)
	invoices := outcomeInvoices(t, d, borealis)
	require.Len(t, invoices, 1)
	require.Equal(t, "draft", invoices[0].Status)
	d.Post(t, "/v1/connections/vendor-issuer/key", httpapi.KeyReplace{SecretKey: next}, nil)
	requireInvoice(t, d, borealis, runBill(t, d, borealis))
}
