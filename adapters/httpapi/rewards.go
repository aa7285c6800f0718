package httpapi

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// ListRewardEvents lists the facts of an account.
func (s *Server) ListRewardEvents(ctx context.Context, r ListRewardEventsRequestObject) (ListRewardEventsResponseObject, error) {
	p := r.Params
	f := reconcile.RewardEventsFilter{
		AccountID: r.Account, Kind: p.Kind, Period: p.Period, Mapped: p.Mapped, Search: p.Q, State: string(p.State), From: p.From, To: p.To, Currency: p.Currency,
		Type: p.Type, Source: string(p.Source), Joined: string(p.Joined), Places: p.Expand != "", Sort: string(p.Sort), Cursor: p.Cursor, Limit: p.Limit,
	}
	var err error
	if f.Min, err = reconcile.ParseBound("amount_from", p.AmountFrom, p.Currency); err != nil {
		return nil, err
	}
	if f.Max, err = reconcile.ParseBound("amount_to", p.AmountTo, p.Currency); err != nil {
		return nil, err
	}
	page, err := s.Reconcile.RewardEvents(ctx, f)
	if err != nil {
		return nil, err
	}
	return ListRewardEvents200JSONResponse{Items: convertAll(page.Items, toRewardEvent), NextCursor: page.NextCursor}, nil
}

// GetRewardEvent shows one fact with the decisions that it was joined with.
func (s *Server) GetRewardEvent(ctx context.Context, r GetRewardEventRequestObject) (GetRewardEventResponseObject, error) {
	d, err := s.Reconcile.RewardEvent(ctx, r.Account, r.Event)
	if err != nil {
		return nil, err
	}
	out := GetRewardEvent200JSONResponse{
		Event: toRewardEvent(d.RewardEvent), ObjectID: d.ObjectID, RecordedAt: d.RecordedAt, TimeZone: d.Zone.String(), FrozenBy: d.FrozenBy,
		EffectiveLocal: d.EffectiveAt.In(d.Zone).Format(time.RFC3339), Places: convertAll(d.Places, toPlacement),
	}
	if err := json.Unmarshal([]byte(d.Detail), &out.Detail); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "detail_unreadable", "the detail of the fact %s cannot be read", d.FactKey)
	}
	return out, nil
}

func toRewardEvent(e reconcile.RewardEvent) RewardEvent {
	out := RewardEvent{
		ID: e.ID(), ConnectionID: e.ConnectionID, FactKey: e.FactKey, Kind: e.Kind, IsReward: e.IsReward, State: RewardEventState(e.State),
		CustomerID: e.CustomerID, UserID: e.UserID, MappedBy: e.MappedBy, LinkState: e.LinkState, SubscriptionID: e.SubscriptionID, InvoiceID: e.InvoiceID, ChargeID: e.ChargeID,
		Amount: toOptional(e.AmountMinor, e.Currency), EffectiveAt: e.EffectiveAt, EventID: e.EventID, EventType: e.Teller.Type, Source: RewardEventSource(e.Source()), OwnInvoice: e.OwnInvoice,
		Historic: e.Historic, Inferred: e.Inferred,
	}
	if len(e.Places) > 0 {
		p := e.Places[0]
		out.Joined = RewardEventJoin{Outcome: p.Outcome(), SnapshotID: p.SnapshotID, CycleID: p.CycleID, Frozen: p.Frozen}
		if d := p.Decision(); d != nil {
			out.Joined.DecisionID, out.Joined.Arm = d.DecisionID, string(d.Arm)
		}
	}
	return out
}

// maxDecisions bounds the decisions of a placement that are written out.
const maxDecisions = 100

func toPlacement(p lift.Placement) Placement {
	out := Placement{
		Outcome: p.Outcome(), Why: p.Why(), CycleID: p.CycleID, Period: p.Period, Frozen: p.Frozen, Revision: p.Revision, AsOf: p.Watermark, SnapshotID: p.SnapshotID,
		UnitID: p.UnitID, UserID: p.UserID, MappedBy: p.LinkSource, LinkID: p.LinkID, PlanID: p.PlanID, PlanHash: p.PlanHash, Unit: p.Unit, WindowDays: p.WindowDays,
		WindowEndsAt: p.Until, NextYearFrom: p.NextYearFrom, Decisions: []JoinedDecision{}, DecisionsInAll: len(p.Decisions),
	}
	for _, at := range p.Shown(maxDecisions) {
		out.Decisions = append(out.Decisions, toJoinedDecision(p.Decisions[at], at == p.Latest, at == p.First))
	}
	return out
}

func toJoinedDecision(e lift.Exposure, latest, first bool) JoinedDecision {
	out := JoinedDecision{
		DecisionID: e.DecisionID, UnitID: e.UnitID, UserID: e.UserID, SnapshotID: e.SnapshotID, Arm: string(e.Arm), At: e.At, Action: e.Action, BaselineAction: e.Baseline,
		EligibleActions: append([]string{}, e.Actions...), Propensity: append([]float64{}, e.Propensity...), Surface: e.Surface, Latest: latest, First: first,
	}
	if i := slices.Index(e.Actions, e.Action); i >= 0 && i < len(e.Propensity) {
		out.ChosenPropensity = e.Propensity[i]
	}
	return out
}
