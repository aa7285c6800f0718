package assembly

import (
	"context"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/domain/access"
)

// Accruals wires the figures of open months to previews of their cycles.
func Accruals(db *postgres.DB, clk clock.Clock, previews *preview.Service) *accrual.Service {
	return &accrual.Service{
		Ledger: db.NewAccruals(), Clock: clk,
		Compute: func(ctx context.Context, by access.Principal, accountID, month string) (accrual.Figures, error) {
			p, err := previews.Run(ctx, by, accountID, month)
			return accrual.Figures{
				Environment: p.Environment, AsOf: p.AsOf, Over: p.Over, Frozen: p.Frozen, Contract: p.Contract, Interval: p.Interval, Accrual: p.Accrual,
				WaitsFor: p.WaitsFor, InputDigest: p.InputDigest, Digest: p.Digest,
			}, err
		},
	}
}
