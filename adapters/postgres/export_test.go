package postgres

import (
	"context"
	"database/sql"

	"github.com/liftbill/liftbill/app/ingest"
)

// SentTypes is the statement that finds what an endpoint is sent by what it brought.
const SentTypes = sentTypes

// GroupCommit is the batcher of the inbox over any store.
type GroupCommit struct{ groupCommit }

// NewGroupCommit makes one.
func NewGroupCommit(store func(context.Context, []ingest.StoredEvent) ([]bool, error)) *GroupCommit {
	return &GroupCommit{groupCommit{store: store}}
}

// Append is groupCommit.append.
func (g *GroupCommit) Append(ctx context.Context, e ingest.StoredEvent) (bool, error) {
	return g.append(ctx, e)
}

// Waiting is the number of events that wait, and whether a writer lives.
func (g *GroupCommit) Waiting() (int, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting), g.writing
}

// AppendAll stores a batch in one statement.
func (in *Inbox) AppendAll(ctx context.Context, events []ingest.StoredEvent) ([]bool, error) {
	return in.appendAll(ctx, events)
}

// Looking is the log whose pages look at so many events, and look up so many objects.
func (l *EventLog) Looking(events, lookups int) *EventLog { return &EventLog{l.db, events, lookups} }

// Looking is the reader whose filtered pages look at so many customers.
func (r *CustomerReader) Looking(looked int) *CustomerReader { return &CustomerReader{r.db, looked} }

// Looking is the reader whose filtered pages look at so many facts and adjustments.
func (r *Reader) Looking(facts, owners, adjustments int) *Reader {
	return &Reader{r.db, facts, owners, adjustments}
}

// The bounds of what waits.
const (
	WaitingRows  = waitingRows
	WaitingBytes = waitingBytes
)

// Pool is the database's pool.
func (db *DB) Pool() *sql.DB { return db.sql }
