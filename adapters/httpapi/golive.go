package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/domain/billing"
)

// GetGoLive judges the checklist of an account.
func (s *Server) GetGoLive(ctx context.Context, r GetGoLiveRequestObject) (GetGoLiveResponseObject, error) {
	st, err := s.GoLive.Status(ctx, access.From(ctx).Principal, r.Account)
	if err != nil {
		return nil, err
	}
	return GetGoLive200JSONResponse(toGoLive(st)), nil
}

// ChangeGoLive opens or closes the writing of an account's invoices.
func (s *Server) ChangeGoLive(ctx context.Context, r ChangeGoLiveRequestObject) (ChangeGoLiveResponseObject, error) {
	by := access.From(ctx).Principal
	var st golive.Status
	var err error
	if r.Body.Open {
		st, err = s.GoLive.Open(ctx, by, golive.Opening{AccountID: r.Account, Reason: r.Body.Reason, Override: r.Body.Override})
	} else {
		st, err = s.GoLive.Close(ctx, by, r.Account, r.Body.Reason)
	}
	if err != nil {
		return nil, err
	}
	return ChangeGoLive200JSONResponse(toGoLive(st)), nil
}

func toGoLive(st golive.Status) GoLiveStatus {
	return GoLiveStatus{
		AccountID: st.Account.ID, Open: st.Switch.Open, Basis: string(st.Switch.Basis), Reason: st.Switch.Reason,
		ChangedBy: st.Switch.ChangedBy, ChangedAt: st.Switch.ChangedAt,
		Checklist: convertAll(st.Checklist, func(i billing.ChecklistItem) ChecklistItem {
			return ChecklistItem{Code: i.Code, Met: i.Met, Detail: i.Detail, Next: i.Next}
		}),
	}
}
