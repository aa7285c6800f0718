package invoicing

import (
	"context"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// maxReason bounds what a person writes down.
const maxReason = 500

// Resume takes a cycle out of needs_human. It sends nothing: the next run looks at
// Stripe and goes on from what it finds there, or stops again.
func (s *Service) Resume(ctx context.Context, by access.Principal, in Resumption) (Outcome, error) {
	if in.Reason = strings.TrimSpace(in.Reason); in.Reason == "" || len(in.Reason) > maxReason {
		return Outcome{}, fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxReason).Fix("It is kept for ever")
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Outcome{}, err
	}
	accountID, env, err := s.Ledger.Whose(ctx, in.CycleID)
	if err != nil {
		return Outcome{}, err
	}
	if err := access.Require(by, access.RunCycle, accountID, env); err != nil {
		return Outcome{}, err
	}
	note := audit.New(by, s.Clock.Now(), audit.CycleResumed, "cycle", in.CycleID).In(accountID, env).Because(in.Reason)
	state, reason, err := s.Ledger.Resume(ctx, in, note)
	return Outcome{CycleID: in.CycleID, State: state, Reason: reason}, err
}
