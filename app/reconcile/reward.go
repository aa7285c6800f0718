package reconcile

import (
	"context"
	"time"
)

// JoinedDecision is a decision about the user of a fact, made before the fact took effect.
type JoinedDecision struct {
	DecisionID, SnapshotID, SnapshotName string
	Arm, Action, Surface                 string
	At                                   time.Time
	// ArmProb is the probability of the arm, Propensity that of the action under the logging
	// policy; nil where the decision does not say it.
	ArmProb    float64
	Propensity *float64
	// First: the user's first decision of the snapshot, which alone exposes the user to it.
	First bool
}

// RewardDetail is one booked fact between what Stripe said and what was decided.
type RewardDetail struct {
	RewardEvent
	ObjectID   string
	RecordedAt time.Time
	// EventType, EventSource and EventStatus are of the event that told it; empty where a list
	// told it, or where the event is not kept any more.
	EventType, EventSource, EventStatus string
	EventCreated                        *time.Time
	// Decisions are the user's, newest first; MoreDecisions: there are older ones.
	Decisions     []JoinedDecision
	MoreDecisions bool
}

// RewardEvent is one fact of an account's source; NotFound when it has none with the key.
func (s *Service) RewardEvent(ctx context.Context, accountID, factKey string) (RewardDetail, error) {
	return s.Reader.RewardEvent(ctx, accountID, factKey)
}
