package sourcesync

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/source"
	"github.com/liftbill/liftbill/workflows/heartbeat"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Sources says which sources need something.
type Sources interface {
	Due(ctx context.Context, env account.Environment, after string, at time.Time, limit int) ([]sourcesync.Due, error)
}

// Sync is what the activities need of app/sourcesync.
type Sync interface {
	Sync(ctx context.Context, connectionID string) (sourcesync.Outcome, error)
	Step(ctx context.Context, backfillID string, beat func(doing string)) (sourcesync.Progress, error)
	Abandon(ctx context.Context, backfillID string, why source.Reason) error
}

// Starter starts the run of a backfill; one that runs already is no error.
type Starter interface {
	StartBackfill(ctx context.Context, in wire.BackfillInput) (wire.StartCycleResult, error)
}

// LedgerActivities are short: questions to the ledger and starts.
type LedgerActivities struct {
	Sources Sources
	Starter Starter
	// Now is the time by which sources are due: that of the ledger, not of a Schedule.
	Now func() time.Time
}

// ListSources lists a page of the sources that need something.
func (a *LedgerActivities) ListSources(ctx context.Context, in wire.ListSourcesInput) ([]wire.DueSource, error) {
	due, err := a.Sources.Due(ctx, in.Environment, in.After, a.Now(), in.Limit)
	out := make([]wire.DueSource, len(due))
	for i, d := range due {
		out[i] = wire.DueSource{ConnectionID: d.ConnectionID, Sync: d.Sync, BackfillID: d.BackfillID}
	}
	return out, wferr.From(err)
}

// StartBackfill starts the run that reads a history, unless it runs.
func (a *LedgerActivities) StartBackfill(ctx context.Context, in wire.BackfillInput) (wire.StartCycleResult, error) {
	res, err := a.Starter.StartBackfill(ctx, in)
	return res, wferr.From(err)
}

// SourceActivities read from Stripe. They cannot write.
type SourceActivities struct{ Sync Sync }

// SyncSource fetches or checks what is due for one source. What Stripe refuses is kept
// with the source and is no error here.
func (a *SourceActivities) SyncSource(ctx context.Context, in wire.SyncSourceInput) (wire.SyncSourceResult, error) {
	ctx, stop := beating(ctx, in.ConnectionID)
	defer stop()
	o, err := a.Sync.Sync(ctx, in.ConnectionID)
	code := o.Failed.Code
	if code == "" {
		code = o.Skipped.Code
	}
	return wire.SyncSourceResult{
		ConnectionID: in.ConnectionID, Task: string(o.Task), Seen: o.Seen, New: o.New, Missed: o.Missed, Pages: o.Pages, More: o.More, Code: code,
	}, wferr.From(err)
}

// BackfillStep reads a few more pages of a history.
func (a *SourceActivities) BackfillStep(ctx context.Context, in wire.BackfillInput) (wire.BackfillProgress, error) {
	ctx, stop := beating(ctx, in.BackfillID)
	defer stop()
	p, err := a.Sync.Step(ctx, in.BackfillID, func(doing string) { activity.RecordHeartbeat(ctx, doing) })
	return wire.BackfillProgress{
		State: string(p.State), Resource: string(p.Resource), From: p.Window.From, Until: p.Window.To, Pages: p.Pages, Objects: p.Objects,
		Facts: p.Facts, Wait: p.Wait, Code: p.Reason.Code,
	}, wferr.From(err)
}

// AbandonBackfill hands a backfill to a person.
func (a *SourceActivities) AbandonBackfill(ctx context.Context, in wire.AbandonInput) error {
	return wferr.From(a.Sync.Abandon(ctx, in.BackfillID, source.Reason{
		Code: in.Code, Message: in.Message, Action: "Put right what the message says and ask for the backfill again; it goes on where it stopped",
	}))
}

// beating beats with one word until stop is called.
func beating(ctx context.Context, what string) (context.Context, context.CancelFunc) {
	return heartbeat.Beat(ctx, heartbeat.Pace, func() []any { return []any{what} })
}
