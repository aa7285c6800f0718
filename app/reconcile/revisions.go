package reconcile

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/billing"
)

// Revision is one computation of a cycle. The last one counts; those before it are kept as
// they were.
type Revision struct {
	// Number counts from 1.
	Number int
	// Superseded: another revision took its place.
	Superseded bool
	// BegunAt, Actor and Reason say when, by whom and why it was begun; empty for the first.
	BegunAt time.Time
	Actor   string
	Reason  string
	// State is where it stands, or stood when the next one was begun, for StateReason.
	State       billing.CycleState
	StateReason string
	// Watermark is up to when its inputs were read; zero before they were frozen.
	Watermark   time.Time
	InputDigest string
	// InvoiceHash is the digest of its invoice plan, empty before it was priced.
	InvoiceHash string
	Currency    string
	TotalMinor  int64
	// Lines and Buckets are what it came to; only Revisions of Service loads them.
	Lines   []Line
	Buckets []BucketSum
}

// Revisions lists the revisions of a cycle, oldest first, with what each came to.
func (s *Service) Revisions(ctx context.Context, cycleID string) ([]Revision, error) {
	return s.Reader.Revisions(ctx, cycleID)
}
