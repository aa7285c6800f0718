package pipelinetest

import (
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/internal/assembly"
)

// Previews computes what cycles would come to, wired as in the program.
func (d *Deployment) Previews() *preview.Service {
	return assembly.Previews(d.DB, d.Clock, d.Measure(), d.Invoicing(), d.TrueUps(), d.Reconcile())
}

// Accruals keeps the figures of open months, wired as in the program.
func (d *Deployment) Accruals() *accrual.Service {
	return assembly.Accruals(d.DB, d.Clock, d.Previews())
}
