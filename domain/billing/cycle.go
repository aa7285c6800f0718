package billing

import (
	"slices"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// CycleState is where one account's billing of one period stands.
type CycleState string

// The states of a cycle, in the order in which it passes through them.
const (
	// Collecting: rewards are being gathered and reconciled up to a watermark.
	Collecting CycleState = "collecting"
	// Computing: readouts are being estimated and judged.
	Computing CycleState = "computing"
	// Proposed: the invoice is drafted in our ledger; nothing was sent.
	Proposed CycleState = "proposed"
	// Writing: the intent is being carried out at Stripe.
	Writing CycleState = "writing"
	// Invoiced: one finalized Stripe invoice exists and ties out.
	Invoiced CycleState = "invoiced"
	// Withheld: nothing became billable; every reason is stored.
	Withheld CycleState = "withheld"
	// DryRun: a test account's cycle ended before any write.
	DryRun CycleState = "dry_run"
	// Blocked: a precondition of the write-back is unmet; nothing was sent.
	Blocked CycleState = "blocked"
	// NeedsHuman: something contradicts the ledger; a person must look.
	NeedsHuman CycleState = "needs_human"
	// AwaitingApproval: the invoice waits for a person who releases it.
	AwaitingApproval CycleState = "awaiting_approval"
	// Approved: it was released and is about to be written.
	Approved CycleState = "approved"
	// Held: a person stopped the clock of the approval.
	Held CycleState = "held"
	// Returned: an approver sent it back and said why.
	Returned CycleState = "returned"
	// Expired: nobody released it in time.
	Expired CycleState = "expired"
	// Skipped: a person decided that the period gets no invoice. Nothing of it is
	// consumed: what was measured stays billable in later months of the contract year.
	Skipped CycleState = "skipped"
)

var cycleMoves = map[CycleState][]CycleState{
	Collecting: {Collecting, Computing, NeedsHuman},
	Computing:  {Computing, Proposed},
	Proposed:   {Proposed, AwaitingApproval, Writing, Withheld, DryRun, Blocked, NeedsHuman},
	// Until the invoice is finalized it can be taken back (returned), and the month computed
	// again (collecting).
	Writing: {Writing, Invoiced, NeedsHuman, Blocked, Returned, Collecting},
	// A blocked one that is addressed to another payer needs another approval.
	Blocked: {Blocked, AwaitingApproval, Writing, NeedsHuman, Skipped, Returned, Collecting},
	// A voided invoice's cycle is a person's again.
	Invoiced: {Invoiced, NeedsHuman}, Withheld: {Withheld}, DryRun: {DryRun}, Skipped: {Skipped},
	AwaitingApproval: {AwaitingApproval, Approved, Held, Returned, Expired, Skipped, Blocked, Collecting},
	Approved:         {Approved, Writing, Blocked, AwaitingApproval, Held, Returned, Collecting},
	Held:             {Held, AwaitingApproval, Returned, Expired, Skipped, Collecting},
	// What is deleted of a draft that was taken back may turn out to be somebody else's.
	Returned: {Returned, AwaitingApproval, Skipped, Collecting, NeedsHuman},
	Expired:  {Expired, AwaitingApproval, Skipped, Collecting},
	// Only a person who says why takes a cycle out of it.
	NeedsHuman: {NeedsHuman, Writing, Blocked, Skipped, Returned, Collecting},
}

// Known reports whether the state is one of a cycle's.
func (s CycleState) Known() bool { return len(cycleMoves[s]) > 0 }

// Terminal reports whether the cycle is finished: nothing moves it any more.
func (s CycleState) Terminal() bool {
	return s == Invoiced || s == Withheld || s == DryRun || s == Skipped
}

// Waits reports whether nothing moves the cycle before a person has done something.
func (s CycleState) Waits() bool {
	switch s {
	case Blocked, NeedsHuman, AwaitingApproval, Held, Returned, Expired:
		return true
	default:
		return false
	}
}

// Moving reports whether the cycle's run takes it further by itself, as long as there is one.
func (s CycleState) Moving() bool {
	switch s {
	case Collecting, Computing, Proposed, Approved, Writing:
		return true
	default:
		return false
	}
}

// Readdressable reports whether another payer may still be named: nothing is being written.
func (s CycleState) Readdressable() bool {
	switch s {
	case Blocked, AwaitingApproval, Approved, Held, Returned, Expired:
		return true
	default:
		return false
	}
}

// Undecided reports whether the cycle's run waits for a decision or its deadline.
func (s CycleState) Undecided() bool { return s == AwaitingApproval || s == Held }

// Move checks a transition.
func (s CycleState) Move(to CycleState) error {
	if slices.Contains(cycleMoves[s], to) {
		return nil
	}
	return fault.New(fault.Conflict, "cycle_state", "a cycle that is %s cannot become %s", s, to)
}

// NextAction names what a person can do about a state that waits for one.
func (s CycleState) NextAction() string {
	switch s {
	case Blocked:
		return "Meet the named precondition, then run the cycle again"
	case NeedsHuman:
		return "Compare the invoice at Stripe with the ledger before anything else is sent"
	case AwaitingApproval:
		return "Approve it, hold it or return it (POST /v1/cycles/{id}/decisions)"
	case Approved:
		return "Nothing; if it does not go on by itself, run the cycle again"
	case Held:
		return "Release it, return it, compute it again or skip it; a held invoice expires after 60 days"
	case Returned:
		return "See to what it was returned for, then ask for approval again (release), compute it again (recompute), or skip it"
	case Expired:
		return "Ask for approval again (release), compute it again (recompute), or skip it"
	default:
		return ""
	}
}

// CycleID is the natural key of an account's period: "acme.2026-10".
func CycleID(accountID string, m period.Month) string { return accountID + "." + m.String() }
