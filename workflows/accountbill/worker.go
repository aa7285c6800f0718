package accountbill

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// RegisterLedger registers the workflow and its short activities.
func RegisterLedger(r worker.Registry, a *LedgerActivities) {
	r.RegisterWorkflowWithOptions(Workflow, workflow.RegisterOptions{Name: wire.WorkflowAccountBill})
	r.RegisterActivityWithOptions(a.OpenBill, activity.RegisterOptions{Name: wire.ActivityOpenBill})
	r.RegisterActivityWithOptions(a.Propose, activity.RegisterOptions{Name: wire.ActivityPropose})
	r.RegisterActivityWithOptions(a.ReviewApproval, activity.RegisterOptions{Name: wire.ActivityReviewApproval})
	r.RegisterActivityWithOptions(a.ApplyDecision, activity.RegisterOptions{Name: wire.ActivityApplyDecision})
}

// RegisterCompute registers the long activities.
func RegisterCompute(r worker.Registry, a *ComputeActivities) {
	r.RegisterActivityWithOptions(a.CollectRewards, activity.RegisterOptions{Name: wire.ActivityCollectRewards})
	r.RegisterActivityWithOptions(a.AccumulateMoments, activity.RegisterOptions{Name: wire.ActivityAccumulate})
	r.RegisterActivityWithOptions(a.ComputeReadouts, activity.RegisterOptions{Name: wire.ActivityComputeReadouts})
	r.RegisterActivityWithOptions(a.BookTrueUps, activity.RegisterOptions{Name: wire.ActivityTrueUps})
}

// RegisterStripeLive registers the activities that write to Stripe. Only a worker
// that holds live keys may call it, on the live queue.
func RegisterStripeLive(r worker.Registry, a *StripeActivities) {
	r.RegisterActivityWithOptions(a.EnsurePayer, activity.RegisterOptions{Name: wire.ActivityEnsurePayer})
	r.RegisterActivityWithOptions(a.EnsureDraft, activity.RegisterOptions{Name: wire.ActivityEnsureDraft})
	r.RegisterActivityWithOptions(a.EnsureLines, activity.RegisterOptions{Name: wire.ActivityEnsureLines})
	r.RegisterActivityWithOptions(a.DiscardDraft, activity.RegisterOptions{Name: wire.ActivityDiscardDraft})
	r.RegisterActivityWithOptions(a.FinalizeInvoice, activity.RegisterOptions{Name: wire.ActivityFinalizeInvoice})
}
