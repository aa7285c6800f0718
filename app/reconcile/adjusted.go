package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Adjusted is something that changed an invoiced month afterwards: a true-up of a later
// invoice, or a correction of the invoice itself.
type Adjusted struct {
	ID, AccountID, AccountName string
	Environment                account.Environment
	// CycleID, Period and Line are what it is about; the line is empty for a whole invoice.
	CycleID, Period, Line string
	// Cause is refund, dispute, late_event or correction; Kind what is done about it:
	// true_up, credit_before_payment, credit_after_payment, void or next_cycle.
	Cause, Kind, Reason string
	// State is waiting or applied for a true-up, and that of the correction otherwise.
	State    string
	Currency string
	// AmountMinor is what it adds; what is taken back is negative. Nil for a void, whose
	// invoice is its amount.
	AmountMinor *int64
	// AppliedOn is the cycle whose invoice holds it, or the credit note at Stripe.
	AppliedOn string
	// CarryMinor is what the cycle that holds it carries on, because it could not be used up;
	// nil where no cycle holds it.
	CarryMinor *int64
	ProposedBy string
	At         time.Time
}

// AdjustedFilter selects adjustments; empty fields select all, an empty scope nothing.
type AdjustedFilter struct {
	Scope                           access.Scope
	AccountID, Period, Cause, State string
	Cursor                          string
	Limit                           int
}

// AdjustedCauses and AdjustedStates are what the list can be filtered by.
func AdjustedCauses() []string { return []string{"refund", "dispute", "late_event", "correction"} }

// AdjustedStates are those of true-ups and of corrections.
func AdjustedStates() []string {
	return []string{"waiting", "applied", "proposed", "approved", "done", "needs_human", "withdrawn"}
}

// Adjustments lists what changed invoiced months afterwards, newest first.
func (s *Service) Adjustments(ctx context.Context, f AdjustedFilter) (Page[Adjusted], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[Adjusted]{}, err
	}
	if f.Cause != "" && !slices.Contains(AdjustedCauses(), f.Cause) {
		return Page[Adjusted]{}, fault.InvalidField("cause", "filter_unknown", "%q is not a cause", f.Cause).Fix("Use refund, dispute, late_event or correction")
	}
	if f.State != "" && !slices.Contains(AdjustedStates(), f.State) {
		return Page[Adjusted]{}, fault.InvalidField("state", "filter_unknown", "%q is not a state of an adjustment", f.State).Fix("Use waiting, applied, proposed, approved, done, needs_human or withdrawn")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Adjusted]{}, err
	}
	return s.Reader.Adjustments(ctx, f)
}
