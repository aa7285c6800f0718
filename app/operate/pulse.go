package operate

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// pulseFor is how far back the lag of a connection is shown.
const pulseFor = 24 * time.Hour

// Pulse is how a connection does and did: its figures, the lag of the last 24 hours, and
// what is set aside. Unlike Flow it counts nothing that grows with the age of a connection.
type Pulse struct {
	Health
	// Hours are 24 whole hours, the running one last.
	Hours    []LagHour
	Failures []Failure
}

// Pulse reads it. A connection outside the scope is NotFound.
func (s *Service) Pulse(ctx context.Context, scope access.Scope, connectionID string) (Pulse, error) {
	if connectionID == "" {
		return Pulse{}, fault.New(fault.NotFound, "connection_not_found", "there is no connection without an ID")
	}
	now := s.Clock.Now()
	all, err := s.Figures.Health(ctx, scope, connectionID, now)
	if err != nil {
		return Pulse{}, err
	}
	if len(all) == 0 {
		return Pulse{}, fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", connectionID)
	}
	out := Pulse{Health: all[0]}
	until := now.Truncate(time.Hour).Add(time.Hour)
	if out.Hours, err = s.Figures.LagHours(ctx, connectionID, until.Add(-pulseFor), until); err != nil {
		return out, err
	}
	out.Failures, err = s.Figures.Failures(ctx, connectionID)
	return out, err
}
