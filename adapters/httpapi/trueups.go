package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/trueups"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Closings looks at contracts that have ended; *trueups.Service is it.
type Closings interface {
	Outstanding(ctx context.Context, by domain.Principal, accountID string) (trueups.Outstanding, error)
	Close(ctx context.Context, by domain.Principal, accountID, reason string) ([]trueups.Credit, error)
}

// GetTrueUps says what came after the last settlement of a contract that has ended.
func (s *Server) GetTrueUps(ctx context.Context, r GetTrueUpsRequestObject) (GetTrueUpsResponseObject, error) {
	o, err := s.TrueUps.Outstanding(ctx, access.From(ctx).Principal, r.Account)
	if err != nil {
		return nil, err
	}
	return GetTrueUps200JSONResponse{
		AccountID: o.AccountID, AccountName: o.AccountName, Environment: Environment(o.Environment), SettlementCycle: o.SettlementCycle, Open: o.Open, Until: o.Until,
		State: string(o.State), Reason: o.Reason, Due: toMoney(o.DueMinor, o.Currency), NextAction: o.NextAction(),
		Lines: convertAll(o.Lines, func(l trueups.Line) TrueUpLine {
			return TrueUpLine{
				Origin: l.Origin.String(), SnapshotID: l.SnapshotID, Cause: string(l.Cause), Events: l.Facts,
				Revenue: toMoney(l.RevenueMinor, o.Currency), Amount: toMoney(l.AmountMinor, o.Currency),
			}
		}),
	}, nil
}

// ProposeTrueUps proposes what is due as credits.
func (s *Server) ProposeTrueUps(ctx context.Context, r ProposeTrueUpsRequestObject) (ProposeTrueUpsResponseObject, error) {
	credits, err := s.TrueUps.Close(ctx, access.From(ctx).Principal, r.Account, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return ProposeTrueUps200JSONResponse{AccountID: r.Account, Items: convertAll(credits, func(c trueups.Credit) TrueUpCredit {
		return TrueUpCredit{CorrectionID: c.CorrectionID, CycleID: c.CycleID, Line: c.Line, Kind: string(c.Kind), Amount: toMoney(c.AmountMinor, c.Currency)}
	})}, nil
}
