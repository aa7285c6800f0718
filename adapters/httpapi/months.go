package httpapi

import (
	"context"
	"errors"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// GetMonth tells how a month stands as a whole.
func (s *Server) GetMonth(ctx context.Context, r GetMonthRequestObject) (GetMonthResponseObject, error) {
	m, err := s.Breaks.MonthStatus(ctx, r.Account, r.Period)
	return GetMonth200JSONResponse(toMonth(m)), err
}

// CloseMonth closes a month.
func (s *Server) CloseMonth(ctx context.Context, r CloseMonthRequestObject) (CloseMonthResponseObject, error) {
	if err := s.Breaks.Close(ctx, access.From(ctx).Principal, r.Account, r.Period); err != nil {
		return nil, err
	}
	m, err := s.Breaks.MonthStatus(ctx, r.Account, r.Period)
	return CloseMonth200JSONResponse(toMonth(m)), err
}

// ReopenMonth opens a closed month again.
func (s *Server) ReopenMonth(ctx context.Context, r ReopenMonthRequestObject) (ReopenMonthResponseObject, error) {
	if err := s.Breaks.ReopenMonth(ctx, access.From(ctx).Principal, r.Account, r.Period, r.Body.Reason); err != nil {
		return nil, err
	}
	m, err := s.Breaks.MonthStatus(ctx, r.Account, r.Period)
	return ReopenMonth200JSONResponse(toMonth(m)), err
}

func toMonth(m reconcile.MonthStatus) Month {
	out := Month{
		AccountID: m.AccountID, Environment: Environment(m.Environment), Period: m.Period, State: MonthState(m.State()), CycleState: m.CycleState, Ties: m.RunID != 0 && m.TieOut.Ties(),
		Blocking: len(m.Blocking()), RunID: m.RunID, ComparedAt: m.ComparedAt,
		History: convertAll(m.Closings, func(c recon.Closing) MonthChange {
			return MonthChange{Action: MonthChangeAction(c.Action), Actor: c.Actor.ID, Reason: c.Reason, RunID: c.RunID, At: c.At}
		}),
	}
	var e *fault.Error
	if errors.As(m.Obstacle, &e) {
		out.Obstacle = MonthObstacle{Code: e.Code, Detail: e.Msg, Remedy: e.Remedy}
	}
	return out
}
