package billingtick

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// Register registers the workflow and its activities.
func Register(r worker.Registry, a *Activities) {
	r.RegisterWorkflowWithOptions(Workflow, workflow.RegisterOptions{Name: wire.WorkflowBillingTick})
	r.RegisterActivityWithOptions(a.PlanDue, activity.RegisterOptions{Name: wire.ActivityPlanDue})
	r.RegisterActivityWithOptions(a.StartCycle, activity.RegisterOptions{Name: wire.ActivityStartCycle})
}
