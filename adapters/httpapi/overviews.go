package httpapi

import (
	"context"
	"slices"
	"strings"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// GetConnection reads one connection of the caller's scope.
func (s *Server) GetConnection(ctx context.Context, r GetConnectionRequestObject) (GetConnectionResponseObject, error) {
	all, err := s.Connections.Connections(ctx, access.From(ctx).Scope)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(c account.Connection) bool { return c.ID == r.ID })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", r.ID)
	}
	return GetConnection200JSONResponse(toConnection(all[i])), nil
}

// ListPlans lists the sealed plans of an account.
func (s *Server) ListPlans(ctx context.Context, r ListPlansRequestObject) (ListPlansResponseObject, error) {
	all, err := s.Onboard.SealedPlans(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b onboard.StoredPlan) int { return strings.Compare(a.ID, b.ID) })
	rows, next, err := pageOf(all, func(p onboard.StoredPlan) string { return p.ID }, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListPlans200JSONResponse{Items: []Plan{}, NextCursor: next}
	for _, p := range rows {
		plan, err := toPlan(p)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, plan)
	}
	return out, nil
}

// ListSnapshots lists the snapshots of the caller's scope.
func (s *Server) ListSnapshots(ctx context.Context, r ListSnapshotsRequestObject) (ListSnapshotsResponseObject, error) {
	p := r.Params
	page, err := s.Reconcile.Snapshots(ctx, reconcile.SnapshotsFilter{
		Scope: access.From(ctx).Scope, AccountID: p.Account, Verdict: p.Verdict, Search: p.Q, Sort: string(p.Sort), Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListSnapshots200JSONResponse{Items: convertAll(page.Items, toSnapshot), NextCursor: page.NextCursor}, nil
}

func toSnapshot(n reconcile.Snapshot) SnapshotOverview {
	return SnapshotOverview{
		ID: n.ID, AccountID: n.AccountID, Environment: Environment(n.Environment), Name: n.Name, ShippedAt: n.ShippedAt, RetiredAt: orZero(n.RetiredAt), Readouts: n.Readouts, Period: n.Period,
		CaseID: n.CaseID, Verdict: n.Verdict, HeadlineCode: n.Headline, Billed: toOptional(n.BilledMinor, n.Currency), Fees: toOptional(n.FeeMinor, n.Currency),
	}
}

// ListAdjustments lists what finished months were found to be wrong by.
func (s *Server) ListAdjustments(ctx context.Context, r ListAdjustmentsRequestObject) (ListAdjustmentsResponseObject, error) {
	p := r.Params
	page, err := s.Reconcile.Adjustments(ctx, reconcile.AdjustmentsFilter{
		Scope: access.From(ctx).Scope, AccountID: p.Account, Environment: p.Environment, OriginPeriod: p.OriginPeriod, AppliedPeriod: p.AppliedPeriod,
		Cause: p.Cause, State: p.State, Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListAdjustments200JSONResponse{Items: convertAll(page.Items, toAdjustment), NextCursor: page.NextCursor}, nil
}

func toAdjustment(a reconcile.Adjustment) Adjustment {
	out := Adjustment{
		Key: a.Key, AccountID: a.AccountID, Environment: Environment(a.Environment), OriginCycleID: a.OriginCycle, OriginPeriod: a.OriginPeriod, Line: a.Line,
		Cause: a.Cause, Kind: a.Kind, Reason: a.Reason, ProposedBy: a.By, StripeID: a.StripeID, Facts: a.Facts, Revenue: toOptional(a.RevenueMinor, a.Currency), Lift: toOptional(a.LiftMinor, a.Currency), Amount: toMoney(a.AmountMinor, a.Currency),
		AppliedCycleID: a.AppliedCycle, AppliedPeriod: a.AppliedPeriod, State: string(a.State), HappenedAt: a.HappenedAt, RecordedAt: a.RecordedAt,
		SettledCaseID: a.SettledCase, RemeasuredCaseID: a.RemeasuredCase,
	}
	if a.AppliedCycle != "" {
		out.Applied = toMoney(a.AppliedMinor, a.Currency)
	}
	if a.CarryMinor != 0 {
		out.Carry = toMoney(a.CarryMinor, a.Currency)
	}
	return out
}

// ListApprovals lists what waits for a person and what was decided.
func (s *Server) ListApprovals(ctx context.Context, r ListApprovalsRequestObject) (ListApprovalsResponseObject, error) {
	p := r.Params
	page, err := s.Reconcile.Approvals(ctx, reconcile.ApprovalsFilter{
		Scope: access.From(ctx).Scope, State: p.State, Subject: p.Subject, AccountID: p.Account, Environment: p.Environment, Period: p.Period, Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListApprovals200JSONResponse{Items: convertAll(page.Items, toApprovalItem), NextCursor: page.NextCursor}, nil
}

func toApprovalItem(a reconcile.Approval) ApprovalItem {
	return ApprovalItem{
		ID: a.ID, State: a.State, Subject: a.Subject, SubjectID: a.SubjectID, AccountID: a.AccountID, Environment: Environment(a.Environment), Period: a.Period,
		Action: a.Action, Amount: toOptional(a.AmountMinor, a.Currency), Actor: a.Actor, Reason: a.Reason, At: a.At,
	}
}
