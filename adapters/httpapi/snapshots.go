package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/lift"
)

// RetireSnapshot takes a policy snapshot out of use.
func (s *Server) RetireSnapshot(ctx context.Context, r RetireSnapshotRequestObject) (RetireSnapshotResponseObject, error) {
	got, created, err := s.Onboard.RetireSnapshot(ctx, access.From(ctx).Principal, r.Account, onboard.RetirementInput{SnapshotID: r.Snapshot, RetiredAt: r.Body.RetiredAt, Reason: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	out := SnapshotRetirement{AccountID: got.AccountID, SnapshotID: got.SnapshotID, Environment: Environment(got.Environment), RetiredAt: got.RetiredAt, Reason: got.Reason, RetiredBy: got.By}
	if created {
		return RetireSnapshot201JSONResponse(out), nil
	}
	return RetireSnapshot200JSONResponse(out), nil
}

// GetSnapshot is everything that is known of a snapshot.
func (s *Server) GetSnapshot(ctx context.Context, r GetSnapshotRequestObject) (GetSnapshotResponseObject, error) {
	d, err := s.Reconcile.SnapshotDetail(ctx, r.Account, r.Snapshot)
	if err != nil {
		return nil, err
	}
	return GetSnapshot200JSONResponse(toSnapshotDetail(d)), nil
}

func toSnapshotDetail(d reconcile.SnapshotDetail) SnapshotDetail {
	return SnapshotDetail{
		ID: d.ID, AccountID: d.AccountID, Environment: Environment(d.Environment), Name: d.Name, ShippedAt: d.ShippedAt, RetiredAt: orZero(d.RetiredAt), RetiredBy: d.RetiredBy, RetiredReason: d.RetiredReason,
		Decisions: d.Decisions, MoreDecisions: d.More, DecisionsAfterRetirement: d.Late, FirstDecisionAt: orZero(d.First), LastDecisionAt: orZero(d.Last),
		Months: convertAll(d.Months, toSnapshotMonth),
		RefusedEdits: convertAll(d.Refused, func(e reconcile.RefusedEdit) SnapshotEdit {
			return SnapshotEdit{At: e.At, Actor: e.Actor, Action: e.Action, Reason: e.Reason, Before: e.Before, After: e.After}
		}),
	}
}

func toSnapshotMonth(m reconcile.SnapshotMonth) SnapshotMonth {
	out := SnapshotMonth{
		Period: m.Period, CycleID: m.CycleID, CaseID: m.CaseID, Verdict: m.Verdict, HeadlineCode: m.Headline, Explanation: m.Explanation, Units: m.Units, HoldoutUnits: m.HoldoutUnits,
		Base: toMoney(m.BaseMinor, m.Currency), Fee: toMoney(m.FeeMinor, m.Currency), BilledSoFar: toMoney(m.MarkMinor, m.Currency),
	}
	if minor, _, err := lift.FloorMinor(m.Lift); err == nil {
		out.Measured = toMoney(minor, m.Currency)
	}
	if minor, _, err := lift.FloorMinor(m.Bound); err == nil {
		out.Bound = toMoney(minor, m.Currency)
	}
	return out
}
