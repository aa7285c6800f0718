package pipelinetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/period"
)

// Reconciler compares the ledger with Stripe.
func (d *Deployment) Reconciler() *reconcile.Reconciler {
	return &reconcile.Reconciler{
		Stripe: stripeapi.NewSourceReader(d.stripe), Ledger: d.DB.NewRecon(), Closes: d.DB.NewRecon(), Fetch: d.fetch, Clock: d.Clock, Log: slog.New(slog.DiscardHandler),
	}
}

// fetch asks Stripe for all events of a source.
func (d *Deployment) fetch(ctx context.Context, connectionID string) error {
	out, err := d.Sources().Fetch(ctx, connectionID)
	if err == nil && out.Failed.Code != "" {
		err = errors.New(out.Failed.Message)
	}
	return err
}

// BillMonth takes the company's month from its facts to its invoice, step by step and
// without a workflow. What waits for a person is approved.
func (d *Deployment) BillMonth(t testing.TB, c *Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	quiet := func(int, int, string) {}
	service, inv := d.Measure(), d.Invoicing()
	_, err = service.Open(t.Context(), c.ID, m, "wf")
	require.NoError(t, err)
	_, err = service.Collect(t.Context(), c.CycleID(), quiet)
	require.NoError(t, err)
	_, err = service.Estimate(t.Context(), c.CycleID(), quiet)
	require.NoError(t, err)
	_, err = inv.Draft(t.Context(), c.CycleID())
	require.NoError(t, err)
	if c.Environment != account.Live {
		return
	}
	d.Approve(t, c.CycleID())
	for _, step := range []func(context.Context, string) (invoicing.Outcome, error){inv.Draft, inv.EnsureDraft, inv.EnsureLines, inv.Finalize} {
		_, err := step(t.Context(), c.CycleID())
		require.NoError(t, err)
	}
}
