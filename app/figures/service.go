// Package figures keeps the sums that pages show of connections with so many facts that
// summing them takes longer than a person waits. Nothing is billed, compared or closed by
// what it keeps.
package figures

import (
	"context"
	"errors"
	"time"

	"github.com/liftbill/liftbill/app/clock"
)

// Kept is a connection that revenue is taken from, and what is kept of it.
type Kept struct {
	ConnectionID string
	// AsOf is when its facts were last summed, nil for never; Facts is how many there were.
	AsOf  *time.Time
	Facts int64
	// ChangedAt is when a person last changed whose its customers are; nil for never.
	ChangedAt *time.Time
}

// Ledger computes and keeps the figures.
type Ledger interface {
	// Kept lists the connections that accounts take their revenue from, the longest unseen first.
	Kept(ctx context.Context) ([]Kept, error)
	// Refresh sums the facts of a connection as they stand; one with no more than few keeps none.
	// Doing it twice, or beside another worker, changes nothing.
	Refresh(ctx context.Context, connectionID string, few int64, at time.Time) error
	// RefreshPayments sums the payments since an instant; when there are no more than few of
	// them, none are kept.
	RefreshPayments(ctx context.Context, since time.Time, few int64, at time.Time) error
}

// The pace is such that a connection's figures cost no more than a hundredth of a processor:
// a fact is summed in some 10 microseconds. After a person has changed something they are
// computed ten times as soon.
const (
	pause       = 10 * time.Minute
	pauseOfFact = time.Millisecond
	sooner      = 10
)

// Few is how many facts are summed while a person waits.
const Few = 2000

// PaymentsFor is how many days payments are summed.
const PaymentsFor = 7 * 24 * time.Hour

// Due is when the figures of a connection are computed again.
func (k Kept) Due() time.Time {
	if k.AsOf == nil {
		return time.Time{}
	}
	wait := pause + time.Duration(k.Facts)*pauseOfFact
	if k.ChangedAt != nil && !k.ChangedAt.Before(*k.AsOf) {
		wait /= sooner
	}
	return k.AsOf.Add(wait)
}

// Service keeps the figures.
type Service struct {
	Ledger Ledger
	Clock  clock.Clock
	// Few is how many facts are not worth keeping their sums; 0 is the package's own number.
	Few int64
}

// Refresh computes what is due. A connection that fails keeps the figures it has and does not
// stop the others. It returns how many were computed.
func (s *Service) Refresh(ctx context.Context) (int, error) {
	few := s.Few
	if few == 0 {
		few = Few
	}
	now := s.Clock.Now()
	failed := s.Ledger.RefreshPayments(ctx, now.Add(-PaymentsFor), few, now)
	all, err := s.Ledger.Kept(ctx)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	done := 0
	for _, k := range all {
		if k.Due().After(now) {
			continue
		}
		if err := s.Ledger.Refresh(ctx, k.ConnectionID, few, s.Clock.Now()); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		done++
	}
	return done, failed
}
