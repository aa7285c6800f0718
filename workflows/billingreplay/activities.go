package billingreplay

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/workflows/heartbeat"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Replays runs replays; *replay.Service is it.
type Replays interface {
	Run(ctx context.Context, by access.Principal, ask replay.Ask) (replay.Report, error)
}

// Activities run on the compute queue. Pages is the base address of the pages that people
// open, for the link from a run's details; empty shows none.
type Activities struct {
	Replays Replays
	Pages   string
}

// beat is the pace of heartbeats; a replay is silent while it works.
const beat = 10 * time.Second

// ReplayMonth replays a frozen month. The list of replays keeps what it found.
func (a *Activities) ReplayMonth(ctx context.Context, in wire.ReplayInput) (wire.ReplayResult, error) {
	ctx, stop := heartbeat.Beat(ctx, beat, func() []any { return nil })
	defer stop()
	by := activity.GetInfo(ctx).WorkflowExecution
	r, err := a.Replays.Run(ctx, access.Machine("replay"), replay.Ask{AccountID: in.AccountID, Period: in.Period, For: in.By, WorkflowID: by.ID, WorkflowRunID: by.RunID})
	out := wire.ReplayResult{
		CycleID: r.CycleID, Environment: r.Environment.String(), Watermark: r.Watermark, Events: r.Events, Facts: r.Facts, Equal: r.Equal, Difference: r.Difference,
	}
	if a.Pages != "" && out.CycleID != "" {
		out.Page = a.Pages + "/cycles/" + out.CycleID
	}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, wire.ReplayCheck{Name: c.Name, Equal: c.Equal, Stored: c.Stored, Replayed: c.Replayed})
	}
	return out, wferr.From(err)
}
