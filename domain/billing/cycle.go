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
)

var cycleMoves = map[CycleState][]CycleState{
	Collecting: {Collecting, Computing},
	Computing:  {Computing, Proposed},
	Proposed:   {Proposed, Writing, Withheld, DryRun, Blocked, NeedsHuman},
	Writing:    {Writing, Invoiced, NeedsHuman, Blocked},
	Blocked:    {Blocked, Writing, NeedsHuman},
	// A voided invoice's cycle is a person's again.
	Invoiced: {Invoiced, NeedsHuman}, Withheld: {Withheld}, DryRun: {DryRun},
	// Only a person who says why takes a cycle out of it.
	NeedsHuman: {NeedsHuman, Writing, Blocked},
}

// Known reports whether the state is one of a cycle's.
func (s CycleState) Known() bool { return len(cycleMoves[s]) > 0 }

// Terminal reports whether the cycle is finished: nothing moves it any more.
func (s CycleState) Terminal() bool {
	return s == Invoiced || s == Withheld || s == DryRun
}

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
	default:
		return ""
	}
}

// CycleID is the natural key of an account's period: "acme.2026-10".
func CycleID(accountID string, m period.Month) string { return accountID + "." + m.String() }
