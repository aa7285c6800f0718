package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/replay"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Replays lists what was derived once more; *replay.Reports is it.
type Replays interface {
	Replays(ctx context.Context, f replay.Filter) (replay.Page, error)
}

// Replaying has months derived once more; *replay.Starts is it.
type Replaying interface {
	Start(ctx context.Context, by domain.Principal, accountID, month string) (replay.Started, error)
	Standing(ctx context.Context, accountID, month string) (replay.Standing, error)
}

// StartReplay starts the replay of a month.
func (s *Server) StartReplay(ctx context.Context, r StartReplayRequestObject) (StartReplayResponseObject, error) {
	out, err := s.Replaying.Start(ctx, access.From(ctx).Principal, r.Account, r.Body.Period)
	if err != nil {
		return nil, err
	}
	return StartReplay200JSONResponse{CycleID: out.CycleID, WorkflowID: out.WorkflowID, Already: out.Already}, nil
}

// GetReplay says how the replay of a month stands and what it found.
func (s *Server) GetReplay(ctx context.Context, r GetReplayRequestObject) (GetReplayResponseObject, error) {
	st, err := s.Replaying.Standing(ctx, r.Account, r.Period)
	if err != nil {
		return nil, err
	}
	page, err := s.Replays.Replays(ctx, replay.Filter{Scope: access.From(ctx).Scope, AccountID: r.Account, Period: r.Period, Limit: 1})
	if err != nil {
		return nil, err
	}
	out := GetReplay200JSONResponse{CycleID: st.CycleID, Environment: Environment(st.Environment), Run: string(st.Run.State)}
	if st.Run.RunID != "" {
		out.WorkflowID, out.WorkflowRunID = st.Run.WorkflowID, st.Run.RunID
	}
	if len(page.Items) > 0 {
		out.Report = toReplay(page.Items[0])
		out.Current = st.Run.RunID != "" && page.Items[0].WorkflowRunID == st.Run.RunID
	}
	return out, nil
}

// ListReplays lists replays.
func (s *Server) ListReplays(ctx context.Context, r ListReplaysRequestObject) (ListReplaysResponseObject, error) {
	p := r.Params
	page, err := s.Replays.Replays(ctx, replay.Filter{Scope: access.From(ctx).Scope, AccountID: p.Account, Period: p.Period, Result: string(p.Result), Cursor: p.Cursor, Limit: p.Limit})
	if err != nil {
		return nil, err
	}
	return ListReplays200JSONResponse{Items: convertAll(page.Items, toReplay), NextCursor: page.NextCursor}, nil
}

func toReplay(r replay.Report) Replay {
	return Replay{
		ID: r.ID, AccountID: r.AccountID, Environment: Environment(r.Environment), Period: r.Period, CycleID: r.CycleID, Watermark: r.Watermark, Events: r.Events,
		FactsTaken: r.Taken, FactsEqual: r.Facts, Equal: r.Equal, Difference: r.Difference, Inputs: ReplayDigests(r.Inputs), Outputs: ReplayDigests(r.Outputs),
		RunBy: r.RunBy, RunAt: r.RunAt, FinishedAt: r.FinishedAt, WorkflowID: r.WorkflowID, WorkflowRunID: r.WorkflowRunID,
		Checks: convertAll(r.Checks, func(c replay.Check) ReplayCheck {
			return ReplayCheck{Name: c.Name, Equal: c.Equal, Stored: c.Stored, Replayed: c.Replayed}
		}),
	}
}
