package pipelinetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/internal/campaign"
)

// Drive carries a bill out as the workflow does, with a new process for every retry.
// between, which may be nil, happens before a retry, beside the back-off.
func (b *Bill) Drive(t testing.TB, between func()) (invoicing.Outcome, error) {
	t.Helper()
	return b.DriveAs(t.Context(), t, func() *invoicing.Service { return b.NewProcess(t) }, between)
}

// DriveAs is Drive with the processes that make gives.
func (b *Bill) DriveAs(ctx context.Context, t testing.TB, make func() *invoicing.Service, between func()) (invoicing.Outcome, error) {
	t.Helper()
	return campaign.Driver{Process: make, Pause: func(d time.Duration) {
		require.NoError(t, b.Fake.Advance(d))
		if between != nil {
			between()
		}
	}}.Drive(ctx, b.Plan.CycleID)
}
