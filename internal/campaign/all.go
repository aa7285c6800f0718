package campaign

import (
	"context"
	"sync"
)

// All carries schedules out, some at a time, each on a ledger that open gives, and
// counts. done, which may be nil, is told after each.
func All(ctx context.Context, schedules []Schedule, jobs int, open func(Schedule) Ledger, done func(t *Tally)) (*Tally, error) {
	t := NewTally()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan Schedule)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range max(1, jobs) {
		wg.Go(func() {
			for s := range todo {
				r, err := Run(ctx, s, open(s), nil)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				t.Add(r)
				if done != nil {
					done(t)
				}
				mu.Unlock()
			}
		})
	}
feed:
	for _, s := range schedules {
		select {
		case todo <- s:
		case <-ctx.Done():
			break feed
		}
	}
	close(todo)
	wg.Wait()
	return t, context.Cause(ctx)
}
