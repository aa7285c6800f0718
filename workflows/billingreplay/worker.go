package billingreplay

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// RegisterWorkflow registers the workflow.
func RegisterWorkflow(r worker.Registry) {
	r.RegisterWorkflowWithOptions(Workflow, workflow.RegisterOptions{Name: wire.WorkflowBillingReplay})
}

// RegisterCompute registers the long activity.
func RegisterCompute(r worker.Registry, a *Activities) {
	r.RegisterActivityWithOptions(a.ReplayMonth, activity.RegisterOptions{Name: wire.ActivityReplayMonth})
}
