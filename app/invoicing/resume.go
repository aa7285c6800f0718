package invoicing

import (
	"context"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// maxReason bounds what a person writes down.
const maxReason = 500

// Resume takes a cycle out of needs_human. It sends nothing: the next run looks at
// Stripe and goes on from what it finds there, or stops again.
func (s *Service) Resume(ctx context.Context, in Resumption) (Outcome, error) {
	in.Who, in.Reason = strings.TrimSpace(in.Who), strings.TrimSpace(in.Reason)
	for field, text := range map[string]string{"who": in.Who, "reason": in.Reason} {
		if text == "" || len(text) > maxReason {
			return Outcome{}, fault.InvalidField(field, field+"_missing", "%s is required, with at most %d characters", field, maxReason).
				Fix("Say who decided and why; it is kept for ever")
		}
	}
	state, reason, err := s.Ledger.Resume(ctx, in, s.Clock.Now())
	return Outcome{CycleID: in.CycleID, State: state, Reason: reason}, err
}
