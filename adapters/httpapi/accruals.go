package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/accrual"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
)

// Accruals keeps the figures of open months; *accrual.Service is it.
type Accruals interface {
	Accruals(ctx context.Context, f accrual.Filter) (accrual.Page, error)
	Run(ctx context.Context, by domain.Principal, accountID, month string) (accrual.Accrual, error)
}

// ListAccruals lists what open months were expected to come to.
func (s *Server) ListAccruals(ctx context.Context, r ListAccrualsRequestObject) (ListAccrualsResponseObject, error) {
	page, err := s.Accruals.Accruals(ctx, accrual.Filter{
		Scope: access.From(ctx).Scope, AccountID: r.Params.Account, Period: r.Params.Period, Environment: r.Params.Environment, Closed: r.Params.Closed,
		History: r.Params.History, Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListAccruals200JSONResponse{Items: convertAll(page.Items, toAccrual), NextCursor: page.NextCursor}, nil
}

// ComputeAccrual stores what a month comes to now.
func (s *Server) ComputeAccrual(ctx context.Context, r ComputeAccrualRequestObject) (ComputeAccrualResponseObject, error) {
	a, err := s.Accruals.Run(ctx, access.From(ctx).Principal, r.Account, r.Body.Period)
	if err != nil {
		return nil, err
	}
	return ComputeAccrual201JSONResponse(toAccrual(a)), nil
}

func toAccrual(a accrual.Accrual) Accrual {
	currency := string(a.Currency)
	within, _ := a.Within()
	out := Accrual{
		CycleID: a.CycleID(), AccountID: a.AccountID, Environment: Environment(a.Environment), Period: a.Period, AsOf: a.AsOf, Run: a.Run, ComputedBy: a.By, Over: a.Over,
		Phase: string(a.Phase), Held: string(a.Held), Low: toMoney(a.Low.TotalMinor(), currency), Expected: toMoney(a.Expected.TotalMinor(), currency), High: toMoney(a.HighMinor, currency),
		WaitsFor: append([]string{}, a.WaitsFor...), InputDigest: a.InputDigest, Digest: a.Digest, State: string(a.State), Within: within,
		Lines: convertAll(a.Lines, func(l billing.AccruedLine) AccrualLine {
			return AccrualLine{
				SnapshotID: l.SnapshotID, Passed: l.Passed, Reason: string(l.Reason), HasEstimate: l.HasEstimate, Measured: toMoney(l.PointMinor, currency), Bound: toMoney(l.BoundMinor, currency),
				Upper: toMoney(l.UpperMinor, currency), Mark: toMoney(l.MarkMinor, currency), Headroom: toMoney(l.HeadroomMinor, currency),
				Low: toMoney(l.LowMinor, currency), Expected: toMoney(l.ExpectedMinor, currency), High: toMoney(l.HighMinor, currency),
			}
		}),
	}
	if a.RealisedMinor != nil {
		out.Realised, out.Off = toMoney(*a.RealisedMinor, currency), toMoney(*a.OffMinor(), currency)
	}
	return out
}
