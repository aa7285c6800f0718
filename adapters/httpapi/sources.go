package httpapi

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/source"
)

// GetSync shows how a source is kept in step.
func (s *Server) GetSync(ctx context.Context, r GetSyncRequestObject) (GetSyncResponseObject, error) {
	st, err := s.Sources.Status(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetSync200JSONResponse(toSync(st)), nil
}

// UpdateSync changes how a source is kept in step.
func (s *Server) UpdateSync(ctx context.Context, r UpdateSyncRequestObject) (UpdateSyncResponseObject, error) {
	change := sourcesync.Change{Enabled: r.Body.Enabled, Pull: (*source.Pull)(r.Body.Pull)}
	if n := r.Body.IntervalSeconds; n != nil {
		every := time.Duration(min(*n, int(source.MaxInterval/time.Second)+1)) * time.Second
		change.Interval = &every
	}
	if _, err := s.Sources.Configure(ctx, access.From(ctx).Principal, r.ID, change); err != nil {
		return nil, err
	}
	st, err := s.Sources.Status(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return UpdateSync200JSONResponse(toSync(st)), nil
}

// RequestBackfill asks for the history of a source.
func (s *Server) RequestBackfill(ctx context.Context, r RequestBackfillRequestObject) (RequestBackfillResponseObject, error) {
	b, created, err := s.Sources.RequestBackfill(ctx, access.From(ctx).Principal, r.ID, r.Body.Start)
	if err != nil {
		return nil, err
	}
	out := toBackfill(sourcesync.BackfillView{Backfill: b})
	if created {
		return RequestBackfill201JSONResponse(out), nil
	}
	return RequestBackfill200JSONResponse(out), nil
}

func toSync(s sourcesync.Status) SourceSync {
	out := SourceSync{
		ConnectionID: s.ID, Environment: Environment(s.Environment), State: SourceSyncState(s.Verdict), Reason: toReason(s.Why),
		Enabled: s.Enabled, Pull: SourceSyncPull(s.Pull), Pulling: s.Pulls(), IntervalSeconds: int(s.Interval / time.Second),
		ConnectedAt: s.ConnectedAt, SyncStart: s.SyncStart, EventsHorizon: s.Horizon.Start, HighWater: s.HighWater,
		LagSeconds: int64(s.Lag / time.Second), NextAt: s.NextAt, LastPull: toRun(s.LastPull), LastCheck: toRun(s.LastCheck),
		Missed: MissedEvents{LastDay: s.MissedDay, Total: s.MissedTotal, Newest: convertAll(s.Missed, func(m sourcesync.MissedEvent) MissedEvent {
			return MissedEvent{EventID: m.EventID, Type: m.Type, Created: m.Created.UTC(), FoundAt: m.FoundAt.UTC()}
		})},
		Gaps:          convertAll(s.Gaps, func(g source.Gap) SyncGap { return SyncGap{From: g.From, To: g.To, Listed: g.Listed} }),
		Reads:         ReadAllowance{Used: s.Budget.Used, Limit: s.Budget.Limit(), Days: source.BudgetDays},
		PendingEvents: s.PendingEvents, PendingReads: s.PendingReads, FailedReads: s.FailedReads,
	}
	if s.Backfill != nil {
		out.Backfill = toBackfill(*s.Backfill)
	}
	return out
}

func toReason(r source.Reason) SyncReason {
	return SyncReason{Code: r.Code, Message: r.Message, Action: r.Action, At: r.At}
}

func toRun(r *sourcesync.RunView) SyncRun {
	if r == nil {
		return SyncRun{}
	}
	return SyncRun{Task: SyncRunTask(r.Task), At: r.At, Seen: r.Seen, New: r.New, Missed: r.Missed}
}

func toBackfill(b sourcesync.BackfillView) Backfill {
	return Backfill{
		ID: b.ID, ConnectionID: b.ConnectionID, Kind: BackfillKind(b.Kind), State: BackfillState(b.State), Reason: toReason(b.Reason),
		Start: b.Start, Until: b.Until, Resource: string(b.Resource), DoneAt: b.DoneAt,
		Progress: convertAll(b.Progress, func(p sourcesync.ResourceProgress) BackfillProgress {
			return BackfillProgress{Resource: string(p.Resource), Until: p.Until, Windows: p.Windows, Pages: p.Pages, Objects: p.Objects, Facts: p.Facts}
		}),
	}
}
