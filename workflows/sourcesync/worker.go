package sourcesync

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// RegisterLedger registers the workflows and their short activities.
func RegisterLedger(r worker.Registry, a *LedgerActivities) {
	r.RegisterWorkflowWithOptions(Tick, workflow.RegisterOptions{Name: wire.WorkflowSourceTick})
	r.RegisterWorkflowWithOptions(Backfill, workflow.RegisterOptions{Name: wire.WorkflowSourceBackfill})
	r.RegisterActivityWithOptions(a.ListSources, activity.RegisterOptions{Name: wire.ActivityListSources})
	r.RegisterActivityWithOptions(a.StartBackfill, activity.RegisterOptions{Name: wire.ActivityStartBackfill})
}

// RegisterSource registers the activities that read from Stripe.
func RegisterSource(r worker.Registry, a *SourceActivities) {
	r.RegisterActivityWithOptions(a.SyncSource, activity.RegisterOptions{Name: wire.ActivitySyncSource})
	r.RegisterActivityWithOptions(a.BackfillStep, activity.RegisterOptions{Name: wire.ActivityBackfillStep})
	r.RegisterActivityWithOptions(a.AbandonBackfill, activity.RegisterOptions{Name: wire.ActivityAbandonBackfill})
}
