package reconcile

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// RegisterLedger registers the workflows and the questions which months are due.
func RegisterLedger(r worker.Registry, a *Activities) {
	r.RegisterWorkflowWithOptions(Night, workflow.RegisterOptions{Name: wire.WorkflowReconNight})
	r.RegisterWorkflowWithOptions(Month, workflow.RegisterOptions{Name: wire.WorkflowReconMonth})
	r.RegisterActivityWithOptions(a.ListRecon, activity.RegisterOptions{Name: wire.ActivityListRecon})
	r.RegisterActivityWithOptions(a.ListAccruals, activity.RegisterOptions{Name: wire.ActivityListAccruals})
}

// RegisterSource registers the activities that read from Stripe.
func RegisterSource(r worker.Registry, a *Activities) {
	r.RegisterActivityWithOptions(a.ReconcileMonth, activity.RegisterOptions{Name: wire.ActivityReconcileMonth})
	r.RegisterActivityWithOptions(a.AccrueMonth, activity.RegisterOptions{Name: wire.ActivityAccrueMonth})
}
