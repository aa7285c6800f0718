package reconcile

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Reader reads the ledger for people.
type Reader interface {
	Cycles(ctx context.Context, f CyclesFilter) (Page[CycleSummary], error)
	Periods(ctx context.Context, scope access.Scope) ([]string, error)
	TieOut(ctx context.Context, cycleID string) (TieOut, error)
	Readout(ctx context.Context, caseID string) (Readout, error)
	Readouts(ctx context.Context, accountID string, f CyclesFilter) (Page[Readout], error)
	RewardEvents(ctx context.Context, f RewardEventsFilter) (Page[RewardEvent], error)
	Accounts(ctx context.Context, scope access.Scope) ([]Overview, error)
	// Standings sums a period by environment and currency.
	Standings(ctx context.Context, scope access.Scope, period string) ([]Standing, error)
	// Payments counts what happened since a time, by environment and currency.
	Payments(ctx context.Context, scope access.Scope, since time.Time) ([]Payments, error)
	Invoices(ctx context.Context, f InvoicesFilter) (Page[InvoiceRow], error)
	// Trend lists a snapshot's readouts of a contract year up to a cycle, oldest first.
	Trend(ctx context.Context, cycleID, snapshotID string) ([]TrendPoint, error)
	// Weights counts the frozen users of a cycle's snapshot by arm and weight.
	Weights(ctx context.Context, cycleID, snapshotID string) ([]WeightCount, error)
	Snapshots(ctx context.Context, f SnapshotsFilter) (Page[Snapshot], error)
	SnapshotDetail(ctx context.Context, accountID, id string) (SnapshotDetail, error)
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Service answers finance's questions; every method checks its input and reads.
type Service struct{ Reader Reader }

// Cycles lists the cycles that the filter selects, newest period first.
func (s *Service) Cycles(ctx context.Context, f CyclesFilter) (Page[CycleSummary], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[CycleSummary]{}, err
	}
	if err := checkChoices(f); err != nil {
		return Page[CycleSummary]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[CycleSummary]{}, err
	}
	return s.Reader.Cycles(ctx, f)
}

// Periods lists the periods that have cycles in the scope, newest first.
func (s *Service) Periods(ctx context.Context, scope access.Scope) ([]string, error) {
	return s.Reader.Periods(ctx, scope)
}

// TieOut explains one cycle's total; NotFound when there is no such cycle.
func (s *Service) TieOut(ctx context.Context, cycleID string) (TieOut, error) {
	return s.Reader.TieOut(ctx, cycleID)
}

// Readout returns one readout by its case ID; NotFound when there is none.
func (s *Service) Readout(ctx context.Context, caseID string) (Readout, error) {
	return s.Reader.Readout(ctx, caseID)
}

// Readouts lists the readouts of an account, newest period first.
func (s *Service) Readouts(ctx context.Context, accountID string, f CyclesFilter) (Page[Readout], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[Readout]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Readout]{}, err
	}
	return s.Reader.Readouts(ctx, accountID, f)
}

// RewardEvents lists booked facts of an account, newest first.
func (s *Service) RewardEvents(ctx context.Context, f RewardEventsFilter) (Page[RewardEvent], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[RewardEvent]{}, err
	}
	if f.Mapped != "" && f.Mapped != "yes" && f.Mapped != "no" {
		return Page[RewardEvent]{}, fault.InvalidField("mapped", "filter_unknown", "%q is not a choice", f.Mapped).Fix("Use yes or no, or leave it out")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[RewardEvent]{}, err
	}
	return s.Reader.RewardEvents(ctx, f)
}

// Accounts lists every account of the scope with what it is wired to.
func (s *Service) Accounts(ctx context.Context, scope access.Scope) ([]Overview, error) {
	return s.Reader.Accounts(ctx, scope)
}

// checkChoices refuses a filter that can select nothing, because a typo must not look
// like a month without cycles.
func checkChoices(f CyclesFilter) error {
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return err
		}
	}
	if f.State != "" && !billing.CycleState(f.State).Known() {
		return fault.InvalidField("state", "filter_unknown", "%q is not a state of a cycle", f.State).Fix("Use one of the states of the API reference, for example invoiced")
	}
	return nil
}

func checkPeriod(p string) error {
	if p == "" {
		return nil
	}
	_, err := period.Parse(p)
	return err
}

func limit(n int) (int, error) {
	switch {
	case n == 0:
		return DefaultLimit, nil
	case n < 1 || n > MaxLimit:
		return 0, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return n, nil
}
