package ingest

import (
	"context"

	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// Rebuilder recomputes the projections of a connection from what is stored: the raw
// events, and what was read at Stripe. The reader of a projection sees the old rows
// until the new ones are complete.
type Rebuilder struct {
	Store RebuildStore
	Box   secret.Box
}

// RebuildStore replaces projections.
type RebuildStore interface {
	// Rebuild calls observe for every event that was classified, in any order, joins the
	// observations apart from the present rows, and replaces those that differ. NotFound
	// is an unknown connection. ok is false for an event that shows no object.
	Rebuild(ctx context.Context, connectionID string, observe func(PendingEvent) (seen projection.Observation, ok bool)) (Rebuilt, error)
	// ConnectionIDs lists all connections.
	ConnectionIDs(ctx context.Context) ([]string, error)
}

// Rebuilt counts what a rebuild found.
type Rebuilt struct {
	ConnectionID string `json:"connection_id"`
	// Events were read; Unreadable of them cannot be opened any more.
	Events     int `json:"events"`
	Unreadable int `json:"unreadable"`
	// Reads are objects with something that was read at Stripe.
	Reads int `json:"reads"`
	// Objects are rows that the stored data explains, Changed those of them that were
	// missing or different before.
	Objects int `json:"objects"`
	Changed int `json:"changed"`
	// Kept are rows that nothing stored explains any more, because their events were
	// removed or erased: they stay as they are.
	Kept int `json:"kept"`
}

// Rebuild recomputes the given connections, or all of them when none is given.
func (r *Rebuilder) Rebuild(ctx context.Context, connectionIDs []string) ([]Rebuilt, error) {
	if len(connectionIDs) == 0 {
		all, err := r.Store.ConnectionIDs(ctx)
		if err != nil {
			return nil, err
		}
		connectionIDs = all
	}
	out := make([]Rebuilt, 0, len(connectionIDs))
	for _, id := range connectionIDs {
		unreadable := 0
		done, err := r.Store.Rebuild(ctx, id, func(e PendingEvent) (projection.Observation, bool) {
			body, err := r.Box.Open(BodyContext(e.ConnectionID), e.SealedBody)
			if err != nil {
				unreadable++
				return projection.Observation{}, false
			}
			got, err := reward.Classify(body, reward.Config{UserIDKey: e.UserIDKey})
			return projection.Observe(got), err == nil
		})
		if err != nil {
			return out, err
		}
		done.Unreadable = unreadable
		out = append(out, done)
	}
	return out, nil
}
