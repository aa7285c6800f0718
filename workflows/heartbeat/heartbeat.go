// Package heartbeat tells the Temporal server that a worker lives while a step is silent.
package heartbeat

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// Pace is how often a step is told of; the SDK throttles what is too much.
const Pace = 5 * time.Second

// Beat records a heartbeat with the present details at every pace until stop is called. An
// activity that was cancelled cancels the context.
func Beat(ctx context.Context, pace time.Duration, details func() []any) (beating context.Context, stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		t := time.NewTicker(pace)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				activity.RecordHeartbeat(ctx, details()...)
			}
		}
	}()
	return ctx, cancel
}
