package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// AdjustmentState is where a true-up of a finished month stands.
type AdjustmentState string

// The states. They are derived from the rows, never stored.
const (
	// AdjustmentNothing: the finding changes no fee, for example because a minimum
	// commitment stood above it.
	AdjustmentNothing AdjustmentState = "nothing_due"
	// AdjustmentDue: it waits for the next cycle that is priced.
	AdjustmentDue AdjustmentState = "due"
	// AdjustmentApplied: it is a line of a cycle.
	AdjustmentApplied AdjustmentState = "applied"
	// AdjustmentLeftOut: a cycle took it up and its terms made nothing of it.
	AdjustmentLeftOut AdjustmentState = "left_out"
	// AdjustmentProposed: no cycle follows, so that a person credits it; or a correction of
	// the invoice that somebody else has to approve.
	AdjustmentProposed AdjustmentState = "proposed"
	// The states of a correction of the invoice itself.
	AdjustmentApproved   AdjustmentState = "approved"
	AdjustmentDone       AdjustmentState = "done"
	AdjustmentNeedsHuman AdjustmentState = "needs_human"
	AdjustmentWithdrawn  AdjustmentState = "withdrawn"
)

// AdjustmentStates are all of them.
func AdjustmentStates() []AdjustmentState {
	return []AdjustmentState{AdjustmentDue, AdjustmentApplied, AdjustmentLeftOut, AdjustmentNothing, AdjustmentProposed, AdjustmentApproved, AdjustmentDone, AdjustmentNeedsHuman, AdjustmentWithdrawn}
}

// Adjustment is what a finished month's line was found to be wrong by, or a correction of its invoice. Amounts are minor
// units; a negative one is in the payer's favour.
type Adjustment struct {
	// Key is the row's own, also where ID, that of what is due, is empty.
	Key, ID     string
	AccountID   string
	AccountName string
	Environment account.Environment
	Currency    string
	// OriginCycle is the month that it stems from, Line its line: a snapshot or a fee.
	OriginCycle  string
	OriginPeriod string
	Line         string
	// Cause is refund, dispute, late_event or correction; Kind what is done about it: true_up,
	// next_cycle, credit_before_payment, credit_after_payment or void. A correction has a
	// Reason, and By whom it was proposed.
	Cause, Kind string
	Reason, By  string
	// Facts, RevenueMinor and LiftMinor are what came since and what the sealed plan
	// measures of it; 0 and nil for a person's correction.
	Facts        int
	RevenueMinor *int64
	LiftMinor    *int64
	AmountMinor  int64
	HappenedAt   time.Time
	RecordedAt   time.Time
	// SettlementCycle is the settled year, BookedBy the cycle that found it; empty for a
	// correction.
	SettlementCycle string
	BookedBy        string
	// AppliedCycle is the cycle that has it as a line, of AppliedMinor.
	AppliedCycle  string
	AppliedPeriod string
	AppliedMinor  int64
	// SettledCase is the readout that the year was settled with, RemeasuredCase the one that the
	// same sealed plan gives with what came since; empty for a correction.
	SettledCase, RemeasuredCase string
	// StripeID is the credit note of a correction.
	StripeID string
	State    AdjustmentState
	// CarryMinor is what the account's finished cycles hand on to the next one: a credit
	// when negative.
	CarryMinor int64
}

// AdjustmentsFilter selects adjustments. Empty fields select all; an empty scope nothing.
type AdjustmentsFilter struct {
	Scope       access.Scope
	AccountID   string
	Environment string
	// OriginPeriod is the month that they stem from, AppliedPeriod the one that has them.
	OriginPeriod  string
	AppliedPeriod string
	Cause         string
	State         string
	Cursor        string
	Limit         int
}

// AdjustmentCauses are the causes that can be asked for.
func AdjustmentCauses() []string { return []string{"refund", "dispute", "late_event", "correction"} }

// Adjustments lists what finished months were found to be wrong by, newest first.
func (s *Service) Adjustments(ctx context.Context, f AdjustmentsFilter) (Page[Adjustment], error) {
	for _, p := range []string{f.OriginPeriod, f.AppliedPeriod} {
		if err := checkPeriod(p); err != nil {
			return Page[Adjustment]{}, err
		}
	}
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return Page[Adjustment]{}, err
		}
	}
	if f.Cause != "" && !slices.Contains(AdjustmentCauses(), f.Cause) {
		return Page[Adjustment]{}, fault.InvalidField("cause", "filter_unknown", "%q is not a cause", f.Cause).Fix("Use refund, dispute, late_event or correction")
	}
	if f.State != "" && !slices.Contains(AdjustmentStates(), AdjustmentState(f.State)) {
		return Page[Adjustment]{}, fault.InvalidField("state", "filter_unknown", "%q is not a state of a true-up", f.State).
			Fix("Use due, applied, left_out, nothing_due, proposed, approved, done, needs_human or withdrawn")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Adjustment]{}, err
	}
	return s.Reader.Adjustments(ctx, f)
}
