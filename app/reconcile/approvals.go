package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Approval is something that waits for a person, or what was decided about it. It is
// derived from the rows of its subject; nothing is stored for it.
type Approval struct {
	// ID is unique among all of them and says nothing.
	ID string
	// State is "waiting" or "decided".
	State string
	// Subject is "cycle", "correction" or "break", SubjectID which one.
	Subject, SubjectID string
	AccountID          string
	Environment        account.Environment
	Period             string
	// Action is what is asked for, or what was decided.
	Action      string
	AmountMinor *int64
	Currency    string
	// Actor is who decided, or who asked; empty for what a rule of the contract asks for.
	Actor  string
	Reason string
	// At is since when it waits, or when it was decided.
	At time.Time
}

// ApprovalsFilter selects approvals. Empty fields select all; an empty scope nothing.
type ApprovalsFilter struct {
	Scope                          access.Scope
	State, Subject                 string
	AccountID, Environment, Period string
	Cursor                         string
	Limit                          int
}

// Approvals lists what waits for a person and what was decided, newest first.
func (s *Service) Approvals(ctx context.Context, f ApprovalsFilter) (Page[Approval], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[Approval]{}, err
	}
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return Page[Approval]{}, err
		}
	}
	if f.State != "" && f.State != "waiting" && f.State != "decided" {
		return Page[Approval]{}, fault.InvalidField("state", "filter_unknown", "%q is not a state of an approval", f.State).Fix("Use waiting or decided, or leave it out")
	}
	if f.Subject != "" && !slices.Contains([]string{"cycle", "correction", "break"}, f.Subject) {
		return Page[Approval]{}, fault.InvalidField("subject", "filter_unknown", "%q is nothing that is approved", f.Subject).Fix("Use cycle, correction or break, or leave it out")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Approval]{}, err
	}
	return s.Reader.Approvals(ctx, f)
}
