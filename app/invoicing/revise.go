package invoicing

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// ReasonDraftVoided begins the reason of a returned cycle whose draft a person took back.
const ReasonDraftVoided = "draft_voided"

// Revisable is what decides whether a cycle can be computed again, or its draft taken back.
type Revisable struct {
	// Revision counts how often the cycle was computed, from 1.
	Revision int
	// Intent: an invoice is in force. Final: it was finalized at Stripe. Leftover: something of
	// an earlier one may still be at Stripe.
	Intent, Final, Leftover bool
	// ClaimedAt is when a worker last verified its draft, which it may be finalizing since; zero
	// when none has.
	ClaimedAt time.Time
	// Later is a later cycle that was measured from this one, Settled that it settled the year.
	Later   string
	Settled bool
	// Revised: the decision that was taken is one of those.
	Revised bool
}

// Changes says what a cycle would come to now beside what it came to.
type Changes interface {
	// Since is false when a cycle would come to the same: the same unit tables, buckets, lines
	// and total.
	Since(ctx context.Context, by access.Principal, accountID, period string) (changed bool, err error)
}

// Facts are what the table of next steps asks for.
func (s Standing) Facts() billing.CycleFacts {
	return billing.CycleFacts{
		State: s.State, Reason: s.Reason, Priced: s.PlanHash != "", Begun: s.Intent, Final: s.Final, Leftover: s.Leftover, Later: s.Later != "",
	}
}

// RunOf is what Temporal says of the newest run of a cycle; unknown when it cannot be asked.
func (s *Decisions) RunOf(ctx context.Context, env account.Environment, accountID, period string) billing.RunState {
	if s.Runs == nil {
		return billing.RunUnknown
	}
	state, err := s.Runs.Look(ctx, env, accountID, period)
	if err != nil {
		return billing.RunUnknown
	}
	return state
}

// lookFirst computes what a cycle would come to now, before it is computed again: a revision
// of the same inputs would be the same, and trying again is no way to another result. It
// returns the revision that was looked at, 0 where nothing had to be.
func (s *Decisions) lookFirst(ctx context.Context, by access.Principal, w Wish) (int, error) {
	if w.Action != billing.ActRecompute {
		return 0, nil
	}
	var now Standing
	err := s.Work.Do(ctx, func(ctx context.Context, st DeskStores) error {
		var err error
		if now, err = st.Desk.Standing(ctx, w.CycleID); err != nil {
			return err
		}
		if err := permitted(by, w.Action, now.AccountID, now.Environment); err != nil {
			return err
		}
		return s.mayDecide(ctx, st, by, w, now)
	})
	if err != nil {
		return 0, err
	}
	if s.Changes == nil {
		return 0, fault.New(fault.Unavailable, "preview_missing", "this process cannot look whether anything changed").Fix("Use liftbill cycle recompute")
	}
	changed, err := s.Changes.Since(ctx, by, now.AccountID, now.Period)
	if err == nil && !changed {
		err = fault.New(fault.Conflict, "nothing_changed", "nothing changed since cycle %s was computed: its revision %d would come to the same", w.CycleID, now.Revision).
			Fix("Change what it was returned for, for example the mapping of a customer; or release it, or skip it")
	}
	return now.Revision, err
}

// mayRevise checks what the ledger says about taking a cycle back.
func mayRevise(a billing.DecisionAction, now Standing, at time.Time) error {
	switch {
	case now.Final:
		return fault.New(fault.Conflict, "invoice_final", "the invoice of cycle %s is finalized at Stripe", now.CycleID).
			Fix("Correct it (POST /v1/cycles/{id}/corrections)")
	case !now.ClaimedAt.IsZero() && at.Sub(now.ClaimedAt).Abs() < ClaimFor:
		return fault.New(fault.Conflict, "being_finalized", "the invoice of cycle %s may be finalized this very moment", now.CycleID).
			Fix("Wait %s and look again", ClaimFor)
	case a == billing.ActVoidDraft && !now.Intent:
		return fault.New(fault.Conflict, "no_draft", "nothing of cycle %s is being written", now.CycleID).Fix("Compute it again (recompute) or skip it")
	case a == billing.ActVoidDraft:
		return nil
	case now.PlanHash == "":
		return fault.New(fault.Conflict, "not_computed", "cycle %s was not computed yet", now.CycleID).Fix("Run it (liftbill cycle run)")
	case now.Settled:
		return fault.New(fault.Conflict, "year_settled", "the contract year of cycle %s was settled from it by %s", now.CycleID, now.Later).
			Fix("Skip it, or let the difference be a line of the next cycle")
	case now.Later != "":
		return fault.New(fault.Conflict, "later_month_measured", "cycle %s was measured from cycle %s", now.Later, now.CycleID).
			Fix("Skip it: the later months measure the year to date; or let the difference be a line of the next cycle")
	}
	return nil
}

func leftover(now Standing) error {
	return fault.New(fault.Conflict, "draft_not_deleted", "the draft of cycle %s may still be at Stripe", now.CycleID).
		Fix("Run the cycle (liftbill cycle run), which deletes it, and skip it then")
}
