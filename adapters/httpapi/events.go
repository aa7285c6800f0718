package httpapi

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/operate"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Operate looks after stored events; *operate.Service is it.
type Operate interface {
	Events(ctx context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error)
	Event(ctx context.Context, connectionID, eventID string) (operate.EventDetail, error)
	Reprocess(ctx context.Context, by domain.Principal, sel operate.Selection, reason string, dryRun bool) (operate.Reprocessed, error)
	Reread(ctx context.Context, by domain.Principal, connectionID, objectID, reason string) error
	Health(ctx context.Context, scope domain.Scope, connectionID string) ([]operate.Health, error)
	Flow(ctx context.Context, scope domain.Scope, connectionID string) (operate.Flow, error)
}

func toEvent(e operate.Event) Event {
	out := Event{
		ConnectionID: e.ConnectionID, Environment: Environment(e.Environment), EventID: e.EventID, Type: e.Type, ObjectID: e.ObjectID, APIVersion: e.APIVersion,
		Source: e.Source, Created: e.Created, ReceivedAt: e.ReceivedAt, ProcessedAt: orZero(e.ProcessedAt), Attempts: e.Attempts,
		Status: e.Status, Reason: e.Reason, BodySha256: e.BodySHA256, BodyErased: e.BodyErased,
	}
	if e.Status == "dead" || e.Status == "quarantined" {
		a := operate.ActionOf(e.Reason)
		out.Action = EventAction{Code: a.Code, Means: a.Means, Do: a.Do}
	}
	return out
}

// ListEvents lists stored events.
func (s *Server) ListEvents(ctx context.Context, r ListEventsRequestObject) (ListEventsResponseObject, error) {
	page, err := s.Operate.Events(ctx, operate.EventsFilter{
		Selection: operate.Selection{
			Scope: access.From(ctx).Scope, ConnectionID: r.Params.Connection, Type: r.Params.Type, Status: r.Params.Status, Object: r.Params.Object, Customer: r.Params.Customer,
			From: r.Params.From, To: r.Params.To,
		}, Sort: string(r.Params.Sort), Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListEvents200JSONResponse{Items: convertAll(page.Items, toEvent), NextCursor: page.NextCursor}, nil
}

// ListDeadLetters lists events that went nowhere.
func (s *Server) ListDeadLetters(ctx context.Context, r ListDeadLettersRequestObject) (ListDeadLettersResponseObject, error) {
	page, err := s.Operate.Events(ctx, operate.EventsFilter{
		Selection: operate.Selection{Scope: access.From(ctx).Scope, ConnectionID: r.Params.Connection}, Attention: true, Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListDeadLetters200JSONResponse{Items: convertAll(page.Items, toEvent), NextCursor: page.NextCursor}, nil
}

// GetEvent shows one event with its facts.
func (s *Server) GetEvent(ctx context.Context, r GetEventRequestObject) (GetEventResponseObject, error) {
	e, err := s.Operate.Event(ctx, r.ID, r.Event)
	if err != nil {
		return nil, err
	}
	return GetEvent200JSONResponse{Event: toEvent(e.Event), Facts: convertAll(e.Facts, func(f operate.EventFact) EventFact {
		return EventFact{
			FactKey: f.Key, Kind: f.Kind, IsReward: f.IsReward, CustomerID: f.Customer, SubscriptionID: f.Subscription, InvoiceID: f.Invoice, ChargeID: f.Charge,
			Amount: toOptional(f.AmountMinor, f.Currency), EffectiveAt: f.EffectiveAt, RecordedAt: f.RecordedAt, BookedBy: f.BookedBy,
		}
	})}, nil
}

// Reprocess has events classified again.
func (s *Server) Reprocess(ctx context.Context, r ReprocessRequestObject) (ReprocessResponseObject, error) {
	b := r.Body
	got, err := s.Operate.Reprocess(ctx, access.From(ctx).Principal, operate.Selection{
		ConnectionID: r.ID, EventID: b.EventID, Type: b.Type, Status: b.Status, Object: b.ObjectID, Customer: b.CustomerID, From: b.From, To: b.To,
	}, b.Reason, b.DryRun)
	if err != nil {
		return nil, err
	}
	return Reprocess200JSONResponse{Events: got.Events, Left: got.Left, DryRun: got.DryRun}, nil
}

// RequestRead has one object read at Stripe again.
func (s *Server) RequestRead(ctx context.Context, r RequestReadRequestObject) (RequestReadResponseObject, error) {
	if err := s.Operate.Reread(ctx, access.From(ctx).Principal, r.ID, r.Body.ObjectID, r.Body.Reason); err != nil {
		return nil, err
	}
	return RequestRead200JSONResponse{ObjectID: r.Body.ObjectID, Object: operate.ObjectOf(r.Body.ObjectID)}, nil
}

func (s *Server) toHealth(h operate.Health) ConnectionHealth {
	return ConnectionHealth{
		ConnectionID: h.ConnectionID, Environment: Environment(h.Environment), Paused: h.Paused, PausedReason: h.PausedReason, EndpointStatus: h.Endpoint,
		LastEventAt: orZero(h.LastEvent), LastReceivedAt: orZero(h.LastReceived), OldestPendingAt: orZero(h.OldestPending),
		OldestPendingSeconds: secondsOf(h.Waits), LagP50Seconds: secondsOf(h.LagP50), LagP95Seconds: secondsOf(h.LagP95),
		Waiting: h.Waiting, LastHour: h.LastHour, OpenReads: h.OpenReads,
	}
}

func secondsOf(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := d.Seconds()
	return &s
}

// GetIngestHealth shows lag and gaps.
func (s *Server) GetIngestHealth(ctx context.Context, _ GetIngestHealthRequestObject) (GetIngestHealthResponseObject, error) {
	all, err := s.Operate.Health(ctx, access.From(ctx).Scope, "")
	if err != nil {
		return nil, err
	}
	return GetIngestHealth200JSONResponse{Items: convertAll(all, s.toHealth)}, nil
}

// GetFlow shows what became of a connection's events.
func (s *Server) GetFlow(ctx context.Context, r GetFlowRequestObject) (GetFlowResponseObject, error) {
	f, err := s.Operate.Flow(ctx, access.From(ctx).Scope, r.ID)
	if err != nil {
		return nil, err
	}
	return GetFlow200JSONResponse{Health: s.toHealth(f.Health), Totals: f.Totals, Types: convertAll(f.Types, func(t operate.TypeCount) TypeCount {
		return TypeCount{Type: t.Type, Events: t.Events, Facts: t.Facts}
	})}, nil
}
