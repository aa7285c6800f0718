package reconcile

import (
	"context"

	"github.com/liftbill/liftbill/domain/period"
)

// GapReason says why rewards and decisions of a month do not meet.
type GapReason string

// The reasons, in the order in which they are shown.
const (
	// RewardWithoutDecision: revenue of users for whom no decision was logged, of the contract
	// year to date, as the cycle froze it.
	RewardWithoutDecision GapReason = "reward_without_decision"
	// BeforeExposure and OutOfWindow: revenue of users who were decided about, outside the time
	// in which it counts for the decision, as the cycle froze it.
	BeforeExposure GapReason = "before_exposure"
	OutOfWindow    GapReason = "out_of_window"
	// DecisionWithoutCustomer: decisions about users to whom no customer is joined, so that no
	// reward can ever reach them.
	DecisionWithoutCustomer GapReason = "decision_without_customer"
	// DuplicateReward: confirmations of an invoice beyond its first.
	DuplicateReward GapReason = "duplicate_reward"
	// DuplicateDecision: decisions about a user and snapshot beyond the first, which alone counts.
	DuplicateDecision GapReason = "duplicate_decision"
	// PropensityOutOfRange: decisions whose action has no probability in (0, 1].
	PropensityOutOfRange GapReason = "propensity_out_of_range"
)

// Gap counts what does not meet for one reason. AmountMinor is in Currency, which is empty
// where the gap is about decisions, that have no amount.
type Gap struct {
	Reason      GapReason
	Count       int64
	AmountMinor int64
	Currency    string
}

// Gaps counts the rewards and decisions of an account's month that do not meet. Revenue
// without a user is the mapping's to tell.
func (s *Service) Gaps(ctx context.Context, accountID, month string) ([]Gap, error) {
	if _, err := period.ParseMonth(month); err != nil {
		return nil, err
	}
	return s.Reader.Gaps(ctx, accountID, month)
}
