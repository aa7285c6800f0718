package billingcycle

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// Register registers the workflow and its activities.
func Register(r worker.Registry, a *Activities) {
	r.RegisterWorkflowWithOptions(Workflow, workflow.RegisterOptions{Name: wire.WorkflowBillingCycle})
	r.RegisterActivityWithOptions(a.ListAccounts, activity.RegisterOptions{Name: wire.ActivityListAccounts})
	r.RegisterActivityWithOptions(a.CycleCounts, activity.RegisterOptions{Name: wire.ActivityCycleCounts})
}
