package accountbill

import (
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// changeTrueUps marks the runs that look at settled years before they price.
const changeTrueUps = "true-ups"

// trueUp looks again at the contract years that were settled before. A run that began before
// there was such a step goes on without it; the next cycle finds what came.
func (b *bill) trueUp(ctx workflow.Context) error {
	if workflow.GetVersion(ctx, changeTrueUps, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	opts := computeOptions(ctx, "Look again at settled years: refunds, disputes and late events")
	return b.do(ctx, opts, wire.ActivityTrueUps, "looking again at settled years")
}
