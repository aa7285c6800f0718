package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// Bounds of a group commit. A batch is what has gathered while the one before was being
// committed. One statement at a time carries more than any sender brings, and two would
// halve what each commit is shared by.
const (
	batchRows    = 512
	batchBytes   = 4 << 20
	waitingRows  = 4096
	waitingBytes = 64 << 20
	batchTimeout = 5 * time.Second
	// gatherTime is how long a batch waits at most for as many as were in the one before:
	// they were answered just now and are on their way back. A single one waits for nobody.
	gatherTime = 2 * time.Millisecond
)

// groupCommit lets concurrent appends share statements and commits. Each is answered
// after the commit that holds it. Its goroutine lives only while something waits.
type groupCommit struct {
	// store writes events in one transaction and says of each whether it was new.
	store func(ctx context.Context, events []ingest.StoredEvent) ([]bool, error)

	mu      sync.Mutex
	waiting []*append1
	bytes   int
	writing bool
	// expected is how many must wait until gathered is closed; 0 when nobody gathers.
	expected int
	gathered chan struct{}
}

// append1 is one event that waits for its commit.
type append1 struct {
	event ingest.StoredEvent
	done  chan struct{}
	isNew bool
	err   error
}

// append waits until the event is committed or ctx ends; in the latter case the event
// may be stored all the same. When too much waits already it fails at once: whoever
// sent the event brings it again, and memory stays bounded.
func (g *groupCommit) append(ctx context.Context, e ingest.StoredEvent) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	a := &append1{event: e, done: make(chan struct{})}
	g.mu.Lock()
	if len(g.waiting) >= waitingRows || g.bytes+len(e.SealedBody) > waitingBytes {
		g.mu.Unlock()
		return false, fault.New(fault.Unavailable, "inbox_busy", "%d events wait for the database already", waitingRows)
	}
	g.waiting = append(g.waiting, a)
	g.bytes += len(e.SealedBody)
	if !g.writing {
		g.writing = true
		go g.write(context.WithoutCancel(ctx)) // one caller's end must not take the others' commit away
	}
	if g.expected > 0 && len(g.waiting) >= g.expected {
		g.expected = 0
		close(g.gathered)
	}
	g.mu.Unlock()
	select {
	case <-a.done:
		return a.isNew, a.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// write commits batches until nothing waits.
func (g *groupCommit) write(ctx context.Context) {
	for batch := g.take(); batch != nil; batch = g.take() {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		g.commit(ctx, batch)
		cancel()
		g.gather(len(batch))
	}
}

// gather waits, for a moment at most, until so many wait.
func (g *groupCommit) gather(expected int) {
	g.mu.Lock()
	if len(g.waiting) >= expected || expected == 1 {
		g.mu.Unlock()
		return
	}
	gathered := make(chan struct{})
	g.expected, g.gathered = expected, gathered
	g.mu.Unlock()
	moment := time.NewTimer(gatherTime)
	defer moment.Stop()
	select {
	case <-gathered:
	case <-moment.C:
		g.mu.Lock()
		g.expected = 0
		g.mu.Unlock()
	}
}

// take removes the next batch; when there is none, the writer is gone.
func (g *groupCommit) take() []*append1 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && n < batchRows && (n == 0 || size+len(g.waiting[n].event.SealedBody) <= batchBytes) {
		size += len(g.waiting[n].event.SealedBody)
		n++
	}
	if n == 0 {
		g.writing = false
		return nil
	}
	batch := g.waiting[:n:n]
	if n == len(g.waiting) {
		g.waiting = nil
	} else {
		g.waiting = g.waiting[n:]
	}
	g.bytes -= size
	return batch
}

// commit stores a batch and tells everybody. When the database refuses a batch for what
// is in it, the halves are tried, down to the single row, so that one row that cannot be
// stored fails alone. A database that cannot answer fails all.
func (g *groupCommit) commit(ctx context.Context, batch []*append1) {
	events := make([]ingest.StoredEvent, len(batch))
	for i, a := range batch {
		events[i] = a.event
	}
	isNew, err := g.store(ctx, events)
	if err != nil && len(batch) > 1 && !fault.Is(err, fault.Unavailable) && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		half := len(batch) / 2
		g.commit(ctx, batch[:half])
		g.commit(ctx, batch[half:])
		return
	}
	for i, a := range batch {
		if a.err = err; err == nil {
			a.isNew = isNew[i]
		}
		close(a.done)
	}
}
